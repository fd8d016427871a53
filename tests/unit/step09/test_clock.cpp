// SPDX-License-Identifier: GPL-2.0-only
// The guest's time, in the timer's ticks.
#include "clock.hpp"

#include <gtest/gtest.h>

#include <cstdint>

using vtx::Clock, vtx::Pit;

namespace {

constexpr std::uint64_t day = 24 * 60 * 60;

} // namespace

TEST(GuestClock, TicksAreThoseOfTheTimer) {
    Clock clock;
    clock.start(5'000'000, 2'000'000); // 2 GHz
    EXPECT_EQ(clock.ticks(5'000'000), 0u);
    EXPECT_EQ(clock.ticks(5'000'000 + 2'000'000'000), Pit::hertz - 1) << "rounded down";
    EXPECT_EQ(clock.ticks(5'000'000 + 2'000'000'500), Pit::hertz);
}

TEST(GuestClock, AMonthIsRightToAFewMilliseconds) {
    for (const std::uint32_t khz : {1'000'000u, 1'999'999u, 2'893'300u, 5'000'000u}) {
        Clock clock;
        clock.start(1000, khz);
        const std::uint64_t month = 30 * day;
        const std::uint64_t ticks = clock.ticks(1000 + month * khz * 1000);
        EXPECT_NEAR(static_cast<double>(ticks), static_cast<double>(month * Pit::hertz), 4000.0)
            << khz << ": wrong by more than 3 ms";
    }
}

TEST(GuestClock, ATimeInTscIsEnoughForItsTicks) {
    for (const std::uint32_t khz : {1'000'000u, 2'893'300u, 5'000'000u}) {
        Clock clock;
        clock.start(1000, khz);
        std::uint64_t tsc = 1000;
        for (const std::uint64_t ticks : {0u, 1u, 2u, 100u, 65536u}) {
            const std::uint64_t before = clock.ticks(tsc);
            tsc += clock.tsc_of(ticks);
            EXPECT_GE(clock.ticks(tsc), before + ticks) << khz;
            EXPECT_LE(clock.ticks(tsc), before + ticks + 2) << khz;
        }
        EXPECT_NEAR(
            static_cast<double>(clock.tsc_of(std::uint64_t{1} << 31)),
            static_cast<double>(khz) * 1000.0 * 1799.795, khz * 10.0)
            << "half an hour does not overflow";
    }
}

TEST(GuestClock, AProcessorThatIsALittleBehindDoesNotTurnTimeBack) {
    Clock clock;
    clock.start(1'000'000'000, 2'000'000);
    EXPECT_EQ(clock.ticks(999'999'000), 0u);
    const std::uint64_t now = clock.ticks(1'500'000'000);
    EXPECT_EQ(clock.ticks(1'499'000'000), now);
    EXPECT_EQ(clock.ticks(1'500'000'000), now);
    EXPECT_GT(clock.ticks(1'500'100'000), now);
}

TEST(GuestClock, ATscThatBeginsAnewGoesOnWhereTheTimeWas) {
    Clock clock;
    clock.start(1'000'000'000'000, 2'000'000);
    const std::uint64_t now = clock.ticks(1'002'000'000'000); // a second later
    EXPECT_EQ(clock.ticks(5'000), now) << "the machine slept";
    EXPECT_NEAR(
        static_cast<double>(clock.ticks(5'000 + 4'000'000'000)),
        static_cast<double>(now + 2 * Pit::hertz), 2.0);
}
