// SPDX-License-Identifier: GPL-2.0-only
// EPT and the guest's memory: entries, the EPT pointer, and what the tables map, walked as the
// processor walks them.
#include "ept.hpp"
#include "fakes.hpp"
#include "guest_memory.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>

using namespace vtx;

namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;
constexpr std::uint64_t address_bits = 0x000ffffffffff000;

std::uint64_t entry(std::uint64_t table, std::uint64_t index) {
    std::uint64_t value = 0;
    std::memcpy(&value, fake::at(table + index * 8), sizeof value);
    return value;
}

/// Where EPT leads a guest-physical address, or nothing: an EPT violation. What the processor would
/// call a misconfiguration, and what is not RAM that the guest may do all with, fails the test.
std::optional<std::uint64_t> walk(std::uint64_t ept_pointer, std::uint64_t address) {
    std::uint64_t table = ept_pointer & address_bits;
    for (unsigned level = 4; level >= 1; level--) {
        const std::uint64_t value = entry(table, address >> (3 + 9 * level) & 511);
        if (value == 0)
            return std::nullopt;
        EXPECT_EQ(value & 7, 7u) << "read, write, execute";
        const bool leaf = level == 1 || (value >> 7 & 1) != 0;
        EXPECT_TRUE(!leaf || level <= 2) << "a large page above the page directory";
        EXPECT_EQ(value & 0xf78, leaf ? 0x70u : 0u) << "write-back and ignore-PAT, in leaves only";
        EXPECT_EQ(value >> 52, 0u);
        table = value & address_bits;
        if (leaf) {
            const std::uint64_t offset = (std::uint64_t{1} << (3 + 9 * level)) - 1;
            EXPECT_EQ(table & offset, 0u) << "a page is aligned to its size";
            return table | (address & offset);
        }
    }
    return std::nullopt;
}

/// The same through the guest's own page tables, which lie in its RAM.
std::optional<std::uint64_t> guest_walk(const GuestMemory &memory, std::uint64_t linear) {
    std::uint64_t table = GuestMemory::tables;
    for (unsigned level = 4; level >= 2; level--) {
        std::uint64_t value = 0;
        std::memcpy(&value, &memory.byte_at(table + (linear >> (3 + 9 * level) & 511) * 8), 8);
        if (value == 0)
            return std::nullopt;
        EXPECT_EQ(value & 0xfff, level == 2 ? 0x83u : 3u) << "present, writable, large";
        table = value & address_bits;
    }
    return table | (linear & (2 * mib - 1));
}

struct EptMemory : testing::Test {
    EptMemory() { fake::memory = {}; }
    ~EptMemory() override { EXPECT_EQ(fake::memory.in_use, 0u); }
    EptMemory(const EptMemory &) = delete;
    EptMemory &operator=(const EptMemory &) = delete;

    /// RAM, with each page of it and the first beyond looked at.
    static void check(unsigned megabytes) {
        const auto memory = std::make_unique<GuestMemory>();
        ASSERT_TRUE(memory->allocate(megabytes));
        ASSERT_EQ(memory->size(), megabytes * mib);
        const std::uint64_t pointer = memory->ept().pointer();
        for (std::uint64_t address = 0; address < memory->size(); address += page_size) {
            const auto found = walk(pointer, address + 0x123);
            ASSERT_TRUE(found) << address;
            ASSERT_EQ(fake::at(*found), &memory->byte_at(address + 0x123)) << address;
            ASSERT_NE(*found & fake::physical_bit, 0u) << "not a physical address";
        }
        for (const std::uint64_t address :
             {memory->size(), memory->size() + 2 * mib, std::uint64_t{1} << 30,
              std::uint64_t{1} << 39, (std::uint64_t{1} << 48) - 1})
            EXPECT_FALSE(walk(pointer, address)) << address;
        for (const std::uint64_t address : {std::uint64_t{0}, memory->size() - 1})
            EXPECT_EQ(guest_walk(*memory, address), address);
        EXPECT_FALSE(guest_walk(*memory, (memory->size() + 2 * mib - 1) & ~(2 * mib - 1)));
    }
};

} // namespace

