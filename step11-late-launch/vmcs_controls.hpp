// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The controls: as little as possible leaves the guest.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernel.h"
#include "vmcs.hpp"
#include "vmx/capabilities.hpp"
#include "vmx/controls.hpp"
#include "x86/cpuid.hpp"

namespace vtx {

/// The five control words, adjusted to what this processor demands and allows.
struct VmcsControls {
    ControlSet<PinControl> pin;
    ControlSet<PrimaryControl> primary;
    ControlSet<SecondaryControl> secondary;
    ControlSet<ExitControl> exit;
    ControlSet<EntryControl> entry;

    /// False: host and guest are one Linux, and IA32_EFER stays as it is.
    static constexpr bool has_efer() { return false; }

    /// True if translations are tagged with a VPID, so an entry or exit need not forget them.
    bool has_vpid() const { return secondary.has(SecondaryControl::enable_vpid); }
};

/// Makes a control word from the required controls and those optional ones that this processor
/// has. If the processor lacks a required one, names it in the log and returns false.
template <Control C>
bool choose(
    ControlSet<C> &word, const VmxCapabilities &vmx, std::type_identity_t<ControlSet<C>> required,
    std::type_identity_t<ControlSet<C>> optional) {
    const Adjusted<C> adjusted = vmx.adjust(required, optional);
    for (unsigned bit = 0; bit < 8 * sizeof(control_word_t<C>); bit++)
        if (const auto control = static_cast<C>(bit); adjusted.missing.has(control))
            vtx_log_error(
                "this CPU's VMX lacks \"%s\" (%s), which this step needs", control_name(control),
                control_word_name(word_of(control)));
    word = adjusted.value;
    return adjusted.ok();
}

/// Names what this step needs of EPT and the processor lacks, and returns false then.
/// \sdm{vpid-and-ept-capabilities}
inline bool has_needed_ept(const VmxCapabilities &vmx) {
    static constexpr EptVpidCapability needed[] = {
        EptVpidCapability::page_walk_length_4, EptVpidCapability::write_back_structures,
        EptVpidCapability::pages_2m, EptVpidCapability::pages_1g, EptVpidCapability::invept};
    bool ok = true;
    for (const EptVpidCapability capability : needed)
        if (!vmx.supports(capability)) {
            vtx_log_error(
                "this CPU's EPT lacks \"%s\", which this step needs", control_name(capability));
            ok = false;
        }
    if (!vmx.supports(EptVpidCapability::invept_single_context) &&
        !vmx.supports(EptVpidCapability::invept_all_contexts)) {
        vtx_log_error("this CPU's INVEPT has no type that this step knows");
        ok = false;
    }
    return ok;
}

/// Controls without which an instruction raises \#UD in a guest, although CPUID shows it. Linux
/// found these instructions when it booted, and goes on using them.
/// \sdm{table-definitions-of-secondary-processor-based-vm-execution-controls}
inline ControlSet<SecondaryControl> controls_of_instructions() {
    const CpuidResult none{};
    const bool has_7 = cpuid(0).eax >= 7, has_d = cpuid(0).eax >= 0xd;
    const CpuidResult leaf7 = has_7 ? cpuid(7) : none;
    const CpuidResult leafd = has_d ? cpuid(0xd, 1) : none;

    ControlSet<SecondaryControl> controls;
    if ((cpuid(0x80000001).edx & Cpuid80000001Edx::rdtscp) != 0)
        controls = controls.with(SecondaryControl::enable_rdtscp);
    if ((leaf7.ebx >> 10 & 1) != 0)
        controls = controls.with(SecondaryControl::enable_invpcid);
    if ((leafd.eax >> 3 & 1) != 0)
        controls = controls.with(SecondaryControl::enable_xsaves_xrstors);
    if ((leaf7.ecx >> 5 & 1) != 0)
        controls = controls.with(SecondaryControl::enable_user_wait_and_pause);
    if ((leaf7.edx >> 18 & 1) != 0)
        controls = controls.with(SecondaryControl::enable_pconfig);
    return controls;
}

/// Chooses the controls. Interrupts, exceptions, NMIs, ports, HLT, CR3, CR8 and debug registers are
/// the guest's, because the guest is the one Linux that this machine has.
/// Returns 0, or -EOPNOTSUPP after naming what is missing.
/// \sdm{vm-execution-control-fields-in-vmcs} \sdm{algorithms-for-determining-vmx-capabilities}
inline int choose_controls(const VmxCapabilities &vmx, VmcsControls &controls) {
    // [controls]
    const bool ok =
        choose(controls.pin, vmx, {}, {}) &&
        choose(
            controls.primary, vmx,
            {PrimaryControl::use_msr_bitmaps, PrimaryControl::activate_secondary_controls}, {}) &&
        choose(
            controls.secondary, vmx, controls_of_instructions().with(SecondaryControl::enable_ept),
            {SecondaryControl::enable_vpid}) &&
        choose(
            controls.exit, vmx,
            {ExitControl::save_debug_controls, ExitControl::host_address_space_size}, {}) &&
        choose(
            controls.entry, vmx,
            {EntryControl::load_debug_controls, EntryControl::ia32e_mode_guest}, {});
    // [controls]
    if (!ok || !has_needed_ept(vmx))
        return -VTX_EOPNOTSUPP;

    // What a CPU forces on us although we have no handler for it.
    if (controls.primary.has(PrimaryControl::cr3_load_exiting) ||
        controls.primary.has(PrimaryControl::cr3_store_exiting)) {
        vtx_log_error(
            "this CPU makes each access to CR3 exit, and this step leaves CR3 to the guest");
        return -VTX_EOPNOTSUPP;
    }
    // A VPID that cannot be flushed is of no use: somebody else may have used the same one.
    if (!vmx.supports(EptVpidCapability::invvpid) ||
        (!vmx.supports(EptVpidCapability::invvpid_single_context) &&
         !vmx.supports(EptVpidCapability::invvpid_all_contexts)))
        controls.secondary = controls.secondary.without(SecondaryControl::enable_vpid);
    return 0;
}

/// The VPID of our guest, on each processor: 0 is the host's.
inline constexpr std::uint16_t guest_vpid = 1;

/// Writes the control fields, in the SDM's order. \sdm{vm-exit-control-fields-in-vmcs}
/// \sdm{vm-entry-control-fields-in-vmcs}
inline void write_controls(
    CurrentVmcs &vmcs, const VmcsControls &controls, PhysicalAddress msr_bitmap,
    std::uint64_t ept_pointer) {
    vmcs.write_checked(Field32::pin_based_controls, controls.pin.bits);
    vmcs.write_checked(Field32::primary_controls, controls.primary.bits);
    vmcs.write_checked(Field32::secondary_controls, controls.secondary.bits);
    vmcs.write_checked(Field32::exception_bitmap, std::uint32_t{0});
    vmcs.write_checked(Field32::page_fault_error_code_mask, std::uint32_t{0});
    vmcs.write_checked(Field32::page_fault_error_code_match, std::uint32_t{0});
    vmcs.write_checked(Field32::cr3_target_count, std::uint32_t{0});
    vmcs.write_checked(Field64::msr_bitmap, msr_bitmap.value);
    vmcs.write_checked(Field64::ept_pointer, ept_pointer);
    if (controls.has_vpid())
        vmcs.write_checked(Field16::vpid, guest_vpid);
    if (controls.secondary.has(SecondaryControl::enable_xsaves_xrstors))
        vmcs.write_checked(Field64::xss_exiting_bitmap, std::uint64_t{0});
    if (controls.secondary.has(SecondaryControl::enable_pconfig))
        vmcs.write_checked(Field64::pconfig_exiting_bitmap, std::uint64_t{0});

    vmcs.write_checked(Field32::exit_controls, controls.exit.bits);
    vmcs.write_checked(Field32::exit_msr_store_count, std::uint32_t{0});
    vmcs.write_checked(Field32::exit_msr_load_count, std::uint32_t{0});

    vmcs.write_checked(Field32::entry_controls, controls.entry.bits);
    vmcs.write_checked(Field32::entry_msr_load_count, std::uint32_t{0});
    vmcs.write_checked(Field32::entry_interruption_information, std::uint32_t{0});
}

} // namespace vtx
