// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// IA-32e paging: entries, indices, canonical addresses. Arithmetic only.
#pragma once

#include "x86/physical.hpp"

#include <cstdint>

namespace vtx {

/// An entry of a PML4 table, page-directory-pointer table, page directory or page table.
/// \sdm{ia-32e-paging}
struct PageTableEntry {
    std::uint64_t value{}; ///< The eight bytes in the table.

    static constexpr std::uint64_t present = 1ull << 0;       ///< P: the entry is in use
    static constexpr std::uint64_t writable = 1ull << 1;      ///< R/W
    static constexpr std::uint64_t user = 1ull << 2;          ///< U/S: ring 3 may use it
    static constexpr std::uint64_t write_through = 1ull << 3; ///< PWT
    static constexpr std::uint64_t cache_disable = 1ull << 4; ///< PCD
    static constexpr std::uint64_t accessed = 1ull << 5;      ///< A: set by the processor
    static constexpr std::uint64_t dirty = 1ull << 6;         ///< D: set by the processor, leaves
    static constexpr std::uint64_t large = 1ull << 7;         ///< PS: a 2-MByte or 1-GByte page
    static constexpr std::uint64_t global = 1ull << 8;        ///< G: survives a load of CR3
    static constexpr std::uint64_t no_execute = 1ull << 63;   ///< XD; reserved if EFER.NXE = 0
    static constexpr std::uint64_t address_mask = 0x000ffffffffff000; ///< bits 51:12

    constexpr PageTableEntry() = default;

    /// From the eight bytes in a table.
    explicit constexpr PageTableEntry(std::uint64_t bits) : value{bits} {}

    /// An entry that refers to a table or a 4-KByte page.
    /// \param address page-aligned; bits outside 51:12 are dropped
    /// \param flags   the constants above, or-ed; `present` is one of them and is not implied
    static constexpr PageTableEntry make(PhysicalAddress address, std::uint64_t flags) {
        return PageTableEntry{(address.value & address_mask) | flags};
    }

    /// The physical address that the entry of a table or a 4-KByte page refers to. (In an entry
    /// of a large page bit 12 is PAT and must be masked off as well.)
    constexpr PhysicalAddress address() const { return PhysicalAddress{value & address_mask}; }

    /// True if all of `flags` are set.
    constexpr bool has(std::uint64_t flags) const { return (value & flags) == flags; }

    /// P.
    constexpr bool is_present() const { return has(present); }

    /// R/W.
    constexpr bool is_writable() const { return has(writable); }

    /// U/S.
    constexpr bool is_user() const { return has(user); }

    /// PS. Only entries of a page directory or a page-directory-pointer table have this bit; in a
    /// page table it is PAT.
    constexpr bool is_large() const { return has(large); }

    /// XD.
    constexpr bool is_no_execute() const { return has(no_execute); }

    friend constexpr bool operator==(const PageTableEntry &, const PageTableEntry &) = default;
};

static_assert(sizeof(PageTableEntry) == 8, "the processor walks tables of eight-byte entries");

/// Entries in a table.
inline constexpr unsigned page_table_entries = 512;

/// Index into the table of one level.
/// \param level 1 page table, 2 page directory, 3 page-directory-pointer table, 4 PML4, 5 PML5
constexpr unsigned page_table_index(std::uint64_t linear, unsigned level) {
    return static_cast<unsigned>(linear >> (page_shift + 9 * (level - 1))) & 0x1ffu;
}

/// Index into the PML4 table: bits 47:39.
constexpr unsigned pml4_index(std::uint64_t linear) { return page_table_index(linear, 4); }

/// Index into the page-directory-pointer table: bits 38:30.
constexpr unsigned pdpt_index(std::uint64_t linear) { return page_table_index(linear, 3); }

/// Index into the page directory: bits 29:21.
constexpr unsigned pd_index(std::uint64_t linear) { return page_table_index(linear, 2); }

/// Index into the page table: bits 20:12.
constexpr unsigned pt_index(std::uint64_t linear) { return page_table_index(linear, 1); }

/// Offset in a 4-KByte page: bits 11:0.
constexpr unsigned page_offset(std::uint64_t linear) {
    return static_cast<unsigned>(linear & (page_size - 1));
}

/// True if bits 63:width-1 of a linear address are all equal.
/// \param width 48 with 4-level paging, 57 with CR4.LA57
constexpr bool is_canonical(std::uint64_t linear, unsigned width = 48) {
    const std::uint64_t top = linear >> (width - 1);
    return top == 0 || top == (~std::uint64_t{0} >> (width - 1));
}

/// The table that a value of CR3 points to: bits 51:12, without PCID, PWT, PCD and LAM bits.
/// \sdm{table-use-of-cr3-with-ia-32e-paging-and-cr4-pcide-0}
constexpr PhysicalAddress cr3_table(std::uint64_t cr3) {
    return PhysicalAddress{cr3 & PageTableEntry::address_mask};
}

/// Bits of a page fault's error code; 6 and 7 are newer than the pinned edition of the SDM.
/// \sdm{page-fault-exceptions}
struct PageFaultError {
    static constexpr std::uint32_t present = 1u << 0;        ///< P: a protection violation
    static constexpr std::uint32_t write = 1u << 1;          ///< W/R
    static constexpr std::uint32_t user = 1u << 2;           ///< U/S: a user-mode access
    static constexpr std::uint32_t reserved_bit = 1u << 3;   ///< RSVD: an entry had one set
    static constexpr std::uint32_t fetch = 1u << 4;          ///< I/D: an instruction fetch
    static constexpr std::uint32_t protection_key = 1u << 5; ///< PK
    static constexpr std::uint32_t shadow_stack = 1u << 6;   ///< SS: a shadow-stack access
    static constexpr std::uint32_t hlat = 1u << 7;           ///< HLAT: during that walk
    static constexpr std::uint32_t sgx = 1u << 15;           ///< SGX: an enclave's rule
};

} // namespace vtx
