// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// MSRs that the guest uses without an exit, and that no VM entry or exit switches.
#pragma once

#include <cstddef>
#include <cstdint>

#include "x86/cpuid.hpp"
#include "x86/msr.hpp"

namespace vtx {

/// Where SYSCALL goes, and what RDTSCP reads. (KERNEL_GS_BASE is one more: Vcpu has it since 04.)
inline constexpr Msr switched_msrs[] = {
    Msr::star, Msr::lstar, Msr::cstar, Msr::fmask, Msr::tsc_aux};

/// True if the processor has RDTSCP and with it IA32_TSC_AUX.
inline bool has_rdtscp() { return (cpuid(0x80000001).edx & Cpuid80000001Edx::rdtscp) != 0; }

/// The guest's values while it does not run.
struct GuestMsrs {
    static constexpr std::size_t count = sizeof switched_msrs / sizeof switched_msrs[0];

    std::uint64_t values[count]{};
    bool has_tsc_aux = false; ///< The last one exists: the processor has RDTSCP.

    std::size_t used() const { return has_tsc_aux ? count : count - 1; }
};

/// The processor's MSRs are the guest's while this lives, with interrupts off.
class MsrSwitch {
public:
    explicit MsrSwitch(GuestMsrs &guest) : guest_(guest) { swap(); }
    ~MsrSwitch() { swap(); }
    MsrSwitch(const MsrSwitch &) = delete;
    MsrSwitch &operator=(const MsrSwitch &) = delete;

private:
    /// Exchanges what is in the registers with what is in `guest_`.
    void swap() const {
        for (std::size_t i = 0; i < guest_.used(); i++) {
            const std::uint64_t now = read_msr(switched_msrs[i]);
            write_msr(switched_msrs[i], guest_.values[i]);
            guest_.values[i] = now;
        }
    }

    GuestMsrs &guest_;
};

} // namespace vtx
