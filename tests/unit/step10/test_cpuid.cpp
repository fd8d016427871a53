// SPDX-License-Identifier: GPL-2.0-only
// CPUID as Linux sees it, on a processor that has everything.
#include "guest_cpuid.hpp"
#include "machine.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <set>
#include <utility>

using namespace vtx;

namespace {

constexpr std::uint32_t ones = ~std::uint32_t{0};
constexpr CpuidResult nothing{};
constexpr std::uint64_t avx = 0x7, avx512 = 0xe7;
constexpr GuestFeatures everything{avx512, true, true, true, 2'000'000};

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
see(std::uint32_t leaf, std::uint32_t subleaf = 0, const GuestFeatures &features = everything,
    const Processor &processor = {}) {
    return guest_cpuid(leaf, subleaf, features, processor);
}

/// What the time-stamp counter counts in a second, as Linux reads it out of leaf 15H.
std::uint64_t hertz(std::uint32_t khz) {
    GuestFeatures features = everything;
    features.khz = khz;
    const CpuidResult leaf = see(0x15, 0, features);
    return std::uint64_t{leaf.ecx} * leaf.ebx / leaf.eax;
}

/// Where XSAVE's components lie on every processor of Intel's: AVX, MPX (3), AVX-512 (5 to 7) and
/// protection keys (9).
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

struct Cpuid : Exits {};

} // namespace

// ---- The table ----------------------------------------------------------------------------------

TEST(CpuidTable, HasARowForEachLeafOnce) {
    std::set<std::uint32_t> leaves;
    for (const CpuidRow &row : cpuid_rows)
        EXPECT_TRUE(leaves.insert(row.leaf).second) << std::hex << row.leaf;
}

TEST(CpuidTable, HidesWhatItHasNoRowFor) {
    for (const std::uint32_t leaf :
         {0x3u,        0x5u,        0x6u,        0x8u,        0x9u,        0xau,        0xbu,
          0xcu,        0xeu,        0xfu,        0x10u,       0x12u,       0x14u,       0x17u,
          0x18u,       0x19u,       0x1au,       0x1bu,       0x1du,       0x1eu,       0x1fu,
          0x20u,       0x23u,       0x24u,       0x29u,       0x3fffffffu, 0x40000001u, 0x40000010u,
          0x40000100u, 0x4fffffffu, 0x80000005u, 0x80000009u, 0x8000001fu, 0xc0000000u, ones})
        for (const std::uint32_t subleaf : {0u, 1u, 2u})
            EXPECT_EQ(see(leaf, subleaf), nothing) << std::hex << leaf;
}

TEST(CpuidTable, ShowsNothingThatTheProcessorHasNot) {
    const auto zeroes = [](std::uint32_t, std::uint32_t) { return CpuidResult{}; };
    for (const CpuidRow &row : cpuid_rows) {
        CpuidResult wanted{};
        if (row.leaf == 0)
            wanted.eax = 0x16;
        if (row.leaf == 1)
            wanted.ecx = 1u << 31 | 1u << 27; // a hypervisor; CR4.OSXSAVE
        if (row.leaf == 0xd)
            wanted.ecx = 576;
        if (row.leaf == 0x80000008)
            wanted.eax = 48u << 8;
        EXPECT_EQ(guest_cpuid(row.leaf, 0, everything, zeroes), wanted) << std::hex << row.leaf;
    }
}

// ---- Leaves that say what the processor can -----------------------------------------------------

TEST(CpuidLeaves, Leaf0ReachesTheRateOfTheTsc) {
    const auto highest = [](std::uint32_t own) {
        const Processor processor{{{{0, 0}, {own, 0x756e6547, 0x6c65746e, 0x49656e69}}}};
        const CpuidResult leaf = see(0, 0, everything, processor);
        EXPECT_EQ(leaf.ebx, 0x756e6547u) << "the vendor's name stays";
        EXPECT_EQ(leaf.ecx, 0x6c65746eu);
        EXPECT_EQ(leaf.edx, 0x49656e69u);
        return leaf.eax;
    };
    EXPECT_EQ(highest(0xb), 0x16u);
    EXPECT_EQ(highest(0x15), 0x16u);
    EXPECT_EQ(highest(0x16), 0x16u);
    EXPECT_EQ(highest(0x20), 0x20u);
}

