// SPDX-License-Identifier: GPL-2.0-only
// long-file: one reason after the other, each at every level and from both sides.
// The walk of the EPT paging structures: each way in which it can end, at each level, and the
// values next to those that are wrong.
#include "doctor/rules/ept_walk.hpp"
#include "ept_tables.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string>
#include <utility>

namespace vtx::testing {
namespace {

using Why = EptMisconfiguration;

void lose(EptTables &tables, EptVpidCapability capability) {
    tables.cpu.vmx.ept_vpid &= ~control_bit(capability);
}

/// An entry that maps a page, at the levels at which one can.
constexpr std::uint64_t page_entry(unsigned level, std::uint64_t address, unsigned type = 6) {
    return address | (type << 3) | 7 | (level == 1 ? 0 : EptBits::large);
}

TEST(EptWalk, FindsA4KBytePageThroughFourEntries) {
    const EptWalk walk = EptTables{}.walk();
    EXPECT_EQ(walk.outcome, EptOutcome::mapped);
    EXPECT_EQ(walk.count, 4u);
    EXPECT_EQ(walk.level(), 1u);
    const std::uint64_t expected[][2] = {
        {0x100008, 0x101007}, {0x101010, 0x102007}, {0x102018, 0x103007}, {0x103020, 0x5037}};
    for (unsigned i = 0; i < 4; ++i) {
        EXPECT_EQ(walk.entries[i].address, expected[i][0]) << i;
        EXPECT_EQ(walk.entries[i].value, expected[i][1]) << i;
        EXPECT_EQ(EptWalk::level_of(i), 4 - i);
    }
    EXPECT_EQ(walk.guest_physical, EptTables::guest_physical);
    EXPECT_EQ(walk.host_physical, 0x5567u);
    EXPECT_EQ(walk.page_bytes, 0x1000u);
    EXPECT_EQ(walk.permissions, 7u);
    EXPECT_EQ(walk.memory_type, 6u);
    EXPECT_FALSE(walk.ignores_pat);
    EXPECT_EQ(walk.fault, EptFault{});
}

TEST(EptWalk, FindsLargePages) {
    EptTables tables;
    tables.entry(2) = page_entry(2, 0x7fe00000, 0) | EptBits::ignore_pat;
    const EptWalk small = tables.walk();
    EXPECT_EQ(small.outcome, EptOutcome::mapped);
    EXPECT_EQ(small.count, 3u);
    EXPECT_EQ(small.page_bytes, 0x200000u);
    EXPECT_EQ(small.host_physical, 0x7fe04567u);
    EXPECT_EQ(small.memory_type, 0u);
    EXPECT_TRUE(small.ignores_pat);
    tables.entry(3) = page_entry(3, 0x40000000);
    const EptWalk big = tables.walk();
    EXPECT_EQ(big.outcome, EptOutcome::mapped);
    EXPECT_EQ(big.count, 2u);
    EXPECT_EQ(big.page_bytes, 0x40000000u);
    EXPECT_EQ(big.host_physical, 0x40604567u);
}

// The walk uses nine bits of the address a level, bits 47:12 in all, and bits 51:12 of the EPTP.
TEST(EptWalk, TakesEachIndexFromItsBits) {
    const auto addresses = [](std::uint64_t eptp, std::uint64_t guest_physical) {
        EptTables tables;
        for (unsigned level = 1; level <= 4; ++level) {
            const std::uint64_t index = page_table_index(guest_physical, level);
            tables.memory[EptTables::table(level) + 8 * index] = tables.entry(level);
        }
        const EptWalk walk = tables.walk(eptp, guest_physical);
        EXPECT_EQ(walk.outcome, EptOutcome::mapped);
        std::set<std::uint64_t> result;
        for (const EptWalkEntry &entry : walk.entries) {
            result.insert(entry.address);
        }
        return result;
    };
    using Set = std::set<std::uint64_t>;
    EXPECT_EQ(addresses(0x10001e, 0), (Set{0x100000, 0x101000, 0x102000, 0x103000}));
    EXPECT_EQ(addresses(0x10001e, 0xfff), (Set{0x100000, 0x101000, 0x102000, 0x103000}));
    EXPECT_EQ(addresses(0x10001e, 0x1ff000), (Set{0x100000, 0x101000, 0x102000, 0x103ff8}));
    EXPECT_EQ(addresses(0x10001e, 0x3fe00000), (Set{0x100000, 0x101000, 0x102ff8, 0x103000}));
    EXPECT_EQ(addresses(0x10001e, 0x7fc0000000), (Set{0x100000, 0x101ff8, 0x102000, 0x103000}));
    EXPECT_EQ(addresses(0x10001e, 0xff8000000000), (Set{0x100ff8, 0x101000, 0x102000, 0x103000}));
    EXPECT_EQ(
        addresses(0x10001e, 0xffff000000000000), (Set{0x100000, 0x101000, 0x102000, 0x103000}));
    EXPECT_EQ(addresses(0xfff000000010005e, 0), (Set{0x100000, 0x101000, 0x102000, 0x103000}));
}

TEST(EptWalk, AllowsWhatEveryEntryAllows) {
    for (unsigned level = 1; level <= 4; ++level) {
        for (const unsigned allowed : {1u, 3u, 4u, 5u, 7u}) {
            EptTables tables;
            tables.entry(level) = (tables.entry(level) & ~std::uint64_t{7}) | allowed;
            const EptWalk walk = tables.walk();
            EXPECT_EQ(walk.outcome, EptOutcome::mapped) << level;
            EXPECT_EQ(walk.permissions, allowed) << level;
        }
    }
    EptTables disjoint;
    disjoint.entry(4) ^= 2 | 4; // R
    disjoint.entry(1) ^= 1 | 2; // X
    EXPECT_EQ(disjoint.walk().outcome, EptOutcome::mapped);
    EXPECT_EQ(disjoint.walk().permissions, 0u);
}

// Of an entry that is not present nothing else counts.
TEST(EptWalk, EndsAtAnEntryThatIsNotPresent) {
    for (unsigned level = 1; level <= 4; ++level) {
        EptTables tables;
        for (const std::uint64_t value : {std::uint64_t{0}, ~std::uint64_t{7}}) {
            tables.entry(level) = value;
            const EptWalk walk = tables.walk();
            EXPECT_EQ(walk.outcome, EptOutcome::not_present) << level;
            EXPECT_EQ(walk.level(), level);
            EXPECT_EQ(walk.count, 5 - level);
            EXPECT_EQ(walk.permissions, 0u);
            EXPECT_EQ(walk.entries[walk.count - 1].address, EptTables::entry_address(level));
            EXPECT_EQ(walk.entries[walk.count - 1].value, value);
        }
    }
}

TEST(EptWalk, EndsAtAMisconfiguredEntry) {
    const struct {
        unsigned level;
        std::uint64_t value;
        EptFault fault;
    } entries[] = {
        {4, 0x101002, {Why::write_without_read, 2}},
        {3, 0x102006, {Why::write_without_read, 2}},
        {2, 0x103002, {Why::write_without_read, 2}},
        {1, 0x5036, {Why::write_without_read, 2}},
        {4, 0x101087, {Why::reserved_bits, 0x80}},
        {3, 0x10200f, {Why::reserved_bits, 0x08}},
        {2, 0x103047, {Why::reserved_bits, 0x40}},
        {3, 0x400010b7, {Why::reserved_bits, 0x1000}},
        {2, 0x001010b7, {Why::reserved_bits, 0x101000}},
        {4, 0x10000101007, {Why::beyond_width, 0x10000000000}},
        {3, 0x8000000102007, {Why::beyond_width, 0x8000000000000}},
        {2, 0x100000000b7, {Why::beyond_width, 0x10000000000}},
        {1, 0x30000005037, {Why::beyond_width, 0x30000000000}},
        {3, 0x400000bf, {Why::memory_type, 0x38}},
        {2, 0x00200097, {Why::memory_type, 0x38}},
        {1, 0x501f, {Why::memory_type, 0x38}},
    };
    for (const auto &one : entries) {
        EptTables tables;
        tables.entry(one.level) = one.value;
        const EptWalk walk = tables.walk();
        SCOPED_TRACE(std::to_string(one.level) + ", " + std::to_string(one.value));
        EXPECT_EQ(walk.outcome, EptOutcome::misconfigured);
        EXPECT_EQ(walk.level(), one.level);
        EXPECT_EQ(walk.count, 5 - one.level);
        EXPECT_EQ(walk.fault, one.fault);
    }
}

// Bits 2:0, at each level, with and without execute-only translations.
TEST(EptWalk, KnowsWhichPermissionsGoTogether) {
    for (unsigned level = 1; level <= 4; ++level) {
        EptTables tables;
        for (const bool execute_only : {true, false}) {
            if (!execute_only) {
                lose(tables, EptVpidCapability::execute_only_translations);
            }
            for (unsigned bits = 1; bits < 8; ++bits) {
                EptFault expected;
                if (bits == 2 || bits == 6) {
                    expected = {Why::write_without_read, 2};
                } else if (bits == 4 && !execute_only) {
                    expected = {Why::execute_only, 4};
                }
                EXPECT_EQ(find_ept_fault(tables.cpu, level, 0x5000 | bits), expected)
                    << level << ": " << bits;
            }
        }
    }
}

// Each bit alone, in each kind of entry, where the processor has 40 bits of address.
TEST(EptWalk, KnowsEachReservedBit) {
    const struct {
        unsigned level;
        bool page;
        std::uint64_t reserved;
    } kinds[] = {
        {4, false, 0xf8},      {3, false, 0x78},    {2, false, 0x78},
        {3, true, 0x3ffff000}, {2, true, 0x1ff000}, {1, true, 0},
    };
    const EptTables tables;
    for (const auto &kind : kinds) {
        const std::uint64_t good = kind.page ? page_entry(kind.level, 0, 4) : 7;
        EXPECT_EQ(find_ept_fault(tables.cpu, kind.level, good), EptFault{});
        for (unsigned number = 3; number < 64; ++number) {
            const std::uint64_t bit = std::uint64_t{1} << number;
            if (!kind.page && number == 7 && kind.level < 4) {
                continue; // it would be a page
            }
            EptFault expected;
            if ((kind.reserved & bit) != 0) {
                expected = {Why::reserved_bits, bit};
            } else if (number >= 40 && number <= 51) {
                expected = {Why::beyond_width, bit};
            }
            EXPECT_EQ(find_ept_fault(tables.cpu, kind.level, good | bit), expected)
                << "level " << kind.level << (kind.page ? ", page" : ", table") << ", bit "
                << number;
        }
    }
}

TEST(EptWalk, MeasuresAddressesByTheProcessorsWidth) {
    EptTables tables;
    for (const unsigned width : {36u, 39u, 46u, 51u}) {
        tables.cpu.physical_address_width = static_cast<std::uint8_t>(width);
        const std::uint64_t first_beyond = std::uint64_t{1} << width;
        for (unsigned level = 1; level <= 4; ++level) {
            EXPECT_EQ(find_ept_fault(tables.cpu, level, (first_beyond >> 1) | 7), EptFault{});
            EXPECT_EQ(
                find_ept_fault(tables.cpu, level, first_beyond | 7),
                (EptFault{Why::beyond_width, first_beyond}));
        }
    }
    tables.cpu.physical_address_width = 52;
    EXPECT_EQ(find_ept_fault(tables.cpu, 1, ~std::uint64_t{0xfff} | 7), EptFault{});
}

TEST(EptWalk, KnowsTheMemoryTypes) {
    const std::set<unsigned> reserved{2, 3, 7};
    const EptTables tables;
    for (unsigned level = 1; level <= 3; ++level) {
        for (unsigned type = 0; type < 8; ++type) {
            const EptFault expected =
                reserved.count(type) != 0 ? EptFault{Why::memory_type, 0x38} : EptFault{};
            EXPECT_EQ(find_ept_fault(tables.cpu, level, page_entry(level, 0, type)), expected)
                << level << ": " << type;
        }
    }
    for (const unsigned type : {0u, 1u, 4u, 5u, 6u}) {
        EptTables mapping;
        mapping.entry(1) = page_entry(1, 0x5000, type);
        EXPECT_EQ(mapping.walk().memory_type, type);
    }
}

TEST(EptWalk, KnowsWhichPageSizesTheProcessorHas) {
    const EptFault none{Why::no_such_page_size, 0x80};
    EptTables tables;
    lose(tables, EptVpidCapability::pages_1g);
    EXPECT_EQ(find_ept_fault(tables.cpu, 3, page_entry(3, 0)), none);
    EXPECT_EQ(find_ept_fault(tables.cpu, 2, page_entry(2, 0)), EptFault{});
    EXPECT_EQ(find_ept_fault(tables.cpu, 3, 0x102007), EptFault{});
    tables = EptTables{};
    lose(tables, EptVpidCapability::pages_2m);
    EXPECT_EQ(find_ept_fault(tables.cpu, 3, page_entry(3, 0)), EptFault{});
    EXPECT_EQ(find_ept_fault(tables.cpu, 2, page_entry(2, 0)), none);
    EXPECT_EQ(find_ept_fault(tables.cpu, 2, 0x103007), EptFault{});
    EXPECT_EQ(find_ept_fault(tables.cpu, 1, page_entry(1, 0) | 0x80), EptFault{});
}

// One after the other is put right, and the next is found.
TEST(EptWalk, NamesTheFirstReason) {
    EptTables tables;
    lose(tables, EptVpidCapability::execute_only_translations);
    lose(tables, EptVpidCapability::pages_2m);
    const auto reason = [&tables](std::uint64_t entry) {
        return find_ept_fault(tables.cpu, 2, entry).reason;
    };
    EXPECT_EQ(reason(0x100000010be), Why::write_without_read);
    EXPECT_EQ(reason(0x100000010bc), Why::execute_only);
    EXPECT_EQ(reason(0x100000010bf), Why::no_such_page_size);
    tables = EptTables{};
    EXPECT_EQ(reason(0x100000010bf), Why::reserved_bits);
    EXPECT_EQ(reason(0x100000000bf), Why::beyond_width);
    EXPECT_EQ(reason(0x000000000bf), Why::memory_type);
    EXPECT_EQ(reason(0x000000000b7), Why::none);
}

// The processor looks at permissions when it has the address, and not before.
TEST(EptWalk, PutsAMisconfigurationBeforeAMissingPermission) {
    EptTables tables;
    tables.entry(4) ^= 2 | 4;
    tables.entry(1) = 0x5002;
    EXPECT_EQ(tables.walk().outcome, EptOutcome::misconfigured);
    tables.entry(3) = 0;
    EXPECT_EQ(tables.walk().outcome, EptOutcome::not_present);
}

TEST(EptWalk, SaysWhatItCannotRead) {
    for (unsigned level = 1; level <= 4; ++level) {
        EptTables tables;
        tables.memory.erase(EptTables::entry_address(level));
        const EptWalk walk = tables.walk();
        EXPECT_EQ(walk.outcome, EptOutcome::unreadable);
        EXPECT_EQ(walk.level(), level);
        EXPECT_EQ(walk.entries[walk.count - 1].address, EptTables::entry_address(level));
    }
    const EptWalk blind =
        walk_ept(EptTables::eptp, EptTables::guest_physical, EptTables{}.cpu, PhysicalMemory{});
    EXPECT_EQ(blind.outcome, EptOutcome::unreadable);
    EXPECT_EQ(blind.level(), 4u);
}

TEST(EptWalk, WalksFourLevelsOnly) {
    for (std::uint64_t length = 0; length < 8; ++length) {
        const EptWalk walk = EptTables{}.walk(0x100006 | (length << 3));
        EXPECT_EQ(walk.outcome, length == 3 ? EptOutcome::mapped : EptOutcome::not_4_levels);
        EXPECT_EQ(walk.count, length == 3 ? 4u : 0u);
    }
    EXPECT_EQ(EptTables{}.walk(0x100026).level(), 5u);
}

TEST(EptWalk, HasWordsForAll) {
    const std::string names[] = {"(no such level)", "EPT PTE",   "EPT PDE",
                                 "EPT PDPTE",       "EPT PML4E", "(no such level)"};
    for (unsigned level = 0; level < 6; ++level) {
        EXPECT_EQ(ept_entry_name(level), names[level]);
    }
    const std::string types[] = {"UC", "WC", "reserved", "reserved", "WT", "WP", "WB", "reserved"};
    const std::string permissions[] = {"---", "r--", "-w-", "rw-", "--x", "r-x", "-wx", "rwx"};
    std::set<std::string> reasons;
    for (unsigned i = 0; i < 8; ++i) {
        EXPECT_EQ(ept_memory_type_name(i), types[i]);
        EXPECT_EQ(ept_permissions_text(0x7fff8 | i), permissions[i]);
        reasons.insert(ept_misconfiguration_text(static_cast<Why>(i)));
    }
    EXPECT_EQ(reasons.size(), 8u);
    EXPECT_EQ(reasons.count("(unknown)"), 1u);
}

} // namespace
} // namespace vtx::testing
