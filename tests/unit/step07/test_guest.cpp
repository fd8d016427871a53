// SPDX-License-Identifier: GPL-2.0-only
// What the guest may write into XCR0 and IA32_PAT, and an EPT violation in words.
#include "guest_fpu.hpp"
#include "handle_registers.hpp"
#include "tell.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>

using namespace vtx;

TEST(Xcr0, WhatXsetbvAcceptsOfWhatAGuestCanHave) {
    // x87; SSE; AVX; AVX-512 in all its three parts. Nothing without what it builds on.
    const std::set<std::uint64_t> accepted{0x1, 0x3, 0x7, 0xe7};
    for (std::uint64_t value = 0; value < 0x100; value++)
        EXPECT_TRUE((value & 0x18) != 0 || Xcr0::is_consistent(value) == accepted.contains(value))
            << value; // (MPX, bits 3 and 4, is never offered.)
}

TEST(Pat, EightTypesThatExist) {
    EXPECT_TRUE(is_pat(0));
    EXPECT_TRUE(is_pat(0x0007040600070406)); // after a reset
    EXPECT_TRUE(is_pat(0x0706050401000706));
    const std::set<unsigned> types{0, 1, 4, 5, 6, 7};
    for (unsigned place = 0; place < 64; place += 8)
        for (unsigned type = 0; type < 256; type++)
            EXPECT_EQ(is_pat(std::uint64_t{type} << place), types.contains(type))
                << type << " at " << place;
}

TEST(EptViolation, InWords) {
    const auto words = [](std::uint64_t qualification) {
        return access_in_words(decode_ept_violation(qualification));
    };
    // Bits 7 and 8: there is a linear address, and the access was to what it translates to.
    EXPECT_STREQ(words(0x181), "a read of");
    EXPECT_STREQ(words(0x182), "a write to");
    EXPECT_STREQ(words(0x183), "a write to");
    EXPECT_STREQ(words(0x184), "a fetch from");
    EXPECT_STREQ(words(0x081), "a page walk to");
    EXPECT_STREQ(words(0x083), "a page walk to");
    EXPECT_STREQ(words(0x001), "a read of") << "no linear address";
}
