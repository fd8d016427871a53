// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One VM entry and its three outcomes.
#pragma once

#include <cstdint>

#include "guest_registers.h"
#include "vmcs.hpp"
#include "vmx/exit_reasons.hpp"
#include "vmx/failure.hpp"
#include "vmx/instructions.hpp"

/// In vm_enter.S, where the contract stands.
extern "C" int vm_enter(vtx::GuestRegisters *registers, bool launched);

/// In vm_enter.S: where every VM exit continues. Only its address is of use.
extern "C" const char vm_exit[];

namespace vtx {

/// An entry that failed: asks the processor how, and keeps it in the VMCS's failure().
[[gnu::cold, gnu::noinline]] inline void
note_failed_entry(CurrentVmcs &vmcs, bool launched, int outcome, std::uint32_t reason) {
    const Instruction used = launched ? Instruction::vmresume : Instruction::vmlaunch;
    if (outcome != 0)
        vmcs.fail(Failure::instruction(result_of(used, outcome == 2, outcome == 1)));
    else
        vmcs.fail(Failure::entry(reason, vmcs.read(FieldNatural::exit_qualification)));
}

// [enter]
/// Enters the guest, with VMLAUNCH or, if it was entered since the last VMCLEAR, with VMRESUME,
/// and returns after the next VM exit. Writes HOST_RIP at the first entry, HOST_RSP at each one.
///
/// A VM entry has three outcomes. The guest ran and left: returns true, and `reason` says why.
/// VMLAUNCH or VMRESUME failed and changed nothing (VMfail), or the processor gave up while it
/// loaded the guest (bit 31 of the exit reason): returns false, and vmcs.failure() says how.
/// \sdm{vmlaunch-vmresume-launch-resume-virtual-machine}
[[nodiscard, gnu::always_inline]] inline bool
enter_guest(CurrentVmcs &vmcs, GuestRegisters &registers, bool launched, ExitReason &reason) {
    if (!launched)
        vmcs.write(FieldNatural::host_rip, reinterpret_cast<std::uint64_t>(vm_exit));

    const int outcome = vm_enter(&registers, launched);
    const std::uint32_t field = outcome == 0 ? vmcs.read(Field32::exit_reason) : 0;
    if (outcome != 0 || decode_exit_reason(field).entry_failure) [[unlikely]] {
        note_failed_entry(vmcs, launched, outcome, field);
        return false;
    }
    reason = decode_exit_reason(field).basic;
    return true;
}
// [enter]

} // namespace vtx
