// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One VM entry and its three outcomes.
#pragma once

#include <cstdint>
#include <optional>

#include "guest_registers.h"
#include "vmcs.hpp"
#include "vmx/exit_reasons.hpp"
#include "vmx/failure.hpp"
#include "vmx/instructions.hpp"

/// In vm_enter.S: the way into the guest and back.
extern "C" int vm_enter(vtx::GuestRegisters *registers, bool launched);
/// In vm_enter.S: where every VM exit goes on. Only its address is used here.
extern "C" const char vm_exit[];

namespace vtx {

// [enter]
/// Enters the guest, with VMLAUNCH or, if it was entered since the last VMCLEAR,
/// with VMRESUME, and returns after the next VM exit.
///
/// A VM entry has three outcomes. The guest ran and left: returns the exit
/// reason. VMLAUNCH or VMRESUME failed before it loaded anything (VMfail), or the
/// processor gave up while it loaded the guest (bit 31 of the exit reason):
/// returns nothing, and vmcs.failure() says how.
/// \sdm{vmlaunch-vmresume-launch-resume-virtual-machine}
[[nodiscard]] inline std::optional<ExitReason>
enter_guest(CurrentVmcs &vmcs, GuestRegisters &registers, bool launched) {
    if (vmcs.failure())
        return {}; // some of the guest's state may be missing

    // [exercise 04-8]
    const int outcome = vm_enter(&registers, launched);
    if (outcome != VM_ENTER_EXITED) {
        vmcs.fail(Failure::instruction(result_of(
            launched ? Instruction::vmresume : Instruction::vmlaunch,
            outcome == VM_ENTER_FAIL_INVALID, outcome == VM_ENTER_FAIL_VALID)));
        return {};
    }
    const std::uint32_t field = vmcs.read(Field32::exit_reason);
    const auto reason = decode_exit_reason(field);
    if (reason.entry_failure) {
        vmcs.fail(
            {.kind = Failure::Kind::entry,
             .value = field,
             .second_value = vmcs.read(FieldNatural::exit_qualification)});
        return {};
    }
    return reason.basic;
    // [exercise 04-8]
}
// [enter]

} // namespace vtx
