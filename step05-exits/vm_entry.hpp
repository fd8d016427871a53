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

/// In vm_enter.S: its two ways into the guest, and where every VM exit continues. Only their
/// addresses are of use here.
extern "C" const char vm_launch[], vm_resume[], vm_exit[];

namespace vtx {

// [call]
/// Enters the guest and returns when it has left: the exit reason, or one of the VM_ENTER_FAILs.
/// `registers` points to something that begins with the guest's GuestRegisters. `launched` is
/// known when this is compiled. The contract stands in vm_enter.S.
///
/// A C function saves six registers for whoever calls it. That would be work for nothing: hardly
/// anything has to outlive a VM exit. So the compiler is told that all registers are lost but
/// these, and keeps what it needs on the stack. The pointer is handed in and out, and thus needs no
/// place there.
template <typename Owner>
[[gnu::always_inline]] inline std::uint32_t vm_enter(Owner *&registers, bool launched) {
    register Owner *in_r12 asm("r12") = registers;
    std::uint32_t reason = 0;
    asm volatile("call %P[entry]"
                 : "+r"(in_r12), "=b"(reason)
                 : [entry] "i"(launched ? vm_resume : vm_launch)
                 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r13", "r14", "r15",
                   "cc", "memory");
    registers = in_r12;
    return reason;
}
// [call]

/// An entry that failed: asks the processor how, and keeps it in the VMCS's failure().
[[gnu::cold, gnu::noinline]] inline void
note_failed_entry(CurrentVmcs &vmcs, bool launched, std::uint32_t result) {
    const bool invalid = result == VM_ENTER_FAIL_INVALID, valid = result == VM_ENTER_FAIL_VALID;
    const Instruction used = launched ? Instruction::vmresume : Instruction::vmlaunch;
    if (invalid || valid)
        vmcs.fail(Failure::instruction(result_of(used, invalid, valid)));
    else
        vmcs.fail(Failure::entry(result, vmcs.read(FieldNatural::exit_qualification)));
}

// [enter]
/// Enters the guest, with VMLAUNCH or, if it was entered since the last VMCLEAR, with VMRESUME,
/// and returns after the next VM exit.
///
/// A VM entry has three outcomes. The guest ran and left: returns true, and `reason` says why.
/// VMLAUNCH or VMRESUME failed before it loaded anything (VMfail), or the processor gave up while
/// it loaded the guest (bit 31 of the exit reason): returns false, and vmcs.failure() says how.
/// \sdm{vmlaunch-vmresume-launch-resume-virtual-machine}
template <typename Owner>
[[nodiscard, gnu::always_inline]] inline bool
enter_guest(CurrentVmcs &vmcs, Owner *&registers, bool launched, ExitReason &reason) {
    const std::uint32_t field = vm_enter(registers, launched);
    // The VM_ENTER_FAILs have bit 31, too.
    if (decode_exit_reason(field).entry_failure) [[unlikely]] {
        note_failed_entry(vmcs, launched, field);
        return false;
    }
    reason = decode_exit_reason(field).basic;
    return true;
}
// [enter]

} // namespace vtx
