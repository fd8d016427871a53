// SPDX-License-Identifier: GPL-2.0-only
// The machine's devices together: which port is whose, and how the timer's ticks become requests.
#include "devices.hpp"
#include "machine.hpp"

#include <gtest/gtest.h>

#include <cstdint>

using namespace vtx;

// ---- Ports --------------------------------------------------------------------------------------

TEST_F(Machine, APortWithoutADeviceReadsAsOnesAndHearsNothing) {
    for (const unsigned port : {0x0, 0x3f, 0x44, 0x80, 0x3f9, 0xcf8, 0xffff}) {
        write_port(*vm, static_cast<std::uint16_t>(port), 1, 0x12);
        for (const unsigned size : {1u, 2u, 4u})
            EXPECT_EQ(read_port(*vm, static_cast<std::uint16_t>(port), size), 0xffffffffu) << port;
    }
    EXPECT_EQ(printed(), "");
}

TEST_F(Machine, TwoPortsPrintOneByteAtATime) {
    write_port(*vm, 0xe9, 1, 'a');
    write_port(*vm, 0x3f8, 1, 'b');
    write_port(*vm, 0xe9, 2, 'c');
    write_port(*vm, 0x3f8, 4, 'd');
    write_port(*vm, 0xe8, 1, 'e');
    EXPECT_EQ(printed(), "ab");
}

TEST_F(Machine, ADeviceIsReadAndWrittenByteByByte) {
    write_port(*vm, 0x21, 2, 0x1234);
    EXPECT_EQ(read_port(*vm, 0x21, 1), 0xffu) << "still masked";
    EXPECT_EQ(read_port(*vm, 0x20, 2), 0xffffffffu);
    write_port(*vm, 0x21, 1, 0x34);
    write_port(*vm, 0xa1, 1, 0x56);
    EXPECT_EQ(read_port(*vm, 0x21, 1), 0x34u);
    EXPECT_EQ(read_port(*vm, 0xa1, 1), 0x56u);
    write_port(*vm, 0x61, 1, 2);
    EXPECT_EQ(read_port(*vm, 0x61, 1) & 0x0fu, 2u);
    EXPECT_EQ(read_port(*vm, 0x43, 1), 0xffu);
}

// ---- Ticks --------------------------------------------------------------------------------------

TEST_F(Timed, ATickBecomesOneRequest) {
    begin(2, 1000);
    update(999);
    EXPECT_FALSE(vm->pic.interrupts());
    update(1001);
    EXPECT_TRUE(vm->pic.interrupts());
    EXPECT_EQ(vm->pic.acknowledge(), 0x20);
    update(1500);
    EXPECT_FALSE(vm->pic.interrupts());
}

TEST_F(Timed, TicksThatTheGuestIsLateForComeOneByOneAndNoneIsLost) {
    begin(2, 1000);
    unsigned taken = 0;
    update(10 * 1000 + 500);
    while (vm->pic.interrupts()) {
        vm->pic.acknowledge();
        taken++;
        update(10 * 1000 + 500);
        EXPECT_FALSE(vm->pic.interrupts()) << "not before its handler has ended";
        vm->pic.write(0x20, 0x20);
        ASSERT_LT(taken, 100u);
    }
    EXPECT_EQ(taken, 10u);
}

TEST_F(Timed, AMaskedTickWaitsAndTheOthersBehindIt) {
    vm->pic.write(0x21, 0xff);
    begin(2, 1000);
    for (const std::uint64_t tick : {1500u, 2500u, 3500u})
        update(tick);
    EXPECT_FALSE(vm->pic.interrupts());
    EXPECT_TRUE(vm->pic.is_requested(0));
    vm->pic.write(0x21, 0xfe);
    unsigned taken = 0;
    for (; vm->pic.interrupts(); taken++) {
        vm->pic.acknowledge();
        vm->pic.write(0x20, 0x20);
        update(3500);
    }
    EXPECT_EQ(taken, 3u);
}

TEST_F(Timed, TheNextUpdateIsWhenTheNextTickIsDue) {
    EXPECT_EQ(vm->next_update(at(0)), Vm::never);
    begin(2, 1000);
    EXPECT_GE(vm->next_update(at(300)), at(1001));
    EXPECT_LE(vm->next_update(at(300)), at(1004));
    update(1001);
    vm->pic.acknowledge();
    EXPECT_GE(vm->next_update(at(1500)), at(2001));
    EXPECT_LE(vm->next_update(at(1500)), at(2004));
}

TEST_F(Timed, ATickThatIsOnItsWayDoesNotHideTheNextOne) {
    begin(2, 1000);
    update(1001);
    ASSERT_TRUE(vm->pic.is_requested(0));
    EXPECT_GE(vm->next_update(at(1300)), at(2001));
    EXPECT_LE(vm->next_update(at(1300)), at(2004)) << "so that it is in time";
    update(2001);
    EXPECT_EQ(vm->next_update(at(2001)), Vm::never) << "this one waits for the guest";
}

/// Time that passes by itself, but slowly: a tick of the timer is some milliseconds.
struct Slow : Timed {
    static constexpr std::uint32_t slow_khz = 4'000'000'000;

    /// The machine began so many ticks ago.
    void age(std::uint64_t ticks) const {
        const std::uint64_t tick = std::uint64_t{slow_khz} * 1000 / Pit::hertz;
        vm->clock.start(__builtin_ia32_rdtsc() - ticks * tick, slow_khz);
    }
};

TEST_F(Slow, ATickThatIsDueIsNotLostWhenTheTimerIsSetAnew) {
    begin(0, 1000);
    age(5000);
    write_port(*vm, 0x43, 1, 0x30);
    EXPECT_TRUE(vm->pic.is_requested(0)) << "by a control word";
    vm->pic.acknowledge();
    vm->pic.write(0x20, 0x20);

    begin(0, 1000);
    age(5000);
    write_port(*vm, 0x40, 1, 0xff);
    write_port(*vm, 0x40, 1, 0xff);
    EXPECT_TRUE(vm->pic.is_requested(0)) << "by a count";
}

TEST_F(Slow, TheControllerShowsATickThatIsDue) {
    begin(2, 60000);
    age(60100);
    write_port(*vm, 0x20, 1, 0x0a);
    EXPECT_EQ(read_port(*vm, 0x20, 1), 1u);
    write_port(*vm, 0x20, 1, 0x0c);
    EXPECT_EQ(read_port(*vm, 0x20, 1), 0x80u) << "and poll takes it";
}
