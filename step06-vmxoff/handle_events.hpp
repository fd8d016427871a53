// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Exceptions in the guest, and NMIs for the host.
#pragma once

#include <cstdint>

#include "exit.hpp"
#include "vmx/interruption_information.hpp"
#include "x86/control_registers.hpp"

namespace vtx {

// [exception]
/// Exit reason 0. An NMI is the host's. An exception is the guest's: it goes to the guest's own
/// handler, as it would have gone without us.
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

    // The exit did not write CR2, so we do it: the guest's handler reads the address there.
    if (event.is_exception(Vector::page_fault))
        write_cr2(exit.qualification());

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

} // namespace vtx
