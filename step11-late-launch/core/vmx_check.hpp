// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Can this logical processor do VMX, and did the firmware allow it?
#pragma once

#include <cstdint>

#include "kernel.h"
#include "x86/cpuid.hpp"
#include "x86/msr.hpp"

namespace vtx {

/// What one logical processor says when it is asked for VMX.
struct VmxCheck {
    char vendor[13];               ///< CPUID leaf 0, as text: "GenuineIntel".
    bool has_vmx;                  ///< CPUID.1:ECX.VMX[bit 5].
    bool hypervisor;               ///< CPUID.1:ECX[bit 31]: we are a guest ourselves.
    std::uint64_t feature_control; ///< IA32_FEATURE_CONTROL; 0 where there is no VMX.

    /// Until the firmware locks the register, VMXON faults whatever the other bits say.
    bool locked() const { return (feature_control & FeatureControl::lock) != 0; }
    /// VMXON is allowed: bit 1 inside SMX operation (Linux booted by tboot), bit 2 outside.
    bool allowed() const {
        return (feature_control &
                (FeatureControl::vmx_inside_smx | FeatureControl::vmx_outside_smx)) != 0;
    }
};

/// Asks the logical processor that runs this. The answer may be kept only for that processor.
/// \sdm{discovering-support-for-vmx} \sdm{enabling-and-entering-vmx-operation}
inline VmxCheck check_vmx() {
    VmxCheck check{};
    std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;

    // Leaf 0: twelve letters, in EBX, EDX, ECX (in that order).
    asm("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(0), "c"(0));
    const std::uint32_t letters[3] = {ebx, edx, ecx};
    for (unsigned i = 0; i < 12; i++)
        check.vendor[i] = static_cast<char>(letters[i / 4] >> (i % 4 * 8));

    // [exercise 01-1]
    // Leaf 1: the answer is bit 5 of ECX. Some texts test EAX: bit 5 there belongs to the model
    // number, so the test says yes on some CPUs that have VMX, and on some that have not.
    asm("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(1), "c"(0));
    check.has_vmx = (ecx & Cpuid1Ecx::vmx) != 0;
    check.hypervisor = (ecx & Cpuid1Ecx::hypervisor) != 0;
    // [exercise 01-1]

    // The register exists only where the feature does: RDMSR would fault on other CPUs. (And a
    // hypervisor below us may have forgotten it: then it counts as "not allowed".)
    if (check.has_vmx)
        check.feature_control = read_msr_safe(Msr::feature_control).value_or(0);
    return check;
}

/// Says in one sentence why a processor with this answer cannot enter VMX operation, and what to
/// do about it. Returns 0 if it can, else -ENODEV (no VMX) or -EACCES (not allowed by firmware).
inline int refuse_without_vmx(const VmxCheck &check) {
    if (!check.has_vmx) {
        vtx_log_error(
            "this CPU (%s) has no VMX (CPUID.1:ECX[5] is 0): %s", check.vendor,
            check.hypervisor
                ? "it is a virtual one, so let its hypervisor pass VMX on, or use ./lab run"
                : "run this step in the emulated machine with ./lab run");
        return -VTX_ENODEV;
    }
    if (!check.locked()) {
        vtx_log_error(
            "the firmware left IA32_FEATURE_CONTROL unlocked (%#llx), and VMXON would "
            "fault: enable virtualization in the firmware set-up and power-cycle",
            static_cast<unsigned long long>(check.feature_control));
        return -VTX_EACCES;
    }
    if (!check.allowed()) {
        vtx_log_error(
            "the firmware locked VMX off (IA32_FEATURE_CONTROL is %#llx): enable "
            "virtualization (VT-x) in the firmware set-up and power-cycle",
            static_cast<unsigned long long>(check.feature_control));
        return -VTX_EACCES;
    }
    return 0;
}

} // namespace vtx
