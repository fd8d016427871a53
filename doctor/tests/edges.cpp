// SPDX-License-Identifier: GPL-2.0-only
// long-file: a table, one case a line.
// The edges of the rules: values next to forbidden ones, values that are forbidden only where a
// rule applies, and every member of a list of which rules.cpp tries one.
#include "rules_fixture.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace vtx::testing {
namespace {

using namespace vtx::entry_checks;

struct Edge {
    const char *broken; // what exactly is broken then; "" for nothing
    GuestKind kind;
    bool ept;
    void (*change)(Patient &);
    std::uint32_t field = 0; // if it is given: a finding must blame it,
    std::uint64_t bits = 0;  // and exactly these bits
};

constexpr std::uint32_t unusable = 0x10000;
constexpr std::uint64_t top40 = std::uint64_t{1} << 40;
constexpr auto blocking = Field32::guest_interruptibility;
constexpr auto activity = Field32::guest_activity_state;
constexpr auto pending = FieldNatural::guest_pending_debug_exceptions;
constexpr auto length = Field32::entry_instruction_length;

// A guest at CPL 3.
void ring3(P &p) {
    for (const auto selector : {Field16::guest_cs_selector, Field16::guest_ss_selector}) {
        p.with(selector, 3);
    }
    for (const auto rights : {Field32::guest_cs_access_rights, Field32::guest_ss_access_rights}) {
        p.with(rights, 0x60);
    }
}

void unrestrict(P &p) { use_secondary(p, SecondaryControl::unrestricted_guest); }

void lacks(P &p, CpuFeature feature) { p.cpu.features &= ~(1u << static_cast<unsigned>(feature)); }

void halt_with(P &p, std::uint64_t injected) {
    p.set(activity, 1);
    p.set(event, injected);
}

void shut_down_with(P &p, std::uint64_t injected) {
    p.set(activity, 2);
    p.set(event, injected);
}

void use_ipi_virtualization(P &p, unsigned last_index, std::uint64_t table) {
    use_apic(p);
    use_tertiary(p, TertiaryControl::ipi_virtualization);
    p.set(Field16::last_pid_pointer_index, last_index);
    p.set(Field64::pid_pointer_table_address, table);
}

void use_posted_at(P &p, std::uint64_t descriptor) {
    use_posted(p);
    p.set(Field64::posted_interrupt_descriptor, descriptor);
}

void store_msrs(P &p, std::uint32_t count, std::uint64_t address) {
    p.set(Field32::exit_msr_store_count, count);
    p.set(Field64::exit_msr_store_address, address);
}

void host_cet(P &p, std::uint64_t s_cet, std::uint64_t ssp = 0) {
    p.add(ExitControl::load_cet_state);
    p.set(FieldNatural::host_s_cet, s_cet);
    p.set(FieldNatural::host_ssp, ssp);
}

void guest_cet(P &p, std::uint64_t s_cet, std::uint64_t ssp = 0) {
    p.add(EntryControl::load_cet_state);
    p.set(FieldNatural::guest_s_cet, s_cet);
    p.set(FieldNatural::guest_ssp, ssp);
}

template <VmcsField F> void guest_fred(P &p, F field, std::uint64_t value) {
    p.add(EntryControl::load_fred);
    p.set(field, value);
}

void no_mtf(P &p) { p.cpu.vmx.primary.may_be_1 &= ~(1u << 27); }

// One more MSR behind those of list_of_msrs(), as the entry with this index.
void msr_at(P &p, unsigned index, std::uint64_t first_half, std::uint64_t value = 0) {
    list_of_msrs(p);
    p.memory[0x110000 + 16ull * index] = first_half;
    p.memory[0x110008 + 16ull * index] = value;
}

// clang-format off
const Edge edges[] = {
    // Words of controls that nothing activates count as 0, whatever they hold.
    {"", V, false, [](P &p) { p.set(Field32::secondary_controls, 0xffffffff); p.set(Field64::tertiary_controls, ~0ull); p.set(Field64::secondary_exit_controls, ~0ull); p.set(Field64::ept_pointer, ~0ull); p.set(Field64::vm_function_controls, 1); p.set(Field64::eptp_list_address, 1); p.set(Field64::host_spec_ctrl, ~0ull); p.set(Field64::host_fred_config, ~0ull); }},
    {"", L, true, [](P &p) { p.add(ExitControl::activate_secondary_controls); p.set(Field64::host_spec_ctrl, ~0ull); p.set(Field64::host_fred_config, ~0ull); p.set(Field64::vm_function_controls, 1); p.set(Field64::eptp_list_address, 1); }},
    {"", L, true, [](P &p) { use_secondary(p, SecondaryControl::enable_vm_functions); p.set(Field64::eptp_list_address, 1); }},

    // TPR threshold and virtual-APIC page.
    {"", L, true, [](P &p) { p.set(Field32::tpr_threshold, 0xf6); }},
    {"", L, true, [](P &p) { use_posted(p); p.set(Field32::tpr_threshold, 0xf6); }},
    {"", L, true, [](P &p) { use_apic(p); use_secondary(p, SecondaryControl::virtualize_apic_accesses); p.set(Field32::tpr_threshold, 6); }},
    {"C10", L, true, [](P &p) { use_apic(p); p.memory.clear(); p.set(Field32::tpr_threshold, 1); }, e(Field32::tpr_threshold), 1},
    {"", L, true, [](P &p) { use_apic(p); p.set(Field64::virtual_apic_address, 0x101000); p.memory[0x101080] = 0x750; p.set(Field32::tpr_threshold, 5); }},
    {"C08", L, true, [](P &p) { use_apic(p); p.set(Field64::virtual_apic_address, 0x100001); p.set(Field32::tpr_threshold, 5); }, e(Field64::virtual_apic_address), 1},

    // Bitmaps and the VPID.
    {"", L, true, [](P &p) { p.add(PrimaryControl::use_io_bitmaps); p.set(Field64::io_bitmap_a, 0); p.set(Field64::io_bitmap_b, top40 - 0x1000); }},
    {"C06", L, true, [](P &p) { p.add(PrimaryControl::use_io_bitmaps); p.set(Field64::io_bitmap_b, top40); }, e(Field64::io_bitmap_b), top40},
    {"C06", L, true, [](P &p) { p.add(PrimaryControl::use_io_bitmaps); p.with(Field64::io_bitmap_a, 0x800); }, e(Field64::io_bitmap_a), 0x800},
    {"", L, true, [](P &p) { p.drop(PrimaryControl::use_io_bitmaps); p.set(Field64::io_bitmap_a, ~0ull); }},
    {"", L, true, [](P &p) { p.add(PrimaryControl::use_msr_bitmaps); p.set(Field64::msr_bitmap, top40 - 0x1000); }},
    {"C07", L, true, [](P &p) { p.add(PrimaryControl::use_msr_bitmaps); p.set(Field64::msr_bitmap, top40 | 0x800); }, e(Field64::msr_bitmap), top40 | 0x800},
    {"", L, true, [](P &p) { p.drop(PrimaryControl::use_msr_bitmaps); p.set(Field64::msr_bitmap, ~0ull); }},
    {"", L, true, [](P &p) { use_secondary(p, SecondaryControl::enable_vpid); p.set(Field16::vpid, 1); }},
    {"", L, true, [](P &p) { use_secondary(p, SecondaryControl::enable_vpid); p.set(Field16::vpid, 0xffff); }},
    {"", L, true, [](P &p) { use_secondary(p, SecondaryControl::enable_vpid); p.drop(SecondaryControl::enable_vpid); p.set(Field16::vpid, 0); }},

    // Posted interrupts, VM functions, EPT.
    {"", L, true, [](P &p) { use_posted_at(p, 0x100040); p.set(Field16::posted_interrupt_vector, 0xff); }},
    {"C17d", L, true, [](P &p) { use_posted_at(p, 0x10003f); }, e(Field64::posted_interrupt_descriptor), 0x3f},
    {"", L, true, [](P &p) { use_timer(p); p.set(Field16::virtual_timer_vector, 0xff); }},
    {"C19", L, true, [](P &p) { p.cpu.vmx.ept_vpid |= 1u << 8; p.with(Field64::ept_pointer, 1); }, e(Field64::ept_pointer), 7},
    {"C19", L, true, [](P &p) { p.cpu.vmx.ept_vpid &= ~(1ull << 14); }, e(Field64::ept_pointer), 7},
    {"C20", L, true, [](P &p) { p.cpu.vmx.ept_vpid &= ~(1ull << 6); }, e(Field64::ept_pointer), 0x38},
    {"C20", L, true, [](P &p) { p.cpu.vmx.ept_vpid |= 1u << 7; p.set(Field64::ept_pointer, 0x102016); }, e(Field64::ept_pointer), 0x38},
    {"C20", L, true, [](P &p) { p.cpu.vmx.ept_vpid |= 1u << 7; p.set(Field64::ept_pointer, 0x10203e); }, e(Field64::ept_pointer), 0x38},
    {"C23", L, true, [](P &p) { p.with(Field64::ept_pointer, top40 | 0xf00); }, e(Field64::ept_pointer), top40 | 0xf00},
    {"", L, true, [](P &p) { p.set(Field64::ept_pointer, (top40 - 0x1000) | 0x1e); }},
    {"", L, true, [](P &p) { use_secondary(p, SecondaryControl::ept_violation_ve); p.drop(SecondaryControl::enable_ept); p.set(Field64::ve_information_address, top40 - 0x1000); }}, // needs no EPT
    {"C31", L, true, [](P &p) { use_secondary(p, SecondaryControl::ept_violation_ve); p.set(Field64::ve_information_address, top40); }, e(Field64::ve_information_address), top40},
    {"", L, true, [](P &p) { use_secondary(p, SecondaryControl::enable_pml); p.set(Field64::pml_address, top40 - 0x1000); }},
    {"C24b", L, true, [](P &p) { use_secondary(p, SecondaryControl::enable_pml); p.set(Field64::pml_address, top40); }, e(Field64::pml_address), top40},
    {"C32", L, true, [](P &p) { use_secondary(p, SecondaryControl::pt_uses_guest_physical); p.add(EntryControl::load_rtit_ctl); p.add(ExitControl::clear_rtit_ctl); p.drop(SecondaryControl::enable_ept); }, e(Field32::secondary_controls), 2},
    {"C35a", L, true, [](P &p) { use_tertiary(p, TertiaryControl::enable_hlat); p.drop(SecondaryControl::enable_ept); }, e(Field32::secondary_controls), 2},
    {"C35a", L, true, [](P &p) { use_tertiary(p, TertiaryControl::ept_paging_write_control); p.drop(SecondaryControl::enable_ept); }, e(Field32::secondary_controls), 2},
    {"", L, true, [](P &p) { use_tertiary(p, TertiaryControl::loadiwkey_exiting); p.drop(SecondaryControl::enable_ept); p.set(Field64::hlat_pointer, ~0ull); }},
    {"C14", L, true, [](P &p) { use_secondary(p, SecondaryControl::virtualize_x2apic_mode); }, e(Field32::secondary_controls), 0x10},
    {"C14", L, true, [](P &p) { use_secondary(p, SecondaryControl::virtual_interrupt_delivery); p.add(PinControl::external_interrupt_exiting); }, e(Field32::secondary_controls), 0x200},

    // Tables and lists that end exactly at the address width, and one byte beyond; first addresses
    // that are out of line by less than an entry.
    {"", L, true, [](P &p) { use_ipi_virtualization(p, 3, top40 - 32); }},
    {"", L, true, [](P &p) { use_ipi_virtualization(p, 3, top40 - 40); }},
    {"C36b", L, true, [](P &p) { use_ipi_virtualization(p, 100, top40 - 800); }, e(Field64::pid_pointer_table_address), top40},
    {"C36b", L, true, [](P &p) { use_ipi_virtualization(p, 3, top40 - 31); }, e(Field64::pid_pointer_table_address), top40},
    {"C36b", L, true, [](P &p) { use_ipi_virtualization(p, 3, 0x100007); }, e(Field64::pid_pointer_table_address), 7},
    {"", L, true, [](P &p) { store_msrs(p, 0, ~0ull); }},
    {"", L, true, [](P &p) { store_msrs(p, 100, top40 - 1600); }},
    {"X04", L, true, [](P &p) { store_msrs(p, 100, top40 - 1584); }, e(Field64::exit_msr_store_address), top40},
    {"X04", L, true, [](P &p) { store_msrs(p, 1, top40 - 15); }, e(Field64::exit_msr_store_address), top40 | 1},
    {"X04", L, true, [](P &p) { store_msrs(p, 1, 0x11000f); }, e(Field64::exit_msr_store_address), 0xf},
    {"X04", L, true, [](P &p) { p.cpu.vmx.basic |= 1ull << 48; store_msrs(p, 0xffffffff, 0xfffffff000000020); }, e(Field64::exit_msr_store_address), high32}, // wraps

    // Widths: none is wider than the addresses themselves.
    {"", L, true, [](P &p) { p.cpu.physical_address_width = 64; p.add(PrimaryControl::use_msr_bitmaps); p.set(Field64::msr_bitmap, 1ull << 63); p.set(FieldNatural::guest_cr3, 1ull << 63); }},
    {"G09 C07", L, true, [](P &p) { p.cpu.physical_address_width = 63; p.add(PrimaryControl::use_msr_bitmaps); p.set(Field64::msr_bitmap, 1ull << 63); p.set(FieldNatural::guest_cr3, 1ull << 63); }, e(FieldNatural::guest_cr3), 1ull << 63},
    {"C07", L, true, [](P &p) { p.cpu.physical_address_width = 33; p.cpu.vmx.basic |= 1ull << 48; p.add(PrimaryControl::use_msr_bitmaps); p.set(Field64::msr_bitmap, 1ull << 32); }, e(Field64::msr_bitmap), 1ull << 32},
    {"", L, true, [](P &p) { p.cpu.vmx.basic |= 1ull << 48; p.add(PrimaryControl::use_msr_bitmaps); p.set(Field64::msr_bitmap, 1ull << 31); }},
    {"", L, true, [](P &p) { p.cpu.linear_address_width = 64; p.set(FieldNatural::guest_rip, 1ull << 63); p.set(FieldNatural::guest_fs_base, 1ull << 63); }},
    {"S05", L, true, [](P &p) { p.cpu.linear_address_width = 63; p.set(FieldNatural::guest_fs_base, 1ull << 62); }, e(FieldNatural::guest_fs_base), 1ull << 63},
    {"S05", L, true, [](P &p) { p.cpu.linear_address_width = 57; p.set(FieldNatural::guest_rip, 1ull << 56); p.set(FieldNatural::guest_fs_base, 1ull << 56); }, e(FieldNatural::guest_fs_base), ~0ull << 57},

    // Injected events.
    {"N02b N03", L, true, [](P &p) { no_mtf(p); p.set(event, inject(7, 1)); }, e(event), 0x700},
    {"N03", L, true, [](P &p) { p.set(event, inject(2, 1)); }, e(event), 0xff},
    {"N04", L, true, [](P &p) { unrestrict(p); p.set(event, inject(3, 13)); }, e(event), 0x800},
    {"N05", L, true, [](P &p) { p.cpu.vmx.basic |= 1ull << 58; p.set(event, inject(3, 1, 0x7ffff000)); }, e(event), 0x7fffd000},
    {"", L, true, [](P &p) { p.cpu.vmx.basic |= 1ull << 58; p.set(event, inject(3, 1, 0x2000)); }},
    {"", L, true, [](P &p) { p.set(event, 0x7ffffb0d); p.set(Field32::entry_exception_error_code, 0x10000); p.set(length, 16); }}, // bit 31 is 0
    {"", L, true, [](P &p) { p.set(event, inject(3, 6)); p.set(Field32::entry_exception_error_code, 0x10000); p.set(length, 16); }},
    {"", L, true, [](P &p) { p.set(event, inject(4, 0x80)); p.set(length, 1); }},
    {"N07", L, true, [](P &p) { p.set(event, inject(5, 1)); p.set(length, 0); }, e(length), 0xf},
    {"N07", L, true, [](P &p) { p.set(event, inject(6, 3)); p.set(length, 31); }, e(length), 0x10},
    {"N07", L, true, [](P &p) { fred_guest(p); p.set(event, inject(7, 1)); p.set(length, 0); }, e(length), 0xf},
    {"N07", L, true, [](P &p) { p.cpu.vmx.misc |= 1u << 30; p.set(event, inject(6, 3)); p.set(length, 16); }, e(length), 0x10},
    {"", L, true, [](P &p) { fred_guest(p); p.set(event, inject(7, 0)); p.set(length, 0); }},
    {"N03", L, true, [](P &p) { p.set(event, inject(7, 1)); p.set(length, 0); }, e(event), 0xff},

    // Host state.
    {"", L, true, [](P &p) { p.cpu.add(CpuFeature::linear_masking); p.with(FieldNatural::host_cr3, 3ull << 61); p.with(FieldNatural::guest_cr3, 3ull << 61); }},
    {"G09 H03", L, true, [](P &p) { p.cpu.add(CpuFeature::linear_masking); p.with(FieldNatural::host_cr3, 9ull << 60); p.with(FieldNatural::guest_cr3, 9ull << 60); }, e(FieldNatural::guest_cr3), 9ull << 60},
    {"H07", L, true, [](P &p) { p.add(ExitControl::load_pat); p.set(Field64::host_pat, 0x0108050406070003); }, e(Field64::host_pat), 0x00ff0000000000ff},
    {"H08b", A, true, [](P &p) { legacy_host(p); p.set(Field64::host_efer, 0x500); }, e(Field64::host_efer), 0x500},
    {"", A, true, [](P &p) { host_cet(p, 3, 0x1000); legacy_host(p); p.set(FieldNatural::host_rip, 0xffffffff); p.without(FieldNatural::host_cr4, Cr4::pae); }},
    {"", A, true, [](P &p) { legacy_host(p); p.set(FieldNatural::host_ssp, ~0ull); p.set(FieldNatural::host_s_cet, ~0ull); }},
    {"", L, true, [](P &p) { host_cet(p, 1ull << 40, 1ull << 40); p.set(Field16::host_ss_selector, 0); }},
    {"H16b", A, true, [](P &p) { host_cet(p, top40); legacy_host(p); }, e(FieldNatural::host_s_cet), top40},
    {"H15 H16a", L, true, legacy_host, e(Field32::entry_controls), 1u << 9},
    {"H15 H16a", L, true, [](P &p) { p.drop(ExitControl::host_address_space_size); p.set(Field64::host_efer, 0); }, e(Field32::exit_controls), 1u << 9},
    {"H09a", L, true, [](P &p) { lacks(p, CpuFeature::shadow_stacks); host_cet(p, 7); }, e(FieldNatural::host_s_cet), 3},
    {"H09a", L, true, [](P &p) { lacks(p, CpuFeature::branch_tracking); host_cet(p, 0x1000403f); }, e(FieldNatural::host_s_cet), 0x1000403c},
    {"H09a", L, true, [](P &p) { host_cet(p, 1ull << 63); }, e(FieldNatural::host_s_cet), 1ull << 63},
    {"H09b", L, true, [](P &p) { host_cet(p, 0, (1ull << 63) | 3); }, e(FieldNatural::host_ssp), (1ull << 63) | 3},

    // Guest registers.
    {"G01 G02", L, true, [](P &p) { p.without(FieldNatural::guest_cr0, Cr0::pe); }, e(FieldNatural::guest_cr0), 1},
    {"", L, true, [](P &p) { p.set(FieldNatural::guest_dr7, 0xffffffff); p.add(EntryControl::load_rtit_ctl); p.set(Field64::guest_rtit_ctl, 1); }},
    {"", L, true, [](P &p) { p.drop(EntryControl::load_efer); p.set(Field64::guest_efer, 1); p.drop(EntryControl::load_debug_controls); p.set(FieldNatural::guest_dr7, ~0ull); p.set(Field64::guest_debugctl, ~0ull); }},
    {"", R, true, [](P &p) { p.set(Field64::guest_efer, Efer::lme); }},
    {"G15", L, true, [](P &p) { p.add(EntryControl::load_bndcfgs); p.set(Field64::guest_bndcfgs, (1ull << 63) | 0xfff); }, e(Field64::guest_bndcfgs), (1ull << 63) | 0xffc},
    {"", L, true, [](P &p) { guest_fred(p, Field64::guest_fred_config, 0x17cb); }},
    {"G16e", L, true, [](P &p) { guest_fred(p, Field64::guest_fred_config, 1ull << 63); }, e(Field64::guest_fred_config), 1ull << 63},
    {"G16e", L, true, [](P &p) { guest_fred(p, Field64::guest_fred_rsp1, (1ull << 63) | 0x103f); }, e(Field64::guest_fred_rsp1), (1ull << 63) | 0x3f},
    {"G16e", L, true, [](P &p) { guest_fred(p, Field64::guest_fred_ssp2, (1ull << 63) | 0x100f); }, e(Field64::guest_fred_ssp2), (1ull << 63) | 7},
    {"G17a", L, true, [](P &p) { guest_cet(p, 1ull << 63); }, e(FieldNatural::guest_s_cet), 1ull << 63},
    {"R06", L, true, [](P &p) { guest_cet(p, 0, 0x1003); }, e(FieldNatural::guest_ssp), 3},
    {"", L, true, [](P &p) { guest_cet(p, 0, 0xffff000000000000); p.set(FieldNatural::guest_rip, 0xffff000000000000); }}, // bit 47 is not looked at
    {"R02", L, true, [](P &p) { p.set(FieldNatural::guest_rip, 0xfffe000000000000); }, e(FieldNatural::guest_rip), 0xfffe000000000000},
    {"", A, true, [](P &p) { p.set(FieldNatural::guest_rip, 0xffffffff); }},
    {"R01", A, true, [](P &p) { p.with(Field32::guest_cs_access_rights, 0x2000); p.set(FieldNatural::guest_rip, 1ull << 32); }, e(FieldNatural::guest_rip), 1ull << 32},
    {"R01", L, true, [](P &p) { p.set(Field32::guest_cs_access_rights, 0xc09b); p.set(FieldNatural::guest_rip, 1ull << 32); }, e(FieldNatural::guest_rip), 1ull << 32},
    {"", L, true, [](P &p) { p.set(FieldNatural::guest_rflags, 0x3d7fd7); }}, // all but VM
    {"R04 G01 G02", V, true, [](P &p) { p.without(FieldNatural::guest_cr0, Cr0::pe); }, e(FieldNatural::guest_rflags), Rflags::vm},
    {"", L, true, [](P &p) { ring3(p); p.with(FieldNatural::guest_rflags, Rflags::iopl | Rflags::if_); p.set(blocking, 1); }},
    {"", L, true, [](P &p) { fred_guest(p); p.with(FieldNatural::guest_rflags, Rflags::iopl | Rflags::if_); p.set(blocking, 1); }},

    // Guest segments: what is unusable is not looked at, nor is what virtual-8086 mode or an
    // unrestricted guest is free to hold.
    {"", L, true, [](P &p) { p.set(Field32::guest_ldtr_access_rights, unusable); p.set(Field16::guest_ldtr_selector, 4); p.set(FieldNatural::guest_ldtr_base, 1ull << 63); p.set(Field32::guest_ldtr_limit, 0x100000); }},
    {"", L, true, [](P &p) { p.set(Field32::guest_ds_access_rights, unusable | 0xf00); p.set(Field16::guest_ds_selector, 3); p.set(FieldNatural::guest_ds_base, 1ull << 63); p.set(Field32::guest_ds_limit, 0x100000); }},
    {"", L, true, [](P &p) { p.set(Field32::guest_ss_access_rights, unusable); p.set(Field16::guest_ss_selector, 0); }},
    {"S20b", L, true, [](P &p) { p.with(Field32::guest_tr_access_rights, unusable | 0xf10); p.without(Field32::guest_tr_access_rights, 0x80); }, e(Field32::guest_tr_access_rights), 0x10f90},
    {"", L, true, [](P &p) { unrestrict(p); p.with(Field16::guest_ss_selector, 3); p.with(Field16::guest_ds_selector, 3); }},
    {"", V, true, [](P &p) { p.set(Field16::guest_cs_selector, 0x121); p.set(FieldNatural::guest_cs_base, 0x1210); }},
    {"", L, true, [](P &p) { p.set(Field32::guest_ss_access_rights, 0xc097); p.set(Field32::guest_ds_access_rights, 0xc091); }},
    {"", L, true, [](P &p) { p.set(Field32::guest_ds_access_rights, 0xc09f); p.with(Field16::guest_ds_selector, 3); }}, // conforming code
    {"S11", L, true, [](P &p) { p.set(Field32::guest_ds_access_rights, 0xc09c); p.with(Field16::guest_ds_selector, 3); }, e(Field32::guest_ds_access_rights), 3},
    {"S15", L, true, [](P &p) { p.set(Field32::guest_ds_access_rights, 0xc0b3); p.with(Field16::guest_ds_selector, 2); }, e(Field32::guest_ds_access_rights), 0x60},
    {"S13", L, true, [](P &p) { p.set(Field32::guest_cs_access_rights, 0xa0f9); }, e(Field32::guest_cs_access_rights), 0x60},
    {"S13", L, true, [](P &p) { p.set(Field32::guest_cs_access_rights, 0xa0fd); }, e(Field32::guest_cs_access_rights), 0x60},
    {"", L, true, [](P &p) { ring3(p); p.set(Field32::guest_cs_access_rights, 0xa09d); }},
    {"S13", L, true, [](P &p) { ring3(p); p.set(Field32::guest_cs_access_rights, 0xa09b); }, e(Field32::guest_cs_access_rights), 0x60},
    {"S09", L, true, [](P &p) { p.set(Field32::guest_cs_access_rights, 0xa0f3); }, e(Field32::guest_cs_access_rights), 0xf},
    {"S14b", L, true, [](P &p) { unrestrict(p); p.set(Field32::guest_cs_access_rights, 0xa093); p.with(Field32::guest_ss_access_rights, 0x60); }, e(Field32::guest_ss_access_rights), 0x60},
    {"", L, true, [](P &p) { p.set(Field32::guest_cs_access_rights, 0xc09b); }}, // 32-bit code in IA-32e mode
    {"S22 S13 S14a", L, true, [](P &p) { fred_guest(p); p.with(Field32::guest_ss_access_rights, 0x20); }, e(Field32::guest_ss_access_rights), 0x60},
    {"", L, true, [](P &p) { fred_guest(p); ring3(p); p.set(Field32::guest_cs_access_rights, 0xc0fb); }},

    // What may be injected in which activity state, and what may be pending.
    {"A01", L, true, [](P &p) { p.cpu.vmx.misc &= ~(1ull << 6); p.set(activity, 1); }, e(activity), 1},
    {"A01", L, true, [](P &p) { p.cpu.vmx.misc &= ~(1ull << 8); p.set(activity, 3); }, e(activity), 3},
    {"", L, true, [](P &p) { p.with(FieldNatural::guest_rflags, Rflags::if_); halt_with(p, inject(0, 0x30)); }},
    {"", L, true, [](P &p) { halt_with(p, inject(2, 2)); }},
    {"", L, true, [](P &p) { halt_with(p, inject(3, 1)); }},
    {"", L, true, [](P &p) { halt_with(p, inject(7, 0)); }},
    {"", L, true, [](P &p) { halt_with(p, 0x306); }},
    {"A04", L, true, [](P &p) { p.set(length, 2); halt_with(p, inject(4, 18)); }, e(event), 0x7ff},
    {"A04", L, true, [](P &p) { p.set(length, 2); halt_with(p, inject(4, 0)); }, e(event), 0x7ff},
    {"A04", L, true, [](P &p) { fred_guest(p); p.set(length, 2); halt_with(p, inject(7, 1)); }, e(event), 0x7ff},
    {"", L, true, [](P &p) { shut_down_with(p, inject(3, 18)); }},
    {"", L, true, [](P &p) { shut_down_with(p, 0x306); }},
    {"A05", L, true, [](P &p) { p.set(length, 2); shut_down_with(p, inject(4, 18)); }, e(event), 0x7ff},
    {"A05", L, true, [](P &p) { shut_down_with(p, inject(7, 0)); }, e(event), 0x7ff},
    {"", L, true, [](P &p) { p.cpu.add(CpuFeature::enclaves); p.with(FieldNatural::guest_rflags, Rflags::if_); p.set(blocking, 0x11); }},
    {"", L, true, [](P &p) { p.now.in_smm = true; }},
    {"", L, true, [](P &p) { p.add(PinControl::nmi_exiting); p.add(PinControl::virtual_nmis); p.set(blocking, 8); }},
    {"", L, true, [](P &p) { p.set(event, inject(2, 2)); p.set(blocking, 8); }},
    {"", L, true, [](P &p) { p.set(activity, 1); p.with(FieldNatural::guest_rflags, Rflags::tf); p.set(pending, 0x4000); p.set(Field64::guest_debugctl, 1); }},
    {"", L, true, [](P &p) { p.set(activity, 1); p.set(pending, 1); }},
    {"P02", L, true, [](P &p) { p.set(activity, 1); p.set(pending, 0x4000); }, e(pending), 0x4000},
    {"P03", L, true, [](P &p) { p.cpu.add(CpuFeature::restricted_tsx); p.set(pending, 0x11001); }, e(pending), 1},
    {"P03", L, true, [](P &p) { p.set(pending, 0x11000); }, e(pending), 0x10000},

    // The link pointer, and PDPTEs where nobody loads them.
    {"L01", L, true, [](P &p) { p.set(Field64::vmcs_link_pointer, 0x120001); p.memory[0x120001] = 0x80000011; }, e(Field64::vmcs_link_pointer), 1},
    {"L01", L, true, [](P &p) { p.set(Field64::vmcs_link_pointer, top40); }, e(Field64::vmcs_link_pointer), top40},
    {"", L, true, [](P &p) { p.cpu.vmx.basic += 1; p.set(Field64::vmcs_link_pointer, 0x120000); p.memory[0x120000] = 0x500000012; }},
    {"", L, true, [](P &p) { p.set(Field64::guest_pdpte_2, 0x1003); }},
    {"", V, true, [](P &p) { p.set(Field64::guest_pdpte_2, 0x1003); }},
    {"", R, true, [](P &p) { p.with(FieldNatural::guest_cr4, Cr4::pae); p.set(Field64::guest_pdpte_2, 0x1003); }},
    {"", A, false, [](P &p) { p.set(Field64::guest_pdpte_2, 0x1003); }},
    {"T01a", A, true, [](P &p) { p.set(Field64::guest_pdpte_0, top40 | 0x11ff); }, e(Field64::guest_pdpte_0), top40 | 0x1e6},
    {"", A, true, [](P &p) { p.memory[0x104000] = 3; }},
    {"T01b", A, false, [](P &p) { p.memory[0x104000] = 3; }, e(FieldNatural::guest_cr3), 0x104000},
    {"T01b", A, false, [](P &p) { p.memory[0x104018] = 3; }, e(FieldNatural::guest_cr3), 0x104000},
    {"", A, false, [](P &p) { p.memory[0x104020] = 3; }},
    {"T01b", A, false, [](P &p) { p.set(FieldNatural::guest_cr3, 0x10403f); p.memory[0x104028] = 3; }, e(FieldNatural::guest_cr3), 0x10403f},

    // MSRs to load: neighbours of the forbidden ones, positions, and values.
    {"", L, true, [](P &p) { msr_at(p, 2, 0x79); }}, // behind the end
    {"N08", L, true, [](P &p) { list_of_msrs(p); p.set(Field64::entry_msr_load_address, 0x110001); p.memory[0x110001] = 0x79; }, e(Field64::entry_msr_load_address), 1},
    {"N08", L, true, [](P &p) { list_of_msrs(p); p.set(Field64::entry_msr_load_address, top40); p.memory[top40] = 0x79; }, e(Field64::entry_msr_load_address), top40},
    {"M04", L, true, [](P &p) { msr_at(p, 1, 0x79); p.set(Field64::entry_msr_load_address, 0x110010); p.set(Field32::entry_msr_load_count, 1); }, e(Field64::entry_msr_load_address), 0xffffffff},
    {"M07", L, true, [](P &p) { msr_at(p, 4096, 0x79); p.set(Field32::entry_msr_load_count, 4097); }, e(Field32::entry_msr_load_count), 4097}, // looks at 4096
    {"M04 M07", L, true, [](P &p) { msr_at(p, 4095, 0x79); p.set(Field32::entry_msr_load_count, 4096); }},
    {"", L, true, [](P &p) { msr_at(p, 0, 0x7ff); p.memory[0x110010] = 0x900; }},
    {"M02", L, true, [](P &p) { msr_at(p, 1, 0x800); }, e(Field64::entry_msr_load_address), 0xffffff00},
    {"M01", L, true, [](P &p) { msr_at(p, 1, 0xc0000100); }, e(Field64::entry_msr_load_address), 0xffffffff},
    {"", L, true, [](P &p) { p.now.in_smm = true; msr_at(p, 1, 0x9b); }},
    {"M05", L, true, [](P &p) { msr_at(p, 1, 0x100000175); }, e(Field64::entry_msr_load_address), 1ull << 32},
    {"M06", L, true, [](P &p) { msr_at(p, 1, 0x277, 0x0007040600070402); }, e(Field64::entry_msr_load_address), 0xffffffff},
    {"M06", L, true, [](P &p) { msr_at(p, 1, 0xc0000080, 1ull << 12); }, e(Field64::entry_msr_load_address), 0xffffffff},
};
// clang-format on

class EachEdge : public ::testing::TestWithParam<Edge> {};

TEST_P(EachEdge, IsWhereItShouldBe) {
    const Edge &one = GetParam();
    Patient patient{one.kind, one.ept};
    one.change(patient);
    const Verdict verdict = patient.verdict();
    EXPECT_EQ(
        broken_rules(verdict), *one.broken == 0 ? std::set<std::string>{} : words(one.broken));
    bool blamed = one.field == 0;
    for (std::uint32_t i = 0; i < verdict.count; ++i) {
        const Finding &finding = verdict.findings[i];
        blamed = blamed || (finding.field == one.field && finding.bits == one.bits);
    }
    EXPECT_TRUE(blamed) << one.broken << ": no finding blames bits " << one.bits << " of "
                        << field_name(one.field);
}

INSTANTIATE_TEST_SUITE_P(EntryChecks, EachEdge, ::testing::ValuesIn(edges));

} // namespace
} // namespace vtx::testing
