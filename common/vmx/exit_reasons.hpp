// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Why a VM exit happened: basic exit reasons, and the bits around them in the exit-reason field.
#pragma once

#include <cstdint>

namespace vtx {

/// Basic exit reasons. \sdm{table-basic-exit-reasons}
enum class ExitReason : std::uint16_t {
#define VTX_EXIT_REASON(name, number, linux_name, sdm_name) name = number,
#include "vmx/exit_reasons.def"
};

/// A row of the table of exit reasons.
struct ExitReasonInfo {
    ExitReason reason;      ///< The number.
    const char *name;       ///< The SDM's name, "External interrupt".
    const char *identifier; ///< The enumerator here, "external_interrupt".
};

/// Every basic exit reason, by number.
inline constexpr ExitReasonInfo all_exit_reasons[] = {
#define VTX_EXIT_REASON(name, number, linux_name, sdm_name) {ExitReason::name, sdm_name, #name},
#include "vmx/exit_reasons.def"
};

/// One more than the highest number of an exit reason: the length of a table indexed by reason.
inline constexpr unsigned exit_reason_limit =
    static_cast<unsigned>(
        all_exit_reasons[sizeof(all_exit_reasons) / sizeof(all_exit_reasons[0]) - 1].reason) +
    1;

/// The SDM's name of a basic exit reason, or "(reserved exit reason)". Never null.
constexpr const char *exit_reason_name(ExitReason reason) {
    for (const ExitReasonInfo &row : all_exit_reasons) {
        if (row.reason == reason) {
            return row.name;
        }
    }
    return "(reserved exit reason)";
}

/// The exit-reason field, decoded. Bits 25 and 26 are newer than the pinned edition of the SDM.
/// \sdm{table-format-of-exit-reason}
struct ExitReasonField {
    ExitReason basic{};               ///< Bits 15:0.
    bool shadow_stack_busy{};         ///< Bit 25: the exit left a shadow stack prematurely busy.
    bool bus_lock{};                  ///< Bit 26: a bus lock was asserted in the guest.
    bool enclave_mode{};              ///< Bit 27: the guest ran in an SGX enclave.
    bool pending_monitor_trap_flag{}; ///< Bit 28: an MTF VM exit was pending.
    bool from_root_operation{};       ///< Bit 29: the exit came from root operation (SMM only).
    bool entry_failure{};             ///< Bit 31: the VM entry failed; no guest instruction ran.

    friend constexpr bool operator==(const ExitReasonField &, const ExitReasonField &) = default;
};

/// Decodes the 32-bit exit-reason field.
constexpr ExitReasonField decode_exit_reason(std::uint32_t value) {
    const auto bit = [value](unsigned number) { return ((value >> number) & 1u) != 0; };
    return ExitReasonField{static_cast<ExitReason>(value & 0xffffu),
                           bit(25),
                           bit(26),
                           bit(27),
                           bit(28),
                           bit(29),
                           bit(31)};
}

/// True if the VM-exit instruction length is valid after every exit for this reason: such an exit
/// comes from an attempt to execute one instruction, RIP points at it, and adding the length skips
/// it. It is valid in other cases too: for software exceptions (reason 0), task switches by an
/// instruction (reason 9), and exits during the delivery of an event that software raised
/// (InterruptionInformation::is_software()). For the newest instructions, from ENCLV on except
/// SEAMCALL and TDCALL, the SDM makes no such promise, so they are false here.
/// \sdm{information-for-vm-exits-due-to-instruction-execution-in-vm-exit}
constexpr bool has_instruction_length(ExitReason reason) {
    switch (reason) {
    case ExitReason::cpuid:
    case ExitReason::getsec:
    case ExitReason::hlt:
    case ExitReason::invd:
    case ExitReason::invlpg:
    case ExitReason::rdpmc:
    case ExitReason::rdtsc:
    case ExitReason::rsm:
    case ExitReason::vmcall:
    case ExitReason::vmclear:
    case ExitReason::vmlaunch:
    case ExitReason::vmptrld:
    case ExitReason::vmptrst:
    case ExitReason::vmread:
    case ExitReason::vmresume:
    case ExitReason::vmwrite:
    case ExitReason::vmxoff:
    case ExitReason::vmxon:
    case ExitReason::control_register_access:
    case ExitReason::mov_dr:
    case ExitReason::io_instruction:
    case ExitReason::rdmsr:
    case ExitReason::wrmsr:
    case ExitReason::mwait:
    case ExitReason::monitor:
    case ExitReason::pause:
    case ExitReason::gdtr_or_idtr_access:
    case ExitReason::ldtr_or_tr_access:
    case ExitReason::invept:
    case ExitReason::rdtscp:
    case ExitReason::invvpid:
    case ExitReason::wbinvd:
    case ExitReason::xsetbv:
    case ExitReason::rdrand:
    case ExitReason::invpcid:
    case ExitReason::vmfunc:
    case ExitReason::encls:
    case ExitReason::rdseed:
    case ExitReason::xsaves:
    case ExitReason::xrstors:
    case ExitReason::pconfig:
    case ExitReason::umwait:
    case ExitReason::tpause:
    case ExitReason::loadiwkey:
    case ExitReason::seamcall:
    case ExitReason::tdcall:
        return true;
    default:
        return false;
    }
}

} // namespace vtx
