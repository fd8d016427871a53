// SPDX-License-Identifier: GPL-2.0-only
// CPUID as the guest sees it, on a processor that has everything.
#include "guest_cpuid.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <utility>

using namespace vtx;

namespace {

constexpr std::uint32_t ones = ~std::uint32_t{0};
constexpr CpuidResult nothing{};
constexpr std::uint64_t avx = 0x7, avx512 = 0xe7;

/// A processor whose CPUID gives all ones, but for some leaves.
struct Processor {
    std::map<std::pair<std::uint32_t, std::uint32_t>, CpuidResult> leaves{};

    CpuidResult operator()(std::uint32_t leaf, std::uint32_t subleaf) const {
        const auto found = leaves.find({leaf, subleaf});
        return found == leaves.end() ? CpuidResult{ones, ones, ones, ones} : found->second;
    }
};

/// What a guest sees of it.
CpuidResult
see(std::uint32_t leaf, std::uint32_t subleaf = 0,
    const GuestFeatures &features = {avx512, true, true, true}, const Processor &processor = {}) {
    return guest_cpuid(leaf, subleaf, features, processor);
}

/// Where XSAVE's components lie on every processor of Intel's: AVX, MPX (3, 4), AVX-512 (5 to 7),
/// protection keys (9), and AMX (17, 18).
const Processor with_xsave{{
    {{0xd, 0}, {0x602e7, 2696, 11008, 0}},
    {{0xd, 1}, {0x1f, 2568, 0x1900, 0}},
    {{0xd, 2}, {256, 576, 0, 0}},
    {{0xd, 3}, {64, 960, 0, 0}},
    {{0xd, 5}, {64, 1088, 0, 0}},
    {{0xd, 6}, {512, 1152, 0, 0}},
    {{0xd, 7}, {1024, 1664, 0, 0}},
    {{0xd, 9}, {8, 2688, 0, 0}},
}};

} // namespace

TEST(GuestCpuid, LeavesThatNobodyChoseAreEmpty) {
    for (const std::uint32_t leaf :
         {0x3u,        0x5u,        0x6u,        0x8u,        0x9u,        0xau,
          0xbu,        0xcu,        0xeu,        0xfu,        0x10u,       0x12u,
          0x14u,       0x17u,       0x18u,       0x19u,       0x1au,       0x1bu,
          0x1cu,       0x1du,       0x1eu,       0x1fu,       0x20u,       0x23u,
          0x24u,       0x29u,       0x3fffffffu, 0x40000001u, 0x40000010u, 0x40000100u,
          0x4fffffffu, 0x80000005u, 0x80000009u, 0x8000001fu, 0xc0000000u, ones})
        for (const std::uint32_t subleaf : {0u, 1u, 2u})
            EXPECT_EQ(see(leaf, subleaf), nothing) << std::hex << leaf;
}

TEST(GuestCpuid, LeavesThatAreTheProcessorsOwn) {
    for (const std::uint32_t leaf :
         {0x0u, 0x2u, 0x15u, 0x16u, 0x80000000u, 0x80000002u, 0x80000003u, 0x80000004u, 0x80000006u,
          0x80000007u})
        EXPECT_EQ(see(leaf), (CpuidResult{ones, ones, ones, ones})) << std::hex << leaf;
}

TEST(GuestCpuid, Leaf1) {
    const CpuidResult all = see(1);
    EXPECT_EQ(all.eax, ones);
    EXPECT_EQ(all.ebx, 0xffffu) << "no APIC ID, no number of processors";
    // Left: SSE3, PCLMULQDQ, SSSE3, FMA, CMPXCHG16B, SSE4.1, SSE4.2, MOVBE, POPCNT, AES, XSAVE,
    // OSXSAVE, AVX, F16C, RDRAND, hypervisor, and the reserved bit 16.
    EXPECT_EQ(all.ecx, 0xfed93203u);
    // Not: VME, MCE, MTRR, MCA, PSN, DS, ACPI, HTT, TM, PBE.
    EXPECT_EQ(all.edx, 0x4f9baf7du);

    const CpuidResult off = see(1, 0, {avx512, false, true, true});
    EXPECT_EQ(all.ecx - off.ecx, 1u << 27) << "OSXSAVE follows CR4";
    const CpuidResult no_avx = see(1, 0, {0x3, true, true, true});
    EXPECT_EQ(all.ecx - no_avx.ecx, 1u << 28 | 1u << 29 | 1u << 12);
    const CpuidResult no_xsave = see(1, 0, {0, false, true, true});
    EXPECT_EQ(all.ecx - no_xsave.ecx, 3u << 26 | 1u << 28 | 1u << 29 | 1u << 12);

    const Processor old{{{{1, 0}, {0x106a5, 0x00100800, 0, 0}}}};
    EXPECT_EQ(see(1, 0, {0, false, false, false}, old), (CpuidResult{0x106a5, 0x800, 1u << 31, 0}))
        << "nothing is shown that the processor has not";
}

