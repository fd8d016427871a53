// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What the entry checks need to know besides the VMCS: what the processor is able to do, and in
/// what state it would attempt the VM entry.
#pragma once

#include "vmx/capabilities.hpp"
#include "vmx/fields.hpp"
#include "x86/control_registers.hpp"
#include "x86/cpuid.hpp"

#include <concepts>
#include <cstdint>
#include <optional>
#include <type_traits>

namespace vtx {

/// Features of CPUID on which a rule depends. The value of an enumerator is its bit in
/// ProcessorDescription::features.
enum class CpuFeature : std::uint8_t {
    long_mode,        ///< Intel 64 architecture
    shadow_stacks,    ///< CET: shadow stacks
    branch_tracking,  ///< CET: indirect-branch tracking
    linear_masking,   ///< LAM: bits 62:61 of CR3 are controls
    restricted_tsx,   ///< RTM: advanced debugging of transactions
    enclaves,         ///< SGX
    bus_lock_trap,    ///< bus-lock detection by \#DB
    flexible_returns, ///< FRED
};

/// The SDM's names of the features, in the order of the enumeration; also the words that a
/// description in a file uses.
inline constexpr const char *cpu_feature_names[] = {
    "INTEL64", "CET_SS", "CET_IBT", "LAM", "RTM", "SGX", "BUS_LOCK", "FRED",
};

/// A processor, as far as VM entry asks. All zeroes is "nothing is supported".
struct ProcessorDescription {
    VmxCapabilities vmx{};                 ///< The capability MSRs.
    std::uint8_t physical_address_width{}; ///< MAXPHYADDR; 0 if it is not known.
    std::uint8_t linear_address_width{};   ///< 48, or 57; 0 if it is not known.
    std::uint32_t features{};              ///< One bit for each CpuFeature.
    std::uint64_t efer_bits{};             ///< Bits that IA32_EFER has.
    std::uint64_t debugctl_bits{};         ///< Bits that IA32_DEBUGCTL may have.
    std::uint64_t perf_global_ctrl_bits{}; ///< Bits that IA32_PERF_GLOBAL_CTRL has.

    /// True if the processor has the feature.
    constexpr bool has(CpuFeature feature) const {
        return ((features >> static_cast<unsigned>(feature)) & 1u) != 0;
    }

    /// Adds a feature.
    constexpr void add(CpuFeature feature) { features |= 1u << static_cast<unsigned>(feature); }

    /// Bits that an address in a VMCS may not set: those beyond the physical-address width, or
    /// beyond bit 31 where IA32_VMX_BASIC says that VMX structures lie below 4 GByte.
    constexpr std::uint64_t bits_beyond_address_width() const {
        const unsigned width = vmx.has_32_bit_addresses() && physical_address_width > 32
                                   ? 32u
                                   : physical_address_width;
        return width >= 64 ? 0 : ~((std::uint64_t{1} << width) - 1);
    }

    /// Bits that an address of ordinary memory may not set.
    constexpr std::uint64_t bits_beyond_physical() const {
        return physical_address_width >= 64 ? 0
                                            : ~((std::uint64_t{1} << physical_address_width) - 1);
    }
};

/// Physical memory, for the rules that look into it: the TPR of the virtual-APIC page, the PDPTEs
/// of a PAE guest without EPT, the VMCS that the link pointer names, the MSR-load list. Whoever has
/// no such access leaves it empty, and those rules stay undecided.
struct PhysicalMemory {
    /// Reads the eight bytes at a physical address that is a multiple of eight. False if it cannot.
    bool (*read)(const void *context, std::uint64_t address, std::uint64_t &value) = nullptr;
    /// Handed to read().
    const void *context = nullptr;