TEST(CpuidLeaves, Leaf1) {
    const CpuidResult all = see(1);
    EXPECT_EQ(all.eax, ones);
    EXPECT_EQ(all.ebx, 0xffffu) << "no APIC ID, no number of processors";
    // SSE3, PCLMULQDQ, SSSE3, FMA, CMPXCHG16B, SSE4.1, SSE4.2, MOVBE, POPCNT, AES, XSAVE, OSXSAVE,
    // AVX, F16C, RDRAND, hypervisor. Not MONITOR (3), VMX (5), PCID (17), x2APIC (21), TSC deadline
    // (24).
    EXPECT_EQ(all.ecx, 0xfed83203u);
    EXPECT_EQ(all.ecx & (1u << 3 | 1u << 5 | 1u << 17 | 1u << 21 | 1u << 24), 0u);
    // Not: VME, MCE (7), APIC (9), MTRR (12), MCA (14), PSN, DS, ACPI, HTT, TM, PBE.
    EXPECT_EQ(all.edx, 0x0f8ba97du);
    EXPECT_EQ(all.edx & (1u << 7 | 1u << 9 | 1u << 12 | 1u << 14), 0u);

    const auto less = [&](GuestFeatures features) { return all.ecx - see(1, 0, features).ecx; };
    EXPECT_EQ(less({avx512, false, true, true, 1}), 1u << 27) << "OSXSAVE follows CR4";
    EXPECT_EQ(less({0x3, true, true, true, 1}), 1u << 28 | 1u << 29 | 1u << 12);
    EXPECT_EQ(less({0, false, true, true, 1}), 3u << 26 | 1u << 28 | 1u << 29 | 1u << 12);
}

TEST(CpuidLeaves, Leaf4HasNoOtherProcessors) {
    const Processor caches{{{{4, 0}, {0x1c004121, 0x01c0003f, 0x3f, 0}}, {{4, 4}, nothing}}};
    EXPECT_EQ(see(4, 0, {}, caches), (CpuidResult{0x121, 0x01c0003f, 0x3f, 0}));
    EXPECT_EQ(see(4, 4, {}, caches), nothing);
}

TEST(CpuidLeaves, Leaf7) {
    const CpuidResult all = see(7);
    EXPECT_EQ(all.eax, 0u);
    EXPECT_EQ(all.ebx, 0xfdbf07a9u);
    EXPECT_EQ(all.ebx & (1u << 4 | 1u << 11), 0u) << "no transactions";
    EXPECT_EQ(all.ecx, 1u << 2);
    EXPECT_EQ(all.edx, 0u) << "among them those that need MSRs against speculation";
    const CpuidResult no_avx512 = see(7, 0, {avx, true, true, true, 1});
    EXPECT_EQ(all.ebx - no_avx512.ebx, 0xdc230000u);
    const CpuidResult no_avx = see(7, 0, {0x3, true, true, true, 1});
    EXPECT_EQ(no_avx512.ebx - no_avx.ebx, 1u << 5);
    const CpuidResult no_invpcid = see(7, 0, {avx512, true, false, true, 1});
    EXPECT_EQ(all.ebx - no_invpcid.ebx, 1u << 10);
    for (const std::uint32_t subleaf : {1u, 2u, 3u, ones})
        EXPECT_EQ(see(7, subleaf), nothing);
}

TEST(CpuidLeaves, XsaveIsAsLargeAsTheGuestsXcr0) {
    const auto size = [](std::uint64_t xcr0) {
        return see(0xd, 0, {xcr0, true, true, true, 1}, with_xsave);
    };
    EXPECT_EQ(size(avx512), (CpuidResult{0xe7, 2696, 2688, 0}));
    EXPECT_EQ(size(avx), (CpuidResult{0x7, 2696, 832, 0}));
    EXPECT_EQ(size(0x3), (CpuidResult{0x3, 2696, 576, 0}));
    EXPECT_EQ(size(0), nothing);
}

