// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// VMCSs that break no rule, one for each kind of guest, as values: what tests of the entry checks
/// start from, on the host and on the emulated processor.
#pragma once

#include "doctor/rules/entry_checks.hpp"
#include "vmx/capabilities.hpp"
#include "vmx/snapshot.hpp"
#include "x86/control_registers.hpp"
#include "x86/segments.hpp"

#include <cstdint>

namespace vtx::testing {

/// Kinds of guests.
enum class GuestKind : std::uint8_t {
    long_mode,    ///< 64-bit code
    pae,          ///< 32-bit code with PAE paging
    real_mode,    ///< real mode, which needs an unrestricted guest
    virtual_8086, ///< virtual-8086 mode under 32-bit paging
};

/// Their names.
inline constexpr const char *guest_kind_names[] = {"64-bit", "PAE", "real mode", "virtual-8086"};

/// Everything outside a VMCS that one points to: physical addresses of zeroed pages, and the host
/// that runs now. The defaults are for tests that execute nothing.
struct Surroundings {
    std::uint64_t page = 0x100000;           ///< for bitmaps, the virtual-APIC page, ...
    std::uint64_t second_page = 0x101000;    ///< where two different ones are wanted
    std::uint64_t ept_root = 0x102000;       ///< an EPT PML4 table
    std::uint64_t long_mode_root = 0x103000; ///< a PML4 table
    std::uint64_t pae_root = 0x104000;       ///< four PDPTEs
    std::uint64_t flat_root = 0x105000;      ///< a page directory of 32-bit paging
    std::uint64_t msr_load_list = 0;         ///< entries for the VM entry to load; 0 for none
    std::uint32_t msr_load_count = 0;        ///< how many
    std::uint64_t guest_rip = 0x8000;        ///< below 64 KByte
    std::uint64_t pdptes[4]{};               ///< what is at pae_root
    std::uint64_t current_vmcs = 0x200000;   ///< the VMCS itself
    std::uint64_t link_good = 0x201000;      ///< a VMCS that is not in use
    std::uint64_t link_shadow = 0x202000;    ///< a shadow VMCS
    std::uint64_t link_bad = 0x203000;       ///< a page with another revision identifier
    std::uint64_t harmless_msrs = 0x204000;  ///< a page of entries that load IA32_SYSENTER_CS

