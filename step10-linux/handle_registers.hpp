// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Control, debug and model-specific registers: what is left of them for us, now that the guest
/// switches its modes itself.
#pragma once

#include <cstdint>

#include "exit.hpp"
#include "guest_state.hpp"
#include "msr_rules.hpp"
#include "vmx/qualifications.hpp"
#include "x86/control_registers.hpp"
#include "x86/msr.hpp"

namespace vtx {

// [cr0]
/// MOV to CR0 that would change CD, NW or NE, which are the host's. The guest gets what it wants of
/// these in the shadow, and executes its MOV again. Now nothing differs from the shadow, so there
/// is no exit, and the processor itself does the rest: other bits, the mode, and each check. (If it
/// faults then, the shadow is ahead of CR0. Nothing depends on it.)
/// \sdm{handling-accesses-to-control-registers}
inline Action write_guest_cr0(const Exit &exit, std::uint64_t value) {
    if ((value & (Cr0::cd | Cr0::nw)) == Cr0::nw)
        return exit.raise(Vector::general_protection);
    exit.vmcs.write(FieldNatural::cr0_read_shadow, value & GuestView::host_cr0);
    return Action::resume;
}
// [cr0]

/// Exit reason 28. A write to CR4 gets here only if it would change a bit that is not in the list.
inline Action handle_cr_access(const Exit &exit) {
    const CrAccess access = decode_cr_access(exit.qualification());

    if (access.cr == 8 && access.type == CrAccessType::mov_from_cr) {
        exit.set_general_register(access.general_register, exit.vcpu.cr8);
        return exit.skip_instruction();
    }
    if (access.type != CrAccessType::mov_to_cr || access.cr == 4)
        return exit.raise(Vector::general_protection);
    const std::uint64_t value = exit.general_register(access.general_register);
    if (access.cr == 0)
        return write_guest_cr0(exit, value);
    if (value > 15) // CR8: a priority has four bits
        return exit.raise(Vector::general_protection);
    exit.vcpu.cr8 = value;
    return exit.skip_instruction();
}

// [dr]
/// Exit reason 29. DR0 to DR3 and DR7 of the processor hold the host's breakpoints. What Linux
/// writes there it can read again, but nothing ever breaks. DR6 says what a debug exception was.
/// This exit comes before the processor has looked at CR4.DE and at the privilege level, so we
/// look. \sdm{table-exit-qualification-for-mov-dr}
/// \sdm{relative-priority-of-faults-and-vm-exits}
inline Action handle_dr_access(const Exit &exit) {
    const DrAccess access = decode_dr_access(exit.qualification());
    const bool is_alias = access.dr == 4 || access.dr == 5; // of DR6 and DR7
    const unsigned number = is_alias ? access.dr + 2 : access.dr;
    Vcpu &vcpu = exit.vcpu;
    std::uint64_t &held = number == 6   ? vcpu.dr6
                          : number == 7 ? vcpu.dr7
                                        : vcpu.breakpoints[number];
    const AccessRights stack{exit.vmcs.read(Field32::guest_ss_access_rights)};

    if (is_alias && (exit.vmcs.read(FieldNatural::guest_cr4) & Cr4::de) != 0)
        return exit.raise(Vector::invalid_opcode);
    if (stack.dpl() != 0) // the current privilege level
        return exit.raise(Vector::general_protection);
    if (access.from_dr) {
        exit.set_general_register(access.general_register, held);
        return exit.skip_instruction();
    }
    std::uint64_t value = exit.general_register(access.general_register);
    if (!exit.in_64_bit_code())
        value = static_cast<std::uint32_t>(value);
    if (number >= 6 && value >> 32 != 0)
        return exit.raise(Vector::general_protection);
    held = number == 6   ? (value & 0xe00f) | 0xffff0ff0
           : number == 7 ? (value & ~0xd800u) | 0x400
                         : value;
    return exit.skip_instruction();
}
// [dr]

/// True for a value of IA32_PAT: eight memory types, each 0, 1, 4, 5, 6 or 7.
constexpr bool is_pat(std::uint64_t value) {
    for (unsigned i = 0; i < 8; i++, value >>= 8)
        if ((value & 0xff) > 7 || (value & 0xff) == 2 || (value & 0xff) == 3)
            return false;
    return true;
}

// [msr]
/// Exit reason 31: the MSRs whose bit in the bitmap is 1, by the table in msr_rules.hpp.
/// \sdm{handling-special-case-msrs-and-instructions}
inline Action handle_rdmsr(const Exit &exit) {
    GuestRegisters &registers = exit.vcpu.registers;
    const MsrRow row = msr_row(Msr{static_cast<std::uint32_t>(registers.rcx)});
    std::uint64_t value = 0;

    switch (row.rule) {
    case MsrRule::time:
        value = __builtin_ia32_rdtsc();
        break;
    case MsrRule::remembered:
        value = exit.vcpu.pat;
        break;
    case MsrRule::features:
        value = row.value | exit.vcpu.fast_strings_bit;
        break;
    case MsrRule::constant:
        value = row.value;
        break;
    default:
        return exit.raise(Vector::general_protection);
    }
    registers.rax = static_cast<std::uint32_t>(value);
    registers.rdx = value >> 32;
    return exit.skip_instruction();
}

/// Exit reason 32.
inline Action handle_wrmsr(const Exit &exit) {
    const GuestRegisters &registers = exit.vcpu.registers;
    const std::uint64_t value = registers.rdx << 32 | static_cast<std::uint32_t>(registers.rax);
    const MsrRow row = msr_row(Msr{static_cast<std::uint32_t>(registers.rcx)});

    switch (row.rule) {
    case MsrRule::constant:
    case MsrRule::features:
        break;
    case MsrRule::remembered:
        if (!is_pat(value))
            return exit.raise(Vector::general_protection);
        exit.vcpu.pat = value;
        break;
    default:
        return exit.raise(Vector::general_protection);
    }
    return exit.skip_instruction();
}
// [msr]

// [xsetbv]
/// Exit reason 55: always exits. XCR0 switches components of XSAVE on. The guest's is in the
/// register while it runs. \sdm{extended-control-registers-including-xcr0}
inline Action handle_xsetbv(const Exit &exit) {
    const GuestRegisters &registers = exit.vcpu.registers;
    const std::uint64_t value = registers.rdx << 32 | static_cast<std::uint32_t>(registers.rax);
    GuestFpu &fpu = exit.vcpu.fpu;

    if (static_cast<std::uint32_t>(registers.rcx) != 0 || (value & ~fpu.offered()) != 0 ||
        !Xcr0::is_consistent(value))
        return exit.raise(Vector::general_protection);
    fpu.xcr0 = value;
    write_xcr0(value);
    return exit.skip_instruction();
}
// [xsetbv]

} // namespace vtx