TEST(EptEntry, IsWhatTheSdmSays) {
    EXPECT_EQ(EptEntry::table(PhysicalAddress{0x123456000}).value, 0x123456007u);
    EXPECT_EQ(EptEntry::ram(PhysicalAddress{0xffffffffff000}).value, 0xffffffffff077u);
    EXPECT_EQ(EptEntry::ram(PhysicalAddress{0x40000000}, EptEntry::large).value, 0x400000f7u);
}

TEST(EptPointer, HasTheMemoryTypeAndTheLevels) {
    EXPECT_EQ(ept_pointer(PhysicalAddress{0x7654321000}, 4), 0x765432101eu);
    EXPECT_EQ(ept_pointer(PhysicalAddress{0x7654321000}, 5), 0x7654321026u);
}

TEST_F(EptMemory, InLargePages) {
    check(2);
    check(16);
    EXPECT_EQ(fake::memory.large_requests, 9u);
}

TEST_F(EptMemory, InSinglePages) {
    fake::memory.large_every = 0;
    check(4);
}

TEST_F(EptMemory, SomeLargeSomeSingle) {
    fake::memory.large_every = 2;
    check(16);
}

TEST_F(EptMemory, AnOddMegabyteIsHalfABlock) {
    check(1);
    check(3);
    check(17);
}

TEST_F(EptMemory, TheMostThatAGuestCanHave) { check(GuestMemory::most_megabytes); }

TEST_F(EptMemory, NotEnoughAnywhere) {
    std::size_t points = 0;
    for (bool enough = false; !enough; points++) {
        fake::memory = {.pages_left = points};
        enough = std::make_unique<GuestMemory>()->allocate(3);
        ASSERT_EQ(fake::memory.in_use, 0u) << points;
    }
    // Three tables; for the second block what holds its pages, a table, and the 256 pages.
    EXPECT_EQ(points - 1, 3u + 2 + 256);
}

TEST_F(EptMemory, AMisconfiguredEntryLosesItsReadBit) {
    GuestMemory memory;
    ASSERT_TRUE(memory.allocate(4));
    const std::uint64_t directory =
        entry(entry(memory.ept().pointer() & address_bits, 0) & address_bits, 0) & address_bits;
    const std::uint64_t before = entry(directory, 1), other = entry(directory, 0);
    memory.ept().misconfigure(1);
    EXPECT_EQ(entry(directory, 1), before - 1);
    EXPECT_EQ(entry(directory, 0), other);
}

TEST_F(EptMemory, ContainsKnowsTheEdges) {
    GuestMemory memory;
    ASSERT_TRUE(memory.allocate(1));
    EXPECT_TRUE(memory.contains(0, mib));
    EXPECT_TRUE(memory.contains(mib - 1, 1));
    EXPECT_TRUE(memory.contains(mib, 0));
    EXPECT_FALSE(memory.contains(mib, 1));
    EXPECT_FALSE(memory.contains(mib - 1, 2));
    EXPECT_FALSE(memory.contains(mib + 1, 0));
    EXPECT_FALSE(memory.contains(0, mib + 1));
    EXPECT_FALSE(memory.contains(~std::uint64_t{0}, 2));
    EXPECT_FALSE(memory.contains(1, ~std::uint64_t{0}));
}

TEST_F(EptMemory, AProgramLiesAtItsPlaceAndNothingBesideIt) {
    fake::memory.large_every = 0;
    GuestMemory memory;
    ASSERT_TRUE(memory.allocate(1));
    const auto program = std::make_unique<std::byte[]>(GuestMemory::program_limit);
    std::memset(program.get(), 0xa5, GuestMemory::program_limit);
    memory.load(program.get(), GuestMemory::program_limit);
    for (const std::uint64_t address : {0x0u, 0xfffu, 0x11000u})
        EXPECT_EQ(memory.byte_at(address), std::byte{0}) << address;
    for (std::uint64_t address = 0x1000; address < 0x11000; address++)
        ASSERT_EQ(memory.byte_at(address), std::byte{0xa5}) << address;
    static_assert(GuestMemory::program == 0x1000 && GuestMemory::program_limit == 0x10000);
    static_assert(GuestMemory::tables == 0x70000 && GuestMemory::stack == 0x70000);
}
