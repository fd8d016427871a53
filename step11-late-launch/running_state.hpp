// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The guest-state area of a guest that is already running: what the processor holds now.
#pragma once

#include <cstdint>

#include "host_state.hpp"
#include "vmcs.hpp"
#include "x86/control_registers.hpp"
#include "x86/msr.hpp"
#include "x86/segments.hpp"

namespace vtx {

/// Bits of CR0 that the guest cannot change without an exit: those that VMX operation wants to
/// be 1.
inline constexpr std::uint64_t cr0_owned = Cr0::ne | Cr0::pe | Cr0::pg;
/// The one bit of CR4 that is ours. The guest reads it as 0.
inline constexpr std::uint64_t cr4_owned = Cr4::vmxe;

/// What a segment register holds besides its selector. No instruction reads that, so it is read
/// from the descriptor table, where the processor took it from. \sdm{segment-descriptors}
inline Segment segment_of(const HostState &now, Selector selector) {
    if (selector.is_null())
        return {selector, 0, 0, AccessRights::unusable()};
    const auto *table = reinterpret_cast<const std::uint64_t *>(now.gdtr.base);
    if (selector.in_ldt()) {
        const unsigned ldt = now.ldtr.index();
        const Segment segment = decode_system_descriptor(now.ldtr, table[ldt], table[ldt + 1]);
        table = reinterpret_cast<const std::uint64_t *>(segment.base);
    }
    return decode_descriptor(selector, table[selector.index()]);
}

/// The same for TR and LDTR.
inline Segment system_segment_of(const HostState &now, Selector selector) {
    if (selector.is_null())
        return {selector, 0, 0, AccessRights::unusable()};
    const auto *const table = reinterpret_cast<const std::uint64_t *>(now.gdtr.base);
    return decode_system_descriptor(selector, table[selector.index()], table[selector.index() + 1]);
}

/// Writes the guest-state area, except RSP and RIP, which belong to late_launch(). `now` is the
/// processor's state; interrupts have been off since it was captured. \sdm{guest-register-state}
inline void write_running_state(CurrentVmcs &vmcs, const HostState &now) {
    // [state]
    vmcs.write_checked(FieldNatural::guest_cr0, read_cr0());
    vmcs.write_checked(FieldNatural::cr0_guest_host_mask, cr0_owned);
    vmcs.write_checked(FieldNatural::cr0_read_shadow, read_cr0());
    vmcs.write_checked(FieldNatural::guest_cr3, read_cr3());
    vmcs.write_checked(FieldNatural::guest_cr4, read_cr4()); // with VMXE, in VMX operation
    vmcs.write_checked(FieldNatural::cr4_guest_host_mask, cr4_owned);
    vmcs.write_checked(FieldNatural::cr4_read_shadow, std::uint64_t{0});
    vmcs.write_checked(FieldNatural::guest_dr7, read_dr<7>());
    vmcs.write_checked(FieldNatural::guest_rflags, Rflags::always_1);
    // [state]

#define VTX_SEGMENT(name, segment)                                                                 \
    do {                                                                                           \
        const Segment value = (segment);                                                           \
        vmcs.write_checked(Field16::guest_##name##_selector, value.selector.value);                \
        vmcs.write_checked(FieldNatural::guest_##name##_base, value.base);                         \
        vmcs.write_checked(Field32::guest_##name##_limit, value.limit);                            \
        vmcs.write_checked(Field32::guest_##name##_access_rights, value.access_rights.value);      \
    } while (false)

    Segment fs = segment_of(now, now.fs), gs = segment_of(now, now.gs);
    fs.base = now.fs_base; // which are in MSRs
    gs.base = now.gs_base;
    VTX_SEGMENT(es, segment_of(now, now.es));
    VTX_SEGMENT(cs, segment_of(now, now.cs));
    VTX_SEGMENT(ss, segment_of(now, now.ss));
    VTX_SEGMENT(ds, segment_of(now, now.ds));
    VTX_SEGMENT(fs, fs);
    VTX_SEGMENT(gs, gs);
    VTX_SEGMENT(ldtr, system_segment_of(now, now.ldtr));
    VTX_SEGMENT(tr, system_segment_of(now, now.tr));
#undef VTX_SEGMENT

    vmcs.write_checked(FieldNatural::guest_gdtr_base, now.gdtr.base);
    vmcs.write_checked(Field32::guest_gdtr_limit, std::uint32_t{now.gdtr.limit});
    vmcs.write_checked(FieldNatural::guest_idtr_base, now.idtr.base);
    vmcs.write_checked(Field32::guest_idtr_limit, std::uint32_t{now.idtr.limit});

    vmcs.write_checked(Field64::guest_debugctl, read_msr(Msr::debugctl));
    vmcs.write_checked(Field32::guest_sysenter_cs, static_cast<std::uint32_t>(now.sysenter_cs));
    vmcs.write_checked(FieldNatural::guest_sysenter_esp, now.sysenter_esp);
    vmcs.write_checked(FieldNatural::guest_sysenter_eip, now.sysenter_eip);

    // \sdm{guest-non-register-state}
    vmcs.write_checked(Field32::guest_interruptibility, std::uint32_t{0});
    vmcs.write_checked(Field32::guest_activity_state, std::uint32_t{0});
    vmcs.write_checked(FieldNatural::guest_pending_debug_exceptions, std::uint64_t{0});
    vmcs.write_checked(Field64::vmcs_link_pointer, ~std::uint64_t{0});
}

} // namespace vtx
