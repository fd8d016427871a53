// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The clock with a battery: a chip MC146818 ("CMOS"), which tells Linux the date when it boots.
///
/// Written from Motorola's data sheet, "MC146818 Real-Time Clock Plus RAM", 1984. It can only be
/// read: there is no alarm, no interrupt, and nobody sets it. Each read tells the time of that
/// moment, so whoever wants registers of one second reads them twice, as Linux does.
#pragma once

#include <cstdint>

namespace vtx {

/// A date and a time of day, in UTC.
struct DateTime {
    unsigned year, month, day;     ///< Month and day count from 1.
    unsigned hour, minute, second; ///< The hour is 0 to 23.
    unsigned weekday;              ///< 1 is Sunday, as the chip has it.
};

// [date]
/// What date it is so many seconds after the beginning of 1970. For years up to 2399.
constexpr DateTime date_of(std::uint64_t seconds) {
    const auto days = static_cast<unsigned>(seconds / 86400);
    const auto rest = static_cast<unsigned>(seconds % 86400);
    constexpr auto days_in_year = [](unsigned year) {
        return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 366u : 365u;
    };
    constexpr unsigned days_in_month[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    unsigned year = 1970, month = 1, left = days;
    for (; left >= days_in_year(year); year++)
        left -= days_in_year(year);
    for (; month < 12; month++) {
        const unsigned leap_day = month == 2 && days_in_year(year) == 366 ? 1 : 0;
        const unsigned length = days_in_month[month - 1] + leap_day;
        if (left < length)
            break;
        left -= length;
    }
    // The first day of 1970 was a Thursday.
    return {year, month, left + 1, rest / 3600, rest / 60 % 60, rest % 60, (days + 4) % 7 + 1};
}
// [date]

/// The chip. One port takes a register's number, the other one gives what is in it.
class Cmos {
public:
    static constexpr std::uint16_t index_port = 0x70, data_port = 0x71;

    /// True if `port` is one of the two.
    static constexpr bool has(std::uint16_t port) { return (port & ~1u) == index_port; }

    /// OUT to a port. What is written to a register is forgotten.
    void write(std::uint16_t port, std::uint8_t value) {
        if (port == index_port)
            index_ = value & 0x7f; // bit 7 switches NMIs off, of which this machine has none
    }

    /// IN from a port, when it is so many seconds after the beginning of 1970.
    std::uint8_t read(std::uint16_t port, std::uint64_t seconds) const {
        if (port == index_port)
            return 0xff;
        const DateTime now = date_of(seconds);
        switch (index_) {
        case 0x0:
            return decimal(now.second);
        case 0x2:
            return decimal(now.minute);
        case 0x4:
            return decimal(now.hour);
        case 0x6:
            return decimal(now.weekday);
        case 0x7:
            return decimal(now.day);
        case 0x8:
            return decimal(now.month);
        case 0x9:
            return decimal(now.year % 100);
        case 0x32:
            return decimal(now.year / 100); // where PCs have the century
        case 0xa:
            return 0x26; // the clock runs, and is not just being changed
        case 0xb:
            return 0x02; // decimal digits, 24 hours
        case 0xd:
            return 0x80; // the battery is good
        default:
            return 0;
        }
    }

private:
    /// Two decimal digits in a byte.
    static constexpr std::uint8_t decimal(unsigned value) {
        return static_cast<std::uint8_t>(value / 10 << 4 | value % 10);
    }

    std::uint8_t index_ = 0;
};

} // namespace vtx
