// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Why did this access end in an EPT violation or an EPT misconfiguration? Translates a
/// guest-physical address as the processor does, entry by entry, and says where the walk ends and
/// why. Like the rules it is arithmetic: it reads the tables through a function, so that it runs in
/// a kernel module and in tests. \sdm{ept-translation-mechanism}
///
/// Not here: walks of five levels, and "mode-based execute control for EPT", with which bit 10 of
/// an entry permits fetches, too. Both are newer than the pinned edition of the SDM.
#pragma once

#include "doctor/rules/processor.hpp"
#include "x86/paging.hpp"

#include <cstdint>

namespace vtx {

/// Bits of an EPT paging-structure entry. \sdm{ept-translation-mechanism}
struct EptBits {
    static constexpr std::uint64_t read = 1u << 0;        ///< R
    static constexpr std::uint64_t write = 1u << 1;       ///< W
    static constexpr std::uint64_t execute = 1u << 2;     ///< X
    static constexpr std::uint64_t permissions = 7;       ///< all 0: the entry is not present
    static constexpr std::uint64_t memory_type = 7u << 3; ///< of a page; reserved elsewhere
    static constexpr std::uint64_t ignore_pat = 1u << 6;  ///< of a page; reserved elsewhere
    static constexpr std::uint64_t large = 1u << 7;       ///< maps a page; ignored in an EPT PTE
    static constexpr std::uint64_t address = PageTableEntry::address_mask; ///< bits 51:12
};

/// Levels of a walk: the EPT PML4E is at level 4, the EPT PTE at level 1.
inline constexpr unsigned ept_levels = 4;

/// The SDM's name of an entry at a level: "EPT PML4E", "EPT PDPTE", "EPT PDE", "EPT PTE".
constexpr const char *ept_entry_name(unsigned level) {
    constexpr const char *names[] = {"EPT PTE", "EPT PDE", "EPT PDPTE", "EPT PML4E"};
    return level >= 1 && level <= ept_levels ? names[level - 1] : "(no such level)";
}

/// Bytes that an entry at a level maps if it maps a page: 4 KByte, 2 MByte, 1 GByte.
constexpr std::uint64_t ept_page_size(unsigned level) { return page_size << (9 * (level - 1)); }

/// True if an entry maps a page; otherwise it refers to the table of the next level.
constexpr bool maps_ept_page(unsigned level, std::uint64_t entry) {
    return level == 1 || (level <= 3 && (entry & EptBits::large) != 0);
}

/// What is wrong with a misconfigured entry. \sdm{ept-misconfigurations}
enum class EptMisconfiguration : std::uint8_t {
    none,               ///< Nothing.
    write_without_read, ///< Bits 2:0 are 010b or 110b.
    execute_only,       ///< Bits 2:0 are 100b, which this processor does not support.
    no_such_page_size,  ///< Bit 7 asks for a large page that this processor does not support.
    reserved_bits,      ///< A bit is 1 that is reserved at this level.
    beyond_width,       ///< The address has a bit beyond the processor's physical-address width.
    memory_type,        ///< The memory type is 2, 3 or 7.
};

/// A misconfiguration, and the bits of the entry that are at fault.
struct EptFault {
    EptMisconfiguration reason{}; ///< What is wrong.
    std::uint64_t bits{};         ///< Where.

    friend constexpr bool operator==(const EptFault &, const EptFault &) = default;
};

/// Finds what is wrong with an entry that is present. If several things are, the first in the order
/// of the SDM.
/// \param cpu its IA32_VMX_EPT_VPID_CAP and its physical-address width must be known
constexpr EptFault
find_ept_fault(const ProcessorDescription &cpu, unsigned level, std::uint64_t entry) {
    using Why = EptMisconfiguration;
    const auto lacks = [&](EptVpidCapability capability) { return !cpu.vmx.supports(capability); };

    if ((entry & (EptBits::read | EptBits::write)) == EptBits::write) {
        return {Why::write_without_read, EptBits::write};
    }
    if ((entry & EptBits::permissions) == EptBits::execute &&
        lacks(EptVpidCapability::execute_only_translations)) {
        return {Why::execute_only, EptBits::execute};
    }
    const bool page = maps_ept_page(level, entry);
    if (page && ((level == 3 && lacks(EptVpidCapability::pages_1g)) ||
                 (level == 2 && lacks(EptVpidCapability::pages_2m)))) {
        return {Why::no_such_page_size, EptBits::large};
    }
    // A page begins at a multiple of its size. What describes a page is reserved in other entries.
    const std::uint64_t reserved =
        page ? (ept_page_size(level) - 1) & EptBits::address
             : EptBits::memory_type | EptBits::ignore_pat | (level == 4 ? EptBits::large : 0);
    if ((entry & reserved) != 0) {
        return {Why::reserved_bits, entry & reserved};
    }
    const std::uint64_t beyond = EptBits::address & cpu.bits_beyond_physical();
    if ((entry & beyond) != 0) {
        return {Why::beyond_width, entry & beyond};
    }
    const std::uint64_t type = (entry & EptBits::memory_type) >> 3;
    if (page && (type == 2 || type == 3 || type == 7)) {
        return {Why::memory_type, EptBits::memory_type};
    }
    return {};
}

/// How a walk ended.
enum class EptOutcome : std::uint8_t {
    mapped,        ///< An entry maps a page. Without the permission that an access needs, it is
                   ///< still an EPT violation. \sdm{ept-violations}
    not_present,   ///< Bits 2:0 of an entry are 0: an EPT violation. \sdm{ept-violations}
    misconfigured, ///< An entry is invalid: an EPT misconfiguration. \sdm{ept-misconfigurations}
    unreadable,    ///< The memory of an entry could not be read here.
    not_4_levels,  ///< The EPTP asks for another page-walk length; nothing was walked.
};

/// An entry that the walk used.
struct EptWalkEntry {
    std::uint64_t address{}; ///< Its physical address.
    std::uint64_t value{};   ///< The eight bytes there.
};

/// The translation of one guest-physical address.
struct EptWalk {
    std::uint64_t guest_physical{};     ///< The address.
    EptWalkEntry entries[ept_levels]{}; ///< From the EPT PML4E down.
    unsigned count{};                   ///< How many of them were used.
    EptOutcome outcome{};               ///< How it ended: at the last of them.
    EptFault fault{};                   ///< If misconfigured: what is wrong with the last of them.

