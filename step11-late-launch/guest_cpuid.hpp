// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// CPUID: the processor itself, with a hypervisor and without VMX.
#pragma once

#include <cstdint>

#include "exit.hpp"
#include "x86/cpuid.hpp"

namespace vtx {

/// What CPUID shows in place of what the processor says. Some of its bits repeat CR4, which in root
/// operation is ours. The two by which programs choose instructions repeat the guest's here.
/// \sdm{cpuid-cpu-identification}
constexpr CpuidResult
guest_cpuid(std::uint32_t leaf, std::uint32_t subleaf, CpuidResult own, std::uint64_t guest_cr4) {
    constexpr std::uint32_t ospke = 1u << 4;
    // [exercise 11-1]
    if (leaf == 1) {
        own.ecx &= ~(Cpuid1Ecx::vmx | Cpuid1Ecx::osxsave);
        own.ecx |= Cpuid1Ecx::hypervisor;
        own.ecx |= (guest_cr4 & Cr4::osxsave) != 0 ? Cpuid1Ecx::osxsave : 0;
    } else if (leaf == 7 && subleaf == 0) {
        own.ecx &= ~ospke;
        own.ecx |= (guest_cr4 & Cr4::pke) != 0 ? ospke : 0;
    } else if (leaf == 0x40000000) {
        // By convention a hypervisor gives its name here: "VtxTutorial" and a zero.
        own = {0x40000000, 0x54787456, 0x726f7475, 0x006c6169};
    } else if (leaf > 0x40000000 && leaf <= 0x400000ff) {
        own = {}; // and a hypervisor below us does not show
    }
    // [exercise 11-1]
    return own;
}

// [cpuid]
/// CPUID always leaves the guest. \sdm{cpuid-emulation}
inline Action handle_cpuid(const Exit &exit) {
    GuestRegisters &registers = exit.registers;
    const auto leaf = static_cast<std::uint32_t>(registers.rax);
    const auto subleaf = static_cast<std::uint32_t>(registers.rcx);
    const CpuidResult result =
        guest_cpuid(leaf, subleaf, cpuid(leaf, subleaf), exit.vmcs.read(FieldNatural::guest_cr4));
    registers.rax = result.eax;
    registers.rbx = result.ebx;
    registers.rcx = result.ecx;
    registers.rdx = result.edx;
    return exit.skip_instruction();
}
// [cpuid]

} // namespace vtx
