// SPDX-License-Identifier: GPL-2.0-only
// The event queue: what a VM entry injects, when it waits for the interrupt window, and what goes
// back to the queue after an exit.
#include "events.hpp"
#include "handle_events.hpp"
#include "machine.hpp"

#include <gtest/gtest.h>

#include <cstdint>

using namespace vtx;

namespace {

constexpr std::uint32_t window = 1u << 2, valid = 1u << 31;

/// A guest that takes interrupts; IRQ 0 comes as vector 20h.
struct Events : Exits {
    Events() {
        const std::uint8_t words[] = {0x20, 0x04, 0x01, 0x00};
        vm->pic.write(0x20, 0x11);
        for (const std::uint8_t word : words)
            vm->pic.write(0x21, word);
    }

    /// What a VM entry injects now, 0 if nothing; as after an exit, the field was empty before.
    std::uint32_t entry() {
        set(Field32::entry_interruption_information, 0);
        inject(queue, vm->pic, vmcs, ControlSet<PrimaryControl>{});
        return static_cast<std::uint32_t>(get(Field32::entry_interruption_information));
    }
    /// True if the guest exits as soon as it can take an interrupt.
    static bool waits() { return (get(Field32::primary_controls) & window) != 0; }
    /// The processor was delivering this when the guest left.
    void leave_during(std::uint32_t event) {
        set(Field32::idt_vectoring_information, event);
        keep_undelivered(queue, vmcs);
        set(Field32::idt_vectoring_information, 0);
    }
    static void take_interrupts(bool yes) { set(FieldNatural::guest_rflags, yes ? 0x202 : 0x002); }

    EventQueue &queue = vcpu->events;
};

} // namespace

// ---- Injection and the interrupt window ---------------------------------------------------------

TEST_F(Events, NothingWaits) {
    EXPECT_EQ(entry(), 0u);
    EXPECT_FALSE(waits());
    EXPECT_FALSE(queue.waits(vm->pic));
}

TEST_F(Events, AnInterruptIsAcknowledgedAndInjected) {
    vm->pic.pulse(0);
    EXPECT_TRUE(queue.waits(vm->pic));
    EXPECT_EQ(entry(), valid | 0x20);
    EXPECT_EQ(queue.injected, 1u);
    EXPECT_FALSE(vm->pic.is_requested(0));
    EXPECT_FALSE(waits());
    EXPECT_EQ(entry(), 0u) << "once";
}

TEST_F(Events, AnInterruptWaitsForTheWindow) {
    take_interrupts(false);
    vm->pic.pulse(0);
    EXPECT_EQ(entry(), 0u);
    EXPECT_TRUE(waits());
    EXPECT_TRUE(vm->pic.is_requested(0)) << "not acknowledged: a more urgent one may come first";
    EXPECT_EQ(entry(), 0u);
    EXPECT_TRUE(waits());
    take_interrupts(true);
    EXPECT_EQ(entry(), valid | 0x20);
    EXPECT_FALSE(waits());
}

TEST_F(Events, StiAndMovSsHoldItOff) {
    for (const std::uint32_t blocked : {1u, 2u}) {
        set(Field32::guest_interruptibility, blocked);
        vm->pic.pulse(0);
        EXPECT_EQ(entry(), 0u);
        EXPECT_TRUE(waits());
        set(Field32::guest_interruptibility, 8); // of NMIs
        EXPECT_EQ(entry(), valid | 0x20);
        vm->pic.write(0x20, 0x20);
    }
}

TEST_F(Events, APendingDebugExceptionGoesFirst) {
    for (const std::uint64_t pending : {1u << 12, 1u << 14}) {
        set(FieldNatural::guest_pending_debug_exceptions, pending);
        vm->pic.pulse(0);
        EXPECT_EQ(entry(), 0u);
        EXPECT_TRUE(waits());
        set(FieldNatural::guest_pending_debug_exceptions, 0xf); // not valid: nobody has breakpoints
        EXPECT_EQ(entry(), valid | 0x20);
        vm->pic.write(0x20, 0x20);
    }
}

TEST_F(Events, TheWindowStaysOpenForTheNextOne) {
    vm->pic.pulse(3);
    EXPECT_EQ(entry(), valid | 0x23);
    vm->pic.pulse(1);
    take_interrupts(false); // the handler of line 3
    EXPECT_EQ(entry(), 0u);
    EXPECT_TRUE(waits());
    vm->pic.write(0x21, 0x02);
    EXPECT_EQ(entry(), 0u);
    EXPECT_FALSE(waits()) << "it was masked meanwhile";
}