    /// True if memory was given.
    constexpr bool given() const { return read != nullptr; }
};

/// The state in which the VM entry is attempted.
struct EntrySituation {
    bool ia32e_mode = true;                    ///< IA32_EFER.LMA of the host.
    bool in_smm = false;                       ///< The processor is in system-management mode.
    bool tracing = false;                      ///< IA32_RTIT_CTL.TraceEn of the host.
    std::optional<std::uint64_t> current_vmcs; ///< Physical address of the VMCS, if known.
    PhysicalMemory memory{};                   ///< Memory that the rules may look into.
};

/// IA32_EFER on every processor with Intel 64: SCE, LME, LMA, NXE.
inline constexpr std::uint64_t efer_bits_intel64 = Efer::sce | Efer::lme | Efer::lma | Efer::nxe;

/// Bits of IA32_DEBUGCTL that some processor has: LBR, BTF, and bits 14:6. Bit 2 (bus locks) and
/// bit 15 (RTM) depend on CPUID. CPUID does not tell which of bits 14:6 a model lacks, so a rule
/// can only object to what no processor has.
inline constexpr std::uint64_t debugctl_bits_any = 0x7fc3;

/// Describes the processor at hand, or the one whose CPUID `query` gives.
/// \param vmx   its capability MSRs
/// \param query called as query(leaf, subleaf), gives CpuidResult; only leaves that exist
/// \sdm{cpuid-cpu-identification}
template <class Query>
requires std::invocable<Query &, std::uint32_t, std::uint32_t> &&
    std::same_as<std::invoke_result_t<Query &, std::uint32_t, std::uint32_t>, CpuidResult>
constexpr ProcessorDescription describe_processor(const VmxCapabilities &vmx, Query &&query) {
    ProcessorDescription processor;
    processor.vmx = vmx;
    const std::uint32_t highest = query(0u, 0u).eax;
    const std::uint32_t highest_extended = query(0x80000000u, 0u).eax;

    const auto add_if = [&](std::uint32_t word, unsigned bit, CpuFeature feature) {
        if (((word >> bit) & 1u) != 0) {
            processor.add(feature);
        }
    };
    processor.debugctl_bits = debugctl_bits_any;
    if (highest >= 7) {
        const CpuidResult leaf7 = query(7u, 0u);
        add_if(leaf7.ebx, 2, CpuFeature::enclaves);
        add_if(leaf7.ebx, 11, CpuFeature::restricted_tsx);
        add_if(leaf7.ecx, 7, CpuFeature::shadow_stacks);
        add_if(leaf7.ecx, 24, CpuFeature::bus_lock_trap);
        add_if(leaf7.edx, 20, CpuFeature::branch_tracking);
        if (leaf7.eax >= 1) {
            const CpuidResult leaf7_1 = query(7u, 1u);
            add_if(leaf7_1.eax, 17, CpuFeature::flexible_returns);
            add_if(leaf7_1.eax, 26, CpuFeature::linear_masking);
        }
    }
    processor.debugctl_bits |= processor.has(CpuFeature::bus_lock_trap) ? 1u << 2 : 0u;
    processor.debugctl_bits |= processor.has(CpuFeature::restricted_tsx) ? 1u << 15 : 0u;
    if (highest >= 0xa) {
        const CpuidResult counters = query(0xau, 0u);
        const unsigned general = (counters.eax >> 8) & 0xffu;
        const unsigned fixed = counters.edx & 0x1fu;
        if ((counters.eax & 0xffu) >= 2) {
            processor.perf_global_ctrl_bits = ((std::uint64_t{1} << (general & 0x1fu)) - 1) |
                                              (((std::uint64_t{1} << fixed) - 1) << 32);
            // Bit 48, performance metrics, is told by an MSR that goes with CPUID.1:ECX.PDCM.
            const bool has_perf_capabilities = ((query(1u, 0u).ecx >> 15) & 1u) != 0;
            processor.perf_global_ctrl_bits |=
                has_perf_capabilities ? std::uint64_t{1} << 48 : std::uint64_t{0};
        }
    }
    if (highest_extended >= 0x80000001u) {
        const std::uint32_t edx = query(0x80000001u, 0u).edx;
        add_if(edx, 29, CpuFeature::long_mode);
        processor.efer_bits |= ((edx >> 11) & 1u) != 0 ? Efer::sce : 0u;
        processor.efer_bits |= ((edx >> 20) & 1u) != 0 ? Efer::nxe : 0u;
        processor.efer_bits |= ((edx >> 29) & 1u) != 0 ? Efer::lme | Efer::lma : 0u;
    }
    processor.physical_address_width = 36;
    processor.linear_address_width = 48;
    if (highest_extended >= 0x80000008u) {
        const std::uint32_t widths = query(0x80000008u, 0u).eax;
        processor.physical_address_width = static_cast<std::uint8_t>(widths & 0xffu);
        processor.linear_address_width = static_cast<std::uint8_t>((widths >> 8) & 0xffu);
    }
    return processor;
}

} // namespace vtx
