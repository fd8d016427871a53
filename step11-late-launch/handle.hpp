// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The exit handler: one switch over the exit reasons.
#pragma once

#include <cstdint>

#include "exit.hpp"
#include "guest_cpuid.hpp"
#include "handle_instructions.hpp"
#include "handle_msrs.hpp"
#include "leave.hpp"
#include "vmx/exit_reasons.hpp"

namespace vtx {

/// The guest wrote to a page that EPT protects. If it was our own MOV on the watched page, does
/// what the MOV would have done.
inline Action handle_ept_violation(const Exit &exit) {
    WatchedPage &watched = exit.processor.shared->watched;
    const std::uint64_t address = exit.vmcs.read(Field64::guest_physical_address);
    const std::uint64_t rip = exit.vmcs.read(FieldNatural::guest_rip);
    const std::uint64_t offset = address - watched.physical().value;

    if (offset < page_size && rip == reinterpret_cast<std::uint64_t>(watched_store_mov))
        if (const auto store =
                decode_byte_store(reinterpret_cast<const std::uint8_t *>(watched_store_mov))) {
            watched.store_for_guest(
                offset, static_cast<std::uint8_t>(exit.registers.by_number(store->source)));
            // Such an exit need not say how long the instruction is.
            exit.vmcs.write(FieldNatural::guest_rip, rip + store->length);
            return Action::resume;
        }
    exit.processor.report.address = address;
    return exit.give_up(exit.vmcs.read(FieldNatural::exit_qualification));
}

// [handle]
/// Decides what becomes of the processor. In root operation, with interrupts off.
inline Action handle(const Exit &exit) {
    switch (exit.reason) {
    case ExitReason::cpuid:
        return handle_cpuid(exit);
    case ExitReason::xsetbv:
        return handle_xsetbv(exit);
    case ExitReason::invd:
        return handle_invd(exit);
    case ExitReason::vmcall:
        return handle_vmcall(exit);
    case ExitReason::control_register_access:
        return handle_control_register(exit);
    case ExitReason::rdmsr:
        return handle_rdmsr(exit);
    case ExitReason::wrmsr:
        return handle_wrmsr(exit);
    case ExitReason::ept_violation:
        return handle_ept_violation(exit);
    case ExitReason::triple_fault:
        reset_machine();
    case ExitReason::getsec:
    case ExitReason::vmclear:
    case ExitReason::vmlaunch:
    case ExitReason::vmptrld:
    case ExitReason::vmptrst:
    case ExitReason::vmread:
    case ExitReason::vmresume:
    case ExitReason::vmwrite:
    case ExitReason::vmxoff:
    case ExitReason::vmxon:
    case ExitReason::invept:
    case ExitReason::invvpid:
        return exit.raise(Vector::invalid_opcode);
    default:
        return exit.give_up(exit.vmcs.read(FieldNatural::exit_qualification));
    }
}
// [handle]

} // namespace vtx
