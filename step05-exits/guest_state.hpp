// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The guest-state area: what the guest finds when it begins.
#pragma once

#include <cstdint>

#include "vmcs.hpp"
#include "vmcs_controls.hpp"
#include "x86/control_registers.hpp"
#include "x86/segments.hpp"

namespace vtx {

/// Where a guest begins.
struct GuestStart {
    std::uint64_t cr3; ///< Physical address of its page tables.
    std::uint64_t rip; ///< Linear address of its first instruction.
    std::uint64_t rsp; ///< Its stack pointer.
};

/// The control registers that a VM entry loads for a 64-bit program in ring 0, and what the guest
/// itself reads from them where that differs.
struct GuestView {
    std::uint64_t cr0;        ///< CR0, also as the guest reads it.
    std::uint64_t cr4;        ///< CR4 as the processor has it,
    std::uint64_t cr4_shadow; ///< and as the guest reads it: it knows nothing of VMX.

    /// The values for this processor, whose fixed bits are the same for guests as for the host.
    /// The x87 and SSE registers hold what belongs to the host's task, so each instruction that
    /// touches them faults: CR0.TS does that, but needs CR0.MP for WAIT and CR4.OSFXSR for SSE.
    /// CR4.MCE is the host's: with it off, a machine check would shut the processor down.
    static GuestView make(const VmxCapabilities &vmx) {
        const std::uint64_t cr0 =
            Cr0::pe | Cr0::mp | Cr0::et | Cr0::ne | Cr0::wp | Cr0::ts | Cr0::pg;
        const std::uint64_t cr4_shadow = Cr4::pae | Cr4::osfxsr;
        const std::uint64_t cr4 = cr4_shadow | (read_cr4() & Cr4::mce);
        return {
            (cr0 | vmx.cr0_fixed0) & vmx.cr0_fixed1, (cr4 | vmx.cr4_fixed0) & vmx.cr4_fixed1,
            cr4_shadow};
    }
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

/// Writes all segment registers. CS has 64-bit code. The others hold nothing usable, because 64-bit
/// code does not need them. TR cannot be absent, so it names an empty TSS.
/// \sdm{checks-on-guest-segment-registers}
inline void set_segments(CurrentVmcs &vmcs) {
    // [exercise 03-1]
    const Segment code{Selector{0x08}, 0, 0xffffffff, AccessRights::code64()};
    const Segment none{Selector{0}, 0, 0, AccessRights::unusable()};
    const Segment task{Selector{0}, 0, 0x67, AccessRights::tss64_busy()};
    // [exercise 03-1]

    set_segment(
        vmcs, none, Field16::guest_es_selector, FieldNatural::guest_es_base,
        Field32::guest_es_limit, Field32::guest_es_access_rights);
    set_segment(
        vmcs, code, Field16::guest_cs_selector, FieldNatural::guest_cs_base,
        Field32::guest_cs_limit, Field32::guest_cs_access_rights);
    set_segment(
        vmcs, none, Field16::guest_ss_selector, FieldNatural::guest_ss_base,
        Field32::guest_ss_limit, Field32::guest_ss_access_rights);
    set_segment(
        vmcs, none, Field16::guest_ds_selector, FieldNatural::guest_ds_base,
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

/// Writes the guest-state area, in the SDM's order. \sdm{guest-register-state}
/// \sdm{guest-non-register-state} \sdm{checks-on-the-guest-state-area}
inline void write_guest_state(
    CurrentVmcs &vmcs, const VmxCapabilities &vmx, const VmcsControls &controls,
    const GuestStart &start) {
    const GuestView view = GuestView::make(vmx);

    vmcs.write_checked(FieldNatural::guest_cr0, view.cr0);
    vmcs.write_checked(FieldNatural::guest_cr3, start.cr3);
    vmcs.write_checked(FieldNatural::guest_cr4, view.cr4);
    vmcs.write_checked(FieldNatural::guest_dr7, std::uint64_t{0x400});
    vmcs.write_checked(FieldNatural::guest_rsp, start.rsp);
    vmcs.write_checked(FieldNatural::guest_rip, start.rip);
    // IF does no harm: every external interrupt leaves the guest, whatever IF says. Bochs 2.7
    // sees a pending interrupt only if IF is 1 at the VM entry.
    vmcs.write_checked(FieldNatural::guest_rflags, Rflags::always_1 | Rflags::if_);

    set_segments(vmcs);
    // No descriptor table: any use of one faults, until the guest brings its own.
    vmcs.write_checked(FieldNatural::guest_gdtr_base, std::uint64_t{0});
    vmcs.write_checked(Field32::guest_gdtr_limit, std::uint32_t{0});
    vmcs.write_checked(FieldNatural::guest_idtr_base, std::uint64_t{0});
    vmcs.write_checked(Field32::guest_idtr_limit, std::uint32_t{0});

    vmcs.write_checked(Field64::guest_debugctl, std::uint64_t{0});
    vmcs.write_checked(Field32::guest_sysenter_cs, std::uint32_t{0});
    vmcs.write_checked(FieldNatural::guest_sysenter_esp, std::uint64_t{0});
    vmcs.write_checked(FieldNatural::guest_sysenter_eip, std::uint64_t{0});
    if (controls.has_efer())
        vmcs.write_checked(Field64::guest_efer, Efer::lme | Efer::lma);

    vmcs.write_checked(Field32::guest_activity_state, std::uint32_t{0});   // active
    vmcs.write_checked(Field32::guest_interruptibility, std::uint32_t{0}); // nothing blocked
    vmcs.write_checked(FieldNatural::guest_pending_debug_exceptions, std::uint64_t{0});
    vmcs.write_checked(Field64::vmcs_link_pointer, ~std::uint64_t{0}); // none

    // A bit that is 1 in a mask belongs to the host: the guest reads the shadow, and a write that
    // would make it differ from the shadow leaves the guest.
    vmcs.write_checked(FieldNatural::cr0_guest_host_mask, ~std::uint64_t{0});
    vmcs.write_checked(FieldNatural::cr4_guest_host_mask, ~std::uint64_t{0});
    vmcs.write_checked(FieldNatural::cr0_read_shadow, view.cr0);
    vmcs.write_checked(FieldNatural::cr4_read_shadow, view.cr4_shadow);
}

} // namespace vtx