TEST(CpuidLeaves, XsaveComponents) {
    const auto leaf = [](std::uint32_t subleaf, std::uint64_t xcr0) {
        return see(0xd, subleaf, {xcr0, true, true, true, 1}, with_xsave);
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

TEST(CpuidLeaves, ExtendedLeaves) {
    EXPECT_EQ(see(0x80000000), (CpuidResult{ones, 0, 0, 0}));
    EXPECT_EQ(see(0x80000001), (CpuidResult{0, 0, 0x121, 0x2c100800}));
    EXPECT_EQ(
        see(0x80000001, 0, {avx, true, true, false, 1}), (CpuidResult{0, 0, 0x121, 0x24100800}))
        << "without RDTSCP";
    EXPECT_EQ(see(0x80000006), (CpuidResult{0, 0, ones, 0}));
    EXPECT_EQ(see(0x80000007), (CpuidResult{0, 0, 0, 1u << 8}));
    const Processor wide{{{{0x80000008, 0}, {0x00003934, 0x200, 7, 7}}}};
    EXPECT_EQ(see(0x80000008, 0, {}, wide), (CpuidResult{0x3034, 0, 0, 0}));
    for (const std::uint32_t leaf : {0x80000002u, 0x80000003u, 0x80000004u})
        EXPECT_EQ(see(leaf), (CpuidResult{ones, ones, ones, ones})) << "the processor's name";
}

// ---- Leaves of our own --------------------------------------------------------------------------

TEST(CpuidTime, Leaf15GivesTheRateToTheHertz) {
    for (const std::uint32_t khz : {1u, 100'000u, 1'999'999u, 2'893'437u, 4'294'967u})
        EXPECT_EQ(hertz(khz), std::uint64_t{khz} * 1000);
    // From here on a rate in Hz has more than 32 bits: half of it is told, twice.
    for (const std::uint32_t khz : {4'294'968u, 5'200'000u, 6'200'001u, 8'589'934u})
        EXPECT_EQ(hertz(khz), std::uint64_t{khz} * 1000);
}

TEST(CpuidTime, Leaf15HasNoZero) {
    for (const std::uint32_t khz : {100'000u, 4'294'967u, 4'294'968u, 6'000'000u}) {
        GuestFeatures features = everything;
        features.khz = khz;
        const CpuidResult leaf = see(0x15, 0, features);
        EXPECT_NE(leaf.eax, 0u) << "Linux takes a 0 here as no answer";
        EXPECT_NE(leaf.ebx, 0u);
        EXPECT_NE(leaf.ecx, 0u) << "and this as a crystal that it must know itself";
        EXPECT_EQ(leaf.edx, 0u);
    }
}

TEST(CpuidTime, Leaf16GivesMegahertz) {
    GuestFeatures features = everything;
    for (const std::uint32_t khz : {100'000u, 2'893'437u, 5'200'000u}) {
        features.khz = khz;
        EXPECT_EQ(see(0x16, 0, features), (CpuidResult{khz / 1000, khz / 1000, 100, 0}));
    }
}

TEST(CpuidTime, IsNotTheProcessorsOwn) {
    const Processor other{{{{0x15, 0}, {2, 200, 24'000'000, 7}}, {{0x16, 0}, {1, 2, 3, 4}}}};
    EXPECT_EQ(see(0x15, 0, everything, other), (CpuidResult{1, 1, 2'000'000'000, 0}));
    EXPECT_EQ(see(0x16, 0, everything, other), (CpuidResult{2000, 2000, 100, 0}));
}

TEST(CpuidName, OfTheHypervisor) {
    const CpuidResult name = see(0x40000000);
    EXPECT_EQ(name.eax, 0x40000000u) << "no further leaves";
    const std::uint32_t words[] = {name.ebx, name.ecx, name.edx};
    char text[13]{};
    __builtin_memcpy(text, words, sizeof words);
    EXPECT_STREQ(text, "VtxTutorial");
}

// ---- The exit -----------------------------------------------------------------------------------

TEST_F(Cpuid, GivesAllFourRegistersAndGoesOn) {
    vcpu->registers.rax = 0xffff'ffff'0000'0015;
    vcpu->registers.rcx = 0xffff'ffff'ffff'ffff;
    vcpu->registers.rbx = vcpu->registers.rdx = ~std::uint64_t{0};
    EXPECT_EQ(handle_cpuid(exit), Action::resume);
    EXPECT_EQ(vcpu->registers.rax, 1u) << "the leaf is EAX, whatever is above";
    EXPECT_EQ(vcpu->registers.rbx, 1u);
    EXPECT_EQ(vcpu->registers.rcx, 2'000'000'000u) << "the rate of the machine's clock";
    EXPECT_EQ(vcpu->registers.rdx, 0u);
    EXPECT_EQ(get(FieldNatural::guest_rip), 0x1002u);
}

TEST_F(Cpuid, OsxsaveIsTheGuests) {
    for (const std::uint64_t cr4 : {0x20u, 0x40020u}) {
        set(FieldNatural::guest_cr4, cr4);
        vcpu->registers.rax = 1;
        handle_cpuid(exit);
        EXPECT_EQ(vcpu->registers.rcx >> 27 & 1, cr4 >> 18);
    }
}

TEST_F(Cpuid, RdtscpAndInvpcidAreShownWhereTheyWork) {
    const bool tscp = (cpuid(0x80000001).edx & 1u << 27) != 0;
    for (const bool has : {false, true}) {
        vcpu->msrs.has_tsc_aux = has;
        vcpu->registers.rax = 0x80000001;
        handle_cpuid(exit);
        EXPECT_EQ((vcpu->registers.rdx >> 27 & 1) != 0, has && tscp);
    }
    vcpu->registers.rax = 7;
    vcpu->registers.rcx = 0;
    handle_cpuid(exit);
    EXPECT_EQ(vcpu->registers.rbx >> 10 & 1, 0u) << "the control is off";
}
