// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The heart of the hypervisor: what happens at each VM exit.
#pragma once

#include <cstdint>

#include "exit.hpp"
#include "guest_cpuid.hpp"
#include "handle_events.hpp"
#include "handle_instructions.hpp"
#include "handle_io.hpp"
#include "handle_memory.hpp"
#include "handle_registers.hpp"

namespace vtx {

// [handle]
/// Handles one VM exit.
inline Action handle(const Exit &exit) {
    switch (exit.reason) {
    case ExitReason::cpuid:
        return handle_cpuid(exit);
    case ExitReason::vmcall:
        return exit.raise(Vector::invalid_opcode); // there is nobody to call
    case ExitReason::hlt:
        return handle_hlt(exit);

    case ExitReason::exception_or_nmi:
        return handle_exception_or_nmi(exit);
    case ExitReason::interrupt_window:
        return Action::resume; // inject() has waited for this
    case ExitReason::external_interrupt:
    case ExitReason::preemption_timer_expired:
        return Action::leave;
    case ExitReason::triple_fault:
        return exit.end(Ending::triple_fault);
    case ExitReason::task_switch:
        return exit.end(Ending::task_switch);

    case ExitReason::ept_violation:
    case ExitReason::ept_misconfiguration:
        return handle_ept(exit);

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
    case ExitReason::xsetbv:
        return handle_xsetbv(exit);

    default:
        return handle_instruction(exit);
    }
}
// [handle]

} // namespace vtx
