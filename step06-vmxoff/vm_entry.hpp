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
extern "C" int vm_enter(vtx::GuestRegisters* registers, bool launched);

/// In vm_enter.S: where every VM exit continues. Only its address is of use.
extern "C" const char vm_exit[];

namespace vtx {

/// How a VM entry ended.
struct [[nodiscard]] Entry {
    /// Bits 15:0 of the exit reason are the basic reason. 0 if the guest was not entered.
    std::uint32_t exit_reason;
    /// Why there was no guest to exit from: VMLAUNCH or VMRESUME failed (nothing was changed), or
    /// the entry failed while it loaded the guest (bit 31 of the exit reason). Else empty.
    Failure failure;
};

/// Enters the guest, with VMLAUNCH or, if it was entered since the last VMCLEAR, with VMRESUME,
/// and returns after the next VM exit. Writes HOST_RIP at the first entry; HOST_RSP at each one.
/// \sdm{vmlaunch-vmresume-launch-resume-virtual-machine}
[[gnu::always_inline]] inline Entry enter_guest(CurrentVmcs& vmcs, GuestRegisters& registers,
                                                bool launched)
{
    if (!launched)
        vmcs.write(FieldNatural::host_rip, reinterpret_cast<std::uint64_t>(vm_exit));

    const int outcome = vm_enter(&registers, launched);
    if (outcome != 0) [[unlikely]] {
        const Instruction used = launched ? Instruction::vmresume : Instruction::vmlaunch;
        return {0, Failure::instruction(result_of(used, outcome == 2, outcome == 1))};
    }

    const std::uint32_t reason = vmcs.read(Field32::exit_reason);
    if (decode_exit_reason(reason).entry_failure) [[unlikely]]
        return {reason, Failure::entry(reason, vmcs.read(FieldNatural::exit_qualification))};
    return {reason, {}};
}

}  // namespace vtx
