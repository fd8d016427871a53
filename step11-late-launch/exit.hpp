// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One VM exit, and what a handler can do about it.
#pragma once

#include <cstdint>

#include "processor.hpp"
#include "vmx/interruption_information.hpp"
#include "x86/control_registers.hpp"
#include "x86/exceptions.hpp"

namespace vtx {

/// What becomes of the processor after an exit.
enum class Action : std::uint8_t {
    resume, ///< It goes on as a guest.
    leave,  ///< It goes on without us.
};

/// A VM exit. Lives in root operation: nothing here may call Linux.
struct Exit {
    Processor &processor;
    CurrentVmcs &vmcs;
    GuestRegisters &registers;
    ExitReason reason;

    /// The guest's privilege level: 3 in a program. \sdm{table-format-of-access-rights}
    unsigned cpl() const { return AccessRights{vmcs.read(Field32::guest_ss_access_rights)}.dpl(); }

    /// The instruction has been emulated: the guest goes on behind it.
    Action skip_instruction() const {
        const std::uint64_t flags = vmcs.read(FieldNatural::guest_rflags);
        const AccessRights code{vmcs.read(Field32::guest_cs_access_rights)};
        std::uint64_t rip =
            vmcs.read(FieldNatural::guest_rip) + vmcs.read(Field32::exit_instruction_length);
        if (!code.is_long_mode()) // a 32-bit program
            rip = static_cast<std::uint32_t>(rip);
        vmcs.write(FieldNatural::guest_rip, rip);
        vmcs.write(FieldNatural::guest_rflags, flags & ~Rflags::rf);
        // STI and MOV SS hold events back for one instruction: this one.
        vmcs.write(
            Field32::guest_interruptibility,
            vmcs.read(Field32::guest_interruptibility) & ~(Blocking::sti | Blocking::mov_ss));
        // A debugger that steps over it wants its trap.
        // \sdm{table-format-of-pending-debug-exceptions}
        static constexpr std::uint64_t single_step = 1u << 14;
        if ((flags & Rflags::tf) != 0 && (vmcs.read(Field64::guest_debugctl) & DebugCtl::btf) == 0)
            vmcs.write(
                FieldNatural::guest_pending_debug_exceptions,
                vmcs.read(FieldNatural::guest_pending_debug_exceptions) | single_step);
        return Action::resume;
    }

    /// The instruction raises an exception, as it would have without us: with error code 0, if with
    /// any.
    Action raise(Vector vector) const {
        // A fault saves RF = 1, so that a breakpoint at the instruction is not hit a second time.
        vmcs.write(FieldNatural::guest_rflags, vmcs.read(FieldNatural::guest_rflags) | Rflags::rf);
        vmcs.write(
            Field32::entry_interruption_information,
            InterruptionInformation::exception(vector).encode());
        if (has_error_code(vector))
            vmcs.write(Field32::entry_exception_error_code, std::uint32_t{0});
        return Action::resume;
    }

    /// We do not handle this: the processor tells why, and goes on without us. The instruction is
    /// executed again, and now for real. `detail` is the qualification, or what says more.
    Action give_up(std::uint64_t detail) const {
        processor.report.reason = reason;
        processor.report.rip = vmcs.read(FieldNatural::guest_rip);
        processor.report.detail = detail;
        processor.give_up();
        return Action::leave;
    }
};

} // namespace vtx
