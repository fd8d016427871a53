// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The extended page tables: every guest-physical address is the machine's own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory_types.hpp"
#include "page.hpp"
#include "x86/paging.hpp"

namespace vtx {

/// What the VMCS field "EPT pointer" must hold: the first table, which the processor reads as
/// write-back memory (6), and the number of levels less one.
/// \sdm{table-format-of-extended-page-table-pointer}
constexpr std::uint64_t ept_pointer(PhysicalAddress first_table, unsigned levels) {
    return first_table.value | std::uint64_t{levels - 1} << 3 | 6;
}

/// An entry of an EPT paging structure. \sdm{the-extended-page-table-mechanism-ept}
struct EptEntry {
    std::uint64_t value{}; ///< The eight bytes in the table.

    static constexpr std::uint64_t read = 1ull << 0;    ///< The guest may read,
    static constexpr std::uint64_t write = 1ull << 1;   ///< write,
    static constexpr std::uint64_t execute = 1ull << 2; ///< and fetch instructions.
    static constexpr std::uint64_t large = 1ull << 7;   ///< Of 2 MiB or 1 GiB, by the level.
    static constexpr std::uint64_t all = read | write | execute;

    /// Leads to the table of the next level. The page's own entry decides what is allowed.
    static constexpr EptEntry table(PhysicalAddress address) { return {address.value | all}; }

    /// Maps a page to itself. The type stands where the MTRRs stood before: the guest's PAT still
    /// has its say, so the two together give what they gave without us.
    static constexpr EptEntry
    page(std::uint64_t address, MemoryType type, std::uint64_t permissions, bool is_large) {
        return {
            address | permissions | static_cast<std::uint64_t>(type) << 3 | (is_large ? large : 0)};
    }
};

/// Maps the whole physical address space one to one, for all processors. A piece has one entry of
/// 1 GiB or 2 MiB where it has one memory type, and single pages elsewhere: so there are few
/// tables, and the processor's cache of translations holds as much as it did before.
class Ept {
public:
    /// Makes the tables. `width` is the number of physical-address bits, at most 48, and `watched`
    /// the page that the guest may read but not write. False if there is no memory.
    [[nodiscard]] bool build(const MemoryTypes &types, unsigned width, PhysicalAddress watched) {
        const Page *const first = take();
        return first != nullptr &&
               fill<4>(*first, 0, {types, std::uint64_t{1} << width, watched.value});
    }

    /// What the VMCS must hold.
    std::uint64_t pointer() const { return ept_pointer(tables_[0].physical(), 4); }

    /// How many pages the tables take.
    std::size_t pages() const { return used_; }

private:
    struct Plan {
        const MemoryTypes &types;
        std::uint64_t end;     ///< of the address space
        std::uint64_t watched; ///< the page without permission to write
    };

    /// Fills a table of a level, 4 the first and 1 the last, that maps addresses from `base` on.
    template <unsigned level>
    [[nodiscard]] bool fill(const Page &table, std::uint64_t base, const Plan &plan) {
        constexpr std::uint64_t size = page_size << (9 * (level - 1)); // of what one entry maps
        for (unsigned i = 0; i < page_table_entries && base + i * size < plan.end; i++) {
            const std::uint64_t address = base + i * size;
            // [exercise 11-2]
            const bool is_watched = plan.watched - address < size;
            const MemoryTypes::Piece piece = plan.types.of(address, size);
            if (level == 1 || (level < 4 && piece.uniform && !is_watched)) {
                const std::uint64_t denied = is_watched ? EptEntry::write : 0;
                table.entries()[i] =
                    EptEntry::page(address, piece.type, EptEntry::all & ~denied, level > 1).value;
            } else if constexpr (level > 1) {
                const Page *const next = take();
                if (next == nullptr || !fill<level - 1>(*next, address, plan))
                    return false;
                table.entries()[i] = EptEntry::table(next->physical()).value;
            }
            // [exercise 11-2]
        }
        return true;
    }

    /// One more table; null if there is no memory, or if the MTRRs want more than anybody has seen.
    const Page *take() {
        if (used_ == capacity || !tables_[used_].allocate())
            return nullptr;
        return &tables_[used_++];
    }

    // 48 bits need 512 tables of the third level; each end of a range, two more.
    static constexpr std::size_t capacity = 768;
    Page tables_[capacity];
    std::size_t used_ = 0;
};

} // namespace vtx
