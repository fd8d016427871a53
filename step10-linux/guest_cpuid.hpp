// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// CPUID: the processor that Linux sees, as a table.
#pragma once

#include <cstdint>

#include "exit.hpp"
#include "x86/cpuid.hpp"

namespace vtx {

/// What the guest may use besides what every guest may.
struct GuestFeatures {
    std::uint64_t xcr0; ///< The bits that it may set in XCR0; 0 if it has no XSAVE.
    bool osxsave;       ///< Its CR4.OSXSAVE.
    bool invpcid;       ///< INVPCID
    bool rdtscp;        ///< RDTSCP
    std::uint32_t khz;  ///< The rate of its time-stamp counter.
};

/// A leaf, and which bits of the processor's answer the guest sees. All others it sees as 0.
struct CpuidRow {
    std::uint32_t leaf, eax, ebx, ecx, edx;
};

/// A mask of single bits.
template <typename... Bit> constexpr std::uint32_t bits(Bit... bit) {
    return ((1u << bit) | ... | 0u);
}

inline constexpr std::uint32_t all = ~0u, none = 0;

/// Bits by feature, where a feature depends on something of the guest's.
struct CpuidBits {
    static constexpr std::uint32_t leaf1_ecx_avx = bits(12, 28, 29); ///< FMA, AVX, F16C
    static constexpr std::uint32_t leaf7_ebx_avx2 = bits(5);
    /// F, DQ, IFMA, PF, ER, CD, BW, VL
    static constexpr std::uint32_t leaf7_ebx_avx512 = bits(16, 17, 21, 26, 27, 28, 30, 31);
    static constexpr std::uint32_t leaf7_ebx_invpcid = bits(10);
};

// [table]
/// What Linux sees. A leaf that is not in the list is all zeroes, so what a later processor adds
/// stays hidden, and so does a hypervisor below us. \sdm{cpuid-cpu-identification}
inline constexpr CpuidRow cpuid_rows[] = {
    // Vendor. Linux looks for errata and frequencies by it.
    {0x0, all, all, all, all},
    // Not the number of this processor and of all (EBX): the guest has one.
    {0x1, all, 0xffff,
     // SSE3, PCLMULQDQ, SSSE3, FMA, CMPXCHG16B, SSE4.1, SSE4.2, MOVBE, POPCNT, AES, XSAVE, AVX,
     // F16C, RDRAND. Not MONITOR, which exits here and raises \#UD; not VMX; not PCID, which
     // needs a bit of CR4; not the x2APIC and its deadline timer.
     bits(0, 1, 9, 12, 13, 19, 20, 22, 23, 25, 26, 28, 29, 30),
     // x87, DE, PSE, TSC, RDMSR, PAE, CMPXCHG8B, SYSENTER, PGE, CMOV, PAT, PSE-36, CLFLUSH, MMX,
     // FXSAVE, SSE, SSE2, self-snoop. Not the APIC (bit 9): so Linux uses the 8259 and the 8254.
     // Not machine checks and MTRRs, which have MSRs that it does not have.
     bits(0, 2, 3, 4, 5, 6, 8, 11, 13, 15, 16, 17, 19, 23, 24, 25, 26, 27)},
    // Caches; not how many processors share them.
    {0x2, all, all, all, all},
    {0x4, 0x3fff, all, all, all},
    // FSGSBASE, BMI1, AVX2, SMEP, BMI2, REP MOVSB, INVPCID, RDSEED, ADX, SMAP, CLFLUSHOPT, CLWB,
    // SHA and AVX-512; in ECX UMIP. Not transactions: each exit would abort one.
    {0x7, none, bits(0, 3, 5, 7, 8, 9, 10, 18, 19, 20, 23, 24, 29) | CpuidBits::leaf7_ebx_avx512,
     bits(2), none},
    // What XSAVE stores: computed below.
    {0xd, all, all, all, all},
    // [exercise 10-2]
    // Highest extended leaf; LAHF, LZCNT, PREFETCHW; SYSCALL, NX, pages of 1 GiB, RDTSCP, 64 bits.
    {0x80000000, all, none, none, none},
    {0x80000001, none, none, bits(0, 5, 8), bits(11, 20, 26, 27, 29)},
    // [exercise 10-2]
    // The processor's name.
    {0x80000002, all, all, all, all},
    {0x80000003, all, all, all, all},
    {0x80000004, all, all, all, all},
    // Second-level cache.
    {0x80000006, none, none, all, none},
    // The time-stamp counter never changes its rate.
    {0x80000007, none, none, none, bits(8)},
    // Widths of addresses, the physical one in the lowest byte.
    {0x80000008, 0xff, none, none, none},
};
// [table]

// [xsave]
/// Leaf 0xd: sizes and places of what XSAVE stores, as far as the guest may switch it on. `ask` is
/// cpuid().
template <typename Ask>
CpuidResult xsave_leaf(std::uint32_t subleaf, std::uint64_t offered, Ask ask) {
    CpuidResult result = ask(0xd, subleaf);
    const bool is_component = subleaf >= 2 && subleaf < 32 && (offered >> subleaf & 1) != 0;
    if (subleaf == 0) {
        result.eax &= static_cast<std::uint32_t>(offered);
        result.edx = 0;
        // EBX goes by XCR0, which is the guest's now. ECX is the size if all is switched on.
        result.ecx = 576;
        for (std::uint32_t i = 2; i < 8; i++)
            if ((offered >> i & 1) != 0) {
                const CpuidResult component = ask(0xd, i);
                const std::uint32_t end = component.ebx + component.eax;
                result.ecx = end > result.ecx ? end : result.ecx;
            }
    } else if (subleaf == 1) {
        // XSAVEOPT and XGETBV 1. XSAVEC would need its size in EBX, where the host's XSAVES has
        // one that counts more than the guest may use.
        result = {result.eax & 0x5, 0, 0, 0};
    } else if (!is_component) {
        result = {};
    }
    return result;
}
// [xsave]

// [leaves]
/// What CPUID shows the guest: the table, what depends on the guest, and three leaves of our own.
/// `ask` is cpuid().
template <typename Ask>
CpuidResult
guest_cpuid(std::uint32_t leaf, std::uint32_t subleaf, const GuestFeatures &features, Ask ask) {
    CpuidResult result{};
    for (const CpuidRow &row : cpuid_rows)
        if (row.leaf == leaf) {
            const CpuidResult own = ask(leaf, subleaf);
            result = {own.eax & row.eax, own.ebx & row.ebx, own.ecx & row.ecx, own.edx & row.edx};
        }

    switch (leaf) {
    case 0x0: // the highest leaf
        result.eax = result.eax < 0x16 ? 0x16 : result.eax;
        break;
    case 0x1:
        result.ecx |= Cpuid1Ecx::hypervisor | (features.osxsave ? Cpuid1Ecx::osxsave : 0);
        if ((features.xcr0 & Xcr0::avx) == 0)
            result.ecx &= ~CpuidBits::leaf1_ecx_avx;
        if (features.xcr0 == 0)
            result.ecx &= ~Cpuid1Ecx::xsave;
        break;
    case 0x7:
        if (subleaf != 0)
            return {};
        if ((features.xcr0 & Xcr0::avx) == 0)
            result.ebx &= ~CpuidBits::leaf7_ebx_avx2;
        if ((features.xcr0 & Xcr0::avx512) == 0)
            result.ebx &= ~CpuidBits::leaf7_ebx_avx512;
        if (!features.invpcid)
            result.ebx &= ~CpuidBits::leaf7_ebx_invpcid;
        break;
    case 0xd:
        return features.xcr0 != 0 ? xsave_leaf(subleaf, features.xcr0, ask) : CpuidResult{};
    case 0x15: { // The rate of the TSC in Hz is ECX * EBX / EAX, so Linux need not measure it.
        const std::uint64_t hertz = std::uint64_t{features.khz} * 1000;
        const std::uint32_t factor = hertz >> 32 == 0 ? 1 : 2;
        return {1, factor, static_cast<std::uint32_t>(hertz / factor), 0};
    }
    case 0x16: // the same in MHz: base, highest, and of the bus
        return {features.khz / 1000, features.khz / 1000, 100, 0};
    case 0x40000000:
        // By convention a hypervisor gives its name here: "VtxTutorial" and a zero.
        return {0x40000000, 0x54787456, 0x726f7475, 0x006c6169};
    case 0x80000001:
        if (!features.rdtscp)
            result.edx &= ~Cpuid80000001Edx::rdtscp;
        break;
    case 0x80000008:
        result.eax |= 48u << 8; // of linear addresses: CR4.LA57 is ours
        break;
    default:
        break;
    }
    return result;
}
// [leaves]

// [cpuid]
/// CPUID always leaves the guest, so the host decides what CPU the guest sees.
/// \sdm{cpuid-emulation}
inline Action handle_cpuid(const Exit &exit) {
    const Vcpu &vcpu = exit.vcpu;
    const GuestFeatures features{
        .xcr0 = vcpu.fpu.offered(),
        .osxsave = (exit.vmcs.read(FieldNatural::guest_cr4) & Cr4::osxsave) != 0,
        .invpcid = vcpu.controls.secondary.has(SecondaryControl::enable_invpcid),
        .rdtscp = vcpu.msrs.has_tsc_aux,
        .khz = exit.vm.clock.khz()};
    GuestRegisters &registers = exit.vcpu.registers;
    const CpuidResult result = guest_cpuid(
        static_cast<std::uint32_t>(registers.rax), static_cast<std::uint32_t>(registers.rcx),
        features, [](std::uint32_t leaf, std::uint32_t subleaf) { return cpuid(leaf, subleaf); });
    registers.rax = result.eax;
    registers.rbx = result.ebx;
    registers.rcx = result.ecx;
    registers.rdx = result.edx;
    return exit.skip_instruction();
}
// [cpuid]

} // namespace vtx
