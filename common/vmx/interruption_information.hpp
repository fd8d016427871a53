// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Events as a VMCS describes them: what exited, what was being delivered when it exited, and what
/// the next VM entry shall inject. Also what blocks events, and what a second exception during
/// delivery becomes.
#pragma once

#include "x86/exceptions.hpp"

#include <cstdint>

namespace vtx {

/// Types of events, bits 10:8 of an interruption-information field.
/// \sdm{table-format-of-the-vm-entry-interruption-information-field}
enum class EventType : std::uint8_t {
    external_interrupt = 0,
    reserved = 1,
    nmi = 2,
    hardware_exception = 3,
    software_interrupt = 4,            ///< INT n
    privileged_software_exception = 5, ///< INT1 (opcode F1)
    software_exception = 6,            ///< INT3 and INTO
    other_event = 7,                   ///< in VM entries: a pending MTF VM exit, if vector is 0
};

/// The type in words ("hardware exception"). Never null.
constexpr const char *event_type_name(EventType type) {
    switch (type) {
    case EventType::external_interrupt:
        return "external interrupt";
    case EventType::reserved:
        return "reserved";
    case EventType::nmi:
        return "NMI";
    case EventType::hardware_exception:
        return "hardware exception";
    case EventType::software_interrupt:
        return "software interrupt";
    case EventType::privileged_software_exception:
        return "privileged software exception";
    case EventType::software_exception:
        return "software exception";
    case EventType::other_event:
        return "other event";
    }
    return "(no type)";
}

/// One of the three fields with this format: VM-entry interruption information, VM-exit
/// interruption information, IDT-vectoring information.
/// \sdm{table-format-of-the-vm-exit-interruption-information-field}
/// \sdm{table-format-of-the-idt-vectoring-information-field}
struct InterruptionInformation {
    std::uint8_t vector{}; ///< Bits 7:0.
    EventType type{};      ///< Bits 10:8.
    bool has_error_code{}; ///< Bit 11: an error code goes with it, in a field of its own.
    bool nmi_unblocking{}; ///< Bit 12, VM exits only: an IRET had unblocked NMIs before the fault.
    bool valid{};          ///< Bit 31: there is an event at all.

    /// Decodes the 32-bit field.
    static constexpr InterruptionInformation decode(std::uint32_t value) {
        return InterruptionInformation{
            static_cast<std::uint8_t>(value & 0xffu), static_cast<EventType>((value >> 8) & 7u),
            ((value >> 11) & 1u) != 0, ((value >> 12) & 1u) != 0, ((value >> 31) & 1u) != 0};
    }

    /// The 32-bit field, reserved bits 0. For injection nmi_unblocking must be false.
    constexpr std::uint32_t encode() const {
        return std::uint32_t{vector} | (static_cast<std::uint32_t>(type) << 8) |
               (has_error_code ? 1u << 11 : 0u) | (nmi_unblocking ? 1u << 12 : 0u) |
               (valid ? 1u << 31 : 0u);
    }

    /// No event: what a VM entry that injects nothing wants.
    static constexpr InterruptionInformation none() { return InterruptionInformation{}; }

    /// A hardware exception; an error code goes with it where the vector has one. (In a guest in
    /// real-address mode none does.)
    static constexpr InterruptionInformation exception(Vector vector) {
        return InterruptionInformation{
            static_cast<std::uint8_t>(vector), EventType::hardware_exception,
            vtx::has_error_code(vector), false, true};
    }

    /// An external interrupt. The guest's RFLAGS.IF must be 1 and nothing may block it.
    static constexpr InterruptionInformation interrupt(std::uint8_t vector) {
        return InterruptionInformation{vector, EventType::external_interrupt, false, false, true};
    }

    /// A non-maskable interrupt.
    static constexpr InterruptionInformation nmi() {
        return InterruptionInformation{
            static_cast<std::uint8_t>(Vector::nmi), EventType::nmi, false, false, true};
    }

    /// True for a valid hardware exception with this vector.
    constexpr bool is_exception(Vector which) const {
        return valid && type == EventType::hardware_exception &&
               vector == static_cast<std::uint8_t>(which);
    }

    /// True for a valid NMI.
    constexpr bool is_nmi() const { return valid && type == EventType::nmi; }

    /// True if an instruction raised the event (INT n, INT1, INT3, INTO): then the VM-exit
    /// instruction length is valid, and injection needs a VM-entry instruction length.
    constexpr bool is_software() const {
        return valid && (type == EventType::software_interrupt ||
                         type == EventType::privileged_software_exception ||
                         type == EventType::software_exception);
    }

    friend constexpr bool
    operator==(const InterruptionInformation &, const InterruptionInformation &) = default;
};

/// Bits of the interruptibility state. \sdm{table-format-of-interruptibility-state}
struct Blocking {
    static constexpr std::uint32_t sti = 1u << 0;    ///< by STI, for one instruction
    static constexpr std::uint32_t mov_ss = 1u << 1; ///< by MOV SS or POP SS, likewise
    static constexpr std::uint32_t smi = 1u << 2;    ///< of SMIs
    static constexpr std::uint32_t nmi = 1u << 3;    ///< of NMIs; of virtual NMIs with that control
    static constexpr std::uint32_t enclave = 1u << 4; ///< an enclave was interrupted
};

/// What happens when an exception occurs while another event is being delivered.
enum class Combination : std::uint8_t {
    deliver_second, ///< The second exception is delivered; the first event is lost or comes again.
    double_fault,   ///< \#DF with error code 0 is delivered in place of both.
    triple_fault,   ///< The processor shuts down; in a guest, exit reason 2.
};

/// Combines the event that was being delivered with the exception that its delivery caused.
/// \param first  the IDT-vectoring information. No event, an interrupt, an NMI and an event that
///               software raised all count as benign
/// \param second the vector of the exception
/// \sdm{exception-and-interrupt-reference} (Interrupt 8, Double Fault Exception)
constexpr Combination combine(const InterruptionInformation &first, Vector second) {
    if (!first.valid || first.type != EventType::hardware_exception) {
        return Combination::deliver_second;
    }
    const ExceptionClass second_class = exception_class(second);
    switch (exception_class(static_cast<Vector>(first.vector))) {
    case ExceptionClass::benign:
        return Combination::deliver_second;
    case ExceptionClass::contributory:
        return second_class == ExceptionClass::contributory ? Combination::double_fault
                                                            : Combination::deliver_second;
    case ExceptionClass::page_fault:
        return second_class == ExceptionClass::contributory ||
                       second_class == ExceptionClass::page_fault
                   ? Combination::double_fault
                   : Combination::deliver_second;
    case ExceptionClass::double_fault:
        return second_class == ExceptionClass::contributory ||
                       second_class == ExceptionClass::page_fault
                   ? Combination::triple_fault
                   : Combination::deliver_second;
    }
    return Combination::deliver_second;
}

} // namespace vtx
