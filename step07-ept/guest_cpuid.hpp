// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// CPUID: the processor that the guest sees.
#pragma once

#include <cstdint>

#include "exit.hpp"
#include "x86/cpuid.hpp"

namespace vtx {

/// Bits that the guest must not see, because the feature is not there for it: a control or a bit of
/// CR4 or XCR0 that it would need is not the guest's. \sdm{cpuid-cpu-identification}
struct HiddenBits {
    /// Leaf 1, ECX: MONITOR, VMX, SMX, PCID, x2APIC, TSC deadline.
    static constexpr std::uint32_t leaf1_ecx = Cpuid1Ecx::monitor | Cpuid1Ecx::vmx |
                                               Cpuid1Ecx::smx | Cpuid1Ecx::pcid |
                                               Cpuid1Ecx::x2apic | 1u << 24;
    /// The same without XSAVE: that itself, AVX, FMA and F16C, which need it.
    static constexpr std::uint32_t leaf1_ecx_xsave =
        Cpuid1Ecx::xsave | 1u << 28 | 1u << 12 | 1u << 29;
    /// Leaf 1, EDX: machine checks (MCE, MCA), MTRRs.
    static constexpr std::uint32_t leaf1_edx = 1u << 7 | 1u << 14 | 1u << 12;
    /// Leaf 7, EBX: SGX, MPX, Processor Trace.
    static constexpr std::uint32_t leaf7_ebx = 1u << 2 | 1u << 14 | 1u << 25;
    static constexpr std::uint32_t leaf7_ebx_avx2 = 1u << 5;
    /// AVX-512 in leaf 7: F, DQ, IFMA, PF, ER, CD, BW, VL in EBX; all of ECX and EDX is hidden.
    static constexpr std::uint32_t leaf7_ebx_avx512 =
        1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31;
    static constexpr std::uint32_t leaf7_ebx_invpcid = 1u << 10;
    /// Leaf 7, ECX: of this register the guest sees UMIP only.
    static constexpr std::uint32_t leaf7_ecx_shown = 1u << 2;
    static constexpr std::uint32_t leaf80000001_edx_rdtscp = 1u << 27;
};

// [xsave]
/// Leaf 0DH: sizes and places of what XSAVE stores, as far as the guest may switch it on.
inline CpuidResult xsave_leaf(std::uint32_t subleaf, std::uint64_t offered) {
    CpuidResult result = cpuid(0xd, subleaf);
    const bool is_component = subleaf >= 2 && subleaf < 32 && (offered >> subleaf & 1) != 0;
    if (subleaf == 0) {
        result.eax &= static_cast<std::uint32_t>(offered);
        result.edx = 0;
        // EBX goes by XCR0, which is the guest's now. ECX is the size if all is switched on.
        result.ecx = 576;
        for (std::uint32_t i = 2; i < 8; i++)
            if ((offered >> i & 1) != 0) {
                const CpuidResult component = cpuid(0xd, i);
                const std::uint32_t end = component.ebx + component.eax;
                result.ecx = end > result.ecx ? end : result.ecx;
            }
    } else if (subleaf == 1) {
        result = {result.eax & 0x7, 0, 0, 0}; // XSAVEOPT, XSAVEC, XGETBV 1; no XSAVES
    } else if (!is_component) {
        result = {};
    }
    return result;
}
// [xsave]

// [cpuid]
/// CPUID always leaves the guest, so the host decides what CPU the guest sees: this one, with a
/// hypervisor, and without what the guest may not use. \sdm{cpuid-emulation}
inline Action handle_cpuid(const Exit &exit) {
    GuestRegisters &registers = exit.vcpu.registers;
    const auto leaf = static_cast<std::uint32_t>(registers.rax);
    const auto subleaf = static_cast<std::uint32_t>(registers.rcx);
    const std::uint64_t offered = exit.vcpu.fpu.offered();
    CpuidResult result = cpuid(leaf, subleaf);

    switch (leaf) {
    case 1: {
        const bool osxsave =
            (exit.vmcs.read(FieldNatural::guest_cr4) & Cr4::osxsave) != 0 && offered != 0;
        result.ecx &= ~(HiddenBits::leaf1_ecx | Cpuid1Ecx::osxsave);
        result.ecx |= Cpuid1Ecx::hypervisor | (osxsave ? Cpuid1Ecx::osxsave : 0);
        if ((offered & Xcr0::avx) == 0)
            result.ecx &= ~(HiddenBits::leaf1_ecx_xsave & ~Cpuid1Ecx::xsave);
        if (offered == 0)
            result.ecx &= ~Cpuid1Ecx::xsave;
        result.edx &= ~HiddenBits::leaf1_edx;
        break;
    }
    case 7:
        if (subleaf != 0) {
            result = {};
            break;
        }
        result.eax = 0; // no further subleaves
        result.ebx &= ~HiddenBits::leaf7_ebx;
        if ((offered & Xcr0::avx) == 0)
            result.ebx &= ~HiddenBits::leaf7_ebx_avx2;
        if ((offered & Xcr0::avx512) == 0)
            result.ebx &= ~HiddenBits::leaf7_ebx_avx512;
        if (!exit.vcpu.controls.secondary.has(SecondaryControl::enable_invpcid))
            result.ebx &= ~HiddenBits::leaf7_ebx_invpcid;
        result.ecx &= HiddenBits::leaf7_ecx_shown;
        result.edx = 0;
        break;
    case 0xd:
        result = offered != 0 ? xsave_leaf(subleaf, offered) : CpuidResult{};
        break;
    case 0x80000001:
        if (!exit.vcpu.msrs.has_tsc_aux)
            result.edx &= ~HiddenBits::leaf80000001_edx_rdtscp;
        break;
    case 0x40000000:
        // By convention a hypervisor gives its name here: "VtxTutorial" and a zero.
        result = {0x40000000, 0x54787456, 0x726f7475, 0x006c6169};
        break;
    default:
        break;
    }
    registers.rax = result.eax;
    registers.rbx = result.ebx;
    registers.rcx = result.ecx;
    registers.rdx = result.edx;
    return exit.skip_instruction();
}
// [cpuid]

} // namespace vtx
