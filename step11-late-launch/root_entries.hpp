// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What late_launch.S calls in root operation. ([[gnu::used]] because the compiler sees no caller.)
#pragma once

#include <cstdint>

#include "handle.hpp"
#include "leave.hpp"
#include "vmx/exit_reasons.hpp"
#include "vmx/interruption_information.hpp"

/// After each VM exit. False: leave VMX operation.
extern "C" [[gnu::used]] inline bool late_handle(vtx::RootFrame *frame) {
    using namespace vtx;
    Processor &processor = *frame->processor;
    CurrentVmcs &vmcs = *processor.vmcs;
    const std::uint32_t field = vmcs.read(Field32::exit_reason);
    const ExitReasonField reason = decode_exit_reason(field);

    // The entry failed while the processor loaded the guest's state. If it was the launch: back to
    // late_launch(), which is where that state says. Else it is a mistake of ours in the VMCS.
    if (reason.entry_failure) {
        if (reason.basic == ExitReason::entry_failure_machine_check)
            frame->pending |= PENDING_MACHINE_CHECK; // Linux's, when we have left
        vmcs.fail(
            {.kind = Failure::Kind::entry,
             .value = field,
             .second_value = vmcs.read(FieldNatural::exit_qualification)});
        if (processor.launched)
            processor.give_up();
        else
            frame->registers.rax = LATE_LAUNCH_ENTRY_FAILED;
        return false;
    }
    processor.launched = true;
    if (const auto number = static_cast<std::size_t>(reason.basic); number < exit_reason_limit)
        processor.exits[number]++;
    return handle({processor, vmcs, frame->registers, reason.basic}) == Action::resume;
}

/// Something arrived in root operation that belongs to Linux. The next VM entry delivers it. If a
/// handler wanted to raise an exception, that is dropped: the guest executes the instruction again,
/// and it exits again.
extern "C" [[gnu::used]] inline void late_inject(vtx::RootFrame *frame) {
    using namespace vtx;
    CurrentVmcs &vmcs = *frame->processor->vmcs;
    const std::uint32_t replaced = vmcs.read(Field32::entry_interruption_information);
    // Another one was about to be delivered when this one arrived, and waits again.
    if (replaced == InterruptionInformation::nmi().encode())
        frame->pending |= PENDING_NMI;
    if (replaced == InterruptionInformation::exception(Vector::machine_check).encode())
        frame->pending |= PENDING_MACHINE_CHECK;
    // A machine check first: it will not let Linux do much else. The NMI follows at the next exit.
    const bool check = (frame->pending & PENDING_MACHINE_CHECK) != 0;
    const auto event = check ? InterruptionInformation::exception(Vector::machine_check)
                             : InterruptionInformation::nmi();
    frame->pending &= ~static_cast<std::uint64_t>(check ? PENDING_MACHINE_CHECK : PENDING_NMI);
    vmcs.write(Field32::entry_interruption_information, event.encode());
    // STI and MOV SS would forbid it. Both handlers have a stack of their own.
    vmcs.write(
        Field32::guest_interruptibility,
        vmcs.read(Field32::guest_interruptibility) & ~(Blocking::sti | Blocking::mov_ss));
}

/// VMRESUME failed, with these flags: a mistake of ours in the VMCS.
extern "C" [[gnu::used]] inline void
late_resume_failed(vtx::RootFrame *frame, std::uint64_t flags) {
    using namespace vtx;
    Processor &processor = *frame->processor;
    processor.vmcs->fail(Failure::instruction(
        result_of(Instruction::vmresume, (flags & Rflags::cf) != 0, (flags & Rflags::zf) != 0)));
    processor.give_up();
}

/// An exception in root operation: a mistake of ours in the code. A second one ends the machine.
extern "C" [[gnu::used]] inline void
late_root_exception(vtx::RootFrame *frame, std::uint64_t vector) {
    using namespace vtx;
    Processor &processor = *frame->processor;
    if (processor.report.root_exception != nullptr || !processor.vmcs)
        reset_machine();
    processor.report.root_exception = mnemonic(static_cast<Vector>(vector));
    processor.report.rip = processor.vmcs->read(FieldNatural::guest_rip);
    processor.give_up();
}

/// Out of VMX operation.
extern "C" [[gnu::used]] inline void late_leave(vtx::RootFrame *frame) {
    vtx::leave(*frame->processor, *frame);
}
