// SPDX-License-Identifier: GPL-2.0-only
// long-file: a test for each thing that the data sheet says.
// The timer, held to the data sheet of the 8254: one channel, and the chip with its ports.
#include "pit.hpp"

#include <gtest/gtest.h>

#include <cstdint>

using vtx::Pit, vtx::PitChannel;

namespace {

/// A channel, and what time it is.
struct OneChannel : testing::Test {
    /// Writes a control word for both bytes, and a count.
    void begin(unsigned mode, unsigned count, bool decimal = false) {
        channel.configure(static_cast<std::uint8_t>(0x30 | mode << 1 | (decimal ? 1 : 0)));
        write(count);
    }
    void write(unsigned count) {
        channel.write(static_cast<std::uint8_t>(count), now);
        channel.write(static_cast<std::uint8_t>(count >> 8), now);
    }
    unsigned read() {
        const unsigned low = channel.read(now);
        return low | unsigned{channel.read(now)} << 8;
    }
    /// The status byte.
    unsigned status() {
        channel.latch_status(now);
        return channel.read(now);
    }
    bool output() { return channel.output(now); }
    std::uint64_t edges() { return channel.edges(now); }
    std::uint64_t wait() { return channel.next_edge(now) - now; }
    /// Ticks until OUT is as wanted.
    unsigned until(bool high) {
        for (unsigned ticks = 0; ticks < 70000; ticks++, now++)
            if (output() == high)
                return ticks;
        return ~0u;
    }

    PitChannel channel;
    std::uint64_t now = 1000;
};

/// The chip.
struct Chip : testing::Test {
    void write(std::uint16_t port, unsigned value) {
        pit.write(port, static_cast<std::uint8_t>(value), now);
    }
    /// Channel 0, both bytes.
    void begin(unsigned mode, unsigned count) {
        write(0x43, 0x30 | mode << 1);
        write_count(count);
    }
    void write_count(unsigned count) {
        write(0x40, count & 0xff);
        write(0x40, count >> 8);
    }
    unsigned read(std::uint16_t port) { return pit.read(port, now); }
    /// Ticks that are due now, taken.
    unsigned take() {
        unsigned taken = 0;
        while (taken < 100000 && pit.take_tick(now))
            taken++;
        return taken;
    }
    Pit pit;
    std::uint64_t now = 5000;
};

} // namespace

// ---- Modes --------------------------------------------------------------------------------------

TEST_F(OneChannel, AChannelWithoutACountStandsStill) {
    EXPECT_EQ(edges(), 0u);
    EXPECT_EQ(channel.next_edge(now), PitChannel::never);
    channel.configure(0x30);
    EXPECT_FALSE(output()) << "mode 0: low from the control word on";
    for (const unsigned mode : {2u, 3u, 4u}) {
        channel.configure(static_cast<std::uint8_t>(0x30 | mode << 1));
        EXPECT_TRUE(output()) << mode;
        now += 100000;
        EXPECT_EQ(edges(), 0u);
    }
}

TEST_F(OneChannel, Mode0RisesOnceAndStaysHigh) {
    begin(0, 5000);
    EXPECT_FALSE(output());
    now += 4999;
    EXPECT_FALSE(output());
    EXPECT_EQ(edges(), 0u);
    now += 2;
    EXPECT_TRUE(output());
    EXPECT_EQ(edges(), 1u);
    EXPECT_EQ(channel.next_edge(now), PitChannel::never);
    now += 1'000'000;
    EXPECT_TRUE(output());
    EXPECT_EQ(edges(), 1u);
    write(100);
    EXPECT_FALSE(output()) << "a new count begins anew";
    EXPECT_EQ(edges(), 0u);
}

TEST_F(OneChannel, Mode0StopsAtTheFirstOfTwoBytes) {
    begin(0, 1000);
    now += 500;
    channel.write(0x00, now);
    now += 1000;
    EXPECT_FALSE(output());
    EXPECT_EQ(edges(), 0u);
    channel.write(0x02, now);
    EXPECT_EQ(wait(), 513u);

    begin(4, 1000);
    now += 500;
    channel.write(0x00, now);
    EXPECT_EQ(wait(), 502u) << "mode 4 does not";
}