    // What follows counts only if the address is mapped.
    std::uint64_t permissions{};   ///< R, W and X that all entries allow, as EptBits.
    std::uint64_t host_physical{}; ///< What the address is translated to.
    std::uint64_t page_bytes{};    ///< Size of the page: 4 KByte, 2 MByte or 1 GByte.
    unsigned memory_type{};        ///< EPT memory type. \sdm{ept-and-memory-typing}
    bool ignores_pat{};            ///< The guest's PAT does not count, only the EPT memory type.

    /// The level of an entry: 4 for the first.
    static constexpr unsigned level_of(unsigned index) { return ept_levels - index; }

    /// The level at which it ended; 5 if nothing was walked.
    constexpr unsigned level() const { return ept_levels + 1 - count; }
};

/// Walks the EPT paging structures: an entry that is invalid counts before a permission that some
/// entry above it withholds. \sdm{prioritization-of-ept-misconfigurations-and-ept-violations}
/// \param eptp           the EPT pointer; VM entry must have accepted it (rules C19 to C23)
/// \param guest_physical the address; the walk uses bits 47:0 of it
/// \param cpu            its IA32_VMX_EPT_VPID_CAP and its physical-address width must be known
/// \param memory         reads entries
constexpr EptWalk walk_ept(
    std::uint64_t eptp, std::uint64_t guest_physical, const ProcessorDescription &cpu,
    const PhysicalMemory &memory) {
    EptWalk walk;
    walk.guest_physical = guest_physical;
    if (((eptp >> 3) & 7u) != ept_levels - 1) {
        walk.outcome = EptOutcome::not_4_levels;
        return walk;
    }
    walk.permissions = EptBits::permissions;
    std::uint64_t table = eptp & EptBits::address;
    for (unsigned level = ept_levels;; --level) { // ends at 1, where each entry maps a page
        EptWalkEntry &entry = walk.entries[walk.count++];
        entry.address = table + std::uint64_t{8} * page_table_index(guest_physical, level);
        if (!memory.given() || !memory.read(memory.context, entry.address, entry.value)) {
            walk.outcome = EptOutcome::unreadable;
            return walk;
        }
        walk.permissions &= entry.value;
        if ((entry.value & EptBits::permissions) == 0) {
            walk.outcome = EptOutcome::not_present;
            return walk;
        }
        walk.fault = find_ept_fault(cpu, level, entry.value);
        if (walk.fault.reason != EptMisconfiguration::none) {
            walk.outcome = EptOutcome::misconfigured;
            return walk;
        }
        table = entry.value & EptBits::address;
        if (maps_ept_page(level, entry.value)) {
            walk.outcome = EptOutcome::mapped;
            walk.page_bytes = ept_page_size(level);
            walk.host_physical = table | (guest_physical & (walk.page_bytes - 1));
            walk.memory_type = static_cast<unsigned>(entry.value >> 3) & 7u;
            walk.ignores_pat = (entry.value & EptBits::ignore_pat) != 0;
            return walk;
        }
    }
}

/// What a misconfigured entry does, in words: "sets bits that ...". Never null; a static string.
constexpr const char *ept_misconfiguration_text(EptMisconfiguration reason) {
    switch (reason) {
    case EptMisconfiguration::none:
        return "is valid";
    case EptMisconfiguration::write_without_read:
        return "allows writes but no reads";
    case EptMisconfiguration::execute_only:
        return "allows fetches but no reads, which this processor does not support";
    case EptMisconfiguration::no_such_page_size:
        return "maps a page of a size that this processor does not support";
    case EptMisconfiguration::reserved_bits:
        return "sets bits that are reserved at this level";
    case EptMisconfiguration::beyond_width:
        return "has an address beyond the processor's physical-address width";
    case EptMisconfiguration::memory_type:
        return "has a reserved memory type (2, 3 or 7)";
    }
    return "(unknown)";
}

/// The short name of an EPT memory type: "UC", "WB", ... Never null; a static string.
/// \sdm{ept-and-memory-typing}
constexpr const char *ept_memory_type_name(unsigned type) {
    constexpr const char *names[] = {"UC", "WC", "reserved", "reserved",
                                     "WT", "WP", "WB",       "reserved"};
    return names[type & 7u];
}

/// R, W and X as `ls` writes them: "r-x". Never null; a static string.
constexpr const char *ept_permissions_text(std::uint64_t entry) {
    constexpr const char *texts[] = {"---", "r--", "-w-", "rw-", "--x", "r-x", "-wx", "rwx"};
    return texts[entry & EptBits::permissions];
}

} // namespace vtx
