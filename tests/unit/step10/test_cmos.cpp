// SPDX-License-Identifier: GPL-2.0-only
// The clock with a battery: dates, and how its registers tell them.
#include "cmos.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <ctime>

using namespace vtx;

namespace {

constexpr std::uint64_t day = 86400;

/// A register at a moment.
unsigned at(std::uint64_t seconds, std::uint8_t number) {
    Cmos cmos;
    cmos.write(Cmos::index_port, number);
    return cmos.read(Cmos::data_port, seconds);
}

void expect_date(std::uint64_t seconds, unsigned year, unsigned month, unsigned of_month) {
    const DateTime date = date_of(seconds);
    EXPECT_EQ(date.year, year) << seconds;
    EXPECT_EQ(date.month, month) << seconds;
    EXPECT_EQ(date.day, of_month) << seconds;
}

} // namespace

TEST(Date, TheBeginning) {
    expect_date(0, 1970, 1, 1);
    EXPECT_EQ(date_of(0).weekday, 5u) << "a Thursday";
    EXPECT_EQ(date_of(0).hour + date_of(0).minute + date_of(0).second, 0u);
    expect_date(day - 1, 1970, 1, 1);
    expect_date(day, 1970, 1, 2);
}

TEST(Date, LeapDays) {
    expect_date(951782400, 2000, 2, 29); // 400 divides it, so it has one
    expect_date(951782400 + day, 2000, 3, 1);
    expect_date(1709164800, 2024, 2, 29);
    expect_date(1709164800 + day, 2024, 3, 1);
    expect_date(4107456000, 2100, 2, 28); // 100 divides it, so it has none
    expect_date(4107456000 + day, 2100, 3, 1);
}

TEST(Date, EndsOfYears) {
    expect_date(978307199, 2000, 12, 31); // of 366 days
    expect_date(978307200, 2001, 1, 1);
    expect_date(1767225599, 2025, 12, 31); // of 365
    expect_date(1767225600, 2026, 1, 1);
    const DateTime last = date_of(1767225599);
    EXPECT_EQ(last.hour, 23u);
    EXPECT_EQ(last.minute, 59u);
    EXPECT_EQ(last.second, 59u);
    expect_date(std::uint64_t{1} << 32, 2106, 2, 7);
}

TEST(Date, EachDayAsTheHostCountsIt) {
    for (std::uint64_t n = 0; n < 157054; n++) { // to the end of 2399
        const std::uint64_t seconds = n * day + n % day;
        const auto host_seconds = static_cast<std::time_t>(seconds);
        std::tm host{};
        gmtime_r(&host_seconds, &host);
        const DateTime date = date_of(seconds);
        ASSERT_EQ(date.year, static_cast<unsigned>(host.tm_year) + 1900) << n;
        ASSERT_EQ(date.month, static_cast<unsigned>(host.tm_mon) + 1) << n;
        ASSERT_EQ(date.day, static_cast<unsigned>(host.tm_mday)) << n;
        ASSERT_EQ(date.weekday, static_cast<unsigned>(host.tm_wday) + 1) << n;
        ASSERT_EQ(date.hour, static_cast<unsigned>(host.tm_hour)) << n;
        ASSERT_EQ(date.minute, static_cast<unsigned>(host.tm_min)) << n;
        ASSERT_EQ(date.second, static_cast<unsigned>(host.tm_sec)) << n;
    }
}

TEST(Cmos, HasTwoPorts) {
    EXPECT_FALSE(Cmos::has(0x6f));
    EXPECT_TRUE(Cmos::has(0x70));
    EXPECT_TRUE(Cmos::has(0x71));
    EXPECT_FALSE(Cmos::has(0x72));
}

TEST(Cmos, TellsTheTimeInDecimalDigits) {
    static constexpr std::uint64_t moment = 1767225599; // Wednesday, 2025-12-31 23:59:59
    EXPECT_EQ(at(moment, 0x00), 0x59u);
    EXPECT_EQ(at(moment, 0x02), 0x59u);
    EXPECT_EQ(at(moment, 0x04), 0x23u);
    EXPECT_EQ(at(moment, 0x06), 0x04u);
    EXPECT_EQ(at(moment, 0x07), 0x31u);
    EXPECT_EQ(at(moment, 0x08), 0x12u);
    EXPECT_EQ(at(moment, 0x09), 0x25u);
    EXPECT_EQ(at(moment, 0x32), 0x20u);
    EXPECT_EQ(at(0, 0x09), 0x70u);
    EXPECT_EQ(at(0, 0x32), 0x19u);
    for (unsigned second = 0; second < 60; second++)
        EXPECT_EQ(at(second, 0x00), second / 10 * 16 + second % 10);
}

TEST(Cmos, SaysHowItTellsIt) {
    EXPECT_EQ(at(0, 0x0a) & 0x80, 0u) << "no update in progress: Linux waits for that";
    EXPECT_EQ(at(0, 0x0a) & 0x7f, 0x26u) << "the divider for its crystal";
    EXPECT_EQ(at(0, 0x0b), 0x02u) << "24 hours, not binary, no interrupts";
    EXPECT_EQ(at(0, 0x0d), 0x80u) << "the time is valid";
}

TEST(Cmos, HasNothingElse) {
    for (unsigned number = 0; number < 0x80; number++)
        switch (number) {
        case 0x0:
        case 0x2:
        case 0x4:
        case 0x6:
        case 0x7:
        case 0x8:
        case 0x9:
        case 0xa:
        case 0xb:
        case 0xd:
        case 0x32:
            break;
        default:
            EXPECT_EQ(at(1767225599, static_cast<std::uint8_t>(number)), 0u) << number;
        }
}

TEST(Cmos, TheIndexHasSevenBitsAndCannotBeRead) {
    Cmos cmos;
    cmos.write(Cmos::index_port, 0x80 | 0x0d); // bit 7 is about NMIs
    EXPECT_EQ(cmos.read(Cmos::data_port, 0), 0x80u);
    EXPECT_EQ(cmos.read(Cmos::index_port, 0), 0xffu);
}

TEST(Cmos, CannotBeSet) {
    Cmos cmos;
    cmos.write(Cmos::index_port, 0x09);
    cmos.write(Cmos::data_port, 0x99);
    EXPECT_EQ(cmos.read(Cmos::data_port, 0), 0x70u);
    cmos.write(Cmos::index_port, 0x0b);
    cmos.write(Cmos::data_port, 0x06); // binary
    EXPECT_EQ(cmos.read(Cmos::data_port, 0), 0x02u);
}