    std::uint64_t host_cr0 = 0x80050033;
    std::uint64_t host_cr3 = 0x106000;
    std::uint64_t host_cr4 = 0x2020;
    std::uint64_t host_efer = 0x500;
    std::uint16_t host_cs = 0x10;
    std::uint16_t host_ss = 0x18;
    std::uint16_t host_tr = 0x40;
    std::uint64_t host_tr_base = 0x107000;
    std::uint64_t host_gdtr_base = 0x108000;
    std::uint64_t host_idtr_base = 0x109000;
    std::uint64_t host_rsp = 0x10b000;
    std::uint64_t host_rip = 0x10c000;
};

/// True if this processor can run such a guest.
constexpr bool can_run(const ProcessorDescription &cpu, GuestKind kind, bool ept) {
    if (ept && !cpu.vmx.supports(SecondaryControl::enable_ept)) {
        return false;
    }
    return kind != GuestKind::real_mode ||
           (ept && cpu.vmx.supports(SecondaryControl::unrestricted_guest));
}

namespace detail {

/// Fills in one segment register of the guest.
constexpr void set_segment(
    VmcsSnapshot &vmcs, const entry_checks::SegmentFields &fields, std::uint16_t selector,
    std::uint64_t base, std::uint32_t limit, std::uint32_t rights) {
    vmcs.set(fields.selector, selector);
    vmcs.set(fields.base, base);
    vmcs.set(fields.limit, limit);
    vmcs.set(fields.rights, rights);
}

/// Writes a control word: what must be 1, and what of `wanted` may be.
template <NarrowControl C>
constexpr void set_controls(VmcsSnapshot &vmcs, const VmxCapabilities &caps, ControlSet<C> wanted) {
    vmcs.set(control_field(C{}), caps.adjust(ControlSet<C>{}, wanted).value.bits);
}

constexpr void set_all_controls(
    VmcsSnapshot &vmcs, const ProcessorDescription &cpu, GuestKind kind, bool ept,
    const Surroundings &around) {
    const VmxCapabilities &caps = cpu.vmx;
    set_controls(vmcs, caps, ControlSet<PinControl>{});
    set_controls(vmcs, caps, ControlSet<PrimaryControl>{PrimaryControl::hlt_exiting});
    ControlSet<SecondaryControl> second;
    if (ept) {
        second = second.with(SecondaryControl::enable_ept);
        if (kind == GuestKind::real_mode) {
            second = second.with(SecondaryControl::unrestricted_guest);
        }
        set_controls(
            vmcs, caps,
            ControlSet<PrimaryControl>{
                PrimaryControl::hlt_exiting, PrimaryControl::activate_secondary_controls});
    }
    set_controls(vmcs, caps, second);
    set_controls(
        vmcs, caps,
        ControlSet<ExitControl>{ExitControl::host_address_space_size, ExitControl::load_efer});
    ControlSet<EntryControl> entry{EntryControl::load_debug_controls, EntryControl::load_efer};
    if (kind == GuestKind::long_mode) {
        entry = entry.with(EntryControl::ia32e_mode_guest);
    }
    set_controls(vmcs, caps, entry);
    vmcs.set(Field64::entry_msr_load_address, around.msr_load_list);
    vmcs.set(Field32::entry_msr_load_count, around.msr_load_count);
    // 6: write-back; 3: page walks of four levels.
    vmcs.set(Field64::ept_pointer, around.ept_root | 6u | (3u << 3));
}

constexpr void set_host(VmcsSnapshot &vmcs, const Surroundings &around) {
    vmcs.set(FieldNatural::host_cr0, around.host_cr0);
    vmcs.set(FieldNatural::host_cr3, around.host_cr3);
    vmcs.set(FieldNatural::host_cr4, around.host_cr4);
    vmcs.set(Field64::host_efer, around.host_efer);
    vmcs.set(Field64::host_pat, std::uint64_t{0x0007040600070406});
    vmcs.set(Field16::host_cs_selector, around.host_cs);
    vmcs.set(Field16::host_ss_selector, around.host_ss);
    vmcs.set(Field16::host_ds_selector, around.host_ss);
    vmcs.set(Field16::host_es_selector, around.host_ss);
    vmcs.set(Field16::host_tr_selector, around.host_tr);
    vmcs.set(FieldNatural::host_tr_base, around.host_tr_base);
    vmcs.set(FieldNatural::host_gdtr_base, around.host_gdtr_base);
    vmcs.set(FieldNatural::host_idtr_base, around.host_idtr_base);
    vmcs.set(FieldNatural::host_rsp, around.host_rsp);
    vmcs.set(FieldNatural::host_rip, around.host_rip);
}

constexpr void set_guest_segments(VmcsSnapshot &vmcs, GuestKind kind) {
    namespace seg = entry_checks::segment;
    struct Flat {
        std::uint32_t code, data, limit;
        std::uint16_t code_selector, data_selector;
    };
    constexpr Flat by_kind[] = {
        {AccessRights::code64().value, 0xc093, 0xffffffff, 8, 16}, // 64-bit code, flat data
        {0xc09b, 0xc093, 0xffffffff, 8, 16},                       // 32-bit code, flat data
        {0x9b, 0x93, 0xffff, 0, 0},                                // real mode
        {0xf3, 0xf3, 0xffff, 0, 0},                                // virtual-8086 mode
    };
    const Flat &flat = by_kind[static_cast<unsigned>(kind)];
    set_segment(vmcs, seg::cs, flat.code_selector, 0, flat.limit, flat.code);
    set_segment(vmcs, seg::ss, flat.data_selector, 0, flat.limit, flat.data);
    for (const entry_checks::SegmentFields &fields : {seg::ds, seg::es, seg::fs, seg::gs}) {
        set_segment(vmcs, fields, flat.data_selector, 0, flat.limit, flat.data);
    }
    set_segment(vmcs, seg::ldtr, 0x28, 0x20000, 0xffff, AccessRights::ldt().value);
    set_segment(vmcs, seg::tr, 0x30, 0x21000, 0x67, AccessRights::tss64_busy().value);
}

constexpr void set_guest_registers(
    VmcsSnapshot &vmcs, const ProcessorDescription &cpu, GuestKind kind,
    const Surroundings &around) {
    const VmxCapabilities &caps = cpu.vmx;
    std::uint64_t cr0 = (Cr0::pe | Cr0::pg | Cr0::ne | Cr0::et | Cr0::wp) | caps.cr0_fixed0;
    std::uint64_t cr4 = caps.cr4_fixed0;
    std::uint64_t cr3 = around.flat_root;
    std::uint64_t efer = 0;
    std::uint64_t rflags = Rflags::always_1;
    if (kind == GuestKind::long_mode) {
        cr4 |= Cr4::pae;
        cr3 = around.long_mode_root;
        efer = Efer::lme | Efer::lma;
    } else if (kind == GuestKind::pae) {
        cr4 |= Cr4::pae;
        cr3 = around.pae_root;
    } else if (kind == GuestKind::real_mode) {
        cr0 &= ~(Cr0::pe | Cr0::pg);
        cr3 = 0;
    } else {
        cr4 |= Cr4::pse;
        rflags |= Rflags::vm;
    }
    vmcs.set(FieldNatural::guest_cr0, cr0 & caps.cr0_fixed1);
    vmcs.set(FieldNatural::guest_cr3, cr3);
    vmcs.set(FieldNatural::guest_cr4, cr4);
    vmcs.set(Field64::guest_efer, efer);
    vmcs.set(FieldNatural::guest_rflags, rflags);
    vmcs.set(FieldNatural::guest_dr7, std::uint64_t{0x400});
    vmcs.set(FieldNatural::guest_rip, around.guest_rip);
    vmcs.set(FieldNatural::guest_rsp, std::uint64_t{0x7000});
    vmcs.set(FieldNatural::guest_gdtr_base, std::uint64_t{0x22000});
    vmcs.set(Field32::guest_gdtr_limit, std::uint32_t{0xffff});
    vmcs.set(FieldNatural::guest_idtr_base, std::uint64_t{0x23000});
    vmcs.set(Field32::guest_idtr_limit, std::uint32_t{0xffff});
    vmcs.set(Field64::guest_pat, std::uint64_t{0x0007040600070406});
    vmcs.set(Field64::vmcs_link_pointer, no_vmcs_link);
    vmcs.set(Field64::guest_pdpte_0, around.pdptes[0]);
    vmcs.set(Field64::guest_pdpte_1, around.pdptes[1]);
    vmcs.set(Field64::guest_pdpte_2, around.pdptes[2]);
    vmcs.set(Field64::guest_pdpte_3, around.pdptes[3]);
}

} // namespace detail

/// Fills in a VMCS that breaks no rule on this processor. Precondition: can_run(cpu, kind, ept).
/// Every field is set; those that the processor does not have are of no consequence.
constexpr void make_known_good(
    VmcsSnapshot &vmcs, const ProcessorDescription &cpu, GuestKind kind, bool ept,
    const Surroundings &around) {
    for (const FieldInfo &field : all_fields) {
        vmcs.set(field.encoding, 0u);
    }
    // Addresses that count only with a control: valid ones, so that setting that control is no
    // fault by itself.
    for (const Field64 address :
         {Field64::io_bitmap_a, Field64::msr_bitmap, Field64::virtual_apic_address,
          Field64::pml_address, Field64::eptp_list_address, Field64::vmread_bitmap,
          Field64::ve_information_address, Field64::spp_table_pointer,
          Field64::posted_interrupt_descriptor, Field64::hlat_pointer,
          Field64::pid_pointer_table_address, Field64::low_pasid_directory}) {
        vmcs.set(address, around.page);
    }
    for (const Field64 address :
         {Field64::io_bitmap_b, Field64::apic_access_address, Field64::vmwrite_bitmap,
          Field64::high_pasid_directory}) {
        vmcs.set(address, around.second_page);
    }
    vmcs.set(Field64::tsc_multiplier, std::uint64_t{1} << 48);
    vmcs.set(Field16::vpid, std::uint16_t{1});
    detail::set_all_controls(vmcs, cpu, kind, ept, around);
    detail::set_host(vmcs, around);
    detail::set_guest_segments(vmcs, kind);
    detail::set_guest_registers(vmcs, cpu, kind, around);
}

} // namespace vtx::testing