TEST_F(OneChannel, Mode0CountsOnBelowZero) {
    begin(0, 10);
    now += 1 + 10 + 3;
    channel.latch_count(now);
    EXPECT_EQ(read() & 0xfff0u, 0xfff0u);
}

TEST_F(OneChannel, Mode2IsLowForOneTickAPeriod) {
    begin(2, 1000);
    until(false);
    EXPECT_EQ(until(true), 1u);
    EXPECT_EQ(edges(), 1u);
    EXPECT_EQ(until(false), 999u);
    EXPECT_EQ(until(true), 1u);
    EXPECT_EQ(edges(), 2u);
    EXPECT_EQ(wait(), 1000u);
    now += 999;
    EXPECT_EQ(wait(), 1u);
    now += 1'000'001;
    EXPECT_EQ(edges(), 1003u);
}

TEST_F(OneChannel, Mode3IsHighForOneHalfAndLowForTheOther) {
    for (const unsigned count : {1000u, 1001u}) {
        begin(3, count);
        until(false);
        EXPECT_EQ(until(true), count / 2) << "the shorter half";
        EXPECT_EQ(edges(), 1u);
        EXPECT_EQ(until(false), (count + 1) / 2);
        EXPECT_EQ(until(true), count / 2);
        EXPECT_EQ(edges(), 2u);
    }
}

TEST_F(OneChannel, Mode3CountsByTwos) {
    begin(3, 1000);
    until(false);
    until(true);
    for (const unsigned expected : {1000u, 998u, 996u}) {
        EXPECT_EQ(read(), expected);
        now++;
    }
    until(false);
    EXPECT_EQ(read(), 1000u) << "twice a period";
}

TEST_F(OneChannel, Mode3ShowsEvenCountsOnly) {
    begin(3, 5);
    now++;
    for (const unsigned expected : {4u, 2u, 0u, 4u, 2u, 4u, 2u, 0u}) {
        EXPECT_EQ(read(), expected) << now;
        now++;
    }
}

TEST_F(OneChannel, Mode4StrobesOnce) {
    begin(4, 1000);
    EXPECT_TRUE(output());
    EXPECT_EQ(edges(), 0u);
    until(false);
    EXPECT_EQ(edges(), 0u);
    EXPECT_EQ(until(true), 1u);
    EXPECT_EQ(edges(), 1u);
    now += 1'000'000;
    EXPECT_TRUE(output());
    EXPECT_EQ(edges(), 1u);
    EXPECT_EQ(channel.next_edge(now), PitChannel::never);
}

TEST_F(OneChannel, Modes6And7Are2And3) {
    channel.configure(0x3c);
    write(1000);
    until(false);
    EXPECT_EQ(until(true), 1u);
    channel.configure(0x3e);
    write(1000);
    until(false);
    EXPECT_EQ(until(true), 500u);
}

TEST_F(OneChannel, ACountOf0IsTheLargest) {
    begin(2, 0);
    now += 65536 + 10;
    EXPECT_EQ(edges(), 1u);
    EXPECT_EQ(wait() / 100, 655u);
    begin(2, 0, true);
    now += 10000 + 10;
    EXPECT_EQ(edges(), 1u);
    EXPECT_EQ(wait() / 100, 99u);
}

TEST_F(OneChannel, TheTickAfterTheWriteLoadsTheCount) {
    begin(0, 5000);
    EXPECT_EQ(wait(), 5001u);
    EXPECT_EQ(until(true), 5001u);
    begin(4, 5000);
    EXPECT_EQ(wait(), 5002u) << "the end of the strobe";
    EXPECT_EQ(until(false), 5001u);
    begin(2, 5000);
    EXPECT_EQ(wait(), 5001u);
    EXPECT_EQ(until(false), 5000u);
    begin(3, 5000);
    EXPECT_EQ(wait(), 5001u);
    EXPECT_EQ(until(false), 2501u);
    channel.set_gate(false, now);
    channel.set_gate(true, now);
    EXPECT_EQ(until(false), 2501u) << "GATE loads it, too";
}

