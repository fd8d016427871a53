// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What time it is for the guest, in the units of its devices.
#pragma once

#include <cstdint>

#include "pit.hpp"

namespace vtx {

/// The guest's time is the host's, and both count it by the TSC.
class Clock {
public:
    /// The guest begins at `tsc`, on a processor whose TSC counts `khz` in a millisecond.
    void start(std::uint64_t tsc, std::uint32_t khz) {
        start_ = latest_ = tsc;
        khz_ = khz;
        factor_ = (Pit::hertz << fraction) / (std::uint64_t{khz} * 1000);
    }

    /// Ticks of the TSC in a millisecond.
    std::uint32_t khz() const { return khz_; }

    /// Milliseconds since the guest began.
    std::uint64_t milliseconds() const { return (__builtin_ia32_rdtsc() - start_) / khz_; }

    /// The timer's ticks since the guest began. They never go back, though `tsc` may: another
    /// processor's may be a little behind, and while the machine sleeps it may begin anew. Then the
    /// guest's time goes on where it was.
    std::uint64_t ticks(std::uint64_t tsc) {
        const std::uint64_t second = std::uint64_t{khz_} * 1000;
        if (tsc < latest_ && latest_ - tsc > second) {
            start_ -= latest_ - tsc;
            latest_ = tsc;
        }
        latest_ = tsc > latest_ ? tsc : latest_;
        // 128 bits, because 64 would be full after a second or two.
        return static_cast<std::uint64_t>(
            static_cast<unsigned __int128>(latest_ - start_) * factor_ >> fraction);
    }

    /// How long a few ticks of the timer take, as TSC, and a little more, so that they have passed
    /// then. At most 2^31 ticks.
    std::uint64_t tsc_of(std::uint64_t ticks) const {
        return (ticks + 1) * (std::uint64_t{khz_} * 1000) / Pit::hertz;
    }

private:
    /// Bits behind the point of factor_: as many as hertz leaves free in 64.
    static constexpr unsigned fraction = 43;

    std::uint64_t start_ = 0, latest_ = 0, factor_ = 0;
    std::uint32_t khz_ = 1;
};

} // namespace vtx
