// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The guest's memory: 60 KiB of RAM, and page tables that map nothing else.
///
/// Without EPT the guest's page tables translate straight to the machine's
/// physical addresses. So the tables themselves are the wall: they hold the
/// guest's own pages and no others, they lie outside of what they map, and
/// every instruction that would put others in their place (a write to CR0, CR3
/// or CR4) leaves the guest.
#pragma once

#include <cstddef>
#include <cstdint>

#include "page.hpp"
#include "x86/paging.hpp"

namespace vtx {

/// The guest sees addresses 0 to 0xFFFF, of which the first page is not mapped,
/// so that a null pointer faults.
class GuestMemory {
public:
    static constexpr std::uint64_t begin = 0x1000; ///< The first address mapped.
    static constexpr std::uint64_t end = 0x10000;  ///< One past the last.

    /// Takes 15 pages of RAM and 4 of page tables, and maps them. False if there
    /// is not enough memory; what was taken is given back with the object.
    [[nodiscard]] bool allocate() {
        for (Page &table : tables_)
            if (!table.allocate())
                return false;
        for (Page &page : ram_)
            if (!page.allocate())
                return false;
        map();
        return true;
    }

    /// What the guest's CR3 must hold: the first table's physical address.
    PhysicalAddress cr3() const { return tables_[0].physical(); }

    /// True if all of [address, address + size) is RAM that the guest can reach.
    static constexpr bool contains(std::uint64_t address, std::uint64_t size) {
        return address >= begin && address <= end && size <= end - address;
    }

    /// The byte at a guest address that contains() allows.
    std::byte &byte_at(std::uint64_t address) const {
        const std::uint64_t offset = address - begin;
        return ram_[offset / page_size].bytes()[offset % page_size];
    }

    /// Copies a program to the beginning of the RAM; what lies behind it stays
    /// zero, as the pages came. `size` is at most end - begin bytes. Called once,
    /// before the guest runs.
    void load(const std::byte *program, std::size_t size) {
        for (std::uint64_t i = 0; i < size; i++)
            byte_at(begin + i) = program[i];
    }

private:
    // [exercise 04-7]
    /// An entry that names a page: present and writable, and for privilege
    /// levels 0 to 2 only, since the guest has no user mode.
    static PageTableEntry entry(const Page &page) {
        return PageTableEntry::make(
            page.physical(), PageTableEntry::present | PageTableEntry::writable);
    }

    /// Fills the tables. One entry in each of the upper three is enough, since
    /// all of the guest lies in the first 2 MiB.
    void map() {
        for (std::size_t level = 0; level + 1 < levels; level++)
            tables_[level].entries()[0] = entry(tables_[level + 1]).value;

        Page &last = tables_[levels - 1];
        for (std::size_t i = 0; i < pages; i++)
            last.entries()[i + begin / page_size] = entry(ram_[i]).value;
    }
    // [exercise 04-7]

    static constexpr std::size_t levels = 4;
    static constexpr std::size_t pages = (end - begin) / page_size;

    Page tables_[levels];
    Page ram_[pages];
};

} // namespace vtx
