// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The controls: what leaves the guest, and what VM entries and exits load and save.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernel.h"
#include "vmcs.hpp"
#include "vmx/capabilities.hpp"
#include "vmx/controls.hpp"
#include "x86/exceptions.hpp"

namespace vtx {

/// The five control words, adjusted to what this processor demands and allows.
struct VmcsControls {
    ControlSet<PinControl> pin;
    ControlSet<PrimaryControl> primary;
    ControlSet<SecondaryControl> secondary;
    ControlSet<ExitControl> exit;
    ControlSet<EntryControl> entry;

    /// True if VM entries and exits switch IA32_EFER. This step insists on it.
    static constexpr bool has_efer() { return true; }

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

/// What EPT itself can do is in an MSR of its own. Names what this step needs and the processor
/// lacks, and returns false then. \sdm{vpid-and-ept-capabilities}
inline bool has_needed_ept(const VmxCapabilities &vmx) {
    static constexpr EptVpidCapability needed[] = {
        EptVpidCapability::page_walk_length_4, EptVpidCapability::write_back_structures,
        EptVpidCapability::pages_2m, EptVpidCapability::invept};
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

/// Chooses the controls. The guest owns its page tables and its exceptions, because EPT is below
/// them. What would let it keep the processor or change the host's registers still exits.
/// Returns 0, or -EOPNOTSUPP after naming what is missing. \sdm{unrestricted-guests}
/// \sdm{vm-execution-control-fields-in-vmcs} \sdm{algorithms-for-determining-vmx-capabilities}
inline int choose_controls(const VmxCapabilities &vmx, VmcsControls &controls) {
    // [controls]
    const bool ok =
        // The timer stops a guest whatever it does. The host's interrupts would, too, but Bochs 2.7
        // sees them only while RFLAGS.IF is 1, and IF is the guest's now.
        choose(
            controls.pin, vmx,
            {PinControl::external_interrupt_exiting, PinControl::nmi_exiting,
             PinControl::activate_preemption_timer},
            {}) &&
        choose(
            controls.primary, vmx,
            {PrimaryControl::hlt_exiting, PrimaryControl::mwait_exiting,
             PrimaryControl::rdpmc_exiting, PrimaryControl::cr8_load_exiting,
             PrimaryControl::cr8_store_exiting, PrimaryControl::mov_dr_exiting,
             PrimaryControl::use_io_bitmaps, PrimaryControl::use_msr_bitmaps,
             PrimaryControl::monitor_exiting, PrimaryControl::activate_secondary_controls},
            {}) &&
        choose(
            controls.secondary, vmx,
            {SecondaryControl::enable_ept, SecondaryControl::unrestricted_guest},
            {SecondaryControl::enable_vpid, SecondaryControl::enable_rdtscp,
             SecondaryControl::enable_invpcid, SecondaryControl::wbinvd_exiting}) &&
        choose(
            controls.exit, vmx,
            {ExitControl::save_debug_controls, ExitControl::host_address_space_size,
             ExitControl::load_efer, ExitControl::save_efer,
             ExitControl::save_preemption_timer_value},
            {}) &&
        // Without "IA-32e mode guest", which follows the guest into long mode and back: each VM
        // exit writes it. (A step whose guest begins in long mode adds it.)
        choose(
            controls.entry, vmx, {EntryControl::load_debug_controls, EntryControl::load_efer}, {});
    // [controls]
    if (!ok || !has_needed_ept(vmx))
        return -VTX_EOPNOTSUPP;

    // Every CPU with "unrestricted guest" does this. We rely on it, so we ask.
    // \sdm{miscellaneous-data}
    if (!vmx.stores_efer_lma()) {
        vtx_log_error("this CPU's VM exits do not store IA32_EFER.LMA (IA32_VMX_MISC bit 5), which "
                      "this step needs");
        return -VTX_EOPNOTSUPP;
    }
    // Every CPU with EPT does this. For INS and OUTS we rely on it.
    // \sdm{basic-vmx-information}
    if (!vmx.reports_ins_outs()) {
        vtx_log_error("this CPU's VM exits by INS and OUTS do not tell the address size and the "
                      "segment (IA32_VMX_BASIC bit 54), which this step needs");
        return -VTX_EOPNOTSUPP;
    }
    // Off at first: events.hpp switches it on and off.
    if (!vmx.supports(PrimaryControl::interrupt_window_exiting)) {
        vtx_log_error(
            "this CPU's VMX lacks \"%s\", which this step needs",
            control_name(PrimaryControl::interrupt_window_exiting));
        return -VTX_EOPNOTSUPP;
    }
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

/// Exceptions that leave the guest. All others go to its own handlers without us. A machine check
/// is the host's. Debug exceptions and alignment checks exit because a guest can arrange that
/// delivering one raises the next, for ever, in the processor and past every timer
/// (CVE-2015-5307, CVE-2015-8104).
inline constexpr std::uint32_t exiting_exceptions =
    1u << static_cast<unsigned>(Vector::machine_check) |
    1u << static_cast<unsigned>(Vector::debug) |
    1u << static_cast<unsigned>(Vector::alignment_check);

/// The VPID of our guest: 0 is the host's. Other hypervisors may use the same one, so each scope
/// begins by forgetting its translations.
inline constexpr std::uint16_t guest_vpid = 1;

/// Writes the control fields, in the SDM's order. \sdm{vm-exit-control-fields-in-vmcs}
/// \sdm{vm-entry-control-fields-in-vmcs}
inline void write_controls(CurrentVmcs &vmcs, const VmcsControls &controls) {
    vmcs.write_checked(Field32::pin_based_controls, controls.pin.bits);
    vmcs.write_checked(Field32::primary_controls, controls.primary.bits);
    vmcs.write_checked(Field32::secondary_controls, controls.secondary.bits);

    // For page faults two more fields have a say: the bit of the bitmap counts if
    // (error code & mask) == match. With 0 and 0 that is always true, and the bit is 0.
    vmcs.write_checked(Field32::exception_bitmap, exiting_exceptions);
    vmcs.write_checked(Field32::page_fault_error_code_mask, std::uint32_t{0});
    vmcs.write_checked(Field32::page_fault_error_code_match, std::uint32_t{0});
    vmcs.write_checked(Field32::cr3_target_count, std::uint32_t{0});
    if (controls.has_vpid())
        vmcs.write_checked(Field16::vpid, guest_vpid);

    vmcs.write_checked(Field32::exit_controls, controls.exit.bits);
    vmcs.write_checked(Field32::exit_msr_store_count, std::uint32_t{0});
    vmcs.write_checked(Field32::exit_msr_load_count, std::uint32_t{0});

    vmcs.write_checked(Field32::entry_controls, controls.entry.bits);
    vmcs.write_checked(Field32::entry_msr_load_count, std::uint32_t{0});
    vmcs.write_checked(Field32::entry_interruption_information, std::uint32_t{0});
}

} // namespace vtx
