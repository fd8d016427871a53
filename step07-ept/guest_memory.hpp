// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The guest's memory: as much RAM as you ask for, and EPT between it and the machine's.
///
/// The wall is no longer in the guest's page tables but below them. The guest may load any CR3 and
/// write anything into its tables: each address that comes out of them is a guest-physical one,
/// which EPT translates once more. What EPT does not map, the guest cannot reach.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ept.hpp"
#include "page.hpp"
#include "x86/paging.hpp"

namespace vtx {

/// RAM at guest-physical 0, made of pieces of the machine's memory that lie anywhere.
class GuestMemory {
public:
    static constexpr unsigned most_megabytes = 512; ///< The most RAM that allocate() takes.

    /// What a guest finds when it begins. Its page tables lie in its own RAM, and it may change
    /// them.
    static constexpr std::uint64_t program = 0x1000;        ///< A program, at most 64 KiB,
    static constexpr std::uint64_t program_limit = 0x10000; ///< begins here,
    static constexpr std::uint64_t tables = 0x70000;        ///< its first page table is here,
    static constexpr std::uint64_t stack = tables;          ///< and its stack grows down from here.

    /// Takes the RAM, in pieces of 2 MiB where there are such, else page by page. False if there is
    /// not enough; what was taken is given back with the object. `megabytes` is 1 to
    /// most_megabytes.
    [[nodiscard]] bool allocate(unsigned megabytes) {
        size_ = std::uint64_t{megabytes} << 20;
        if (!ept_.allocate())
            return false;
        for (std::size_t number = 0; number * LargePage::size < size_; number++)
            if (!allocate_block(number))
                return false;
        map_one_to_one();
        return true;
    }

    /// The tables that map it.
    const Ept &ept() const { return ept_; }

    /// The EPT entry at a physical address; null if none of the tables lies there.
    const std::uint64_t *ept_entry(PhysicalAddress address) const {
        const std::uint64_t *found = ept_.entry(address);
        for (const Block &block : blocks_)
            if (found == nullptr && block.pages)
                found = entry_in(block.pages->table, address);
        return found;
    }

    /// Bytes of RAM.
    std::uint64_t size() const { return size_; }

    /// True if all of [address, address + size) is RAM. Addresses are guest-physical.
    bool contains(std::uint64_t address, std::uint64_t size) const {
        return address <= size_ && size <= size_ - address;
    }

    /// The byte at a guest-physical address that contains() allows.
    std::byte &byte_at(std::uint64_t address) const {
        const Block &block = blocks_[address / LargePage::size];
        const std::uint64_t offset = address % LargePage::size;
        if (block.pages)
            return block.pages->page[offset / page_size].bytes()[offset % page_size];
        return block.large.bytes()[offset];
    }

    /// Copies a program of at most program_limit bytes to where it begins.
    void load(const std::byte *bytes, std::size_t size) {
        for (std::uint64_t i = 0; i < size; i++)
            byte_at(program + i) = bytes[i];
    }

private:
    /// Single pages, and the EPT page table that maps them.
    struct Pages {
        Page table;
        Page page[Ept::pages_in_a_block];
    };

    /// 2 MiB of the guest's: one piece, or single pages.
    struct Block {
        LargePage large;
        Box<Pages> pages;
    };

    [[nodiscard]] bool allocate_block(std::size_t number) {
        Block &block = blocks_[number];
        const std::uint64_t left = size_ - number * LargePage::size;
        if (left >= LargePage::size && block.large.allocate()) {
            ept_.map_large(number, block.large.physical());
            return true;
        }
        const std::size_t count = left < LargePage::size ? left / page_size : Ept::pages_in_a_block;
        if (!block.pages.allocate() || !block.pages->table.allocate())
            return false;
        for (std::size_t i = 0; i < count; i++)
            if (!block.pages->page[i].allocate())
                return false;
        ept_.map_pages(number, block.pages->table, block.pages->page, count);
        return true;
    }

    /// Writes the page tables that the guest begins with, into its RAM. Each linear address of RAM
    /// is its own guest-physical one. Three levels, because the third can map 2 MiB an entry.
    void map_one_to_one() {
        static constexpr std::uint64_t pdpt = tables + page_size, directory = pdpt + page_size;
        static constexpr std::uint64_t flags = PageTableEntry::present | PageTableEntry::writable;
        entry_at(tables) = pdpt | flags;
        entry_at(pdpt) = directory | flags;
        for (std::uint64_t address = 0; address < size_; address += LargePage::size)
            entry_at(directory + address / LargePage::size * 8) =
                address | flags | PageTableEntry::large;
    }

    std::uint64_t &entry_at(std::uint64_t address) const {
        return *static_cast<std::uint64_t *>(static_cast<void *>(&byte_at(address)));
    }

    std::uint64_t size_ = 0;
    Ept ept_;
    Block blocks_[most_megabytes / 2];
};

} // namespace vtx
