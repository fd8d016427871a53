// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What one logical processor says of its VMX, register by register.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "vmx/capabilities.hpp"
#include "vmx_check.hpp"
#include "x86/control_registers.hpp"
#include "x86/cpuid.hpp"
#include "x86/msr.hpp"

namespace vtx {

/// The MSRs in the report: IA32_FEATURE_CONTROL and the capability MSRs, which have consecutive
/// numbers. \sdm{appendix-vmx-capability-reporting-facility}
struct ReportedMsrs {
    static constexpr std::uint32_t first = static_cast<std::uint32_t>(Msr::vmx_basic);
    static constexpr std::uint32_t last = static_cast<std::uint32_t>(Msr::vmx_exit_ctls2);
    static constexpr std::size_t count = 1 + last - first + 1;

    /// The place of an MSR in an array of `count`.
    static constexpr std::size_t index(Msr msr) {
        return msr == Msr::feature_control ? 0 : 1 + static_cast<std::uint32_t>(msr) - first;
    }

    /// The MSR at a place.
    static constexpr Msr at(std::size_t index) {
        return index == 0 ? Msr::feature_control
                          : Msr{first + static_cast<std::uint32_t>(index) - 1};
    }
};

/// The answers of one logical processor.
struct Reading {
    VmxCheck check{};
    CpuidResult leaf1{};                  ///< CPUID leaf 1: also the registers asked by mistake.
    std::uint64_t cr0 = 0, cr4 = 0;       ///< As they are while Linux runs.
    std::optional<VmxCapabilities> vmx{}; ///< Nothing without VMX, or if `unreadable` is set.
    Msr unreadable{};                     ///< An MSR that should exist, but RDMSR faulted.

    /// Asks the logical processor that runs this. Interrupts are off. An MSR is read only if what
    /// was read before says that it exists, because RDMSR of a missing MSR faults.
    void take() {
        *this = {};
        check = check_vmx();
        leaf1 = cpuid(1);
        cr0 = read_cr0();
        cr4 = read_cr4();
        if (!check.has_vmx)
            return;
        value(Msr::feature_control) = check.feature_control;
        vmx = read_capabilities([this](Msr msr) {
            value(msr) = read_msr_safe(msr);
            if (!value(msr))
                unreadable = msr;
            return value(msr);
        });
    }

    /// What an MSR of the report holds; nothing if it does not exist.
    std::optional<std::uint64_t> &value(Msr msr) { return msrs[ReportedMsrs::index(msr)]; }
    const std::optional<std::uint64_t> &value(Msr msr) const {
        return msrs[ReportedMsrs::index(msr)];
    }

    std::optional<std::uint64_t> msrs[ReportedMsrs::count]{}; ///< Ask value() for them.
};

/// Calls `note(name, first, here)` for each register in which two readings differ; a value is
/// missing where the register does not exist. CR0, CR4 and most of CPUID are not compared: they
/// may differ from moment to moment, and are not about VMX.
template <typename Note> void compare(const Reading &first, const Reading &here, Note note) {
    const auto bits = [](const Reading &of) {
        return of.leaf1.ecx & (Cpuid1Ecx::vmx | Cpuid1Ecx::hypervisor);
    };

    if (first.leaf1.eax != here.leaf1.eax)
        note("CPUID.1:EAX (family, model, stepping)", first.leaf1.eax, here.leaf1.eax);
    if (bits(first) != bits(here))
        note("CPUID.1:ECX (bits 5 and 31)", bits(first), bits(here));
    for (std::size_t i = 0; i < ReportedMsrs::count; i++)
        if (first.msrs[i] != here.msrs[i])
            note(msr_name(ReportedMsrs::at(i)), first.msrs[i], here.msrs[i]);
}

} // namespace vtx
