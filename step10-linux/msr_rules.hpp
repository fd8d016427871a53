// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// MSRs: what becomes of each one that Linux asks for, as a table.
#pragma once

#include <cstdint>

#include "x86/msr.hpp"

namespace vtx {

/// What becomes of RDMSR and WRMSR.
enum class MsrRule : std::uint8_t {
    own,         ///< The guest has its own, without an exit: the bitmap lets it through.
    own_if_tscp, ///< The same, if the processor has RDTSCP.
    time,        ///< Reads the processor's time-stamp counter. Cannot be written.
    remembered,  ///< IA32_PAT: what was written can be read, and does nothing.
    constant,    ///< Reads a value of ours. What is written is forgotten.
    features,    ///< The same, with a bit of the processor's: IA32_MISC_ENABLE.
    refused,     ///< \#GP, as on a processor that does not have it. Linux takes that.
};

/// A row of the table.
struct MsrRow {
    Msr msr;
    MsrRule rule;
    std::uint64_t value = 0; ///< With MsrRule::constant and MsrRule::features.
};

// [table]
/// All that are not refused.
inline constexpr MsrRow msr_rows[] = {
    // VM entries and exits load and save these.
    {Msr::efer, MsrRule::own},
    {Msr::fs_base, MsrRule::own},
    {Msr::gs_base, MsrRule::own},
    {Msr::sysenter_cs, MsrRule::own},
    {Msr::sysenter_esp, MsrRule::own},
    {Msr::sysenter_eip, MsrRule::own},
    // The scope switches these.
    {Msr::kernel_gs_base, MsrRule::own},
    {Msr::star, MsrRule::own},
    {Msr::lstar, MsrRule::own},
    {Msr::cstar, MsrRule::own},
    {Msr::fmask, MsrRule::own},
    {Msr::tsc_aux, MsrRule::own_if_tscp},

    {Msr::time_stamp_counter, MsrRule::time},
    // EPT makes all RAM write-back, whatever the guest has here.
    {Msr::pat, MsrRule::remembered},
    // Read before there is an IDT, so it must be there. No branch trace, no PEBS; fast strings as
    // the processor has them, because Linux copies memory in another way without.
    {Msr::misc_enable, MsrRule::features, 1u << 11 | 1u << 12},
    // Newer kernels ask for the platform before they know of a hypervisor. KVM says 0, too.
    {Msr::platform_id, MsrRule::constant, 0},
    // Linux writes 0, executes CPUID, and finds the revision of the microcode in the upper half.
    {Msr::bios_sign_id, MsrRule::constant, std::uint64_t{1} << 32},
};
// [table]

/// Bit 0 of IA32_MISC_ENABLE: REP MOVS and REP STOS are fast.
inline constexpr std::uint64_t fast_strings = 1;

/// The row of an MSR; one with MsrRule::refused if the table has none.
constexpr MsrRow msr_row(Msr msr) {
    for (const MsrRow &row : msr_rows)
        if (row.msr == msr)
            return row;
    return {msr, MsrRule::refused};
}

} // namespace vtx
