// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What a VMX instruction leaves behind. Nothing here executes one: instructions.hpp does.
#pragma once

#include <cstdint>

namespace vtx {

/// The VMX instructions. \sdm{vmx-instructions}
enum class Instruction : std::uint8_t {
    vmxon,
    vmxoff,
    vmclear,
    vmptrld,
    vmptrst,
    vmread,
    vmwrite,
    vmlaunch,
    vmresume,
    vmcall,
    vmfunc,
    invept,
    invvpid,
};

/// Names of the instructions, in the order of the enumeration.
inline constexpr const char *instruction_names[] = {
    "VMXON",    "VMXOFF",   "VMCLEAR", "VMPTRLD", "VMPTRST", "VMREAD",  "VMWRITE",
    "VMLAUNCH", "VMRESUME", "VMCALL",  "VMFUNC",  "INVEPT",  "INVVPID",
};

/// "VMXON", ...; "(no instruction)" for anything else. Never null.
constexpr const char *instruction_name(Instruction instruction) {
    const auto number = static_cast<unsigned>(instruction);
    constexpr auto count = sizeof(instruction_names) / sizeof(instruction_names[0]);
    return number < count ? instruction_names[number] : "(no instruction)";
}

/// The ways in which a VMX instruction ends. \sdm{conventions}
enum class Status : std::uint8_t {
    succeed,      ///< VMsucceed: CF and ZF are 0
    fail_invalid, ///< VMfailInvalid: CF is 1, and no error number: fail_invalid_text()
    fail_valid,   ///< VMfailValid: ZF is 1; the VM-instruction error field has the number
    fault,        ///< the instruction did not execute: \#UD or \#GP, caught
};

/// The SDM's word for a status ("VMfailValid"); "fault" for a fault. Never null.
constexpr const char *status_name(Status status) {
    switch (status) {
    case Status::succeed:
        return "VMsucceed";
    case Status::fail_invalid:
        return "VMfailInvalid";
    case Status::fail_valid:
        return "VMfailValid";
    case Status::fault:
        return "fault";
    }
    return "(no status)";
}

/// What VMfailInvalid of an instruction means, in words. Without a current VMCS there is no place
/// for an error number, so a page that the processor refuses gives VMfailInvalid, too. Never null.
/// \sdm{conventions}
constexpr const char *fail_invalid_text(Instruction instruction) {
    switch (instruction) {
    case Instruction::vmxon:
    case Instruction::vmptrld:
        return "look at the page's revision identifier, its alignment to 4 KiB and its address";
    case Instruction::vmclear:
        return "look at the page's alignment to 4 KiB and its address";
    default:
        return "there is no current VMCS";
    }
}

/// The outcome of one VMX instruction. It must not be ignored.
/// A VM entry that succeeds has yet another outcome, which shows in the exit reason only:
/// ExitReasonField::entry_failure.
struct [[nodiscard]] Result {
    Instruction instruction{}; ///< Which instruction it was.
    Status status{};           ///< How it ended.
    std::uint32_t error{};     ///< VM-instruction error number if fail_valid, else 0.

    /// True for VMsucceed.
    constexpr bool ok() const { return status == Status::succeed; }

    friend constexpr bool operator==(const Result &, const Result &) = default;
};

} // namespace vtx