TEST_F(OneChannel, ATimeBeforeTheWriteIsNoTimeAtAll) {
    for (const unsigned mode : {0u, 2u, 3u, 4u}) {
        begin(mode, 5000);
        now -= 3; // another processor's clock may be a little behind
        EXPECT_EQ(edges(), 0u);
        EXPECT_EQ(read(), 5000u);
        EXPECT_EQ(output(), mode != 0);
    }
}

// ---- Counts and their bytes ---------------------------------------------------------------------

TEST_F(OneChannel, DecimalCountsAreWrittenAndReadSo) {
    begin(0, 0x1234, true);
    now += 235;
    EXPECT_EQ(read(), 0x1000u);
    now += 1001;
    EXPECT_EQ(read(), 0x9999u) << "below zero";
}

TEST_F(OneChannel, OneByteCanBeEnough) {
    channel.configure(0x14); // lower byte, mode 2
    channel.write(200, now);
    until(false);
    until(true);
    EXPECT_EQ(wait(), 200u);
    now++;
    EXPECT_EQ(channel.read(now), 199);
    EXPECT_EQ(channel.read(now), 199) << "the same byte again";

    channel.configure(0x24); // upper byte
    channel.write(2, now);
    until(false);
    until(true);
    EXPECT_EQ(wait(), 512u);
    EXPECT_EQ(channel.read(now), 2);
}

TEST_F(OneChannel, ALatchedCountStaysUntilItIsRead) {
    begin(2, 1000);
    until(false);
    until(true);
    now += 100;
    channel.latch_count(now);
    now += 100;
    channel.latch_count(now); // does nothing
    EXPECT_EQ(channel.read(now), 900 & 0xff);
    now += 100;
    EXPECT_EQ(channel.read(now), 900 >> 8) << "both bytes are of the same moment";
    EXPECT_EQ(read(), 700u);
}

TEST_F(OneChannel, ALatchedStatusComesBeforeALatchedCount) {
    begin(2, 1000);
    until(false);
    until(true);
    channel.latch_count(now);
    channel.latch_status(now);
    now += 999;
    channel.latch_status(now); // does nothing
    EXPECT_EQ(channel.read(now), 0xb4) << "OUT high, counts, both bytes, mode 2";
    EXPECT_EQ(read(), 1000u);
    EXPECT_EQ(status(), 0x34u) << "OUT low";
}

TEST_F(OneChannel, TheStatusSaysWhatTheControlWordSaid) {
    channel.configure(0x39);
    EXPECT_EQ(status(), 0xf9u) << "OUT high, no count yet";
    channel.configure(0x10);
    EXPECT_EQ(status(), 0x50u) << "OUT low, no count yet";
}

TEST_F(OneChannel, AControlWordForgetsHalfOfACount) {
    begin(0, 0x1234);
    channel.latch_count(now);
    channel.read(now);
    channel.write(0xff, now);
    channel.configure(0x30);
    write(500);
    now += 1;
    EXPECT_EQ(read(), 500u);
}

TEST_F(OneChannel, ANewCountTakesOverAtTheEndOfAPeriod) {
    for (const unsigned mode : {2u, 3u}) {
        begin(mode, 1000);
        now += 1 + 50 * 1000 + 300; // in the 51st period
        write(400);
        EXPECT_EQ(edges(), 50u) << "a new count makes no edges";
        EXPECT_EQ(wait(), 700u);
        now += 700;
        EXPECT_EQ(edges(), 51u);
        EXPECT_EQ(wait(), 400u);
        now += 4000;
        EXPECT_EQ(edges(), 61u);
    }
}

TEST_F(OneChannel, OfTwoNewCountsTheLaterOneTakesOver) {
    begin(2, 1000);
    now += 301;
    write(5000);
    write(400);
    now += 700 + 400;
    EXPECT_EQ(edges(), 2u);
}

