// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// CPUID: the processor that the guest sees.
#pragma once

#include <cstdint>

#include "exit.hpp"
#include "x86/cpuid.hpp"

namespace vtx {

/// Bits that the guest must not see, because the feature is not there for it: an MSR, a control or
/// a bit of CR4 or XCR0 that it would need is not the guest's. \sdm{cpuid-cpu-identification}
struct HiddenBits {
    /// Leaf 1, ECX: 64-bit DS area, MONITOR, CPL-qualified DS, VMX, SMX, SpeedStep, TM2, L1
    /// context ID, debug interface, xTPR, PDCM, PCID, DCA, x2APIC, TSC deadline.
    static constexpr std::uint32_t leaf1_ecx =
        1u << 2 | Cpuid1Ecx::monitor | 1u << 4 | Cpuid1Ecx::vmx | Cpuid1Ecx::smx | 1u << 7 |
        1u << 8 | 1u << 10 | 1u << 11 | 1u << 14 | 1u << 15 | Cpuid1Ecx::pcid | 1u << 18 |
        Cpuid1Ecx::x2apic | 1u << 24;
    /// The same without AVX: that itself, FMA and F16C, which need it.
    static constexpr std::uint32_t leaf1_ecx_avx = 1u << 28 | 1u << 12 | 1u << 29;
    /// Leaf 1, EDX: VME, machine checks (MCE, MCA), MTRRs, serial number, DS, ACPI, HTT, TM, PBE.
    static constexpr std::uint32_t leaf1_edx = 1u << 1 | 1u << 7 | 1u << 14 | 1u << 12 | 1u << 18 |
                                               1u << 21 | 1u << 22 | 1u << 28 | 1u << 29 | 1u << 31;
    /// Leaf 7, EBX: TSC_ADJUST, SGX, cache monitoring, MPX, cache allocation, Processor Trace.
    static constexpr std::uint32_t leaf7_ebx =
        1u << 1 | 1u << 2 | 1u << 12 | 1u << 14 | 1u << 15 | 1u << 25;
    static constexpr std::uint32_t leaf7_ebx_avx2 = 1u << 5;
    /// AVX-512 in leaf 7: F, DQ, IFMA, PF, ER, CD, BW, VL in EBX; all of ECX and EDX is hidden.
    static constexpr std::uint32_t leaf7_ebx_avx512 =
        1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31;
    static constexpr std::uint32_t leaf7_ebx_invpcid = 1u << 10;
    /// Leaf 7, ECX: of this register the guest sees UMIP only.
    static constexpr std::uint32_t leaf7_ecx_shown = 1u << 2;
};

/// What the guest may use besides what every guest may.
struct GuestFeatures {
    std::uint64_t xcr0; ///< The bits that it may set in XCR0; 0 if it has no XSAVE.
    bool osxsave;       ///< Its CR4.OSXSAVE.
    bool invpcid;       ///< INVPCID
    bool rdtscp;        ///< RDTSCP
};

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
/// What CPUID shows the guest: one processor like this one, with a hypervisor, and without what it
/// may not use. A leaf that is not in the list is all zeroes, so what a later processor adds stays
/// hidden, and so does a hypervisor below us. `ask` is cpuid(). \sdm{cpuid-cpu-identification}
template <typename Ask>
CpuidResult
guest_cpuid(std::uint32_t leaf, std::uint32_t subleaf, const GuestFeatures &features, Ask ask) {
    CpuidResult result = ask(leaf, subleaf);

    switch (leaf) {
    case 0x0:        // vendor
    case 0x2:        // caches
    case 0x15:       // frequencies
    case 0x16:       // likewise
    case 0x80000000: // highest leaf from there on
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: // name
    case 0x80000006: // second-level cache
    case 0x80000007: // the TSC never changes its rate
        return result;
    case 0x1:
        result.ebx &= 0xffff; // without the number of this processor, and of all
        result.ecx &= ~(HiddenBits::leaf1_ecx | Cpuid1Ecx::osxsave);
        result.ecx |= Cpuid1Ecx::hypervisor | (features.osxsave ? Cpuid1Ecx::osxsave : 0);
        if ((features.xcr0 & Xcr0::avx) == 0)
            result.ecx &= ~HiddenBits::leaf1_ecx_avx;
        if (features.xcr0 == 0)
            result.ecx &= ~Cpuid1Ecx::xsave;
        result.edx &= ~HiddenBits::leaf1_edx;
        return result;
    case 0x4:
        result.eax &= 0x3fff; // caches, without the number of processors that share them
        return result;
    case 0x7:
        if (subleaf != 0)
            return {};
        result.eax = 0; // no further subleaves
        result.ebx &= ~HiddenBits::leaf7_ebx;
        if ((features.xcr0 & Xcr0::avx) == 0)
            result.ebx &= ~HiddenBits::leaf7_ebx_avx2;
        if ((features.xcr0 & Xcr0::avx512) == 0)
            result.ebx &= ~HiddenBits::leaf7_ebx_avx512;
        if (!features.invpcid)
            result.ebx &= ~HiddenBits::leaf7_ebx_invpcid;
        result.ecx &= HiddenBits::leaf7_ecx_shown;
        result.edx = 0;
        return result;
    case 0xd:
        return features.xcr0 != 0 ? xsave_leaf(subleaf, features.xcr0, ask) : CpuidResult{};
    case 0x40000000:
        // By convention a hypervisor gives its name here: "VtxTutorial" and a zero.
        return {0x40000000, 0x54787456, 0x726f7475, 0x006c6169};
    case 0x80000001:
        if (!features.rdtscp)
            result.edx &= ~Cpuid80000001Edx::rdtscp;
        return result;
    case 0x80000008:
        // Widths of addresses: the physical one, and 48 bits of linear ones (CR4.LA57 is ours).
        return {(result.eax & 0xff) | 48u << 8, 0, 0, 0};
    default:
        return {};
    }
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
        .rdtscp = vcpu.msrs.has_tsc_aux};
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
