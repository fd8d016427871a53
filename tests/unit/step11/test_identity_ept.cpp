// SPDX-License-Identifier: GPL-2.0-only
// The EPT of step 11: each address leads to itself, with the memory type that the MTRRs give it.
#include "ept.hpp"
#include "fakes.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <memory>

using namespace vtx;

namespace {

constexpr std::uint64_t kib = 1024, mib = kib << 10, gib = mib << 10;
constexpr unsigned width = 40;
constexpr std::uint64_t address_bits = 0x000ffffffffff000;
constexpr PhysicalAddress watched{5 * gib + 3 * mib + 7 * page_size};

constexpr MemoryTypes::Range range(std::uint64_t base, std::uint64_t size, MemoryType type) {
    return {base, ((std::uint64_t{1} << width) - 1) & ~(size - 1), type};
}

/// A PC: RAM everywhere but in the video memory, below 4 GiB, and where ranges overlap.
MemoryTypes pc() {
    MemoryTypes types;
    types.enabled = types.fixed_enabled = true;
    types.otherwise = MemoryType::write_back;
    for (std::uint64_t &eight : types.first_mib)
        eight = 0x0606060606060606;
    types.first_mib[2] = 0; // 0xa0000 to 0xbffff
    types.first_mib[10] = 0x0505050505050505;
    const MemoryTypes::Range ranges[] = {
        range(3 * gib, gib, MemoryType::uncacheable),
        range(2 * gib, 16 * mib, MemoryType::write_combining),
        range(6 * gib, gib, MemoryType::write_through),
        range(6 * gib + 4 * mib, 4 * mib, MemoryType::uncacheable),
        range(7 * gib, 64 * kib, MemoryType::write_through),
        range(7 * gib, 64 * kib, MemoryType::write_back),
    };
    for (const MemoryTypes::Range &one : ranges)
        types.range[types.ranges++] = one;
    return types;
}

struct Leaf {
    std::uint64_t address, permissions;
    unsigned type, level;
};

Leaf walk(const Ept &ept, std::uint64_t address) {
    std::uint64_t table = ept.pointer() & address_bits & ~fake::physical_bit;
    for (unsigned level = 4; level >= 1; level--) {
        std::uint64_t value = 0;
        std::memcpy(&value, fake::at(table + (address >> (3 + 9 * level) & 511) * 8), 8);
        const bool is_leaf = level == 1 || (value >> 7 & 1) != 0;
        if (is_leaf) {
            const std::uint64_t offset = address & ((std::uint64_t{1} << (3 + 9 * level)) - 1);
            return {(value & address_bits) | offset, value & 7, unsigned(value >> 3 & 7), level};
        }
        EXPECT_EQ(value & 0xff8, 0u) << "no memory type in what leads to a table";
        table = value & address_bits & ~fake::physical_bit;
    }
    return {};
}

struct IdentityEpt : testing::Test {
    void SetUp() override {
        fake::memory.pages_left = 1000;
        types = pc();
        ASSERT_TRUE(ept->build(types, width, watched));
    }
    MemoryTypes types;
    std::unique_ptr<Ept> ept = std::make_unique<Ept>();
};

TEST_F(IdentityEpt, EachAddressLeadsToItselfWithTheTypeOfItsPage) {
    for (std::uint64_t address = 0; address < 9 * gib; address += 61 * page_size + 8) {
        const Leaf leaf = walk(*ept, address);
        ASSERT_EQ(leaf.address, address);
        const auto piece = types.of(address & ~(page_size - 1), page_size);
        ASSERT_TRUE(piece.uniform);
        ASSERT_EQ(leaf.type, unsigned(piece.type)) << std::hex << address;
    }
    EXPECT_EQ(walk(*ept, (std::uint64_t{1} << width) - 1).address, (std::uint64_t{1} << width) - 1);
}

TEST_F(IdentityEpt, OnlyTheWatchedPageMayNotBeWritten) {
    EXPECT_EQ(walk(*ept, watched.value + 5).permissions, 5u);
    EXPECT_EQ(walk(*ept, watched.value + 5).level, 1u);
    EXPECT_EQ(walk(*ept, watched.value - 1).permissions, 7u);
    EXPECT_EQ(walk(*ept, watched.value + page_size).permissions, 7u);
}

TEST_F(IdentityEpt, PiecesAreAsLargeAsTheirTypeAllows) {
    EXPECT_EQ(walk(*ept, gib).level, 3u);
    EXPECT_EQ(walk(*ept, 3 * gib + 5).level, 3u) << "one range, all of it";
    EXPECT_EQ(walk(*ept, 100 * gib).level, 3u);
    EXPECT_EQ(walk(*ept, 2 * gib + 17 * mib).level, 2u);
    EXPECT_EQ(walk(*ept, 4 * mib).level, 2u);
    EXPECT_EQ(walk(*ept, 0xb8000).level, 1u);
    // PML4, 2 for 1 TiB; directories for GiB 0, 2, 5, 6, 7; tables for MiB 0, the page, 64 KiB.
    EXPECT_EQ(ept->pages(), 1u + 2 + 5 + 3);
}

TEST_F(IdentityEpt, NoMemoryIsSaid) {
    for (unsigned pages = 0; pages < 11; pages++) {
        Ept poor;
        fake::memory.pages_left = pages;
        EXPECT_FALSE(poor.build(types, width, watched)) << pages;
    }
}

TEST(MemoryTypesTest, KnownAddresses) {
    const MemoryTypes types = pc();
    const auto at = [&types](std::uint64_t address) { return types.of(address, page_size).type; };
    EXPECT_EQ(at(0x9f000), MemoryType::write_back);
    EXPECT_EQ(at(0xa0000), MemoryType::uncacheable);
    EXPECT_EQ(at(0xbf000), MemoryType::uncacheable);
    EXPECT_EQ(at(0xc0000), MemoryType::write_back);
    EXPECT_EQ(at(0xf7000), MemoryType::write_back);
    EXPECT_EQ(at(0xff000), MemoryType::write_protected);
    EXPECT_EQ(at(2 * gib + 15 * mib), MemoryType::write_combining);
    EXPECT_EQ(at(2 * gib + 16 * mib), MemoryType::write_back);
    EXPECT_EQ(at(3 * gib), MemoryType::uncacheable);
    EXPECT_EQ(at(6 * gib), MemoryType::write_through);
    EXPECT_EQ(at(6 * gib + 5 * mib), MemoryType::uncacheable) << "UC wins";
    EXPECT_EQ(at(7 * gib), MemoryType::write_through) << "WT wins over WB";
}

TEST(MemoryTypesTest, SwitchedOffMeansUncacheable) {
    MemoryTypes types = pc();
    types.enabled = false;
    EXPECT_EQ(types.of(gib, gib).type, MemoryType::uncacheable);
    EXPECT_TRUE(types.of(0, gib).uniform);
}

} // namespace
