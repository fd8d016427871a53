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

/// Where a guest begins, in real mode.
struct GuestStart {
    std::uint16_t ip; ///< Its first instruction, in segment 0.
    std::uint16_t sp; ///< Its stack pointer, likewise.
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
    /// The values for this processor. The guest reads what a PC has in them after its BIOS.
    /// CR4.MCE is the host's: with it off, a machine check in the guest would shut the processor
    /// down.
    static GuestView make(const VmxCapabilities &vmx) {
        static constexpr std::uint64_t modes = Cr0::pe | Cr0::pg;
        const std::uint64_t host = read_cr4() & (Cr4::mce | Cr4::osxsave);
        const std::uint64_t own = (own_cr4 | (host & Cr4::osxsave)) & vmx.cr4_fixed1;
        return {// The fixed bits want PE and PG, but not of an unrestricted guest.
                .cr0 = (Cr0::et | (vmx.cr0_fixed0 & ~modes)) & vmx.cr0_fixed1,
                .cr4 = ((host & Cr4::mce) | vmx.cr4_fixed0) & vmx.cr4_fixed1,
                .cr0_shadow = 0,
                .cr4_shadow = 0,
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
/// Writes all segment registers as real mode has them: 64 KiB from selector * 16 on, and here all
/// selectors are 0. As after a reset, CS too is a data segment that may be written: in real mode
/// code writes to variables of its own by CS. VM entry allows that with "unrestricted guest". TR
/// and LDTR are of no use in real mode, but VM entry looks at them.
/// \sdm{checks-on-guest-segment-registers}
inline void set_segments(CurrentVmcs &vmcs) {
    static constexpr std::uint32_t usable = AccessRights::code_or_data | AccessRights::present_bit;
    static constexpr std::uint32_t whole = 0xffff;
    const Segment data{Selector{0}, 0, whole, AccessRights{SegmentType::data_accessed | usable}};
    const Segment task{Selector{0}, 0, whole, AccessRights::tss64_busy()};
    const Segment local{Selector{0}, 0, whole, AccessRights::ldt()};

    set_segment(
        vmcs, data, Field16::guest_es_selector, FieldNatural::guest_es_base,
        Field32::guest_es_limit, Field32::guest_es_access_rights);
    set_segment(
        vmcs, data, Field16::guest_cs_selector, FieldNatural::guest_cs_base,
        Field32::guest_cs_limit, Field32::guest_cs_access_rights);
    set_segment(
        vmcs, data, Field16::guest_ss_selector, FieldNatural::guest_ss_base,
        Field32::guest_ss_limit, Field32::guest_ss_access_rights);
    set_segment(
        vmcs, data, Field16::guest_ds_selector, FieldNatural::guest_ds_base,
        Field32::guest_ds_limit, Field32::guest_ds_access_rights);
    set_segment(
        vmcs, data, Field16::guest_fs_selector, FieldNatural::guest_fs_base,
        Field32::guest_fs_limit, Field32::guest_fs_access_rights);
    set_segment(
        vmcs, data, Field16::guest_gs_selector, FieldNatural::guest_gs_base,
        Field32::guest_gs_limit, Field32::guest_gs_access_rights);
    set_segment(
        vmcs, local, Field16::guest_ldtr_selector, FieldNatural::guest_ldtr_base,
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
    const GuestView view = GuestView::make(vmx);

    vmcs.write_checked(FieldNatural::guest_cr0, view.cr0);
    vmcs.write_checked(FieldNatural::guest_cr3, std::uint64_t{0});
    vmcs.write_checked(FieldNatural::guest_cr4, view.cr4);
    vmcs.write_checked(FieldNatural::guest_dr7, std::uint64_t{0x400});
    vmcs.write_checked(FieldNatural::guest_rsp, std::uint64_t{start.sp});
    vmcs.write_checked(FieldNatural::guest_rip, std::uint64_t{start.ip});
    vmcs.write_checked(FieldNatural::guest_rflags, Rflags::always_1 | Rflags::if_);

    set_segments(vmcs);
    vmcs.write_checked(FieldNatural::guest_gdtr_base, std::uint64_t{0});
    vmcs.write_checked(Field32::guest_gdtr_limit, std::uint32_t{0xffff});
    // In real mode IDTR says where the interrupt vectors are: 256 of 4 bytes each.
    vmcs.write_checked(FieldNatural::guest_idtr_base, std::uint64_t{0});
    vmcs.write_checked(Field32::guest_idtr_limit, std::uint32_t{0x3ff});

    vmcs.write_checked(Field64::guest_debugctl, std::uint64_t{0});
    vmcs.write_checked(Field32::guest_sysenter_cs, std::uint32_t{0});
    vmcs.write_checked(FieldNatural::guest_sysenter_esp, std::uint64_t{0});
    vmcs.write_checked(FieldNatural::guest_sysenter_eip, std::uint64_t{0});
    vmcs.write_checked(Field64::guest_efer, std::uint64_t{0});

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
