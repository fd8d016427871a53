// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Control, debug and model-specific registers: the guest may read a small model of them. A write
/// that would change how the guest runs raises a general-protection exception.
#pragma once

#include <cstdint>

#include "exit.hpp"
#include "vmx/qualifications.hpp"
#include "x86/control_registers.hpp"
#include "x86/msr.hpp"
#include "x86/paging.hpp"

namespace vtx {

/// What the guest reads from CR3. The real one would tell it where its tables lie in the machine's
/// memory, which is none of its business.
inline constexpr std::uint64_t cr3_as_read = 0;

/// What the guest reads from CR8, its task priority: there are no interrupts to rank.
inline constexpr std::uint64_t cr8_as_read = 0;

// [cr]
/// Exit reason 28. CR0 and CR4 are read from the shadows in the VMCS, without an exit; a write
/// gets here only if it would change a bit. \sdm{handling-accesses-to-control-registers}
/// \sdm{guest-host-masks-and-read-shadows-for-cr0-and-cr4}
inline Action handle_cr_access(const Exit &exit) {
    const CrAccess access = decode_cr_access(exit.qualification());
    const std::uint64_t as_read = access.cr == 3 ? cr3_as_read : cr8_as_read;
    const bool has_model = access.cr == 3 || access.cr == 8;

    if (has_model && access.type == CrAccessType::mov_from_cr) {
        exit.set_general_register(access.general_register, as_read);
        return exit.skip_instruction();
    }
    if (has_model && access.type == CrAccessType::mov_to_cr &&
        exit.general_register(access.general_register) == as_read)
        return exit.skip_instruction();
    return exit.raise(Vector::general_protection);
}
// [cr]

/// What the guest reads from a debug register: its value after a reset.
constexpr std::uint64_t dr_as_read(unsigned number) {
    switch (number) {
    case 4: // another name for DR6
    case 6:
        return 0xffff0ff0;
    case 5: // another name for DR7
    case 7:
        return 0x400;
    default:
        return 0;
    }
}

/// Exit reason 29. The debug registers hold the host's breakpoints, so the guest has none.
/// \sdm{table-exit-qualification-for-mov-dr}
inline Action handle_dr_access(const Exit &exit) {
    const DrAccess access = decode_dr_access(exit.qualification());

    if (access.from_dr)
        exit.set_general_register(access.general_register, dr_as_read(access.dr));
    else if (exit.general_register(access.general_register) != dr_as_read(access.dr))
        return exit.raise(Vector::general_protection);
    return exit.skip_instruction();
}

/// IA32_EFER of the guest: 64-bit mode, and nothing else.
inline constexpr std::uint64_t efer_as_read = Efer::lme | Efer::lma;

/// IA32_APIC_BASE after a reset: enabled, at 0xFEE00000, on the first processor.
inline constexpr std::uint64_t apic_base_as_read = 0xfee00900;

// [msr]
/// Exit reason 31. \sdm{handling-special-case-msrs-and-instructions}
inline Action handle_rdmsr(const Exit &exit) {
    GuestRegisters &registers = exit.vcpu.registers;
    std::uint64_t value = 0;

    switch (Msr{static_cast<std::uint32_t>(registers.rcx)}) {
    case Msr::time_stamp_counter:
        value = __builtin_ia32_rdtsc();
        break;
    case Msr::apic_base:
        value = apic_base_as_read;
        break;
    case Msr::efer:
        value = efer_as_read;
        break;
    case Msr::fs_base:
        value = exit.vmcs.read(FieldNatural::guest_fs_base);
        break;
    case Msr::gs_base:
        value = exit.vmcs.read(FieldNatural::guest_gs_base);
        break;
    case Msr::kernel_gs_base:
        value = read_msr(Msr::kernel_gs_base); // the guest's own: SWAPGS changes the real one
        break;
    default:
        return exit.raise(Vector::general_protection);
    }
    // [exercise 05-4]
    registers.rax = static_cast<std::uint32_t>(value);
    registers.rdx = value >> 32;
    // [exercise 05-4]
    return exit.skip_instruction();
}

/// Exit reason 32. The three bases may be any canonical address; the others keep their value.
inline Action handle_wrmsr(const Exit &exit) {
    const GuestRegisters &registers = exit.vcpu.registers;
    const std::uint64_t value = registers.rdx << 32 | static_cast<std::uint32_t>(registers.rax);
    const Msr msr{static_cast<std::uint32_t>(registers.rcx)};

    const bool unchanged = (msr == Msr::efer && value == efer_as_read) ||
                           (msr == Msr::apic_base && value == apic_base_as_read);
    const bool base = msr == Msr::fs_base || msr == Msr::gs_base || msr == Msr::kernel_gs_base;
    if (!unchanged && !(base && is_canonical(value)))
        return exit.raise(Vector::general_protection);

    if (msr == Msr::fs_base)
        exit.vmcs.write(FieldNatural::guest_fs_base, value);
    else if (msr == Msr::gs_base)
        exit.vmcs.write(FieldNatural::guest_gs_base, value);
    else if (msr == Msr::kernel_gs_base)
        write_msr(Msr::kernel_gs_base, value); // the host's comes back when the scope ends
    return exit.skip_instruction();
}
// [msr]

} // namespace vtx
