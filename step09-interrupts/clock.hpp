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
        start_ = tsc;
        khz_ = khz;
        factor_ = (Pit::hertz << 32) / (std::uint64_t{khz} * 1000);
    }

    /// Milliseconds since the guest began.
    std::uint64_t milliseconds() const { return (__builtin_ia32_rdtsc() - start_) / khz_; }

    /// The timer's ticks since the guest began.
    std::uint64_t ticks(std::uint64_t tsc) const {
        // 128 bits, because 64 would be full after a few seconds.
        return static_cast<std::uint64_t>(
            static_cast<unsigned __int128>(tsc - start_) * factor_ >> 32);
    }

    /// How long a few ticks of the timer take, as TSC, and a little more, so that they have passed
    /// then. At most 2^32 ticks.
    std::uint64_t tsc_of(std::uint64_t ticks) const {
        return (ticks + 1) * (std::uint64_t{khz_} * 1000) / Pit::hertz;
    }

private:
    std::uint64_t start_ = 0, factor_ = 0;
    std::uint32_t khz_ = 1;
};

} // namespace vtx
