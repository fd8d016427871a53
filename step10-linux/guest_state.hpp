// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The guest-state area: what the guest finds when it begins.
#pragma once

#include <cstdint>

#include "vmcs.hpp"
#include "vmx/capabilities.hpp"
#include "x86/control_registers.hpp"
#include "x86/segments.hpp"

namespace vtx {

/// How Linux begins, by its boot protocol. All addresses are guest-physical.
struct GuestStart {
    std::uint64_t rip = 0;         ///< The first instruction.
    std::uint64_t boot_params = 0; ///< In RSI: what the boot loader has to say.
    std::uint64_t gdt = 0;         ///< Four descriptors: code at selector 0x10, data at 0x18.
    std::uint64_t page_tables = 0; ///< For 64-bit code, which runs with paging.
    bool in_64_bit = false;        ///< Long mode; else protected mode without paging.
};

/// Who owns which bit of CR0 and CR4. The guest changes its own bits without an exit. A bit that
/// is 1 in the mask is the host's: the guest reads it from the shadow, and a write that would make
/// it differ from the shadow exits. \sdm{guest-host-masks-and-read-shadows-for-cr0-and-cr4}
struct GuestView {
    std::uint64_t cr0, cr4;               ///< As the processor has them when the guest begins.
    std::uint64_t cr0_shadow, cr4_shadow; ///< As the guest reads the bits of the host.
    std::uint64_t cr0_mask, cr4_mask;     ///< The bits of the host.

    /// Bits of CR0 that are the host's: no VM exit puts CD and NW back, and NE must be 1 in VMX
    /// operation. PE and PG, which switch modes, are the guest's: "unrestricted guest".
    static constexpr std::uint64_t host_cr0 = Cr0::cd | Cr0::nw | Cr0::ne;

    /// Bits of CR4 that may be the guest's, where the processor has them: a list of what is
    /// harmless, so whatever a later processor adds is not in it. OSXSAVE is added if the host has
    /// it on. PAE is in it: the guest chooses its kind of paging.
    static constexpr std::uint64_t own_cr4 = Cr4::tsd | Cr4::de | Cr4::pse | Cr4::pae | Cr4::pge |
                                             Cr4::osfxsr | Cr4::osxmmexcpt | Cr4::umip |
                                             Cr4::fsgsbase | Cr4::smep | Cr4::smap;

