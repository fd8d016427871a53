// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The guest's memory: as much RAM as you ask for, and EPT between it and the machine's.
///
/// The guest may run without paging, or with page tables of any kind: each address that comes out
/// of them is a guest-physical one, which EPT translates once more. What EPT does not map, the
/// guest cannot reach.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ept.hpp"
#include "page.hpp"

namespace vtx {

/// RAM at guest-physical 0, made of pieces of the machine's memory that lie anywhere.
class GuestMemory {
public:
    static constexpr unsigned most_megabytes = 512; ///< The most RAM that allocate() takes.

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

    /// The byte at a guest-physical address that contains() allows. The bytes behind it are in the
    /// machine's memory behind it, too, up to the end of its page.
    std::byte &byte_at(std::uint64_t address) const {
        const Block &block = blocks_[address / LargePage::size];
        const std::uint64_t offset = address % LargePage::size;
        if (block.pages)
            return block.pages->page[offset / page_size].bytes()[offset % page_size];
        return block.large.bytes()[offset];
    }

    /// Copies `size` bytes into RAM, page by page. False, and nothing is copied, if they would not
    /// all lie in RAM.
    bool write(std::uint64_t address, const void *bytes, std::uint64_t size) const {
        if (!contains(address, size))
            return false;
        const auto *from = static_cast<const std::byte *>(bytes);
        while (size > 0) {
            const std::uint64_t here = rest_of_page(address, size);
            __builtin_memcpy(&byte_at(address), from, here);
            address += here, from += here, size -= here;
        }
        return true;
    }

    /// Copies `size` bytes out of RAM. False, and nothing is copied, if they do not all lie there.
    bool read(std::uint64_t address, void *bytes, std::uint64_t size) const {
        if (!contains(address, size))
            return false;
        auto *to = static_cast<std::byte *>(bytes);
        while (size > 0) {
            const std::uint64_t here = rest_of_page(address, size);
            __builtin_memcpy(to, &byte_at(address), here);
            address += here, to += here, size -= here;
        }
        return true;
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

    static std::uint64_t rest_of_page(std::uint64_t address, std::uint64_t size) {
        const std::uint64_t rest = page_size - address % page_size;
        return size < rest ? size : rest;
    }

    std::uint64_t size_ = 0;
    Ept ept_;
    Block blocks_[most_megabytes / 2];
};

} // namespace vtx
