// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Events that wait to be delivered to the guest, and how they get there.
#pragma once

#include <cstdint>

#include "pic.hpp"
#include "vmcs.hpp"
#include "vmx/interruption_information.hpp"
#include "x86/control_registers.hpp"

namespace vtx {

/// An exception, or INT n, as a VM entry injects it.
struct Event {
    InterruptionInformation information{};
    std::uint32_t error_code = 0; ///< If the information says that there is one.
    std::uint32_t instruction_length =
        0; ///< If software raised it: what the processor adds to RIP.
};

/// The queue. It is short, because a processor delivers one event at a time: at its head an
/// exception, then an interrupt that is acknowledged but not delivered, then whatever the interrupt
/// controller asks for.
struct EventQueue {
    Event exception{};
    InterruptionInformation interrupt{};
    std::uint64_t injected = 0;  ///< Interrupts that VM entries delivered.
    bool window_is_open = false; ///< The VMCS has "interrupt-window exiting".

    /// True if something waits for the next VM entry.
    bool waits(const PicPair &pic) const {
        return exception.information.valid || interrupt.valid || pic.interrupts();
    }
};

// [keep]
/// After each VM exit. If the processor was delivering an event just then, it has not arrived: it
/// goes back to the queue, and the next VM entry delivers it again.
/// \sdm{information-for-vm-exits-during-event-delivery}
inline void keep_undelivered(EventQueue &queue, CurrentVmcs &vmcs) {
    auto event = InterruptionInformation::decode(vmcs.read(Field32::idt_vectoring_information));
    if (!event.valid)
        return;
    event.nmi_unblocking = false; // undefined there, and must be 0 for an entry
    if (event.type == EventType::external_interrupt) {
        queue.interrupt = event;
        queue.injected--;
        return;
    }
    queue.exception = {
        .information = event,
        .error_code = event.has_error_code ? vmcs.read(Field32::idt_vectoring_error_code) : 0,
        .instruction_length =
            event.is_software() ? vmcs.read(Field32::exit_instruction_length) : 0};
}
// [keep]

/// True if the guest takes an interrupt now: RFLAGS.IF is 1, and neither STI nor MOV SS holds it
/// off for one instruction. A debug exception that is pending goes first, and a VM entry that
/// injects an interrupt would drop it.
/// \sdm{interrupt-window-exiting-and-virtual-interrupt-delivery}
/// \sdm{table-format-of-pending-debug-exceptions}
inline bool takes_interrupts(CurrentVmcs &vmcs) {
    static constexpr std::uint64_t breakpoint = 1u << 12, single_step = 1u << 14;
    const bool enabled = (vmcs.read(FieldNatural::guest_rflags) & Rflags::if_) != 0;
    const std::uint32_t blocked = vmcs.read(Field32::guest_interruptibility);
    const std::uint64_t pending = vmcs.read(FieldNatural::guest_pending_debug_exceptions);
    return enabled && (blocked & (Blocking::sti | Blocking::mov_ss)) == 0 &&
           (pending & (breakpoint | single_step)) == 0;
}

// [inject]
/// Before each VM entry: lets it deliver the head of the queue. If an interrupt has to wait, the
/// guest exits as soon as it can take one: "interrupt-window exiting". \sdm{event-injection}
/// \param primary the primary controls, without that one
inline void
inject(EventQueue &queue, PicPair &pic, CurrentVmcs &vmcs, ControlSet<PrimaryControl> primary) {
    // [exercise 09-1]
    if (queue.exception.information.valid) {
        const Event event = queue.exception;
        queue.exception = {};
        vmcs.write(Field32::entry_interruption_information, event.information.encode());
        if (event.information.has_error_code)
            vmcs.write(Field32::entry_exception_error_code, event.error_code);
        if (event.information.is_software())
            vmcs.write(Field32::entry_instruction_length, event.instruction_length);
    } else if ((queue.interrupt.valid || pic.interrupts()) && takes_interrupts(vmcs)) {
        if (!queue.interrupt.valid)
            queue.interrupt = InterruptionInformation::interrupt(pic.acknowledge());
        vmcs.write(Field32::entry_interruption_information, queue.interrupt.encode());
        queue.interrupt = {};
        queue.injected++;
    }

    const bool open = queue.interrupt.valid || pic.interrupts();
    if (open == queue.window_is_open)
        return;
    queue.window_is_open = open;
    vmcs.write(
        Field32::primary_controls,
        (open ? primary | PrimaryControl::interrupt_window_exiting : primary).bits);
    // [exercise 09-1]
}
// [inject]

} // namespace vtx
