// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The heart of the hypervisor: what happens at each VM exit. First CPUID, then the switch for all.
#pragma once

#include <cstdint>

#include "exit.hpp"
#include "handle_events.hpp"
#include "handle_instructions.hpp"
#include "handle_io.hpp"
#include "handle_registers.hpp"
#include "hypercalls.hpp"
#include "x86/cpuid.hpp"

namespace vtx {

// [cpuid]
/// CPUID always leaves the guest, so the host decides what CPU the guest sees: this one, but with
/// a hypervisor, without VMX, and without what the guest may not use.
/// \sdm{cpuid-emulation}
inline Action handle_cpuid(const Exit &exit) {
    // [exercise 05-2]
    GuestRegisters &registers = exit.vcpu.registers;
    const auto leaf = static_cast<std::uint32_t>(registers.rax);
    CpuidResult result = cpuid(leaf, static_cast<std::uint32_t>(registers.rcx));

    if (leaf == 1) {
        result.ecx |= Cpuid1Ecx::hypervisor;
        result.ecx &= ~(Cpuid1Ecx::vmx | Cpuid1Ecx::monitor | Cpuid1Ecx::osxsave);
    } else if (leaf == 0x40000000) {
        // By convention a hypervisor gives its name here: "VtxTutorial" and a zero.
        result = {0x40000000, 0x54787456, 0x726f7475, 0x006c6169};
    }
    registers.rax = result.eax;
    registers.rbx = result.ebx;
    registers.rcx = result.ecx;
    registers.rdx = result.edx;
    return exit.skip_instruction();
    // [exercise 05-2]
}
// [cpuid]

// [handle]
/// Handles one VM exit.
inline Action handle(const Exit &exit) {
    switch (exit.reason) {
    case ExitReason::cpuid:
        return handle_cpuid(exit);
    case ExitReason::vmcall:
        return handle_vmcall(exit);
    case ExitReason::hlt:
        return exit.end(Ending::status); // nothing more to do, which counts as status 0

    case ExitReason::exception_or_nmi:
        return handle_exception_or_nmi(exit);
    case ExitReason::external_interrupt:
    case ExitReason::preemption_timer_expired:
        return Action::leave;
    case ExitReason::triple_fault:
        return exit.end(Ending::triple_fault);
    case ExitReason::task_switch:
        return exit.end(Ending::task_switch);

    case ExitReason::io_instruction:
        return handle_io(exit);

    case ExitReason::control_register_access:
        return handle_cr_access(exit);
    case ExitReason::mov_dr:
        return handle_dr_access(exit);
    case ExitReason::rdmsr:
        return handle_rdmsr(exit);
    case ExitReason::wrmsr:
        return handle_wrmsr(exit);

    default:
        return handle_instruction(exit);
    }
}
// [handle]

} // namespace vtx
