// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Events that leave the guest: a few exceptions, NMIs for the host, and HLT, which waits for one.
#pragma once

#include <cstdint>

#include "exit.hpp"
#include "vmx/interruption_information.hpp"
#include "vmx/qualifications.hpp"

namespace vtx {

/// Exit reason 0, vector 1. The exit did not change DR6, so we do, in our model of it: the guest's
/// handler reads there what happened. \sdm{table-exit-qualification-for-debug-exceptions}
inline void note_debug_exception(const Exit &exit) {
    static constexpr std::uint64_t breakpoints = 0xf, bd = 1u << 13, bs = 1u << 14;
    exit.vcpu.dr6 =
        (exit.vcpu.dr6 & ~breakpoints) | (exit.qualification() & (breakpoints | bd | bs));
}

// [exception]
/// Exit reason 0. An NMI and a machine check are the host's. Debug exceptions and alignment checks
/// are the guest's: they go on to its own handler, as all other exceptions do without an exit.
///
/// If the processor was just delivering another event when the exception came (the IDT-vectoring
/// information is valid), the two combine by the rules of the double fault. What would be a triple
/// fault ends the guest, as it would reset a machine.
/// \sdm{reflecting-exceptions-to-guest-software}
/// \sdm{information-for-vm-exits-during-event-delivery}
inline Action handle_exception_or_nmi(const Exit &exit) {
    CurrentVmcs &vmcs = exit.vmcs;
    const auto event =
        InterruptionInformation::decode(vmcs.read(Field32::exit_interruption_information));
    if (event.is_nmi())
        return Action::leave_for_nmi;
    if (event.is_exception(Vector::machine_check))
        return exit.end(Ending::machine_check);
    if (event.vector == static_cast<std::uint8_t>(Vector::debug))
        note_debug_exception(exit);

    const auto interrupted =
        InterruptionInformation::decode(vmcs.read(Field32::idt_vectoring_information));
    switch (combine(interrupted, static_cast<Vector>(event.vector))) {
    case Combination::double_fault:
        return exit.raise(Vector::double_fault);
    case Combination::triple_fault:
        return exit.end(Ending::triple_fault);
    case Combination::deliver_second:
        break;
    }
    // Bit 12 says that an IRET had unblocked NMIs. For injection it must be 0.
    InterruptionInformation again = event;
    again.nmi_unblocking = false;
    return exit.deliver(again, vmcs.read(Field32::exit_interruption_error_code));
}
// [exception]

// [hlt]
/// Exit reason 12. The guest sleeps until its next event, which may be the debug exception behind a
/// single step. If it takes no interrupts, there is none: that is how a PC without power management
/// is switched off.
inline Action handle_hlt(const Exit &exit) {
    const std::uint64_t rflags = exit.vmcs.read(FieldNatural::guest_rflags);
    const bool steps = (rflags & Rflags::tf) != 0;
    if ((rflags & Rflags::if_) == 0 && !steps)
        return exit.end(Ending::halt);
    exit.skip_instruction();
    if (steps || exit.vcpu.events.waits(exit.vm.pic))
        return Action::resume;
    exit.vcpu.halted = true;
    return Action::leave;
}
// [hlt]

} // namespace vtx
