// SPDX-License-Identifier: GPL-2.0-only
// The MSR and I/O bitmaps: which accesses leave the guest.
#include "bitmaps.hpp"
#include "fakes.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>

using namespace vtx;

namespace {

/// A bit of a page, numbered as the processor numbers them.
bool bit(PhysicalAddress page, std::uint32_t number) {
    return (std::to_integer<unsigned>(fake::at(page.value)[number / 8]) >> number % 8 & 1) != 0;
}

/// Whether the processor leaves the guest for RDMSR or WRMSR. The four kilobytes are the bits for
/// reads of the low MSRs, reads of the high ones, writes of the low ones, writes of the high ones.
bool exits(const Bitmaps &bitmaps, std::uint32_t msr, bool write) {
    const bool low = msr <= 0x1fff, high = msr >= 0xc0000000 && msr <= 0xc0001fff;
    if (!low && !high)
        return true;
    return bit(bitmaps.msrs(), (write ? 16384u : 0u) + (high ? 8192u : 0u) + (msr & 0x1fff));
}

constexpr std::uint32_t lowest[] = {0x0, 0xc0000000};

} // namespace

TEST(Bitmaps, EverythingLeavesTheGuestAtFirst) {
    fake::memory = {};
    {
        Bitmaps bitmaps;
        ASSERT_TRUE(bitmaps.allocate());
        for (std::uint32_t i = 0; i < 32768; i++) {
            ASSERT_TRUE(bit(bitmaps.msrs(), i)) << i;
            ASSERT_TRUE(bit(bitmaps.ports_low(), i)) << i;
            ASSERT_TRUE(bit(bitmaps.ports_high(), i)) << i;
        }
        EXPECT_NE(bitmaps.ports_low().value, bitmaps.ports_high().value);
        EXPECT_NE(bitmaps.ports_low().value, bitmaps.msrs().value);
    }
    EXPECT_EQ(fake::memory.in_use, 0u);
}

TEST(Bitmaps, OnlyTheMsrThatWasNamedIsLetThrough) {
    fake::memory = {};
    for (const std::uint32_t msr :
         {0x0u, 0x1u, 0x7u, 0x8u, 0x174u, 0x1ffeu, 0x1fffu, 0xc0000000u, 0xc0000007u, 0xc0000008u,
          0xc0000082u, 0xc0000103u, 0xc0001fffu}) {
        Bitmaps bitmaps;
        ASSERT_TRUE(bitmaps.allocate());
        bitmaps.let_through(Msr{msr});
        for (const std::uint32_t begin : lowest)
            for (std::uint32_t other = begin; other < begin + 0x2000; other++)
                for (const bool write : {false, true})
                    ASSERT_EQ(exits(bitmaps, other, write), other != msr)
                        << std::hex << other << " with " << msr << " let through";
        ASSERT_TRUE(bit(bitmaps.ports_low(), msr & 0x7fff));
    }
}

TEST(Bitmaps, SeveralAddUp) {
    fake::memory = {};
    Bitmaps bitmaps;
    ASSERT_TRUE(bitmaps.allocate());
    const std::set<std::uint32_t> through{0x174, 0x175, 0x176, 0xc0000081, 0xc0000100};
    for (const std::uint32_t msr : through)
        bitmaps.let_through(Msr{msr});
    for (const std::uint32_t begin : lowest)
        for (std::uint32_t msr = begin; msr < begin + 0x2000; msr++)
            ASSERT_EQ(exits(bitmaps, msr, true), !through.contains(msr)) << std::hex << msr;
}

TEST(Bitmaps, NoMemory) {
    for (std::size_t pages = 0; pages < 3; pages++) {
        fake::memory = {.pages_left = pages};
        EXPECT_FALSE(Bitmaps{}.allocate());
        EXPECT_EQ(fake::memory.in_use, 0u);
    }
}
