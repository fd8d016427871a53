// SPDX-License-Identifier: GPL-2.0-only
// What step 11 answers in the processor's place: CPUID, which MSRs exit, and the one MOV it
// decodes.
#include "fakes.hpp"
#include "guest_cpuid.hpp"
#include "msr_bitmap.hpp"
#include "watched_page.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

using namespace vtx;

// In late_launch.S, for the module.
extern "C" void watched_store(void *, std::uint8_t) {}

namespace {

constexpr std::uint32_t ones = ~std::uint32_t{0};
constexpr CpuidResult all{ones, ones, ones, ones}, none{};

TEST(Cpuid, ShowsAHypervisorAndNoVmx) {
    EXPECT_EQ(guest_cpuid(1, 0, all, Cr4::osxsave).ecx, ones & ~Cpuid1Ecx::vmx);
    EXPECT_EQ(guest_cpuid(1, 0, none, 0).ecx, Cpuid1Ecx::hypervisor);
    EXPECT_EQ(guest_cpuid(1, 0, all, 0).edx, ones);
}

TEST(Cpuid, TwoBitsRepeatTheGuestsCr4) {
    EXPECT_EQ(guest_cpuid(1, 0, all, 0).ecx & Cpuid1Ecx::osxsave, 0u);
    EXPECT_NE(guest_cpuid(1, 0, none, Cr4::osxsave).ecx & Cpuid1Ecx::osxsave, 0u);
    EXPECT_EQ(guest_cpuid(7, 0, all, 0).ecx, ones & ~(1u << 4));
    EXPECT_EQ(guest_cpuid(7, 0, none, Cr4::pke).ecx, 1u << 4);
    EXPECT_EQ(guest_cpuid(7, 1, all, 0), all) << "another subleaf";
}

TEST(Cpuid, GivesOurNameAndNobodyElses) {
    const CpuidResult name = guest_cpuid(0x40000000, 0, all, 0);
    EXPECT_EQ(name.eax, 0x40000000u);
    EXPECT_EQ(name.ebx, 0x54787456u) << "VtxT";
    EXPECT_EQ(guest_cpuid(0x40000001, 0, all, 0), none);
    EXPECT_EQ(guest_cpuid(0x400000ff, 0, all, 0), none);
    EXPECT_EQ(guest_cpuid(0x3fffffff, 0, all, 0), all);
    EXPECT_EQ(guest_cpuid(0x80000001, 0, all, 0), all);
}

TEST(Msrs, WhichExit) {
    EXPECT_TRUE(is_vmx_msr(0x480) && is_vmx_msr(0x493));
    EXPECT_FALSE(is_vmx_msr(0x47f) || is_vmx_msr(0x494));
    for (const std::uint32_t mtrr : {0x200u, 0x20fu, 0x250u, 0x258u, 0x268u, 0x26fu, 0x2ffu})
        EXPECT_TRUE(is_mtrr(mtrr)) << std::hex << mtrr;
    for (const std::uint32_t other : {0xfeu, 0x1ffu, 0x277u, 0x251u, 0x260u, 0x300u})
        EXPECT_FALSE(is_mtrr(other)) << std::hex << other;
}

TEST(MsrBitmapTest, ExactlyTheseHaveABit) {
    fake::memory.pages_left = 1;
    MsrBitmap bitmap;
    ASSERT_TRUE(bitmap.allocate());
    const std::byte *const bytes = fake::at(bitmap.physical().value);
    const auto exits = [bytes](std::size_t quarter, std::uint32_t msr) {
        return (std::to_integer<unsigned>(bytes[quarter * 1024 + msr / 8]) >> msr % 8 & 1) != 0;
    };
    for (std::uint32_t msr = 0; msr < 0x2000; msr++) {
        const bool of_vmx = is_vmx_msr(msr) || msr == 0x3a;
        EXPECT_EQ(exits(0, msr), of_vmx) << "read of " << std::hex << msr;
        EXPECT_EQ(exits(2, msr), of_vmx || is_mtrr(msr) || msr == 0x79)
            << "write of " << std::hex << msr;
        EXPECT_FALSE(exits(1, msr) || exits(3, msr)) << std::hex << 0xc0000000 + msr;
    }
}

std::optional<ByteStore> decode(std::vector<std::uint8_t> code) {
    code.resize(4);
    return decode_byte_store(code.data());
}

TEST(ByteStoreTest, OursIsDecoded) {
    const auto store = decode({0x40, 0x88, 0x37}); // movb %sil, (%rdi)
    ASSERT_TRUE(store);
    EXPECT_EQ(store->source, 6u);
    EXPECT_EQ(store->length, 3u);
    EXPECT_EQ(decode({0x88, 0x0f})->source, 1u) << "movb %cl, (%rdi)";
    EXPECT_EQ(decode({0x88, 0x0f})->length, 2u);
    EXPECT_EQ(decode({0x44, 0x88, 0x07})->source, 8u) << "movb %r8b, (%rdi)";
    EXPECT_EQ(decode({0x44, 0x88, 0x27})->source, 12u) << "movb %r12b, (%rdi)";
}

TEST(ByteStoreTest, OthersAreNot) {
    EXPECT_FALSE(decode({0x88, 0x27})) << "AH";
    EXPECT_FALSE(decode({0x40, 0x88, 0x27})) << "SPL";
    EXPECT_FALSE(decode({0x89, 0x0f})) << "four bytes";
    EXPECT_FALSE(decode({0x88, 0x4f, 0x01})) << "a displacement";
    EXPECT_FALSE(decode({0x88, 0x0c, 0x24})) << "a SIB byte";
    EXPECT_FALSE(decode({0x88, 0x0d})) << "relative to RIP";
    EXPECT_FALSE(decode({0x88, 0xc8})) << "a register";
    EXPECT_FALSE(decode({0xc6, 0x07, 0x01})) << "an immediate";
}

} // namespace