    // [view]
    /// The values for this processor. CR4.MCE is the host's: with it off, a machine check in the
    /// guest would shut the processor down.
    static GuestView make(const VmxCapabilities &vmx, bool in_64_bit) {
        static constexpr std::uint64_t modes = Cr0::pe | Cr0::pg;
        const std::uint64_t cr0 = Cr0::pe | Cr0::et | (in_64_bit ? Cr0::pg : 0);
        const std::uint64_t cr4 = in_64_bit ? Cr4::pae : 0;
        const std::uint64_t host = read_cr4() & (Cr4::mce | Cr4::osxsave);
        const std::uint64_t own = (own_cr4 | (host & Cr4::osxsave)) & vmx.cr4_fixed1;
        return {// The fixed bits want PE and PG, but not of an unrestricted guest.
                .cr0 = (cr0 | (vmx.cr0_fixed0 & ~modes)) & vmx.cr0_fixed1,
                .cr4 = (cr4 | (host & Cr4::mce) | vmx.cr4_fixed0) & vmx.cr4_fixed1,
                .cr0_shadow = cr0,
                .cr4_shadow = cr4,
                .cr0_mask = host_cr0,
                .cr4_mask = ~own};
    }
    // [view]
};

/// Writes one segment register: the selector, and the hidden part that a load from a descriptor
/// would have brought. The register is named by its four fields.
inline void set_segment(
    CurrentVmcs &vmcs, const Segment &segment, Field16 selector, FieldNatural base, Field32 limit,
    Field32 access_rights) {
    vmcs.write_checked(selector, segment.selector.value);
    vmcs.write_checked(base, segment.base);
    vmcs.write_checked(limit, segment.limit);
    vmcs.write_checked(access_rights, segment.access_rights.value);
}

// [segments]
/// Writes all segment registers: code at selector 0x10 and data at 0x18, from 0 to 4 GiB, as the
/// boot protocol wants them. TR cannot be absent, so it names an empty TSS.
/// \sdm{checks-on-guest-segment-registers}
inline void set_segments(CurrentVmcs &vmcs, bool in_64_bit) {
    static constexpr std::uint32_t whole = 0xffffffff;
    static constexpr AccessRights code32{
        SegmentType::code_accessed | AccessRights::code_or_data | AccessRights::present_bit |
        AccessRights::default_big_bit | AccessRights::granularity_bit};
    const Segment code{Selector{0x10}, 0, whole, in_64_bit ? AccessRights::code64() : code32};
    const Segment data{Selector{0x18}, 0, whole, AccessRights::data()};
    const Segment none{Selector{0}, 0, 0, AccessRights::unusable()};
    const Segment task{Selector{0}, 0, 0x67, AccessRights::tss64_busy()};

    set_segment(
        vmcs, data, Field16::guest_es_selector, FieldNatural::guest_es_base,
        Field32::guest_es_limit, Field32::guest_es_access_rights);
    set_segment(
        vmcs, code, Field16::guest_cs_selector, FieldNatural::guest_cs_base,
        Field32::guest_cs_limit, Field32::guest_cs_access_rights);
    set_segment(
        vmcs, data, Field16::guest_ss_selector, FieldNatural::guest_ss_base,
        Field32::guest_ss_limit, Field32::guest_ss_access_rights);
    set_segment(
        vmcs, data, Field16::guest_ds_selector, FieldNatural::guest_ds_base,
        Field32::guest_ds_limit, Field32::guest_ds_access_rights);
    set_segment(
        vmcs, none, Field16::guest_fs_selector, FieldNatural::guest_fs_base,
        Field32::guest_fs_limit, Field32::guest_fs_access_rights);
    set_segment(
        vmcs, none, Field16::guest_gs_selector, FieldNatural::guest_gs_base,
        Field32::guest_gs_limit, Field32::guest_gs_access_rights);
    set_segment(
        vmcs, none, Field16::guest_ldtr_selector, FieldNatural::guest_ldtr_base,
        Field32::guest_ldtr_limit, Field32::guest_ldtr_access_rights);
    set_segment(
        vmcs, task, Field16::guest_tr_selector, FieldNatural::guest_tr_base,
        Field32::guest_tr_limit, Field32::guest_tr_access_rights);
}
// [segments]

/// Writes the guest-state area, in the SDM's order. \sdm{guest-register-state}
/// \sdm{guest-non-register-state} \sdm{checks-on-the-guest-state-area}
inline void
write_guest_state(CurrentVmcs &vmcs, const VmxCapabilities &vmx, const GuestStart &start) {
    const GuestView view = GuestView::make(vmx, start.in_64_bit);
    const std::uint64_t efer = start.in_64_bit ? Efer::lme | Efer::lma : 0;

    vmcs.write_checked(FieldNatural::guest_cr0, view.cr0);
    vmcs.write_checked(FieldNatural::guest_cr3, start.page_tables);
    vmcs.write_checked(FieldNatural::guest_cr4, view.cr4);
    vmcs.write_checked(FieldNatural::guest_dr7, std::uint64_t{0x400});
    vmcs.write_checked(FieldNatural::guest_rsp, std::uint64_t{0}); // it brings its own stack
    vmcs.write_checked(FieldNatural::guest_rip, start.rip);
    vmcs.write_checked(FieldNatural::guest_rflags, Rflags::always_1); // interrupts are off

    set_segments(vmcs, start.in_64_bit);
    vmcs.write_checked(FieldNatural::guest_gdtr_base, start.gdt);
    vmcs.write_checked(Field32::guest_gdtr_limit, std::uint32_t{4 * 8 - 1});
    vmcs.write_checked(FieldNatural::guest_idtr_base, std::uint64_t{0});
    vmcs.write_checked(Field32::guest_idtr_limit, std::uint32_t{0}); // any exception is the end

    vmcs.write_checked(Field64::guest_debugctl, std::uint64_t{0});
    vmcs.write_checked(Field32::guest_sysenter_cs, std::uint32_t{0});
    vmcs.write_checked(FieldNatural::guest_sysenter_esp, std::uint64_t{0});
    vmcs.write_checked(FieldNatural::guest_sysenter_eip, std::uint64_t{0});
    vmcs.write_checked(Field64::guest_efer, efer);

    vmcs.write_checked(Field32::guest_activity_state, std::uint32_t{0});   // active
    vmcs.write_checked(Field32::guest_interruptibility, std::uint32_t{0}); // nothing blocked
    vmcs.write_checked(FieldNatural::guest_pending_debug_exceptions, std::uint64_t{0});
    vmcs.write_checked(Field64::vmcs_link_pointer, ~std::uint64_t{0}); // none

    vmcs.write_checked(FieldNatural::cr0_guest_host_mask, view.cr0_mask);
    vmcs.write_checked(FieldNatural::cr4_guest_host_mask, view.cr4_mask);
    vmcs.write_checked(FieldNatural::cr0_read_shadow, view.cr0_shadow);
    vmcs.write_checked(FieldNatural::cr4_read_shadow, view.cr4_shadow);
}

} // namespace vtx
