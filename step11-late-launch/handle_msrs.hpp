// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// RDMSR and WRMSR, as far as they leave the guest.
#pragma once

#include <cstdint>

#include "exit.hpp"
#include "msr_bitmap.hpp"
#include "x86/msr.hpp"

namespace vtx {

/// RDMSR: IA32_FEATURE_CONTROL says that firmware allows no VMX. All others raise \#GP, as if they
/// did not exist: the MSRs of VMX, and numbers outside the bitmap, where no processor has an MSR.
inline Action handle_rdmsr(const Exit &exit) {
    GuestRegisters &registers = exit.registers;
    if (Msr{static_cast<std::uint32_t>(registers.rcx)} != Msr::feature_control)
        return exit.raise(Vector::general_protection);
    const std::uint64_t value = read_msr(Msr::feature_control) &
                                ~(FeatureControl::vmx_inside_smx | FeatureControl::vmx_outside_smx);
    registers.rax = static_cast<std::uint32_t>(value);
    registers.rdx = value >> 32;
    return exit.skip_instruction();
}

/// WRMSR: a write to an MTRR changes memory types, and our EPT has the old ones. A microcode update
/// must not happen in a guest. In both cases give up. All other writes raise \#GP, as a locked MSR
/// or one that does not exist would.
inline Action handle_wrmsr(const Exit &exit) {
    const auto msr = static_cast<std::uint32_t>(exit.registers.rcx);
    return ends_the_guest(msr) ? exit.give_up(msr) : exit.raise(Vector::general_protection);
}

} // namespace vtx