TEST_F(OneChannel, TheStatusSaysThatACountWaits) {
    begin(2, 1000);
    EXPECT_EQ(status(), 0xf4u) << "until the next tick";
    now++;
    EXPECT_EQ(status(), 0xb4u);
    now += 300;
    write(1000);
    EXPECT_EQ(status(), 0xf4u) << "until the end of the period";
    now += 699;
    EXPECT_EQ(status(), 0x74u);
    now++;
    EXPECT_EQ(status(), 0xb4u);
}

// ---- GATE ---------------------------------------------------------------------------------------

TEST_F(OneChannel, WithoutGateModes0And4StandStill) {
    for (const unsigned mode : {0u, 4u}) {
        begin(mode, 1000);
        now += 401;
        channel.set_gate(false, now);
        const unsigned held = read();
        now += 5000;
        EXPECT_EQ(read(), held);
        EXPECT_EQ(edges(), 0u);
        EXPECT_EQ(channel.next_edge(now), PitChannel::never);
        channel.set_gate(true, now);
        EXPECT_EQ(read(), held);
        now += held + 1;
        EXPECT_EQ(edges(), 1u);
    }
}

TEST_F(OneChannel, WithoutGatePeriodicModesAreHighAndBeginAnewWithIt) {
    for (const unsigned mode : {2u, 3u}) {
        begin(mode, 1000);
        until(false);
        channel.set_gate(false, now);
        EXPECT_TRUE(output()) << mode;
        now += 12345;
        EXPECT_TRUE(output()) << mode;
        channel.set_gate(true, now);
        EXPECT_NEAR(until(false), mode == 2 ? 999u : 500u, 1);
    }
}

TEST_F(OneChannel, ACountWrittenWithoutGateWaitsForIt) {
    channel.set_gate(false, now);
    begin(0, 1000);
    now += 5000;
    EXPECT_FALSE(output());
    channel.set_gate(true, now);
    now += 999;
    EXPECT_FALSE(output());
    now += 2;
    EXPECT_TRUE(output());
}

TEST_F(OneChannel, GateBeginsAPeriodOfTheCountThatWaits) {
    for (const unsigned mode : {2u, 3u}) {
        begin(mode, 1000);
        now += 1 + 5 * 1000 + 300;
        write(400);
        channel.set_gate(false, now);
        now += 12345;
        EXPECT_EQ(edges(), 5u);
        channel.set_gate(true, now);
        EXPECT_EQ(edges(), 5u);
        EXPECT_EQ(wait(), 401u) << mode;
        now += 401;
        EXPECT_EQ(edges(), 6u);
    }
}

// ---- The chip -----------------------------------------------------------------------------------

TEST(PitPorts, AreFive) {
    for (const unsigned port : {0x40, 0x41, 0x42, 0x43, 0x61})
        EXPECT_TRUE(Pit::has(static_cast<std::uint16_t>(port))) << port;
    for (const unsigned port : {0x3f, 0x44, 0x60, 0x62, 0x140, 0x4061})
        EXPECT_FALSE(Pit::has(static_cast<std::uint16_t>(port))) << port;
}

TEST_F(Chip, TicksAreTakenOneByOneAndNoneIsLost) {
    EXPECT_EQ(pit.next_tick(now), PitChannel::never);
    begin(2, 1000);
    EXPECT_EQ(take(), 0u);
    EXPECT_NEAR(static_cast<double>(pit.next_tick(now) - now), 1000, 1);
    now += 10 * 1000 + 500;
    EXPECT_TRUE(pit.take_tick(now));
    EXPECT_EQ(pit.next_tick(now), now) << "nine are due";
    EXPECT_EQ(take(), 9u);
    EXPECT_NEAR(static_cast<double>(pit.next_tick(now) - now), 500, 1);
    now += 600;
    EXPECT_EQ(take(), 1u);
}

