// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The guest's own page tables: where a linear address of INS or OUTS leads.
#pragma once

#include <cstdint>

#include "guest_memory.hpp"
#include "x86/control_registers.hpp"
#include "x86/paging.hpp"

namespace vtx {

/// What decides how the guest's linear addresses become guest-physical ones.
struct PagingState {
    std::uint64_t cr0{}, cr3{}, cr4{}, efer{};
    std::uint64_t pdptes[4]{}; ///< Of PAE paging: the processor keeps them, and so does the VMCS.
    bool user = false;         ///< The privilege level is 3.
};

/// Where an address leads, or the page fault.
struct Translation {
    bool ok = false;
    std::uint64_t physical = 0;   ///< If ok.
    std::uint32_t error_code = 0; ///< Else: that of \#PF.
};

// [walk]
/// Translates one linear address for a read or a write of data. Does not set accessed and dirty
/// bits, and knows neither reserved bits nor protection keys nor SMAP: it is for the buffer of INS
/// and OUTS. A table outside RAM reads as not present. \sdm{chapter-paging}
inline Translation
translate(const GuestMemory &memory, const PagingState &state, std::uint64_t linear, bool write) {
    // The other kinds of paging have these bits in the same places.
    static constexpr std::uint64_t present = PageTableEntry::present,
                                   writable = PageTableEntry::writable, user = PageTableEntry::user,
                                   large = PageTableEntry::large;
    if ((state.cr0 & Cr0::pg) == 0)
        return {true, linear, 0};

    const bool is_long = (state.efer & Efer::lma) != 0, pae = (state.cr4 & Cr4::pae) != 0;
    const unsigned entry_size = pae ? 8 : 4, index_bits = pae ? 9 : 10;
    const std::uint32_t fault =
        (write ? PageFaultError::write : 0) | (state.user ? PageFaultError::user : 0);
    const bool checks_write = write && (state.user || (state.cr0 & Cr0::wp) != 0);
    std::uint64_t entry = state.cr3;
    std::uint64_t rights = writable | user; // what all levels allow
    unsigned level = is_long ? 4 : 2;
    if (pae && !is_long) {
        entry = state.pdptes[linear >> 30 & 3];
        if ((entry & present) == 0)
            return {false, 0, fault};
    }
    for (; level >= 1; level--) {
        const std::uint64_t address_mask = pae ? 0x000ffffffffff000 : 0xfffff000;
        const unsigned shift = 12 + (level - 1) * index_bits;
        const std::uint64_t index = linear >> shift & ((1u << index_bits) - 1);
        const std::uint64_t table = entry & address_mask;
        entry = 0;
        memory.read(table + index * entry_size, &entry, entry_size);
        if ((entry & present) == 0)
            return {false, 0, fault};
        rights &= entry;
        const bool may_be_large = level == 2 || (level == 3 && is_long);
        const bool is_leaf = level == 1 || (may_be_large && (entry & large) != 0 &&
                                            (pae || (state.cr4 & Cr4::pse) != 0));
        if (!is_leaf)
            continue;
        if ((checks_write && (rights & writable) == 0) || (state.user && (rights & user) == 0))
            return {false, 0, fault | PageFaultError::present};
        const std::uint64_t offset_mask = (std::uint64_t{1} << shift) - 1;
        return {true, (entry & address_mask & ~offset_mask) | (linear & offset_mask), 0};
    }
    return {};
}
// [walk]

} // namespace vtx
