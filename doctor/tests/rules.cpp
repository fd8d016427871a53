// SPDX-License-Identifier: GPL-2.0-only
// long-file: a table with two cases a rule.
// Every rule of VM entry, both ways: a VMCS to which the rule applies and which keeps it, and the
// same VMCS with one change that breaks it, and nothing else.
#include "rules_fixture.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace vtx::testing {
namespace {

using namespace vtx::entry_checks;

struct Case {
    const char *broken; // what exactly is broken after `bad`: the rule first, then others
    GuestKind kind;
    bool ept;
    void (*good)(Patient &); // makes the rule apply
    void (*bad)(Patient &);  // breaks it
    std::uint32_t field;     // that the finding must blame
    std::uint64_t bits;      // and these bits of it
};

// clang-format off
const Case cases[] = {
    {"C01", L, true, nothing, [](P &p) { p.without(Field32::pin_based_controls, 2); }, e(Field32::pin_based_controls), 2},
    {"C01", L, true, nothing, [](P &p) { p.with(Field32::pin_based_controls, 0x100); }, e(Field32::pin_based_controls), 0x100},
    {"C02", L, true, nothing, [](P &p) { p.with(Field32::primary_controls, 0x00040000); }, e(Field32::primary_controls), 0x40000},
    {"C03", L, true, [](P &p) { p.cpu.vmx.secondary.may_be_1 = 0x7fffffff; }, [](P &p) { p.with(Field32::secondary_controls, 1u << 31); }, e(Field32::secondary_controls), 1u << 31},
    {"C04", L, true, [](P &p) { use_tertiary(p, TertiaryControl::loadiwkey_exiting); }, [](P &p) { p.with(Field64::tertiary_controls, 1ull << 40); }, e(Field64::tertiary_controls), 1ull << 40},
    {"C05", L, true, [](P &p) { p.set(Field32::cr3_target_count, 4); }, [](P &p) { p.set(Field32::cr3_target_count, 5); }, e(Field32::cr3_target_count), 5},
    {"C06", L, true, [](P &p) { p.add(PrimaryControl::use_io_bitmaps); }, [](P &p) { p.set(Field64::io_bitmap_b, 0x101800); }, e(Field64::io_bitmap_b), 0x800},
    {"C06", L, true, [](P &p) { p.add(PrimaryControl::use_io_bitmaps); }, [](P &p) { p.set(Field64::io_bitmap_a, 1ull << 40); }, e(Field64::io_bitmap_a), 1ull << 40},
    {"C07", L, true, [](P &p) { p.add(PrimaryControl::use_msr_bitmaps); }, [](P &p) { p.with(Field64::msr_bitmap, 1); }, e(Field64::msr_bitmap), 1},
    {"C08", L, true, use_apic, [](P &p) { p.with(Field64::virtual_apic_address, 1ull << 63); }, e(Field64::virtual_apic_address), 1ull << 63},
    {"C09", L, true, use_apic, [](P &p) { p.set(Field32::tpr_threshold, 0x80000000); }, e(Field32::tpr_threshold), 0x80000000},
    {"C10", L, true, [](P &p) { use_apic(p); p.set(Field32::tpr_threshold, 5); }, [](P &p) { p.set(Field32::tpr_threshold, 6); }, e(Field32::tpr_threshold), 6},
    {"C11", L, true, [](P &p) { p.add(PinControl::nmi_exiting); p.add(PinControl::virtual_nmis); }, [](P &p) { p.drop(PinControl::nmi_exiting); }, e(Field32::pin_based_controls), 1u << 5},
    {"C12", L, true, [](P &p) { p.add(PinControl::nmi_exiting); p.add(PinControl::virtual_nmis); p.add(PrimaryControl::nmi_window_exiting); }, [](P &p) { p.drop(PinControl::virtual_nmis); }, e(Field32::primary_controls), 1u << 22},
    {"C13", L, true, [](P &p) { use_secondary(p, SecondaryControl::virtualize_apic_accesses); }, [](P &p) { p.with(Field64::apic_access_address, 0xfff); }, e(Field64::apic_access_address), 0xfff},
    {"C14", L, true, [](P &p) { use_apic(p); use_secondary(p, SecondaryControl::apic_register_virtualization); }, [](P &p) { p.drop(PrimaryControl::use_tpr_shadow); }, e(Field32::secondary_controls), 1u << 8},
    {"C15", L, true, [](P &p) { use_apic(p); use_secondary(p, SecondaryControl::virtualize_x2apic_mode); }, [](P &p) { p.add(SecondaryControl::virtualize_apic_accesses); }, e(Field32::secondary_controls), 1},
    {"C16", L, true, [](P &p) { use_apic(p); use_secondary(p, SecondaryControl::virtual_interrupt_delivery); p.add(PinControl::external_interrupt_exiting); }, [](P &p) { p.drop(PinControl::external_interrupt_exiting); }, e(Field32::pin_based_controls), 1},
    {"C17a", L, true, use_posted, [](P &p) { p.drop(SecondaryControl::virtual_interrupt_delivery); }, e(Field32::secondary_controls), 1u << 9},
    {"C17b", L, true, use_posted, [](P &p) { p.drop(ExitControl::acknowledge_interrupt_on_exit); }, e(Field32::exit_controls), 1u << 15},
    {"C17c", L, true, use_posted, [](P &p) { p.set(Field16::posted_interrupt_vector, 0x130); }, e(Field16::posted_interrupt_vector), 0x100},
    {"C17d", L, true, use_posted, [](P &p) { p.with(Field64::posted_interrupt_descriptor, 0x20); }, e(Field64::posted_interrupt_descriptor), 0x20},
    {"C18", L, true, [](P &p) { use_secondary(p, SecondaryControl::enable_vpid); }, [](P &p) { p.set(Field16::vpid, 0); }, e(Field16::vpid), 0xffff},
    {"C19", L, true, nothing, [](P &p) { p.with(Field64::ept_pointer, 1); }, e(Field64::ept_pointer), 7},
    {"C19", L, true, [](P &p) { p.cpu.vmx.ept_vpid |= 1u << 8; p.without(Field64::ept_pointer, 7); }, [](P &p) { p.cpu.vmx.ept_vpid &= ~(1ull << 8); }, e(Field64::ept_pointer), 7},
    {"C20", L, true, nothing, [](P &p) { p.without(Field64::ept_pointer, 8); }, e(Field64::ept_pointer), 0x38},
    {"C20", L, true, [](P &p) { p.cpu.vmx.ept_vpid |= 1u << 7; p.set(Field64::ept_pointer, 0x102026); }, [](P &p) { p.cpu.vmx.ept_vpid &= ~(1ull << 7); }, e(Field64::ept_pointer), 0x38},
    {"C21", L, true, [](P &p) { p.cpu.vmx.ept_vpid |= 1u << 21; p.with(Field64::ept_pointer, 0x40); }, [](P &p) { p.cpu.vmx.ept_vpid &= ~(1ull << 21); }, e(Field64::ept_pointer), 0x40},
    {"C22", L, true, [](P &p) { p.cpu.vmx.ept_vpid |= 1u << 23; p.with(Field64::ept_pointer, 0x80); }, [](P &p) { p.cpu.vmx.ept_vpid &= ~(1ull << 23); }, e(Field64::ept_pointer), 0x80},
    {"C23", L, true, nothing, [](P &p) { p.with(Field64::ept_pointer, 0x100); }, e(Field64::ept_pointer), 0x100},
    {"C24a", L, true, [](P &p) { use_secondary(p, SecondaryControl::enable_pml); }, [](P &p) { p.drop(SecondaryControl::enable_ept); }, e(Field32::secondary_controls), 2},
    {"C24b", L, true, [](P &p) { use_secondary(p, SecondaryControl::enable_pml); }, [](P &p) { p.with(Field64::pml_address, 0x10); }, e(Field64::pml_address), 0x10},
    {"C25", L, true, [](P &p) { use_secondary(p, SecondaryControl::unrestricted_guest); }, [](P &p) { p.drop(SecondaryControl::enable_ept); }, e(Field32::secondary_controls), 2},
    {"C26", L, true, [](P &p) { use_secondary(p, SecondaryControl::mode_based_execute_control); }, [](P &p) { p.drop(SecondaryControl::enable_ept); }, e(Field32::secondary_controls), 2},
    {"C27a", L, true, [](P &p) { use_secondary(p, SecondaryControl::sub_page_write_permissions); }, [](P &p) { p.drop(SecondaryControl::enable_ept); }, e(Field32::secondary_controls), 2},
    {"C27b", L, true, [](P &p) { use_secondary(p, SecondaryControl::sub_page_write_permissions); }, [](P &p) { p.set(Field64::spp_table_pointer, 1ull << 40); }, e(Field64::spp_table_pointer), 1ull << 40},
    {"C28", L, true, [](P &p) { use_secondary(p, SecondaryControl::enable_vm_functions); }, [](P &p) { p.set(Field64::vm_function_controls, 2); }, e(Field64::vm_function_controls), 2},
    {"C29a", L, true, [](P &p) { use_secondary(p, SecondaryControl::enable_vm_functions); p.set(Field64::vm_function_controls, 1); }, [](P &p) { p.drop(SecondaryControl::enable_ept); }, e(Field32::secondary_controls), 2},
    {"C29b", L, true, [](P &p) { use_secondary(p, SecondaryControl::enable_vm_functions); p.set(Field64::vm_function_controls, 1); }, [](P &p) { p.with(Field64::eptp_list_address, 4); }, e(Field64::eptp_list_address), 4},
    {"C30", L, true, [](P &p) { use_secondary(p, SecondaryControl::vmcs_shadowing); }, [](P &p) { p.with(Field64::vmwrite_bitmap, 8); }, e(Field64::vmwrite_bitmap), 8},
    {"C31", L, true, [](P &p) { use_secondary(p, SecondaryControl::ept_violation_ve); }, [](P &p) { p.with(Field64::ve_information_address, 8); }, e(Field64::ve_information_address), 8},
    {"C32", L, true, [](P &p) { use_secondary(p, SecondaryControl::pt_uses_guest_physical); p.add(EntryControl::load_rtit_ctl); p.add(ExitControl::clear_rtit_ctl); }, [](P &p) { p.drop(EntryControl::load_rtit_ctl); }, e(Field32::entry_controls), 1u << 18},
    {"C32", L, true, [](P &p) { use_secondary(p, SecondaryControl::pt_uses_guest_physical); p.add(EntryControl::load_rtit_ctl); p.add(ExitControl::clear_rtit_ctl); }, [](P &p) { p.drop(ExitControl::clear_rtit_ctl); }, e(Field32::exit_controls), 1u << 25},
    {"C33", L, true, [](P &p) { use_secondary(p, SecondaryControl::use_tsc_scaling); }, [](P &p) { p.set(Field64::tsc_multiplier, 0); }, e(Field64::tsc_multiplier), ~0ull},
    {"C35a", L, true, [](P &p) { use_tertiary(p, TertiaryControl::guest_paging_verification); }, [](P &p) { p.drop(SecondaryControl::enable_ept); }, e(Field32::secondary_controls), 2},
    {"C35a", L, true, [](P &p) { use_tertiary(p, TertiaryControl::pebs_uses_guest_physical); }, [](P &p) { p.drop(SecondaryControl::enable_ept); }, e(Field32::secondary_controls), 2},
    {"C35b", L, true, [](P &p) { use_tertiary(p, TertiaryControl::enable_hlat); p.with(Field64::hlat_pointer, 0x18); }, [](P &p) { p.with(Field64::hlat_pointer, 0x21); }, e(Field64::hlat_pointer), 0x21},
    {"C36a", L, true, [](P &p) { use_apic(p); use_tertiary(p, TertiaryControl::ipi_virtualization); }, [](P &p) { p.drop(PrimaryControl::use_tpr_shadow); }, e(Field32::primary_controls), 1u << 21},
    {"C36b", L, true, [](P &p) { use_apic(p); use_tertiary(p, TertiaryControl::ipi_virtualization); p.set(Field16::last_pid_pointer_index, 3); }, [](P &p) { p.set(Field64::pid_pointer_table_address, (1ull << 40) - 24); }, e(Field64::pid_pointer_table_address), 1ull << 40},
    {"C37", L, true, [](P &p) { use_secondary(p, SecondaryControl::pasid_translation); }, [](P &p) { p.with(Field64::high_pasid_directory, 1); }, e(Field64::high_pasid_directory), 1},
    {"C38a", L, true, use_timer, [](P &p) { p.drop(SecondaryControl::virtual_interrupt_delivery); }, e(Field32::secondary_controls), 1u << 9},
    {"C38b", L, true, use_timer, [](P &p) { p.add(PrimaryControl::rdtsc_exiting); }, e(Field32::primary_controls), 1u << 12},
    {"C38c", L, true, use_timer, [](P &p) { p.set(Field16::virtual_timer_vector, 0x1ff); }, e(Field16::virtual_timer_vector), 0x100},

    {"X01", L, true, nothing, [](P &p) { p.without(Field32::exit_controls, 1); }, e(Field32::exit_controls), 1},
    {"X02", L, true, [](P &p) { p.add(ExitControl::activate_secondary_controls); p.set(Field64::secondary_exit_controls, 8); }, [](P &p) { p.with(Field64::secondary_exit_controls, 0x10); }, e(Field64::secondary_exit_controls), 0x10},
    {"X03", L, true, [](P &p) { p.add(PinControl::activate_preemption_timer); p.add(ExitControl::save_preemption_timer_value); }, [](P &p) { p.drop(PinControl::activate_preemption_timer); }, e(Field32::exit_controls), 1u << 22},
    {"X04", L, true, [](P &p) { p.set(Field32::exit_msr_store_count, 1); p.set(Field64::exit_msr_store_address, 0x110010); }, [](P &p) { p.set(Field64::exit_msr_store_address, 0x110018); }, e(Field64::exit_msr_store_address), 8},
    {"X05", L, true, [](P &p) { p.set(Field32::exit_msr_load_count, 1); p.set(Field64::exit_msr_load_address, 0xfffffffff0); }, [](P &p) { p.set(Field32::exit_msr_load_count, 2); }, e(Field64::exit_msr_load_address), 1ull << 40},

    {"N01", L, true, nothing, [](P &p) { p.with(Field32::entry_controls, 1u << 30); }, e(Field32::entry_controls), 1u << 30},
    {"N02a", L, true, [](P &p) { p.set(event, inject(2, 2)); }, [](P &p) { p.set(event, inject(1, 2)); }, e(event), 0x700},
    {"N02b", L, true, [](P &p) { p.set(event, inject(7, 0)); }, [](P &p) { p.cpu.vmx.primary.may_be_1 &= ~(1u << 27); }, e(event), 0x700},
    {"N03", L, true, [](P &p) { p.set(event, inject(2, 2)); }, [](P &p) { p.set(event, inject(2, 3)); }, e(event), 0xff},
    {"N03", L, true, [](P &p) { p.set(event, inject(3, 31)); }, [](P &p) { p.set(event, inject(3, 32)); }, e(event), 0xff},
    {"N02b", L, true, [](P &p) { p.cpu.vmx.primary.may_be_1 &= ~(1u << 27); fred_guest(p); p.set(event, inject(7, 1)); p.set(Field32::entry_instruction_length, 2); }, [](P &p) { p.set(event, inject(7, 0)); }, e(event), 0x700},
    {"N03", L, true, [](P &p) { fred_guest(p); p.set(event, inject(7, 2)); p.set(Field32::entry_instruction_length, 2); }, [](P &p) { p.set(event, inject(7, 3)); }, e(event), 0xff},
    {"N03", L, true, [](P &p) { fred_guest(p); p.set(event, inject(7, 1)); p.set(Field32::entry_instruction_length, 2); }, [](P &p) { p.without(FieldNatural::guest_cr4, Cr4::fred); }, e(event), 0xff},
    {"N04", L, true, [](P &p) { p.set(event, inject(3, 13, 0x800)); }, [](P &p) { p.set(event, inject(3, 13)); }, e(event), 0x800},
    {"N04", L, true, [](P &p) { p.set(event, inject(3, 6)); }, [](P &p) { p.set(event, inject(3, 6, 0x800)); }, e(event), 0x800},
    {"N04", L, true, [](P &p) { p.cpu.vmx.basic |= 1ull << 56; p.set(event, inject(3, 13)); }, [](P &p) { p.set(event, inject(4, 13, 0x800)); p.set(Field32::entry_instruction_length, 2); }, e(event), 0x800},
    {"N04", R, true, [](P &p) { p.set(event, inject(3, 13)); }, [](P &p) { p.set(event, inject(3, 13, 0x800)); }, e(event), 0x800},
    {"N04", L, true, [](P &p) { p.set(event, inject(3, 21)); }, [](P &p) { p.set(event, inject(3, 21, 0x800)); }, e(event), 0x800},
    {"N05", L, true, [](P &p) { p.set(event, inject(3, 6)); }, [](P &p) { p.with(event, 0x2000); }, e(event), 0x2000},
    {"N05", L, true, [](P &p) { p.cpu.vmx.basic |= 1ull << 58; p.set(event, inject(3, 6, 0x2000)); }, [](P &p) { p.set(event, inject(2, 2, 0x2000)); }, e(event), 0x2000},
    {"N06", L, true, [](P &p) { p.set(event, inject(3, 13, 0x800)); p.set(Field32::entry_exception_error_code, 0xffff); }, [](P &p) { p.set(Field32::entry_exception_error_code, 0x10000); }, e(Field32::entry_exception_error_code), 0x10000},
    {"N07", L, true, [](P &p) { p.set(event, inject(4, 0x80)); p.set(Field32::entry_instruction_length, 15); }, [](P &p) { p.set(Field32::entry_instruction_length, 16); }, e(Field32::entry_instruction_length), 16},
    {"N07", L, true, [](P &p) { p.cpu.vmx.misc |= 1u << 30; p.set(event, inject(6, 3)); }, [](P &p) { p.cpu.vmx.misc &= ~(1ull << 30); }, e(Field32::entry_instruction_length), 15},
    {"N08", L, true, list_of_msrs, [](P &p) { p.with(Field64::entry_msr_load_address, 4); }, e(Field64::entry_msr_load_address), 4},
    {"N09 I06", L, true, [](P &p) { p.now.in_smm = true; p.add(EntryControl::entry_to_smm); p.set(Field32::guest_interruptibility, 4); }, [](P &p) { p.now.in_smm = false; p.set(Field32::guest_interruptibility, 0); }, e(Field32::entry_controls), 1u << 10},
    {"N10", L, true, [](P &p) { p.now.in_smm = true; p.add(EntryControl::deactivate_dual_monitor_treatment); }, [](P &p) { p.now.in_smm = false; }, e(Field32::entry_controls), 1u << 11},
    {"N11", L, true, [](P &p) { p.now.in_smm = true; p.add(EntryControl::entry_to_smm); p.set(Field32::guest_interruptibility, 4); }, [](P &p) { p.add(EntryControl::deactivate_dual_monitor_treatment); }, e(Field32::entry_controls), 1u << 11},
    {"N12", L, true, [](P &p) { p.add(EntryControl::load_rtit_ctl); }, [](P &p) { p.now.tracing = true; }, e(Field32::entry_controls), 1u << 18},

    {"H01", L, true, nothing, [](P &p) { p.without(FieldNatural::host_cr0, Cr0::ne); }, e(FieldNatural::host_cr0), Cr0::ne},
    {"H01", L, true, [](P &p) { p.cpu.vmx.cr0_fixed1 &= ~Cr0::cd; p.with(FieldNatural::host_cr0, Cr0::cd); }, [](P &p) { p.without(FieldNatural::host_cr0, Cr0::ne); }, e(FieldNatural::host_cr0), Cr0::ne},
    {"H02", L, true, nothing, [](P &p) { p.without(FieldNatural::host_cr4, Cr4::vmxe); }, e(FieldNatural::host_cr4), Cr4::vmxe},
    {"H03", L, true, nothing, [](P &p) { p.with(FieldNatural::host_cr3, 1ull << 40); }, e(FieldNatural::host_cr3), 1ull << 40},
    {"H03", L, true, [](P &p) { p.cpu.add(CpuFeature::linear_masking); p.with(FieldNatural::host_cr3, 1ull << 62); }, [](P &p) { p.with(FieldNatural::host_cr3, 1ull << 63); }, e(FieldNatural::host_cr3), 1ull << 63},
    {"H04", L, true, [](P &p) { p.with(FieldNatural::host_cr4, Cr4::cet); }, [](P &p) { p.without(FieldNatural::host_cr0, Cr0::wp); }, e(FieldNatural::host_cr0), Cr0::wp},
    {"H05", L, true, [](P &p) { p.set(FieldNatural::host_sysenter_eip, 0xffff800000000000); }, [](P &p) { p.set(FieldNatural::host_sysenter_eip, 0x0000800000000000); }, e(FieldNatural::host_sysenter_eip), 0xffff000000000000},
    {"H06", L, true, [](P &p) { p.add(ExitControl::load_perf_global_ctrl); p.set(Field64::host_perf_global_ctrl, 0x70000000f); }, [](P &p) { p.with(Field64::host_perf_global_ctrl, 0x10); }, e(Field64::host_perf_global_ctrl), 0x10},
    {"H07", L, true, [](P &p) { p.add(ExitControl::load_pat); }, [](P &p) { p.set(Field64::host_pat, 0x0207040600070406); }, e(Field64::host_pat), 0xff00000000000000},
    {"H08a", L, true, nothing, [](P &p) { p.with(Field64::host_efer, 2); }, e(Field64::host_efer), 2},
    {"H08b", L, true, nothing, [](P &p) { p.without(Field64::host_efer, Efer::lme); }, e(Field64::host_efer), Efer::lme},
    {"H09a", L, true, [](P &p) { p.add(ExitControl::load_cet_state); p.set(FieldNatural::host_s_cet, 0x403); }, [](P &p) { p.set(FieldNatural::host_s_cet, 0xc03); }, e(FieldNatural::host_s_cet), 0xc00},
    {"H09b", L, true, [](P &p) { p.add(ExitControl::load_cet_state); p.set(FieldNatural::host_ssp, 0x1004); }, [](P &p) { p.set(FieldNatural::host_ssp, 0x1006); }, e(FieldNatural::host_ssp), 2},
    {"H09c", L, true, [](P &p) { p.add(ExitControl::load_cet_state); }, [](P &p) { p.set(FieldNatural::host_interrupt_ssp_table, 1ull << 63); }, e(FieldNatural::host_interrupt_ssp_table), 1ull << 63},
    {"H10", L, true, [](P &p) { p.add(ExitControl::load_pkrs); p.set(Field64::host_pkrs, 0xffffffff); }, [](P &p) { p.set(Field64::host_pkrs, 1ull << 32); }, e(Field64::host_pkrs), 1ull << 32},
    {"H11", L, true, nothing, [](P &p) { p.with(Field16::host_gs_selector, 3); }, e(Field16::host_gs_selector), 3},
    {"H12", L, true, nothing, [](P &p) { p.set(Field16::host_tr_selector, 0); }, e(Field16::host_tr_selector), 0xffff},
    {"H13", A, true, legacy_host, [](P &p) { p.set(Field16::host_ss_selector, 0); }, e(Field16::host_ss_selector), 0xffff},
    {"H14", L, true, nothing, [](P &p) { p.set(FieldNatural::host_idtr_base, 1ull << 47); }, e(FieldNatural::host_idtr_base), 0xffff000000000000},
    {"H15", A, true, nothing, [](P &p) { p.drop(ExitControl::host_address_space_size); p.set(Field64::host_efer, 0); }, e(Field32::exit_controls), 1u << 9},
    {"H16a", A, true, legacy_host, [](P &p) { p.with(FieldNatural::host_cr4, Cr4::pcide); }, e(FieldNatural::host_cr4), Cr4::pcide},
    {"H16a", A, true, legacy_host, [](P &p) { p.with(FieldNatural::host_rip, 1ull << 40); }, e(FieldNatural::host_rip), 1ull << 40},
    {"H16b", A, true, legacy_host, [](P &p) { p.with(FieldNatural::host_cr4, Cr4::fred); }, e(FieldNatural::host_cr4), Cr4::fred},
    {"H16b", A, true, [](P &p) { legacy_host(p); p.add(ExitControl::load_cet_state); p.set(FieldNatural::host_ssp, 0xfffffff8); }, [](P &p) { p.set(FieldNatural::host_ssp, 1ull << 32); }, e(FieldNatural::host_ssp), 1ull << 32},
    {"H17", L, true, nothing, [](P &p) { p.without(FieldNatural::host_cr4, Cr4::pae); }, e(FieldNatural::host_cr4), Cr4::pae},
    {"H17", L, true, nothing, [](P &p) { p.with(FieldNatural::host_rip, 1ull << 63); }, e(FieldNatural::host_rip), 1ull << 63},
    {"H18", L, true, [](P &p) { p.add(ExitControl::activate_secondary_controls); p.set(Field64::secondary_exit_controls, 2); p.set(Field64::host_fred_rsp2, 0x1040); }, [](P &p) { p.set(Field64::host_fred_rsp2, 0x1020); }, e(Field64::host_fred_rsp2), 0x20},
    {"H19", L, true, [](P &p) { p.add(ExitControl::activate_secondary_controls); p.set(Field64::secondary_exit_controls, 4); p.set(Field64::host_spec_ctrl, 0x5ff); }, [](P &p) { p.with(Field64::host_spec_ctrl, 0x200); }, e(Field64::host_spec_ctrl), 0x200},

    {"G01", L, true, nothing, [](P &p) { p.without(FieldNatural::guest_cr0, Cr0::ne); }, e(FieldNatural::guest_cr0), Cr0::ne},
    {"G01", R, true, nothing, [](P &p) { p.with(FieldNatural::guest_cr0, 1ull << 32); }, e(FieldNatural::guest_cr0), 1ull << 32},
    {"G02", R, true, nothing, [](P &p) { p.with(FieldNatural::guest_cr0, Cr0::pg); }, e(FieldNatural::guest_cr0), Cr0::pg},
    {"G03", L, true, nothing, [](P &p) { p.without(FieldNatural::guest_cr4, Cr4::vmxe); }, e(FieldNatural::guest_cr4), Cr4::vmxe},
    {"G04", L, true, [](P &p) { p.with(FieldNatural::guest_cr4, Cr4::cet); }, [](P &p) { p.without(FieldNatural::guest_cr0, Cr0::wp); }, e(FieldNatural::guest_cr0), Cr0::wp},
    {"G05", L, true, [](P &p) { p.set(Field64::guest_debugctl, 3); }, [](P &p) { p.set(Field64::guest_debugctl, 0x20); }, e(Field64::guest_debugctl), 0x20},
    {"G06", L, true, [](P &p) { use_secondary(p, SecondaryControl::unrestricted_guest); }, [](P &p) { p.without(FieldNatural::guest_cr0, Cr0::pg); }, e(FieldNatural::guest_cr0), Cr0::pg},
    {"G07", L, true, nothing, [](P &p) { p.without(FieldNatural::guest_cr4, Cr4::pae); }, e(FieldNatural::guest_cr4), Cr4::pae},
    {"G08a", A, true, nothing, [](P &p) { p.with(FieldNatural::guest_cr4, Cr4::pcide); }, e(FieldNatural::guest_cr4), Cr4::pcide},
    {"G08b S22", A, true, nothing, [](P &p) { p.with(FieldNatural::guest_cr4, Cr4::fred); }, e(FieldNatural::guest_cr4), Cr4::fred},
    {"G09", L, true, nothing, [](P &p) { p.with(FieldNatural::guest_cr3, 1ull << 52); }, e(FieldNatural::guest_cr3), 1ull << 52},
    {"G10", L, true, nothing, [](P &p) { p.with(FieldNatural::guest_dr7, 1ull << 32); }, e(FieldNatural::guest_dr7), 1ull << 32},
    {"G11", L, true, nothing, [](P &p) { p.set(FieldNatural::guest_sysenter_esp, 1ull << 48); }, e(FieldNatural::guest_sysenter_esp), 1ull << 48},
    {"G12", L, true, [](P &p) { p.add(EntryControl::load_perf_global_ctrl); p.set(Field64::guest_perf_global_ctrl, 1); }, [](P &p) { p.with(Field64::guest_perf_global_ctrl, 1ull << 63); }, e(Field64::guest_perf_global_ctrl), 1ull << 63},
    {"G13", L, true, [](P &p) { p.add(EntryControl::load_pat); }, [](P &p) { p.set(Field64::guest_pat, 0x0007040600070403); }, e(Field64::guest_pat), 0xff},
    {"G14a", L, true, nothing, [](P &p) { p.with(Field64::guest_efer, 1ull << 12); }, e(Field64::guest_efer), 1ull << 12},
    {"G14b", R, true, nothing, [](P &p) { p.with(Field64::guest_efer, Efer::lma); }, e(Field64::guest_efer), Efer::lma},
    {"G14c", L, true, nothing, [](P &p) { p.without(Field64::guest_efer, Efer::lme); }, e(Field64::guest_efer), Efer::lma | Efer::lme},
    {"G15", L, true, [](P &p) { p.add(EntryControl::load_bndcfgs); p.set(Field64::guest_bndcfgs, 0x1003); }, [](P &p) { p.set(Field64::guest_bndcfgs, 0x1007); }, e(Field64::guest_bndcfgs), 4},
    {"G16a", L, true, [](P &p) { p.add(EntryControl::load_rtit_ctl); p.set(Field64::guest_rtit_ctl, 4); }, [](P &p) { p.with(Field64::guest_rtit_ctl, 1u << 18); }, e(Field64::guest_rtit_ctl), 1u << 18},
    {"G16b", L, true, [](P &p) { p.add(EntryControl::load_lbr_ctl); p.set(Field64::guest_lbr_ctl, 0x7f000f); }, [](P &p) { p.with(Field64::guest_lbr_ctl, 0x10); }, e(Field64::guest_lbr_ctl), 0x10},
    {"G16c", L, true, [](P &p) { p.add(EntryControl::load_uinv); p.set(Field16::guest_uinv, 0xff); }, [](P &p) { p.set(Field16::guest_uinv, 0x100); }, e(Field16::guest_uinv), 0x100},
    {"G16d", L, true, [](P &p) { p.add(EntryControl::load_pkrs); p.set(Field64::guest_pkrs, 0xffffffff); }, [](P &p) { p.set(Field64::guest_pkrs, high32); }, e(Field64::guest_pkrs), high32},
    {"G16e", L, true, [](P &p) { p.add(EntryControl::load_fred); p.set(Field64::guest_fred_config, 0x1000); }, [](P &p) { p.set(Field64::guest_fred_config, 0x1834); }, e(Field64::guest_fred_config), 0x834},
    {"G16e", L, true, [](P &p) { p.add(EntryControl::load_fred); p.set(Field64::guest_fred_ssp3, 0x1008); }, [](P &p) { p.set(Field64::guest_fred_ssp3, 0x1004); }, e(Field64::guest_fred_ssp3), 4},
    {"G16f", L, true, [](P &p) { p.add(EntryControl::load_spec_ctrl); p.set(Field64::guest_spec_ctrl, 0x5ff); }, [](P &p) { p.with(Field64::guest_spec_ctrl, 1ull << 11); }, e(Field64::guest_spec_ctrl), 1ull << 11},
    {"G17a", L, true, [](P &p) { p.add(EntryControl::load_cet_state); p.set(FieldNatural::guest_s_cet, 0x3f); }, [](P &p) { p.set(FieldNatural::guest_s_cet, 0x7f); }, e(FieldNatural::guest_s_cet), 0x40},
    {"G17b", L, true, [](P &p) { p.add(EntryControl::load_cet_state); }, [](P &p) { p.set(FieldNatural::guest_interrupt_ssp_table, 1ull << 47); }, e(FieldNatural::guest_interrupt_ssp_table), 0xffff000000000000},

    {"S01", L, true, nothing, [](P &p) { p.with(Field16::guest_tr_selector, 4); }, e(Field16::guest_tr_selector), 4},
    {"S02", L, true, nothing, [](P &p) { p.with(Field16::guest_ldtr_selector, 4); }, e(Field16::guest_ldtr_selector), 4},
    {"S03 S14a", L, true, nothing, [](P &p) { p.with(Field16::guest_ss_selector, 2); }, e(Field16::guest_ss_selector), 2},
    {"S03", L, true, nothing, [](P &p) { p.with(Field16::guest_cs_selector, 3); }, e(Field16::guest_ss_selector), 3},
    {"S04", V, true, nothing, [](P &p) { p.set(FieldNatural::guest_fs_base, 0x10); }, e(FieldNatural::guest_fs_base), 0x10},
    {"S05", L, true, [](P &p) { p.set(FieldNatural::guest_gs_base, 0xffff900000000000); }, [](P &p) { p.set(FieldNatural::guest_gs_base, 0x0000900000000000); }, e(FieldNatural::guest_gs_base), 0xffff000000000000},
    {"S05", L, true, nothing, [](P &p) { p.set(FieldNatural::guest_ldtr_base, 1ull << 63); }, e(FieldNatural::guest_ldtr_base), 1ull << 63},
    {"S06", L, true, [](P &p) { p.set(FieldNatural::guest_es_base, 0xffffffff); }, [](P &p) { p.set(FieldNatural::guest_es_base, 1ull << 32); }, e(FieldNatural::guest_es_base), 1ull << 32},
    {"S07", V, true, nothing, [](P &p) { p.set(Field32::guest_gs_limit, 0xfffe); }, e(Field32::guest_gs_limit), 1},
    {"S08", V, true, nothing, [](P &p) { p.set(Field32::guest_es_access_rights, 0x93); }, e(Field32::guest_es_access_rights), 0x60},
    {"S09", L, true, nothing, [](P &p) { p.without(Field32::guest_cs_access_rights, 1); }, e(Field32::guest_cs_access_rights), 0xf},
    {"S09", L, true, [](P &p) { use_secondary(p, SecondaryControl::unrestricted_guest); p.without(Field32::guest_cs_access_rights, 8); }, [](P &p) { p.drop(SecondaryControl::unrestricted_guest); }, e(Field32::guest_cs_access_rights), 0xf},
    {"S10", L, true, nothing, [](P &p) { p.without(Field32::guest_ss_access_rights, 2); }, e(Field32::guest_ss_access_rights), 0xf},
    {"S11", L, true, nothing, [](P &p) { p.without(Field32::guest_fs_access_rights, 1); }, e(Field32::guest_fs_access_rights), 1},
    {"S11", L, true, nothing, [](P &p) { p.set(Field32::guest_ds_access_rights, 0xc099); }, e(Field32::guest_ds_access_rights), 2},
    {"S12", L, true, nothing, [](P &p) { p.without(Field32::guest_es_access_rights, 0x10); }, e(Field32::guest_es_access_rights), 0x10},
    {"S13", L, true, nothing, [](P &p) { p.with(Field32::guest_cs_access_rights, 0x60); }, e(Field32::guest_cs_access_rights), 0x60},
    {"S13", L, true, [](P &p) { p.with(Field32::guest_cs_access_rights, 4); }, [](P &p) { p.with(Field32::guest_cs_access_rights, 0x20); }, e(Field32::guest_cs_access_rights), 0x60},
    {"S13", R, true, [](P &p) { p.set(Field32::guest_cs_access_rights, 0x93); }, [](P &p) { p.set(Field32::guest_cs_access_rights, 0xf3); }, e(Field32::guest_cs_access_rights), 0x60},
    {"S14a S13", L, true, nothing, [](P &p) { p.with(Field32::guest_ss_access_rights, 0x60); }, e(Field32::guest_ss_access_rights), 0x60},
    {"S14b S13", R, true, nothing, [](P &p) { p.with(Field32::guest_ss_access_rights, 0x20); }, e(Field32::guest_ss_access_rights), 0x20},
    {"S15", L, true, [](P &p) { p.with(Field16::guest_ds_selector, 3); p.with(Field32::guest_ds_access_rights, 0x60); }, [](P &p) { p.without(Field32::guest_ds_access_rights, 0x20); }, e(Field32::guest_ds_access_rights), 0x60},
    {"S15", L, true, [](P &p) { p.with(Field16::guest_ds_selector, 1); p.set(Field32::guest_ds_access_rights, 0xc0bb); }, [](P &p) { p.set(Field32::guest_ds_access_rights, 0xc09b); }, e(Field32::guest_ds_access_rights), 0x60},
    {"S16", L, true, nothing, [](P &p) { p.without(Field32::guest_ss_access_rights, 0x80); }, e(Field32::guest_ss_access_rights), 0x80},
    {"S17", L, true, nothing, [](P &p) { p.with(Field32::guest_gs_access_rights, 0x100); }, e(Field32::guest_gs_access_rights), 0x100},
    {"S18", L, true, nothing, [](P &p) { p.with(Field32::guest_cs_access_rights, 0x4000); }, e(Field32::guest_cs_access_rights), 0x4000},
    {"S19", L, true, nothing, [](P &p) { p.without(Field32::guest_ds_access_rights, 0x8000); }, e(Field32::guest_ds_access_rights), 0x8000},
    {"S19", L, true, nothing, [](P &p) { p.set(Field32::guest_ds_limit, 0x1000); }, e(Field32::guest_ds_access_rights), 0x8000},
    {"S20a", L, true, nothing, [](P &p) { p.set(Field32::guest_tr_access_rights, 0x83); }, e(Field32::guest_tr_access_rights), 0xf},
    {"S20a", A, true, [](P &p) { p.set(Field32::guest_tr_access_rights, 0x83); }, [](P &p) { p.set(Field32::guest_tr_access_rights, 0x89); }, e(Field32::guest_tr_access_rights), 0xf},
    {"S20b", L, true, nothing, [](P &p) { p.with(Field32::guest_tr_access_rights, 0x10000); }, e(Field32::guest_tr_access_rights), 0x10000},
    {"S20c", L, true, nothing, [](P &p) { p.with(Field32::guest_tr_access_rights, 0x8000); }, e(Field32::guest_tr_access_rights), 0x8000},
    {"S21a", L, true, nothing, [](P &p) { p.set(Field32::guest_ldtr_access_rights, 0x83); }, e(Field32::guest_ldtr_access_rights), 0xf},
    {"S21b", L, true, nothing, [](P &p) { p.without(Field32::guest_ldtr_access_rights, 0x80); }, e(Field32::guest_ldtr_access_rights), 0x80},
    {"S21c", L, true, nothing, [](P &p) { p.set(Field32::guest_ldtr_limit, 0x100000); }, e(Field32::guest_ldtr_access_rights), 0x8000},
    {"S22", L, true, fred_guest, [](P &p) { p.without(Field32::guest_cs_access_rights, 0x2000); }, e(Field32::guest_cs_access_rights), 0x2000},
    {"S22 S13 S14a", L, true, fred_guest, [](P &p) { p.with(Field32::guest_ss_access_rights, 0x40); }, e(Field32::guest_ss_access_rights), 0x60},

    {"D01", L, true, nothing, [](P &p) { p.set(FieldNatural::guest_gdtr_base, 1ull << 47); }, e(FieldNatural::guest_gdtr_base), 0xffff000000000000},
    {"D02", L, true, nothing, [](P &p) { p.set(Field32::guest_idtr_limit, 0x10000); }, e(Field32::guest_idtr_limit), 0x10000},
    {"R01", A, true, nothing, [](P &p) { p.set(FieldNatural::guest_rip, 1ull << 32); }, e(FieldNatural::guest_rip), 1ull << 32},
    {"R02", L, true, [](P &p) { p.set(FieldNatural::guest_rip, 1ull << 47); }, [](P &p) { p.set(FieldNatural::guest_rip, 1ull << 48); }, e(FieldNatural::guest_rip), 1ull << 48},
    {"R03", L, true, nothing, [](P &p) { p.set(FieldNatural::guest_rflags, 0); }, e(FieldNatural::guest_rflags), 2},
    {"R03", L, true, nothing, [](P &p) { p.with(FieldNatural::guest_rflags, 0x8000); }, e(FieldNatural::guest_rflags), 0x8000},
    {"R04", V, true, nothing, [](P &p) { p.add(EntryControl::ia32e_mode_guest); p.with(FieldNatural::guest_cr4, Cr4::pae); p.set(Field64::guest_efer, 0x500); }, e(FieldNatural::guest_rflags), Rflags::vm},
    {"R05", L, true, [](P &p) { p.with(FieldNatural::guest_rflags, Rflags::if_); p.set(event, inject(0, 0x30)); }, [](P &p) { p.without(FieldNatural::guest_rflags, Rflags::if_); }, e(FieldNatural::guest_rflags), Rflags::if_},
    {"R06", L, true, [](P &p) { p.add(EntryControl::load_cet_state); p.set(FieldNatural::guest_ssp, 1ull << 47); }, [](P &p) { p.set(FieldNatural::guest_ssp, 1ull << 48); }, e(FieldNatural::guest_ssp), 1ull << 48},
    {"R07", L, true, [](P &p) { fred_guest(p); for (auto s : {Field16::guest_cs_selector, Field16::guest_ss_selector}) p.with(s, 3); for (auto r : {Field32::guest_cs_access_rights, Field32::guest_ss_access_rights}) p.with(r, 0x60); }, [](P &p) { p.with(FieldNatural::guest_rflags, 0x1000); }, e(FieldNatural::guest_rflags), 0x1000},

    {"A01", L, true, [](P &p) { p.set(Field32::guest_activity_state, 3); }, [](P &p) { p.set(Field32::guest_activity_state, 4); }, e(Field32::guest_activity_state), 4},
    {"A01", L, true, [](P &p) { p.set(Field32::guest_activity_state, 2); }, [](P &p) { p.cpu.vmx.misc &= ~(1ull << 7); }, e(Field32::guest_activity_state), 2},
    {"A02 S14a S13", L, true, [](P &p) { p.set(Field32::guest_activity_state, 1); }, [](P &p) { p.with(Field32::guest_ss_access_rights, 0x60); }, e(Field32::guest_activity_state), 1},
    {"A03", L, true, [](P &p) { p.set(Field32::guest_interruptibility, 2); }, [](P &p) { p.set(Field32::guest_activity_state, 2); }, e(Field32::guest_activity_state), 2},
    {"A04", L, true, [](P &p) { p.set(Field32::guest_activity_state, 1); p.set(event, inject(3, 18)); }, [](P &p) { p.set(event, inject(3, 6)); }, e(event), 0x7ff},
    {"A05", L, true, [](P &p) { p.set(Field32::guest_activity_state, 2); p.set(event, inject(2, 2)); }, [](P &p) { p.set(event, inject(3, 1)); }, e(event), 0x7ff},
    {"A06", L, true, [](P &p) { p.set(Field32::guest_activity_state, 3); }, [](P &p) { p.set(event, inject(2, 2)); }, e(event), 1u << 31},
    {"A07", L, true, [](P &p) { p.now.in_smm = true; p.add(EntryControl::entry_to_smm); p.set(Field32::guest_interruptibility, 4); }, [](P &p) { p.set(Field32::guest_activity_state, 3); }, e(Field32::guest_activity_state), 3},
    {"I01", L, true, nothing, [](P &p) { p.set(Field32::guest_interruptibility, 0x10); }, e(Field32::guest_interruptibility), 0x10},
    {"I01", L, true, [](P &p) { p.cpu.add(CpuFeature::enclaves); p.set(Field32::guest_interruptibility, 0x10); }, [](P &p) { p.set(Field32::guest_interruptibility, 0x20); }, e(Field32::guest_interruptibility), 0x20},
    {"I02", L, true, [](P &p) { p.with(FieldNatural::guest_rflags, Rflags::if_); p.set(Field32::guest_interruptibility, 1); }, [](P &p) { p.set(Field32::guest_interruptibility, 3); }, e(Field32::guest_interruptibility), 3},
    {"I03", L, true, [](P &p) { p.with(FieldNatural::guest_rflags, Rflags::if_); p.set(Field32::guest_interruptibility, 1); }, [](P &p) { p.without(FieldNatural::guest_rflags, Rflags::if_); }, e(Field32::guest_interruptibility), 1},
    {"I04", L, true, [](P &p) { p.with(FieldNatural::guest_rflags, Rflags::if_); p.set(event, inject(0, 0x30)); }, [](P &p) { p.set(Field32::guest_interruptibility, 2); }, e(Field32::guest_interruptibility), 2},
    {"I05a", L, true, [](P &p) { p.set(event, inject(2, 2)); }, [](P &p) { p.set(Field32::guest_interruptibility, 2); }, e(Field32::guest_interruptibility), 2},
    {"I06", L, true, [](P &p) { p.now.in_smm = true; p.set(Field32::guest_interruptibility, 4); }, [](P &p) { p.now.in_smm = false; }, e(Field32::guest_interruptibility), 4},
    {"I06", L, true, [](P &p) { p.now.in_smm = true; p.add(EntryControl::entry_to_smm); p.set(Field32::guest_interruptibility, 4); }, [](P &p) { p.set(Field32::guest_interruptibility, 0); }, e(Field32::guest_interruptibility), 4},
    {"I07", L, true, [](P &p) { p.add(PinControl::nmi_exiting); p.add(PinControl::virtual_nmis); p.set(event, inject(2, 2)); }, [](P &p) { p.set(Field32::guest_interruptibility, 8); }, e(Field32::guest_interruptibility), 8},
    {"I08", L, true, [](P &p) { p.cpu.add(CpuFeature::enclaves); p.set(Field32::guest_interruptibility, 0x10); }, [](P &p) { p.set(Field32::guest_interruptibility, 0x12); }, e(Field32::guest_interruptibility), 2},
    {"I09", L, true, [](P &p) { fred_guest(p); p.with(FieldNatural::guest_rflags, Rflags::if_); for (auto s : {Field16::guest_cs_selector, Field16::guest_ss_selector}) p.with(s, 3); for (auto r : {Field32::guest_cs_access_rights, Field32::guest_ss_access_rights}) p.with(r, 0x60); }, [](P &p) { p.set(Field32::guest_interruptibility, 1); }, e(Field32::guest_interruptibility), 1},
    {"P01", L, true, [](P &p) { p.set(FieldNatural::guest_pending_debug_exceptions, 0x500f); }, [](P &p) { p.set(FieldNatural::guest_pending_debug_exceptions, 1ull << 40); }, e(FieldNatural::guest_pending_debug_exceptions), 1ull << 40},
    {"P01", L, true, [](P &p) { p.cpu.add(CpuFeature::bus_lock_trap); p.set(FieldNatural::guest_pending_debug_exceptions, 0x800); }, [](P &p) { p.set(FieldNatural::guest_pending_debug_exceptions, 0x810); }, e(FieldNatural::guest_pending_debug_exceptions), 0x10},
    {"P02", L, true, [](P &p) { p.set(Field32::guest_activity_state, 1); p.with(FieldNatural::guest_rflags, Rflags::tf); p.set(FieldNatural::guest_pending_debug_exceptions, 0x4000); }, [](P &p) { p.set(FieldNatural::guest_pending_debug_exceptions, 0); }, e(FieldNatural::guest_pending_debug_exceptions), 0x4000},
    {"P02", L, true, [](P &p) { p.set(Field32::guest_interruptibility, 2); p.with(FieldNatural::guest_rflags, Rflags::tf); p.set(Field64::guest_debugctl, 2); }, [](P &p) { p.set(FieldNatural::guest_pending_debug_exceptions, 0x4000); }, e(FieldNatural::guest_pending_debug_exceptions), 0x4000},
    {"P03", L, true, [](P &p) { p.cpu.add(CpuFeature::restricted_tsx); p.set(FieldNatural::guest_pending_debug_exceptions, 0x11000); }, [](P &p) { p.set(FieldNatural::guest_pending_debug_exceptions, 0x10000); }, e(FieldNatural::guest_pending_debug_exceptions), 0x1000},
    {"P03", L, true, [](P &p) { p.cpu.add(CpuFeature::restricted_tsx); p.set(FieldNatural::guest_pending_debug_exceptions, 0x11000); }, [](P &p) { p.set(Field32::guest_interruptibility, 2); }, e(Field32::guest_interruptibility), 2},
    {"L01", L, true, [](P &p) { p.set(Field64::vmcs_link_pointer, 0x120000); p.memory[0x120000] = 0x11; }, [](P &p) { p.set(Field64::vmcs_link_pointer, 0x120008); }, e(Field64::vmcs_link_pointer), 8},
    {"L01", L, true, nothing, [](P &p) { p.set(Field64::vmcs_link_pointer, beyond40); }, e(Field64::vmcs_link_pointer), beyond40},
    {"L02", L, true, [](P &p) { p.set(Field64::vmcs_link_pointer, 0x120000); p.memory[0x120000] = 0x11; }, [](P &p) { p.memory[0x120000] = 0x80000011; }, e(Field64::vmcs_link_pointer), 0x120000},
    {"L02", L, true, [](P &p) { use_secondary(p, SecondaryControl::vmcs_shadowing); p.set(Field64::vmcs_link_pointer, 0x120000); p.memory[0x120000] = 0x80000011; }, [](P &p) { p.memory[0x120000] = 0x11; }, e(Field64::vmcs_link_pointer), 0x120000},
    {"L03", L, true, [](P &p) { p.set(Field64::vmcs_link_pointer, 0x120000); p.memory[0x120000] = 0x11; }, [](P &p) { p.now.current_vmcs = 0x120000; }, e(Field64::vmcs_link_pointer), 0x120000},
    {"T01a", A, true, [](P &p) { p.set(Field64::guest_pdpte_2, 0x1ffe); }, [](P &p) { p.set(Field64::guest_pdpte_2, 0x1003); }, e(Field64::guest_pdpte_2), 2},
    {"T01b", A, false, [](P &p) { p.memory[0x104008] = 0x1001; }, [](P &p) { p.memory[0x104008] = 0x1101; }, e(FieldNatural::guest_cr3), 0x104000},

    {"M01", L, true, list_of_msrs, [](P &p) { p.memory[0x110010] = 0xc0000101; }, e(Field64::entry_msr_load_address), 0xffffffff},
    {"M02", L, true, list_of_msrs, [](P &p) { p.memory[0x110010] = 0x8ff; }, e(Field64::entry_msr_load_address), 0xffffff00},
    {"M03", L, true, list_of_msrs, [](P &p) { p.memory[0x110010] = 0x9b; }, e(Field64::entry_msr_load_address), 0xffffffff},
    {"M04", L, true, list_of_msrs, [](P &p) { p.memory[0x110010] = 0x79; }, e(Field64::entry_msr_load_address), 0xffffffff},
    {"M05", L, true, list_of_msrs, [](P &p) { p.memory[0x110010] |= 1ull << 35; }, e(Field64::entry_msr_load_address), 1ull << 35},
    {"M06", L, true, list_of_msrs, [](P &p) { p.memory[0x110018] = 1ull << 63; }, e(Field64::entry_msr_load_address), 0xffffffff},
    {"M07", L, true, [](P &p) { list_of_msrs(p); p.set(Field32::entry_msr_load_count, 512); for (unsigned i = 0; i < 512; ++i) p.memory[0x110000 + 16 * i] = 0x174; }, [](P &p) { p.set(Field32::entry_msr_load_count, 513); p.memory[0x112000] = 0x174; }, e(Field32::entry_msr_load_count), 513},

    {"W01", L, true, [](P &) {}, [](P &p) { p.set(FieldNatural::host_cr3, 0); }, e(FieldNatural::host_cr3), 0},
    {"W02", L, true, [](P &) {}, [](P &p) { p.set(FieldNatural::host_gs_base, 0); }, e(FieldNatural::host_gs_base), 0},
    {"W03", L, true, [](P &) {}, [](P &p) { p.set(FieldNatural::host_tr_base, 0); }, e(FieldNatural::host_tr_base), 0},
    {"W04", L, true, [](P &) {}, [](P &p) { p.set(FieldNatural::host_gdtr_base, 0x7fffffff000); }, e(FieldNatural::host_gdtr_base), 0},
    {"W05", L, true, [](P &) {}, [](P &p) { p.set(FieldNatural::host_idtr_base, 0); }, e(FieldNatural::host_idtr_base), 0},
    {"W06", L, true, [](P &) {}, [](P &p) { p.set(FieldNatural::host_rip, 0); }, e(FieldNatural::host_rip), 0},
    {"W07", L, true, [](P &) {}, [](P &p) { p.set(FieldNatural::host_rsp, 0); }, e(FieldNatural::host_rsp), 0},
    {"W08", L, true, [](P &) {}, [](P &p) { p.set(Field64::vmcs_link_pointer, 0); p.memory[0] = 0x11; }, e(Field64::vmcs_link_pointer), 0},
};
// clang-format on

std::string rule_of(const Case &one) {
    const std::string all = one.broken;
    return all.substr(0, all.find(' '));
}

class EachRule : public ::testing::TestWithParam<Case> {};

TEST_P(EachRule, IsKept) {
    const Case &one = GetParam();
    Patient patient{one.kind, one.ept};
    one.good(patient);
    const Verdict verdict = patient.verdict();
    EXPECT_EQ(broken_rules(verdict), std::set<std::string>{}) << one.broken;
    EXPECT_EQ(verdict.undecided[find_rule(rule_of(one).c_str())], Undecided::no);
    EXPECT_TRUE(verdict.sound());
    EXPECT_TRUE(verdict.prediction.enters);
}

TEST_P(EachRule, IsBroken) {
    const Case &one = GetParam();
    Patient patient{one.kind, one.ept};
    one.good(patient);
    one.bad(patient);
    const Verdict verdict = patient.verdict();
    EXPECT_EQ(broken_rules(verdict), words(one.broken));
    const std::size_t rule = find_rule(rule_of(one).c_str());
    ASSERT_LT(rule, rule_count);
    bool found = false;
    for (std::uint32_t i = 0; i < verdict.count; ++i) {
        const Finding &finding = verdict.findings[i];
        if (finding.rule != rule) {
            continue;
        }
        found = found || (finding.field == one.field && finding.bits == one.bits);
        if (finding.entry == 0) {
            EXPECT_EQ(finding.value, patient.vmcs.find(finding.field));
        } else {
            EXPECT_EQ(finding.entry, 2u);
        }
    }
    EXPECT_TRUE(found) << one.broken << ": no finding blames bits " << one.bits << " of "
                       << field_name(one.field);
    const Prediction &ends = verdict.prediction;
    switch (all_rules[rule].failure) {
    case FailureClass::controls:
        EXPECT_TRUE(ends.error_7);
        EXPECT_FALSE(ends.error_8);
        break;
    case FailureClass::host_state:
        EXPECT_TRUE(ends.error_8);
        EXPECT_FALSE(ends.error_7);
        break;
    case FailureClass::guest_state:
        EXPECT_TRUE(
            (ends.qualifications >> static_cast<unsigned>(all_rules[rule].qualification)) & 1);
        break;
    case FailureClass::msr_loading:
        EXPECT_EQ(ends.msr_entry, 2u);
        break;
    case FailureClass::undefined:
        EXPECT_TRUE(ends.undefined);
        EXPECT_FALSE(ends.certain);
        break;
    case FailureClass::suspicious:
        EXPECT_TRUE(ends.certain);
        break;
    }
    EXPECT_EQ(ends.enters, all_rules[rule].failure >= FailureClass::undefined);
}

// A rule that asked for a field which its row does not name would be undecided without a reason
// that the row could explain.
TEST_P(EachRule, NamesItsFields) {
    const Case &one = GetParam();
    const std::size_t index = find_rule(rule_of(one).c_str());
    ASSERT_LT(index, rule_count);
    const Rule &rule = all_rules[index];
    Patient patient{one.kind, one.ept};
    one.good(patient);
    one.bad(patient);
    for (const FieldInfo &field : all_fields) {
        bool named = false;
        for (std::size_t i = 0; i < rule.field_count; ++i) {
            named = named || rule.fields[i] == field.encoding;
        }
        VmcsSnapshot partial;
        partial.fill([&](std::uint32_t encoding) {
            return encoding == field.encoding ? std::nullopt : patient.vmcs.find(encoding);
        });
        patient.now.memory.context = &patient;
        const Verdict verdict = examine(partial, patient.cpu, patient.now);
        if (!named) {
            EXPECT_TRUE(verdict.is_broken(index)) << rule.id << " needs " << field.name;
        } else if (verdict.undecided[index] != Undecided::no) {
            EXPECT_EQ(verdict.undecided[index], Undecided::field(field.encoding)) << rule.id;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(EntryChecks, EachRule, ::testing::ValuesIn(cases), [](const auto &info) {
    return rule_of(info.param) + "_" + std::to_string(info.index);
});

TEST(EntryChecks, EveryRuleHasACase) {
    std::set<std::string> tested;
    for (const Case &one : cases) {
        tested.insert(rule_of(one));
    }
    tested.insert("I05b"); // see below
    for (const Rule &rule : all_rules) {
        EXPECT_EQ(tested.count(rule.id), 1u) << rule.id;
    }
    EXPECT_EQ(tested.size(), rule_count);
}

// Processors differ in whether an NMI may be injected while STI blocks interrupts.
TEST(EntryChecks, AnNmiBehindStiIsUndecided) {
    Patient patient;
    patient.with(FieldNatural::guest_rflags, Rflags::if_);
    patient.set(event, inject(2, 2));
    EXPECT_TRUE(patient.verdict().prediction.certain);
    patient.set(Field32::guest_interruptibility, 1);
    const Verdict verdict = patient.verdict();
    EXPECT_TRUE(verdict.sound());
    EXPECT_EQ(verdict.undecided[find_rule("I05b")], Undecided::processor);
    EXPECT_FALSE(verdict.prediction.certain);
}

} // namespace
} // namespace vtx::testing
