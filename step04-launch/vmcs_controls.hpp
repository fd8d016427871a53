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

namespace vtx {

/// The five control words, adjusted to what this processor demands and allows.
struct VmcsControls {
    ControlSet<PinControl> pin;
    ControlSet<PrimaryControl> primary;
    ControlSet<SecondaryControl> secondary;
    ControlSet<ExitControl> exit;
    ControlSet<EntryControl> entry;

    /// True if a timer can stop the guest, and keeps its count from exit to exit.
    bool has_timer() const {
        return pin.has(PinControl::activate_preemption_timer) &&
               exit.has(ExitControl::save_preemption_timer_value);
    }

    /// True if VM entries and exits switch IA32_EFER.
    bool has_efer() const {
        return exit.has(ExitControl::load_efer) && entry.has(EntryControl::load_efer);
    }
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

/// Chooses the controls. Whatever would let the guest reach beyond its own pages, or keep the
/// processor for itself, causes a VM exit. What a CPU may lack is asked for as optional.
/// Returns 0, or -EOPNOTSUPP after naming what is missing.
/// \sdm{vm-execution-control-fields-in-vmcs} \sdm{algorithms-for-determining-vmx-capabilities}
inline int choose_controls(const VmxCapabilities &vmx, VmcsControls &controls) {
    // [controls]
    const bool ok =
        choose(
            controls.pin, vmx, {PinControl::external_interrupt_exiting, PinControl::nmi_exiting},
            {PinControl::activate_preemption_timer}) &&
        // Without "use MSR bitmaps" every RDMSR and WRMSR leaves the guest.
        choose(
            controls.primary, vmx,
            {PrimaryControl::hlt_exiting, PrimaryControl::invlpg_exiting,
             PrimaryControl::mwait_exiting, PrimaryControl::rdpmc_exiting,
             PrimaryControl::cr3_load_exiting, PrimaryControl::cr3_store_exiting,
             PrimaryControl::cr8_load_exiting, PrimaryControl::cr8_store_exiting,
             PrimaryControl::mov_dr_exiting, PrimaryControl::unconditional_io_exiting,
             PrimaryControl::monitor_exiting, PrimaryControl::pause_exiting},
            {PrimaryControl::activate_secondary_controls}) &&
        choose(controls.secondary, vmx, {}, {SecondaryControl::wbinvd_exiting}) &&
        // [exercise 03-2]
        choose(
            controls.exit, vmx,
            {ExitControl::save_debug_controls, ExitControl::host_address_space_size},
            {ExitControl::save_efer, ExitControl::load_efer,
             ExitControl::save_preemption_timer_value}) &&
        choose(
            controls.entry, vmx,
            {EntryControl::load_debug_controls, EntryControl::ia32e_mode_guest},
            {EntryControl::load_efer});
    // [exercise 03-2]
    // [controls]
    if (!ok)
        return -VTX_EOPNOTSUPP;

    // The timer is useful only if exits save it, and saving it is allowed only with the timer.
    if (!controls.has_timer()) {
        controls.pin = controls.pin.without(PinControl::activate_preemption_timer);
        controls.exit = controls.exit.without(ExitControl::save_preemption_timer_value);
    }
    // The guest gets an IA32_EFER of its own only if a VM exit gives the host its own back.
    // Without these controls the guest runs with the host's, except for LMA and LME.
    if (!controls.has_efer()) {
        controls.exit = controls.exit.without(ExitControl::load_efer);
        controls.entry = controls.entry.without(EntryControl::load_efer);
    }
    return 0;
}

/// Writes the control fields, in the SDM's order. \sdm{vm-exit-control-fields-in-vmcs}
/// \sdm{vm-entry-control-fields-in-vmcs}
inline void write_controls(CurrentVmcs &vmcs, const VmcsControls &controls) {
    vmcs.write_checked(Field32::pin_based_controls, controls.pin.bits);
    vmcs.write_checked(Field32::primary_controls, controls.primary.bits);
    if (controls.primary.has(PrimaryControl::activate_secondary_controls))
        vmcs.write_checked(Field32::secondary_controls, controls.secondary.bits);

    // Every exception leaves the guest. For page faults two more fields have a say: the bit of
    // the bitmap counts if (error code & mask) == match. With 0 and 0 that is always true.
    vmcs.write_checked(Field32::exception_bitmap, ~std::uint32_t{0});
    vmcs.write_checked(Field32::page_fault_error_code_mask, std::uint32_t{0});
    vmcs.write_checked(Field32::page_fault_error_code_match, std::uint32_t{0});
    vmcs.write_checked(Field32::cr3_target_count, std::uint32_t{0});

    vmcs.write_checked(Field32::exit_controls, controls.exit.bits);
    vmcs.write_checked(Field32::exit_msr_store_count, std::uint32_t{0});
    vmcs.write_checked(Field32::exit_msr_load_count, std::uint32_t{0});

    vmcs.write_checked(Field32::entry_controls, controls.entry.bits);
    vmcs.write_checked(Field32::entry_msr_load_count, std::uint32_t{0});
    vmcs.write_checked(Field32::entry_interruption_information, std::uint32_t{0});
}

} // namespace vtx
