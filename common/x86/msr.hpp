// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Model-specific registers: their numbers as an enumeration, a plain way to read and write them,
/// and a way to read one that may not exist.
#pragma once

#include <cstdint>
#include <optional>

// kernel.h has its contract; declared here so that a host test need not know kernel.h.
extern "C" int vtx_read_msr_safe(std::uint32_t msr, std::uint64_t *value);

namespace vtx {

/// Model-specific registers by number, named after the SDM without `IA32_`. A number that is not
/// in the table is written `Msr{0x1234}`. \sdm{table-ia-32-architectural-msrs}
enum class Msr : std::uint32_t {
#define VTX_MSR(name, number, linux_name, sdm_name) name = number,
#include "x86/msr.def"
};

/// A row of the table of MSRs.
struct MsrInfo {
    Msr msr;          ///< The number, what RDMSR takes in ECX.
    const char *name; ///< The SDM's name, "IA32_VMX_BASIC".
};

/// Every MSR that has a name here, lowest number first.
inline constexpr MsrInfo all_msrs[] = {
#define VTX_MSR(name, number, linux_name, sdm_name) {Msr::name, sdm_name},
#include "x86/msr.def"
};

/// The SDM's name of an MSR, or "(unnamed MSR)". Never null.
constexpr const char *msr_name(Msr msr) {
    for (const MsrInfo &row : all_msrs) {
        if (row.msr == msr) {
            return row.name;
        }
    }
    return "(unnamed MSR)";
}

/// Bits of IA32_FEATURE_CONTROL. Firmware writes it and locks it; this project only reads it.
/// \sdm{enabling-and-entering-vmx-operation}
struct FeatureControl {
    static constexpr std::uint64_t lock = 1u << 0;            ///< no further WRMSR until reset
    static constexpr std::uint64_t vmx_inside_smx = 1u << 1;  ///< VMXON allowed in SMX operation
    static constexpr std::uint64_t vmx_outside_smx = 1u << 2; ///< VMXON allowed outside it
};

/// Bits of IA32_DEBUGCTL that matter at VM entries and exits.
struct DebugCtl {
    static constexpr std::uint64_t lbr = 1u << 0; ///< record branches
    static constexpr std::uint64_t btf = 1u << 1; ///< TF traps on branches, not on instructions
};

/// Executes RDMSR. Precondition: the MSR exists and may be read, or \#GP.
/// \sdm{reading-and-writing-model-specific-registers}
[[gnu::always_inline]] inline std::uint64_t read_msr(Msr msr) {
    std::uint32_t low = 0;
    std::uint32_t high = 0;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(static_cast<std::uint32_t>(msr)));
    return (std::uint64_t{high} << 32) | low;
}

/// Executes WRMSR. Precondition: the MSR exists and takes this value, or \#GP.
[[gnu::always_inline]] inline void write_msr(Msr msr, std::uint64_t value) {
    asm volatile("wrmsr"
                 :
                 : "c"(static_cast<std::uint32_t>(msr)), "a"(static_cast<std::uint32_t>(value)),
                   "d"(static_cast<std::uint32_t>(value >> 32))
                 : "memory");
}

/// Reads an MSR that may not exist. Nothing if RDMSR faulted; the fault is caught by Linux, which
/// is why this goes through kernel.h. Allowed with interrupts off.
inline std::optional<std::uint64_t> read_msr_safe(Msr msr) {
    std::uint64_t value = 0;
    if (vtx_read_msr_safe(static_cast<std::uint32_t>(msr), &value) != 0) {
        return std::nullopt;
    }
    return value;
}

} // namespace vtx