TEST_F(Events, TwoThatWaitNeedTwoEntries) {
    vm->pic.write(0x21, 0x00);
    vm->pic.pulse(3);
    EXPECT_EQ(entry(), valid | 0x23);
    vm->pic.pulse(0);
    vm->pic.pulse(4);
    take_interrupts(true); // STI in the handler
    EXPECT_EQ(entry(), valid | 0x20);
    EXPECT_FALSE(waits()) << "line 4 is less urgent than what is in service";
}

TEST_F(Events, AnExceptionGoesBeforeAnInterrupt) {
    vm->pic.pulse(0);
    exit.raise(Vector::general_protection, 0x18);
    EXPECT_TRUE(queue.waits(vm->pic));
    EXPECT_EQ(entry(), valid | 0xb0d);
    EXPECT_EQ(get(Field32::entry_exception_error_code), 0x18u);
    EXPECT_TRUE(waits()) << "for the interrupt";
    EXPECT_EQ(queue.injected, 0u);
    EXPECT_EQ(entry(), valid | 0x20);
}

// ---- What was not delivered ---------------------------------------------------------------------

TEST_F(Events, AnInterruptThatDidNotArriveIsInjectedAgain) {
    vm->pic.pulse(0);
    entry();
    leave_during(valid | 0x20);
    EXPECT_EQ(queue.injected, 0u);
    EXPECT_TRUE(queue.waits(vm->pic));
    vm->pic.pulse(0);
    EXPECT_EQ(entry(), valid | 0x20) << "this one, and the second one waits for its EOI";
    EXPECT_TRUE(vm->pic.is_requested(0));
    EXPECT_EQ(queue.injected, 1u);
    EXPECT_EQ(entry(), 0u);
}

TEST_F(Events, AnAcknowledgedInterruptWaitsForTheWindow) {
    leave_during(valid | 0x21);
    take_interrupts(false);
    EXPECT_EQ(entry(), 0u);
    EXPECT_TRUE(waits());
    take_interrupts(true);
    EXPECT_EQ(entry(), valid | 0x21);
}

TEST_F(Events, AnExceptionThatDidNotArriveIsInjectedAgain) {
    set(Field32::idt_vectoring_error_code, 0x1234);
    leave_during(valid | 1u << 12 | 0xb0e); // bit 12 is undefined there
    EXPECT_EQ(entry(), valid | 0xb0e);
    EXPECT_EQ(get(Field32::entry_exception_error_code), 0x1234u);
}

TEST_F(Events, AnIntInstructionThatDidNotArriveKeepsItsLength) {
    set(Field32::exit_instruction_length, 3);
    leave_during(valid | 0x480); // INT 80h
    EXPECT_EQ(entry(), valid | 0x480);
    EXPECT_EQ(get(Field32::entry_instruction_length), 3u);
}

TEST_F(Events, AnExitWithoutADeliveryLeavesTheQueueAlone) {
    leave_during(0x20);
    EXPECT_FALSE(queue.waits(vm->pic));
    EXPECT_EQ(entry(), 0u);
}

// ---- HLT ----------------------------------------------------------------------------------------

TEST_F(Events, HltSleepsUntilSomethingWaits) {
    EXPECT_EQ(handle_hlt(exit), Action::leave);
    EXPECT_TRUE(vcpu->halted);
    EXPECT_EQ(get(FieldNatural::guest_rip), 0x1002u);
    EXPECT_EQ(vm->end.how, Ending::none);
}

TEST_F(Events, HltDoesNotSleepIfSomethingWaits) {
    vm->pic.pulse(0);
    set(Field32::guest_interruptibility, 1); // STI; HLT
    EXPECT_EQ(handle_hlt(exit), Action::resume);
    EXPECT_FALSE(vcpu->halted);
    EXPECT_EQ(entry(), valid | 0x20) << "HLT ends the shadow of STI";
}

TEST_F(Events, HltWithInterruptsOffEndsTheGuest) {
    take_interrupts(false);
    vm->pic.pulse(0);
    EXPECT_EQ(handle_hlt(exit), Action::end);
    EXPECT_EQ(vm->end.how, Ending::halt);
    EXPECT_EQ(get(FieldNatural::guest_rip), 0x1000u);
}

TEST_F(Events, HltDoesNotSleepThroughASingleStep) {
    for (const std::uint64_t rflags : {0x302u, 0x102u}) {
        set(FieldNatural::guest_rflags, rflags);
        EXPECT_EQ(handle_hlt(exit), Action::resume);
        EXPECT_FALSE(vcpu->halted);
        EXPECT_EQ(get(FieldNatural::guest_pending_debug_exceptions), 1u << 14);
    }
}