TEST(GuestCpuid, Leaf4HasNoOtherProcessors) {
    const Processor caches{{{{4, 0}, {0x1c004121, 0x01c0003f, 0x3f, 0}}, {{4, 4}, nothing}}};
    EXPECT_EQ(see(4, 0, {}, caches), (CpuidResult{0x121, 0x01c0003f, 0x3f, 0}));
    EXPECT_EQ(see(4, 4, {}, caches), nothing);
}

TEST(GuestCpuid, Leaf7) {
    const CpuidResult all = see(7);
    EXPECT_EQ(all.eax, 0u);
    EXPECT_EQ(all.ebx, ones & ~(1u << 1 | 1u << 2 | 1u << 12 | 1u << 14 | 1u << 15 | 1u << 25));
    EXPECT_EQ(all.ecx, 1u << 2);
    EXPECT_EQ(all.edx, 0u);
    const CpuidResult no_avx512 = see(7, 0, {avx, true, true, true});
    EXPECT_EQ(all.ebx - no_avx512.ebx, 0xdc230000u);
    const CpuidResult no_avx = see(7, 0, {0x3, true, true, true});
    EXPECT_EQ(no_avx512.ebx - no_avx.ebx, 1u << 5);
    const CpuidResult no_invpcid = see(7, 0, {avx512, true, false, true});
    EXPECT_EQ(all.ebx - no_invpcid.ebx, 1u << 10);
    // AVX-VNNI, AVX10, LAM, FRED, APX and more.
    for (const std::uint32_t subleaf : {1u, 2u, 3u, ones})
        EXPECT_EQ(see(7, subleaf), nothing);
}

TEST(GuestCpuid, XsaveIsAsLargeAsTheGuestsXcr0) {
    const auto size = [](std::uint64_t xcr0) {
        return see(0xd, 0, {xcr0, true, true, true}, with_xsave);
    };
    EXPECT_EQ(size(avx512), (CpuidResult{0xe7, 2696, 2688, 0}));
    EXPECT_EQ(size(avx), (CpuidResult{0x7, 2696, 832, 0}));
    EXPECT_EQ(size(0x3), (CpuidResult{0x3, 2696, 576, 0}));
    EXPECT_EQ(size(0), nothing);
}

TEST(GuestCpuid, XsaveComponents) {
    const auto leaf = [](std::uint32_t subleaf, std::uint64_t xcr0) {
        return see(0xd, subleaf, {xcr0, true, true, true}, with_xsave);
    };
    EXPECT_EQ(leaf(1, avx512), (CpuidResult{0x5, 0, 0, 0})) << "XSAVEOPT and XGETBV 1 only";
    EXPECT_EQ(leaf(1, 0), nothing);
    EXPECT_EQ(leaf(2, avx), (CpuidResult{256, 576, 0, 0}));
    EXPECT_EQ(leaf(2, 0x3), nothing);
    EXPECT_EQ(leaf(7, avx512), (CpuidResult{1024, 1664, 0, 0}));
    for (const std::uint32_t subleaf : {5u, 6u, 7u})
        EXPECT_EQ(leaf(subleaf, avx), nothing) << subleaf;
    for (const std::uint32_t subleaf : {3u, 4u, 8u, 9u, 17u, 18u, 31u, 32u, 62u, 63u, 64u, ones})
        EXPECT_EQ(leaf(subleaf, avx512), nothing) << subleaf;
}

TEST(GuestCpuid, ExtendedLeaves) {
    EXPECT_EQ(see(0x80000001), (CpuidResult{ones, ones, ones, ones}));
    EXPECT_EQ(
        see(0x80000001, 0, {avx, true, true, false}),
        (CpuidResult{ones, ones, ones, ones & ~(1u << 27)}));
    const Processor wide{{{{0x80000008, 0}, {0x00003934, 0x200, 7, 7}}}};
    EXPECT_EQ(see(0x80000008, 0, {}, wide), (CpuidResult{0x3034, 0, 0, 0}));
}

TEST(GuestCpuid, TheNameOfTheHypervisor) {
    const CpuidResult name = see(0x40000000);
    EXPECT_EQ(name.eax, 0x40000000u) << "no further leaves";
    const std::uint32_t words[] = {name.ebx, name.ecx, name.edx};
    char text[13]{};
    __builtin_memcpy(text, words, sizeof words);
    EXPECT_STREQ(text, "VtxTutorial");
}
