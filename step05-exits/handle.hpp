// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The heart of the hypervisor: what happens at each VM exit. First the three exits with which a
/// guest can live (CPUID, VMCALL, HLT), then the way to all others.
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
/// CPUID leaves the guest always, so the host decides what CPU the guest believes to be on: this
/// one, but with a hypervisor, without VMX, and without what the guest may not use.
/// \sdm{cpuid-emulation}
[[gnu::always_inline]] inline Action handle_cpuid(Exit exit) {
    // [exercise 05-2]
    GuestRegisters &registers = exit.guest.registers;
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

/// HLT: the guest has nothing more to do, which counts as status 0.
inline Action handle_hlt(Exit exit) {
    exit.guest.status = 0;
    return exit.end(Ending::status);
}

// [handle]
/// The exits that handle() leaves over. Not inlined there: the loop has few registers to give.
[[gnu::noinline]] inline Action handle_other(Exit exit, ExitReason reason) {
    switch (reason) {
    case ExitReason::hlt:
        return handle_hlt(exit);

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
        return handle_instruction(exit, reason);
    }
}

/// Handles one VM exit. The most frequent reasons come first.
[[gnu::always_inline]] inline Action handle(Exit exit, ExitReason reason) {
    if (reason == ExitReason::vmcall) [[likely]]
        return handle_vmcall(exit);
    if (reason == ExitReason::cpuid)
        return handle_cpuid(exit);
    return handle_other(exit, reason);
}
// [handle]

} // namespace vtx
