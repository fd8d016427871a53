// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Rules on the VM-exit and VM-entry control fields. Breaking one gives VM-instruction error 7.
/// \sdm{vm-exit-control-fields-in-vm-entry} \sdm{vm-entry-control-fields-in-vm-entry}
#pragma once

#include "doctor/rules/examination.hpp"
#include "x86/exceptions.hpp"

namespace vtx::entry_checks {

namespace exit_entry {

inline constexpr FailureClass bad = FailureClass::controls;
inline constexpr const char *exit_sdm = "vm-exit-control-fields-in-vm-entry";
inline constexpr const char *exit_newer = "+vm-exit-control-fields-in-vm-entry";
inline constexpr const char *entry_sdm = "vm-entry-control-fields-in-vm-entry";
inline constexpr const char *entry_newer = "+vm-entry-control-fields-in-vm-entry";

inline constexpr auto event_field = Field32::entry_interruption_information;

} // namespace exit_entry

/// The event that the VM entry would inject, as the rules see it.
/// \sdm{table-format-of-the-vm-entry-interruption-information-field}
struct Injection {
    std::uint32_t word{}; ///< The VM-entry interruption-information field.

    static constexpr unsigned external_interrupt = 0;   ///< interruption types
    static constexpr unsigned reserved = 1;             ///< no processor has this one
    static constexpr unsigned nmi = 2;                  ///< vector 2
    static constexpr unsigned hardware_exception = 3;   ///< vectors 0 to 31
    static constexpr unsigned software_interrupt = 4;   ///< INT n
    static constexpr unsigned privileged_exception = 5; ///< INT1
    static constexpr unsigned software_exception = 6;   ///< INT3, INTO
    static constexpr unsigned other_event = 7;          ///< pending MTF VM exit; with FRED, SYSCALL

