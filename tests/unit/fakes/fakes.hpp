// SPDX-License-Identifier: GPL-2.0-only
// What kernel.h promises of memory, on the host: fakes.cpp defines it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fake {

/// How much memory there is. Each test begins with more than it needs.
struct Memory {
    std::size_t pages_left = ~std::size_t{0}; ///< Pages that can still be had.
    unsigned large_every = 1; ///< Only every so many-th request for a large page succeeds; 0: none.
    unsigned large_requests = 0;
    std::size_t in_use = 0; ///< What was taken and not given back, in pieces.
};
extern Memory memory;

/// Physical addresses here are not the pointers: bit 48 is set, and a confusion shows.
inline constexpr std::uint64_t physical_bit = std::uint64_t{1} << 48;

/// The bytes at a physical address.
inline std::byte *at(std::uint64_t physical) {
    return reinterpret_cast<std::byte *>(physical & ~physical_bit);
}

} // namespace fake
