// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Instructions that leave every guest, whatever the controls say.
/// \sdm{instructions-that-cause-vm-exits-unconditionally}
#pragma once

#include <cstdint>

#include "exit.hpp"
#include "vmx/qualifications.hpp"
#include "x86/cpuid.hpp"

/// In late_launch.S: the VMCALL that asks to leave. Only its address is used.
extern "C" const char late_return_vmcall[];

namespace vtx {

/// True if XSETBV takes this value: else it would fault in root operation.
/// \sdm{extended-control-registers-including-xcr0}
inline bool is_valid_xcr0(std::uint64_t value) {
    static constexpr std::uint64_t x87 = 1, sse = 2, avx = 4, mpx = 3 << 3, avx512 = 7 << 5,
                                   amx = 3 << 17;
    const CpuidResult leaf = cpuid(0xd);
    const std::uint64_t supported = std::uint64_t{leaf.edx} << 32 | leaf.eax;
    const auto all_or_none = [value](std::uint64_t bits) {
        return (value & bits) == 0 || (value & bits) == bits;
    };
    if ((value & ~supported) != 0 || (value & x87) == 0)
        return false;
    if ((value & avx) != 0 && (value & sse) == 0)
        return false;
    if ((value & avx512) != 0 && (value & avx) == 0)
        return false;
    return all_or_none(mpx) && all_or_none(avx512) && all_or_none(amx);
}

/// XSETBV. The processor has only one XCR0, and it is the guest's. A program may not change it. By
/// the SDM its attempt faults and does not exit, but in Bochs 2.7 it exits.
inline Action handle_xsetbv(const Exit &exit) {
    const GuestRegisters &registers = exit.registers;
    const std::uint64_t value = registers.rdx << 32 | static_cast<std::uint32_t>(registers.rax);
    if (exit.cpl() != 0 || static_cast<std::uint32_t>(registers.rcx) != 0 || !is_valid_xcr0(value))
        return exit.raise(Vector::general_protection);
    write_xcr0(value);
    return exit.skip_instruction();
}

/// INVD drops the caches without writing them to memory first. All that Linux and we have written
/// lately would be lost. WBINVD writes it first, which is always allowed.
inline Action handle_invd(const Exit &exit) {
    asm volatile("wbinvd" ::: "memory");
    return exit.skip_instruction();
}

/// VMCALL. From one address in our own module it means: leave. Any other VMCALL raises \#UD, as on
/// a processor without VMX.
inline Action handle_vmcall(const Exit &exit) {
    // [exercise 11-3]
    const auto ours = reinterpret_cast<std::uint64_t>(late_return_vmcall);
    if (exit.vmcs.read(FieldNatural::guest_rip) != ours)
        return exit.raise(Vector::invalid_opcode);
    // [exercise 11-3]
    exit.processor.state = Processor::State::outside;
    exit.skip_instruction();
    return Action::leave;
}

/// A control register. By the masks this is a write that would clear CR0.PE, PG or NE, which Linux
/// does not do, or that sets CR4.VMXE, which a processor without VMX refuses.
inline Action handle_control_register(const Exit &exit) {
    const std::uint64_t qualification = exit.vmcs.read(FieldNatural::exit_qualification);
    const CrAccess access = decode_cr_access(qualification);
    if (access.cr == 4 && access.type == CrAccessType::mov_to_cr)
        return exit.raise(Vector::general_protection);
    return exit.give_up(qualification);
}

} // namespace vtx