    /// Bit 31: there is an event.
    constexpr bool valid() const { return (word >> 31) != 0; }
    /// Bits 7:0.
    constexpr unsigned vector() const { return word & 0xffu; }
    /// Bits 10:8.
    constexpr unsigned type() const { return (word >> 8) & 7u; }
    /// Bit 11.
    constexpr bool delivers_error_code() const { return ((word >> 11) & 1u) != 0; }
    /// True if the event exists and is of this type.
    constexpr bool is(unsigned wanted) const { return valid() && type() == wanted; }
};

/// The event of the VMCS under examination.
constexpr Injection injection(Examination &x) { return Injection{x.get(exit_entry::event_field)}; }

/// The rules on VM-exit controls, in the order of the SDM.
inline constexpr Rule exit_control_rules[] = {
    rule<Field32::exit_controls>(
        "X01", exit_entry::bad,
        "each VM-exit control must have a setting that the capability MSR allows",
        exit_entry::exit_sdm, [](Examination &x) { x.allowed(ExitControl{}); }),

    rule<Field32::exit_controls, Field64::secondary_exit_controls>(
        "X02", exit_entry::bad,
        "a secondary VM-exit control may be 1 only if the capability MSR allows it",
        exit_entry::exit_newer,
        [](Examination &x) {
            if (x.has(ExitControl::activate_secondary_controls)) {
                x.allowed(Field64::secondary_exit_controls, x.cpu.vmx.secondary_exit);
            }
        }),

    rule<Field32::exit_controls, Field32::pin_based_controls>(
        "X03", exit_entry::bad,
        "\"save VMX-preemption timer value\" needs \"activate VMX-preemption timer\"",
        exit_entry::exit_sdm,
        [](Examination &x) {
            if (!x.has(PinControl::activate_preemption_timer)) {
                x.forbid(ExitControl::save_preemption_timer_value);
            }
        }),

    rule<Field32::exit_msr_store_count, Field64::exit_msr_store_address>(
        "X04", exit_entry::bad,
        "a VM-exit MSR-store list must start at a multiple of 16 and end within the address width",
        exit_entry::exit_sdm,
        [](Examination &x) {
            x.msr_list(Field64::exit_msr_store_address, Field32::exit_msr_store_count);
        }),

    rule<Field32::exit_msr_load_count, Field64::exit_msr_load_address>(
        "X05", exit_entry::bad,
        "a VM-exit MSR-load list must start at a multiple of 16 and end within the address width",
        exit_entry::exit_sdm,
        [](Examination &x) {
            x.msr_list(Field64::exit_msr_load_address, Field32::exit_msr_load_count);
        }),
};

/// The rules on VM-entry controls, in the order of the SDM.
inline constexpr Rule entry_control_rules[] = {
    rule<Field32::entry_controls>(
        "N01", exit_entry::bad,
        "each VM-entry control must have a setting that the capability MSR allows",
        exit_entry::entry_sdm, [](Examination &x) { x.allowed(EntryControl{}); }),

    rule<exit_entry::event_field>(
        "N02a", exit_entry::bad, "interruption type 1 is reserved", exit_entry::entry_sdm,
        [](Examination &x) {
            if (injection(x).is(Injection::reserved)) {
                x.fault(exit_entry::event_field, 0x700);
            }
        }),

    rule<exit_entry::event_field>(
        "N02b", exit_entry::bad,
        "interruption type 7 needs a processor with the control \"monitor trap flag\", or for "
        "vectors other than 0 one with FRED",
        exit_entry::entry_sdm,
        [](Examination &x) {
            const Injection event = injection(x);
            if (event.is(Injection::other_event) &&
                !x.cpu.vmx.supports(PrimaryControl::monitor_trap_flag) &&
                (event.vector() == 0 || !x.cpu.has(CpuFeature::flexible_returns))) {
                x.fault(exit_entry::event_field, 0x700);
            }
        }),

    rule<exit_entry::event_field, FieldNatural::guest_cr4>(
        "N03", exit_entry::bad,
        "the vector must fit the interruption type: 2 for an NMI, at most 31 for a hardware "
        "exception, 0 for another event (with guest CR4.FRED, 1 and 2 too)",
        exit_entry::entry_sdm,
        [](Examination &x) {
            const Injection event = injection(x);
            bool good = true;
            if (event.is(Injection::nmi)) {
                good = event.vector() == 2;
            } else if (event.is(Injection::hardware_exception)) {
                good = event.vector() <= 31;
            } else if (event.is(Injection::other_event) && event.vector() != 0) {
                good = event.vector() <= 2 && (x.get(FieldNatural::guest_cr4) & Cr4::fred) != 0;
            }
            if (!good) {
                x.fault(exit_entry::event_field, 0xff);
            }
        }),

    rule<
        exit_entry::event_field, FieldNatural::guest_cr0, Field32::primary_controls,
        Field32::secondary_controls>(
        "N04", exit_entry::bad,
        "an error code must be delivered by exactly those hardware exceptions that have one, and "
        "by none in real mode; where bit 56 of IA32_VMX_BASIC is 1, only by hardware exceptions "
        "in protected mode",
        exit_entry::entry_sdm,
        [](Examination &x) {
            const Injection event = injection(x);
            if (!event.valid()) {
                return;
            }
            bool may = event.type() == Injection::hardware_exception;
            bool must = false;
            if (may && !x.cpu.vmx.injects_any_error_code()) {
                // #CP has an error code, but only on processors on which bit 56 is 1.
                const auto vector = static_cast<Vector>(event.vector());
                must = has_error_code(vector) && vector != Vector::control_protection;
                may = must;
            }
            if (may && x.unrestricted() && (x.get(FieldNatural::guest_cr0) & Cr0::pe) == 0) {
                may = false;
                must = false;
            }
            if (event.delivers_error_code() ? !may : must) {
                x.fault(exit_entry::event_field, 1u << 11);
            }
        }),

    rule<exit_entry::event_field>(
        "N05", exit_entry::bad,
        "bits 30:12 of the interruption information must be 0 (bit 13 may be 1 for a hardware "
        "exception where bit 58 of IA32_VMX_BASIC is 1)",
        exit_entry::entry_sdm,
        [](Examination &x) {
            const Injection event = injection(x);
            if (!event.valid()) {
                return;
            }
            const bool nested = x.cpu.vmx.injects_nested_exceptions() &&
                                event.type() == Injection::hardware_exception;
            x.zero(exit_entry::event_field, nested ? 0x7fffd000 : 0x7ffff000);
        }),

    rule<exit_entry::event_field, Field32::entry_exception_error_code>(
        "N06", exit_entry::bad,
        "bits 31:16 of an error code that is delivered must be 0 (and bit 15, in editions of the "
        "SDM before 2019)",
        exit_entry::entry_sdm,
        [](Examination &x) {
            const Injection event = injection(x);
            if (event.valid() && event.delivers_error_code()) {
                x.zero(Field32::entry_exception_error_code, 0xffff0000);
            }
        }),

    rule<exit_entry::event_field, Field32::entry_instruction_length>(
        "N07", exit_entry::bad,
        "the instruction length of a software interrupt or exception must be 1 to 15; 0 only "
        "where bit 30 of IA32_VMX_MISC is 1",
        exit_entry::entry_sdm,
        [](Examination &x) {
            const Injection event = injection(x);
            const bool software = event.is(Injection::software_interrupt) ||
                                  event.is(Injection::privileged_exception) ||
                                  event.is(Injection::software_exception) ||
                                  (event.is(Injection::other_event) && event.vector() != 0 &&
                                   x.cpu.has(CpuFeature::flexible_returns));
            if (!software) {
                return;
            }
            const std::uint32_t length = x.get(Field32::entry_instruction_length);
            if (length > 15 || (length == 0 && !x.cpu.vmx.injects_length_0())) {
                x.fault(Field32::entry_instruction_length, length == 0 ? 0xf : length & ~0xfu);
            }
        }),

    rule<Field32::entry_msr_load_count, Field64::entry_msr_load_address>(
        "N08", exit_entry::bad,
        "a VM-entry MSR-load list must start at a multiple of 16 and end within the address width",
        exit_entry::entry_sdm,
        [](Examination &x) {
            x.msr_list(Field64::entry_msr_load_address, Field32::entry_msr_load_count);
        }),

    rule<Field32::entry_controls>(
        "N09", exit_entry::bad, "outside SMM, \"entry to SMM\" must be 0", exit_entry::entry_sdm,
        [](Examination &x) {
            if (!x.now.in_smm) {
                x.forbid(EntryControl::entry_to_smm);
            }
        }),

    rule<Field32::entry_controls>(
        "N10", exit_entry::bad, "outside SMM, \"deactivate dual-monitor treatment\" must be 0",
        exit_entry::entry_sdm,
        [](Examination &x) {
            if (!x.now.in_smm) {
                x.forbid(EntryControl::deactivate_dual_monitor_treatment);
            }
        }),

    rule<Field32::entry_controls>(
        "N11", exit_entry::bad,
        "\"entry to SMM\" and \"deactivate dual-monitor treatment\" exclude each other",
        exit_entry::entry_sdm,
        [](Examination &x) {
            if (x.has(EntryControl::entry_to_smm)) {
                x.forbid(EntryControl::deactivate_dual_monitor_treatment);
            }
        }),

    rule<Field32::entry_controls>(
        "N12", exit_entry::bad, "while Intel PT traces the host, \"load IA32_RTIT_CTL\" must be 0",
        exit_entry::entry_newer,
        [](Examination &x) {
            if (x.now.tracing) {
                x.forbid(EntryControl::load_rtit_ctl);
            }
        }),
};

} // namespace vtx::entry_checks
