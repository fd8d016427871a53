// SPDX-License-Identifier: GPL-2.0-only
// The description of a processor: what CPUID says, bit by bit, and what follows for addresses.
#include "doctor/rules/processor.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <utility>

namespace vtx::testing {
namespace {

/// A CPUID that a test fills in; a leaf that is not there gives zeroes, as on the real one.
struct Cpuid {
    std::map<std::pair<std::uint32_t, std::uint32_t>, CpuidResult> leaves;

    explicit Cpuid(std::uint32_t highest = 0xd, std::uint32_t highest_extended = 0x80000008) {
        leaves[{0, 0}].eax = highest;
        leaves[{0x80000000, 0}].eax = highest_extended;
        leaves[{7, 0}].eax = 1;
    }
    CpuidResult &at(std::uint32_t leaf, std::uint32_t subleaf = 0) {
        return leaves[{leaf, subleaf}];
    }
    ProcessorDescription describe() const {
        return describe_processor(
            VmxCapabilities{}, [this](std::uint32_t leaf, std::uint32_t subleaf) {
                const auto found = leaves.find({leaf, subleaf});
                return found == leaves.end() ? CpuidResult{} : found->second;
            });
    }
};

TEST(Processor, IsDescribedByCpuid) {
    const auto query = [](std::uint32_t leaf, std::uint32_t subleaf) -> CpuidResult {
        switch (leaf) {
        case 0:
            return {0xd, 0, 0, 0};
        case 1:
            return {0, 0, 1u << 15, 0};
        case 7:
            return subleaf == 0 ? CpuidResult{1, (1u << 2) | (1u << 11), 1u << 24, 1u << 20}
                                : CpuidResult{1u << 26, 0, 0, 0};
        case 0xa:
            return {0x0804, 0, 0, 3};
        case 0x80000000:
            return {0x80000008, 0, 0, 0};
        case 0x80000001:
            return {0, 0, 0, (1u << 29) | (1u << 20)};
        case 0x80000008:
            return {0x3930 - 0x0a, 0, 0, 0};
        default:
            return {};
        }
    };
    const ProcessorDescription cpu = describe_processor(VmxCapabilities{}, query);
    EXPECT_TRUE(cpu.has(CpuFeature::enclaves));
    EXPECT_TRUE(cpu.has(CpuFeature::restricted_tsx));
    EXPECT_TRUE(cpu.has(CpuFeature::bus_lock_trap));
    EXPECT_TRUE(cpu.has(CpuFeature::branch_tracking));
    EXPECT_FALSE(cpu.has(CpuFeature::shadow_stacks));
    EXPECT_TRUE(cpu.has(CpuFeature::linear_masking));
    EXPECT_FALSE(cpu.has(CpuFeature::flexible_returns));
    EXPECT_TRUE(cpu.has(CpuFeature::long_mode));
    EXPECT_EQ(cpu.efer_bits, Efer::lme | Efer::lma | Efer::nxe);
    EXPECT_EQ(cpu.debugctl_bits, debugctl_bits_any | 4 | 0x8000);
    EXPECT_EQ(cpu.perf_global_ctrl_bits, 0x10007000000ffull);
    EXPECT_EQ(cpu.physical_address_width, 38);
    EXPECT_EQ(cpu.linear_address_width, 57);
}

TEST(Processor, AsksForNoLeafThatIsNotThere) {
    const auto query = [](std::uint32_t leaf, std::uint32_t) -> CpuidResult {
        EXPECT_TRUE(leaf == 0 || leaf == 0x80000000) << leaf;
        return {leaf == 0 ? 5u : 0x80000000u, 0, 0, 0};
    };
    const ProcessorDescription cpu = describe_processor(VmxCapabilities{}, query);
    EXPECT_EQ(cpu.physical_address_width, 36);
    EXPECT_EQ(cpu.features, 0u);
}

constexpr std::uint32_t only(CpuFeature feature) { return 1u << static_cast<unsigned>(feature); }

// Each feature has one bit, and no other bit of its register means one.
TEST(Processor, EachFeatureHasItsBit) {
    const struct {
        std::uint32_t leaf, subleaf;
        std::uint32_t CpuidResult::*word;
        std::map<unsigned, CpuFeature> features;
    } words[] = {
        {7, 0, &CpuidResult::ebx, {{2, CpuFeature::enclaves}, {11, CpuFeature::restricted_tsx}}},
        {7,
         0,
         &CpuidResult::ecx,
         {{7, CpuFeature::shadow_stacks}, {24, CpuFeature::bus_lock_trap}}},
        {7, 0, &CpuidResult::edx, {{20, CpuFeature::branch_tracking}}},
        {7,
         1,
         &CpuidResult::eax,
         {{17, CpuFeature::flexible_returns}, {26, CpuFeature::linear_masking}}},
        {0x80000001, 0, &CpuidResult::edx, {{29, CpuFeature::long_mode}}},
    };
    for (const auto &one : words) {
        for (unsigned bit = 0; bit < 32; ++bit) {
            Cpuid cpuid;
            cpuid.at(one.leaf, one.subleaf).*one.word = 1u << bit;
            const auto feature = one.features.find(bit);
            EXPECT_EQ(
                cpuid.describe().features,
                feature == one.features.end() ? 0u : only(feature->second))
                << std::hex << one.leaf << " bit " << std::dec << bit;
        }
    }
}

TEST(Processor, EachBitOfRegistersFollowsFromOneOfCpuid) {
    Cpuid cpuid;
    EXPECT_EQ(cpuid.describe().efer_bits, 0u);
    EXPECT_EQ(cpuid.describe().debugctl_bits, debugctl_bits_any);
    cpuid.at(0x80000001).edx = 1u << 11;
    EXPECT_EQ(cpuid.describe().efer_bits, Efer::sce);
    cpuid.at(0x80000001).edx = 1u << 20;
    EXPECT_EQ(cpuid.describe().efer_bits, Efer::nxe);
    cpuid.at(0x80000001).edx = 1u << 29;
    EXPECT_EQ(cpuid.describe().efer_bits, Efer::lme | Efer::lma);
    cpuid.at(7).ecx = 1u << 24;
    EXPECT_EQ(cpuid.describe().debugctl_bits, 0x7fc7u);
    cpuid.at(7) = {1, 1u << 11, 0, 0};
    EXPECT_EQ(cpuid.describe().debugctl_bits, 0xffc3u);
}

// Version 2 of the performance counters has the register; bit 48 needs PDCM in leaf 1.
TEST(Processor, CountsPerformanceCounters) {
    Cpuid cpuid;
    cpuid.at(0xa) = {0x0401, 0, 0, 3};
    EXPECT_EQ(cpuid.describe().perf_global_ctrl_bits, 0u);
    cpuid.at(0xa) = {0x0002, 0, 0, 0};
    EXPECT_EQ(cpuid.describe().perf_global_ctrl_bits, 0u);
    cpuid.at(0xa) = {0xff0402, 0, 0, 3};
    EXPECT_EQ(cpuid.describe().perf_global_ctrl_bits, 0x70000000fu);
    cpuid.at(0xa) = {0x1002, 0, 0, 0xfff0};
    EXPECT_EQ(cpuid.describe().perf_global_ctrl_bits, 0xffff0000ffffu);
    cpuid.at(0xa) = {0x1f02, 0, 0, 0x1f};
    EXPECT_EQ(cpuid.describe().perf_global_ctrl_bits, 0x7fffffff7fffffffu);
    cpuid.at(0xa) = {0x0102, 0, 0, 0x20};
    for (unsigned bit = 0; bit < 32; ++bit) {
        cpuid.at(1).ecx = 1u << bit;
        EXPECT_EQ(
            cpuid.describe().perf_global_ctrl_bits,
            bit == 15 ? (std::uint64_t{1} << 48) | 1 : std::uint64_t{1})
            << bit;
    }
}

// A leaf counts from the number on that leaf 0 gives, and not below it.
TEST(Processor, AsksUpToTheHighestLeaf) {
    const auto describe = [](std::uint32_t highest, std::uint32_t highest_extended) {
        Cpuid cpuid{highest, highest_extended};
        cpuid.at(7).ebx = 1u << 2;
        cpuid.at(0xa) = {0x0102, 0, 0, 0};
        cpuid.at(0x80000001).edx = 1u << 29;
        cpuid.at(0x80000008).eax = 0x392e;
        return cpuid.describe();
    };
    EXPECT_FALSE(describe(6, 0).has(CpuFeature::enclaves));
    EXPECT_TRUE(describe(7, 0).has(CpuFeature::enclaves));
    EXPECT_EQ(describe(9, 0).perf_global_ctrl_bits, 0u);
    EXPECT_EQ(describe(0xa, 0).perf_global_ctrl_bits, 1u);
    EXPECT_FALSE(describe(0, 0x80000000).has(CpuFeature::long_mode));
    EXPECT_TRUE(describe(0, 0x80000001).has(CpuFeature::long_mode));
    EXPECT_EQ(describe(0, 0x80000007).physical_address_width, 36);
    EXPECT_EQ(describe(0, 0x80000007).linear_address_width, 48);
    EXPECT_EQ(describe(0, 0x80000008).physical_address_width, 0x2e);
    EXPECT_EQ(describe(0, 0x80000008).linear_address_width, 0x39);
}

TEST(Processor, AsksForSubleafOneOnlyIfThereIsOne) {
    Cpuid cpuid;
    cpuid.at(7, 1).eax = 1u << 26;
    EXPECT_TRUE(cpuid.describe().has(CpuFeature::linear_masking));
    cpuid.at(7).eax = 0;
    EXPECT_FALSE(cpuid.describe().has(CpuFeature::linear_masking));
}

TEST(Processor, SaysWhichBitsLieBeyondItsWidth) {
    ProcessorDescription cpu;
    const auto bits = [&cpu](std::uint8_t width) {
        cpu.physical_address_width = width;
        return std::pair{cpu.bits_beyond_physical(), cpu.bits_beyond_address_width()};
    };
    const auto beyond = [](unsigned width) { return ~std::uint64_t{0} << width; };
    EXPECT_EQ(bits(40), (std::pair{beyond(40), beyond(40)}));
    EXPECT_EQ(bits(63), (std::pair{beyond(63), beyond(63)}));
    EXPECT_EQ(bits(64), (std::pair{std::uint64_t{0}, std::uint64_t{0}}));
    cpu.vmx.basic = std::uint64_t{1} << 48;
    EXPECT_EQ(bits(40), (std::pair{beyond(40), beyond(32)}));
    EXPECT_EQ(bits(33), (std::pair{beyond(33), beyond(32)}));
    EXPECT_EQ(bits(31), (std::pair{beyond(31), beyond(31)}));
}

} // namespace
} // namespace vtx::testing