TEST_F(Chip, ANewCountMakesNoTicks) {
    begin(2, 1000);
    now += 100500;
    EXPECT_EQ(take(), 100u);
    write_count(100);
    EXPECT_EQ(take(), 0u);
    now += 1001;
    EXPECT_NEAR(take(), 6, 1);
}

TEST_F(Chip, AOneShotTicksOnceForEachCount) {
    for (const unsigned mode : {0u, 4u}) {
        begin(mode, 1000);
        now += 100000;
        EXPECT_EQ(take(), 1u) << mode;
        write_count(2000);
        EXPECT_EQ(take(), 0u) << mode;
        now += 2002;
        EXPECT_EQ(take(), 1u) << mode;
    }
}

TEST_F(Chip, AControlWordForChannel0Stops) {
    begin(2, 1000);
    now += 3500;
    EXPECT_EQ(take(), 3u);
    write(0x43, 0x34);
    now += 100000;
    EXPECT_EQ(take(), 0u);
    write_count(1000);
    now += 1500;
    EXPECT_EQ(take(), 1u);
}

TEST_F(Chip, OtherChannelsDoNotTick) {
    begin(2, 1000);
    now += 2500;
    EXPECT_EQ(take(), 2u);
    write(0x43, 0xb6);
    write(0x42, 10);
    write(0x42, 0);
    write(0x61, 1);
    now += 1000;
    EXPECT_EQ(take(), 1u);
}

TEST_F(Chip, Port61SwitchesAndShowsChannel2) {
    write(0x43, 0xb0); // channel 2, both bytes, mode 0
    write(0x42, 0xe8);
    write(0x42, 0x03);
    now += 5000;
    EXPECT_EQ(read(0x61) & 0x23u, 0u) << "its gate is low at first";
    write(0x61, 0xfd);
    EXPECT_EQ(read(0x61) & 0x2fu, 0x01u) << "only two bits can be written";
    now += 1002;
    EXPECT_EQ(read(0x61) & 0x23u, 0x21u);
    write(0x61, 2);
    EXPECT_EQ(read(0x61) & 0x23u, 0x22u);
    write(0x61, 3);
    EXPECT_EQ(read(0x61) & 0x23u, 0x23u);
}

TEST_F(Chip, Port61ShowsTheRefreshOfTheMemory) {
    unsigned changes = 0;
    for (unsigned before = read(0x61); now < 5000 + 1800; now++)
        if ((read(0x61) ^ before) & 0x10) {
            changes++;
            before = read(0x61);
        }
    EXPECT_NEAR(changes, 100, 1);
}

TEST_F(Chip, ReadBackLatchesSeveralAtOnce) {
    begin(2, 1000);
    write(0x43, 0xb4);
    write(0x42, 0xd0);
    write(0x42, 0x07);
    write(0x61, 1);
    now += 301;
    write(0x43, 0xda); // counts of channels 0 and 2
    now += 5000;
    EXPECT_EQ(read(0x40), 700u & 0xff);
    EXPECT_EQ(read(0x42), 1700u & 0xff);
    EXPECT_EQ(read(0x40), 700u >> 8);
    EXPECT_EQ(read(0x42), 1700u >> 8);
    write(0x43, 0xe2); // status of channel 0
    EXPECT_EQ(read(0x40), 0xb4u);
    write(0x43, 0xc2); // both of channel 0
    EXPECT_EQ(read(0x40), 0xb4u);
    now += 200;
    const unsigned low = read(0x40);
    EXPECT_EQ(low | read(0x40) << 8, 1000 - 301 % 1000 + 1);
    EXPECT_EQ(read(0x43), 0xffu) << "the control word cannot be read";
}

TEST_F(Chip, TheLatchCommandStopsNothing) {
    begin(2, 1000);
    now += 501;
    write(0x43, 0x00);
    EXPECT_EQ(read(0x40), 500u & 0xff);
    EXPECT_EQ(read(0x40), 500u >> 8);
    now += 600;
    EXPECT_EQ(take(), 1u);
}
