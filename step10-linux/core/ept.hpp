// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The extended page tables: where the guest's memory lies in the machine's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "page.hpp"
#include "x86/paging.hpp"

namespace vtx {

/// What the VMCS field "EPT pointer" must hold: the first table, which the processor reads as
/// write-back memory (6), and the number of levels less one.
/// \sdm{table-format-of-extended-page-table-pointer}
constexpr std::uint64_t ept_pointer(PhysicalAddress first_table, unsigned levels) {
    return first_table.value | std::uint64_t{levels - 1} << 3 | 6;
}

/// The entry of a table at a physical address; null if the address lies outside the table.
inline const std::uint64_t *entry_in(const Page &table, PhysicalAddress address) {
    const std::uint64_t offset = address.value - table.physical().value;
    return offset < page_size ? &table.entries()[offset / 8] : nullptr;
}

/// An entry of an EPT paging structure. It looks like an entry of ordinary page tables, but bits 2
/// to 0 are permissions of their own, and an entry without any of them is not present.
/// \sdm{the-extended-page-table-mechanism-ept}
struct EptEntry {
    std::uint64_t value{}; ///< The eight bytes in the table.

    static constexpr std::uint64_t read = 1ull << 0;       ///< The guest may read,
    static constexpr std::uint64_t write = 1ull << 1;      ///< write,
    static constexpr std::uint64_t execute = 1ull << 2;    ///< and fetch instructions.
    static constexpr std::uint64_t write_back = 6ull << 3; ///< Memory type of a page: write-back,
    static constexpr std::uint64_t ignore_pat = 1ull << 6; ///< whatever the guest's PAT says.
    static constexpr std::uint64_t large = 1ull << 7;      ///< In a page directory: 2 MiB.
    static constexpr std::uint64_t all = read | write | execute;

    // [exercise 07-1]
    /// Leads to the table of the next level. The page's own entry decides what is allowed.
    static constexpr EptEntry table(PhysicalAddress address) { return {address.value | all}; }

    /// Maps a page of RAM. In a page directory `flags` is `large`.
    static constexpr EptEntry ram(PhysicalAddress address, std::uint64_t flags = 0) {
        // [exercise 07-3]
        return {address.value | all | write_back | ignore_pat | flags};
        // [exercise 07-3]
    }
};

/// Maps guest-physical addresses from 0 on, in blocks of 2 MiB. One page directory has 512 entries,
/// one a block, and that is 1 GiB: more than a guest has. So one table of each upper level is
/// enough.
class Ept {
public:
    static constexpr std::size_t pages_in_a_block = LargePage::size / page_size; ///< 512

    /// Takes the three upper tables. They map nothing yet. False if there is no memory.
    [[nodiscard]] bool allocate() {
        if (!pml4_.allocate() || !pdpt_.allocate() || !directory_.allocate())
            return false;
        pml4_.entries()[0] = EptEntry::table(pdpt_.physical()).value;
        pdpt_.entries()[0] = EptEntry::table(directory_.physical()).value;
        return true;
    }

    /// Maps block `number` to 2 MiB of the machine's memory that lie in one piece.
    void map_large(std::size_t number, PhysicalAddress block) const {
        directory_.entries()[number] = EptEntry::ram(block, EptEntry::large).value;
    }

    /// Maps the first `count` pages of block `number` one by one, through `table`, which is empty.
    void
    map_pages(std::size_t number, const Page &table, const Page *pages, std::size_t count) const {
        for (std::size_t i = 0; i < count; i++)
            table.entries()[i] = EptEntry::ram(pages[i].physical()).value;
        directory_.entries()[number] = EptEntry::table(table.physical()).value;
    }
    // [exercise 07-1]

    /// The entry at a physical address, if it lies in one of the upper tables; else null.
    const std::uint64_t *entry(PhysicalAddress address) const {
        for (const Page *table : {&pml4_, &pdpt_, &directory_})
            if (const std::uint64_t *const found = entry_in(*table, address))
                return found;
        return nullptr;
    }

    /// What the VMCS must hold. These tables have 4 levels; another number is a mistake.
    std::uint64_t pointer(unsigned levels = 4) const {
        return ept_pointer(pml4_.physical(), levels);
    }

    /// Takes from block `number` the permission to read, but not the one to write. Such an entry is
    /// an EPT misconfiguration: a mistake for the parameter `spoil`.
    void misconfigure(std::size_t number) const { directory_.entries()[number] &= ~EptEntry::read; }

private:
    Page pml4_, pdpt_, directory_;
};

} // namespace vtx
