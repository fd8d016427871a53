// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Which kind of memory lies where: what the processor's MTRRs say.
#pragma once

#include <cstddef>
#include <cstdint>

#include "x86/cpuid.hpp"
#include "x86/msr.hpp"
#include "x86/physical.hpp"

namespace vtx {

/// How the processor may cache memory, in the numbers of MTRRs and EPT entries.
/// \sdm{ept-and-memory-typing}
enum class MemoryType : std::uint8_t {
    uncacheable = 0,     ///< UC: device registers
    write_combining = 1, ///< WC: frame buffers
    write_through = 4,   ///< WT
    write_protected = 5, ///< WP: firmware in flash
    write_back = 6,      ///< WB: RAM
};

/// The memory-type range registers. Under EPT the processor does not look at them: the entry that
/// maps a page must say what they would have said, or device registers are cached.
///
/// A plain value: read() fills it once, and the rest is arithmetic.
struct MemoryTypes {
    /// The numbers of the registers. \sdm{table-ia-32-architectural-msrs}
    static constexpr std::uint32_t capability = 0xfe, default_type = 0x2ff, variable = 0x200;
    static constexpr std::size_t fixed_count = 11, variable_limit = 32;
    static constexpr std::uint32_t fixed[fixed_count] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
                                                         0x26b, 0x26c, 0x26d, 0x26e, 0x26f};

    /// A variable range: an address belongs to it if it equals `base` in all bits of `mask`.
    struct Range {
        std::uint64_t base, mask;
        MemoryType type;

        constexpr bool operator==(const Range &) const = default;
    };

    bool enabled = false;                           ///< If not, all memory is uncacheable.
    bool fixed_enabled = false;                     ///< The first MiB has its own registers.
    MemoryType otherwise = MemoryType::uncacheable; ///< Where no range is.
    std::uint64_t first_mib[fixed_count]{};         ///< The fixed registers: a byte a piece.
    std::size_t ranges = 0;                         ///< How many variable ranges are in use.
    Range range[variable_limit]{};                  ///< The first `ranges` of these are.

    /// True if both say the same everywhere.
    constexpr bool operator==(const MemoryTypes &) const = default;

    /// Reads the registers of the processor at hand, into a new object.
    void read() {
        static constexpr std::uint32_t has_mtrrs = 1u << 12;
        if ((cpuid(1).edx & has_mtrrs) == 0) {
            enabled = true;
            otherwise = MemoryType::write_back; // the guest's PAT alone decides
            return;
        }
        const std::uint64_t capabilities = read_msr(Msr{capability});
        const std::uint64_t general = read_msr(Msr{default_type});
        enabled = (general >> 11 & 1) != 0;
        fixed_enabled = (capabilities >> 8 & 1) != 0 && (general >> 10 & 1) != 0;
        otherwise = MemoryType(general & 0xff);
        for (std::size_t i = 0; fixed_enabled && i < fixed_count; i++)
            first_mib[i] = read_msr(Msr{fixed[i]});
        for (std::uint32_t i = 0; i < (capabilities & 0xff) && i < variable_limit; i++) {
            const std::uint64_t base = read_msr(Msr{variable + 2 * i});
            const std::uint64_t mask = read_msr(Msr{variable + 2 * i + 1});
            if ((mask >> 11 & 1) != 0) // V: the pair is in use
                range[ranges++] = {
                    base & ~(page_size - 1), mask & ~(page_size - 1), MemoryType(base & 0xff)};
        }
    }

    /// What is known of a piece of memory.
    struct Piece {
        bool uniform;    ///< All of it has one type.
        MemoryType type; ///< Which; if it is uniform.
    };

    /// The type of `size` bytes from `base` on: a power of two that divides `base`, at least a
    /// page.
    constexpr Piece of(std::uint64_t base, std::uint64_t size) const {
        if (!enabled)
            return {true, MemoryType::uncacheable};
        if (fixed_enabled && base < std::uint64_t{1} << 20)
            return {size == page_size, fixed_type(base)};

        bool found = false;
        MemoryType type = otherwise;
        for (std::size_t i = 0; i < ranges; i++) {
            if (((base ^ range[i].base) & range[i].mask & ~(size - 1)) != 0)
                continue; // the piece lies outside
            if ((range[i].mask & (size - 1)) != 0)
                return {false, type}; // the range begins or ends inside the piece
            type = found ? both(type, range[i].type) : range[i].type;
            found = true;
        }
        return {true, type};
    }

    /// The type where two ranges overlap: UC wins, WT wins over WB, and for other pairs the SDM
    /// promises nothing, so we take the type that is always safe.
    static constexpr MemoryType both(MemoryType one, MemoryType other) {
        if (one == other)
            return one;
        const bool cached = (one == MemoryType::write_through && other == MemoryType::write_back) ||
                            (one == MemoryType::write_back && other == MemoryType::write_through);
        return cached ? MemoryType::write_through : MemoryType::uncacheable;
    }

private:
    /// The first 512 KiB in pieces of 64 KiB, the next 256 KiB of 16, and 256 KiB of 4.
    constexpr MemoryType fixed_type(std::uint64_t address) const {
        std::size_t piece = 0;
        if (address < 0x80000)
            piece = address >> 16;
        else if (address < 0xc0000)
            piece = 8 + ((address - 0x80000) >> 14);
        else
            piece = 24 + ((address - 0xc0000) >> 12);
        return MemoryType(first_mib[piece / 8] >> (piece % 8 * 8) & 0xff);
    }
};

} // namespace vtx
