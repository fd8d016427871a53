// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The MSR bitmap: which model-specific registers leave the guest. Here, nearly none.
#pragma once

#include <cstdint>

#include "memory_types.hpp"
#include "page.hpp"
#include "x86/msr.hpp"

namespace vtx {

/// True for a register that tells of VMX or turns it on: the guest has no VMX.
constexpr bool is_vmx_msr(std::uint32_t msr) {
    return msr >= static_cast<std::uint32_t>(Msr::vmx_basic) &&
           msr <= static_cast<std::uint32_t>(Msr::vmx_exit_ctls2);
}

/// True for an MTRR. If one changes, our EPT no longer says what the MTRRs say.
constexpr bool is_mtrr(std::uint32_t msr) {
    for (const std::uint32_t fixed : MemoryTypes::fixed)
        if (msr == fixed)
            return true;
    return msr == MemoryTypes::default_type ||
           (msr >= MemoryTypes::variable && msr < MemoryTypes::variable + 0x40);
}

/// True for a register whose write a processor must execute outside VMX operation: an MTRR, or the
/// one that starts a microcode update. \sdm{microcode-update-facility}
constexpr bool ends_the_guest(std::uint32_t msr) {
    return is_mtrr(msr) || Msr{msr} == Msr::bios_updt_trig;
}

/// A page that the processor asks at each RDMSR and WRMSR: a bit that is 1 makes the guest exit.
/// Registers outside its two ranges always do. One page serves all processors.
/// \sdm{msr-bitmap-address}
class MsrBitmap {
public:
    /// False if there is no memory.
    [[nodiscard]] bool allocate() {
        if (!page_.allocate())
            return false;
        for (std::uint32_t msr = 0; msr < 0x2000; msr++) {
            if (is_vmx_msr(msr) || Msr{msr} == Msr::feature_control) {
                set(reads, msr);
                set(writes, msr);
            }
            if (ends_the_guest(msr))
                set(writes, msr);
        }
        return true;
    }

    /// What the VMCS must hold.
    PhysicalAddress physical() const { return page_.physical(); }

private:
    // A quarter for each of: reads of 0 to 0x1fff, reads of 0xc0000000 to 0xc0001fff, and writes of
    // the same two. The second and fourth stay 0: the guest's SYSCALL registers are its own.
    static constexpr std::size_t reads = 0, writes = 2048;

    void set(std::size_t quarter, std::uint32_t msr) const {
        page_.bytes()[quarter + msr / 8] |= static_cast<std::byte>(1u << msr % 8);
    }

    Page page_;
};

} // namespace vtx
