// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The guest's disk: the image that was written to the file `guest`, for reading.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest_memory.hpp"

namespace vtx {

/// A boot image, as it is. It must outlive the run.
struct Disk {
    const std::byte *image = nullptr;
    std::size_t size = 0; ///< In bytes. The last sector may be shorter than the others.

    static constexpr std::size_t sector = 512;                    ///< Bytes of a sector.
    static constexpr std::size_t limit = std::size_t{2880} * 512; ///< A floppy disk of 1.44 MB,
    static constexpr unsigned sectors_a_track = 18, sides = 2;    ///< with its geometry.

    /// True if it has a whole first sector that ends in 0x55 0xAA, as a BIOS wants it.
    bool can_boot() const {
        return size >= sector && image[510] == std::byte{0x55} && image[511] == std::byte{0xaa};
    }

    /// Sectors, counting one that is not whole.
    std::uint64_t sectors() const { return (size + sector - 1) / sector; }

    /// True if there are `count` sectors from number `first` on, and at least one is asked for.
    bool contains(std::uint64_t first, std::uint64_t count) const {
        return count > 0 && first < sectors() && count <= sectors() - first;
    }

    /// Copies sectors that contains() allows into the guest's memory. What the last one lacks is
    /// not written. False if they would not all lie in RAM.
    bool read(
        const GuestMemory &memory, std::uint64_t first, std::uint64_t count,
        std::uint64_t address) const {
        const std::uint64_t begin = first * sector, left = size - begin;
        const std::uint64_t bytes = count * sector;
        return memory.contains(address, bytes) &&
               memory.write(address, image + begin, bytes < left ? bytes : left);
    }
};

} // namespace vtx
