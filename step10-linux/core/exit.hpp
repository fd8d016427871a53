// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One VM exit, as the handlers see it, and what a handler can do about it.
#pragma once

#include <cstdint>

#include "vcpu.hpp"
#include "vm.hpp"
#include "vmcs.hpp"
#include "vmx/exit_reasons.hpp"
#include "vmx/interruption_information.hpp"
#include "x86/control_registers.hpp"
#include "x86/exceptions.hpp"
#include "x86/general_registers.hpp"
#include "x86/segments.hpp"

namespace vtx {

/// What to do after a VM exit was handled.
enum class Action : std::uint8_t {
    resume,        ///< Enter the guest again.
    leave,         ///< End the scope: the host needs the processor. Go on with the guest later.
    leave_for_nmi, ///< The same, and the host is owed an NMI.
    end,           ///< The guest has ended: vm.end says how.
};

/// A VM exit. A field is read only when a handler asks for it, because each VMREAD costs time.
/// Handlers know neither Linux nor the scope they run in: they change the guest, and return an
/// Action.
struct Exit {
    Vcpu &vcpu;
    Vm &vm;
    CurrentVmcs &vmcs; ///< The VMCS of `vcpu`, current in this scope.
    ExitReason reason;

    /// The meaning depends on the reason: qualifications.hpp decodes it.
    std::uint64_t qualification() const { return vmcs.read(FieldNatural::exit_qualification); }

    /// A general register of the guest, by number.
    std::uint64_t general_register(GeneralRegister which) const {
        return which == GeneralRegister::rsp
                   ? vmcs.read(FieldNatural::guest_rsp)
                   : vcpu.registers.by_number(static_cast<unsigned>(which));
    }

    /// Changes a general register of the guest.
    void set_general_register(GeneralRegister which, std::uint64_t value) const {
        if (which == GeneralRegister::rsp)
            vmcs.write(FieldNatural::guest_rsp, value);
        else
            vcpu.registers.by_number(static_cast<unsigned>(which)) = value;
    }

    /// True if the guest runs in real mode: CR0.PE is 0.
    bool in_real_mode() const { return (vmcs.read(FieldNatural::guest_cr0) & Cr0::pe) == 0; }

    /// True if the guest runs 64-bit code. Else instructions see 32 bits of a register.
    bool in_64_bit_code() const {
        return AccessRights{vmcs.read(Field32::guest_cs_access_rights)}.is_long_mode() &&
               (vmcs.read(Field64::guest_efer) & Efer::lma) != 0;
    }

    // [skip]
    /// The instruction is done: the guest goes on behind it. Outside 64-bit code RIP wraps around
    /// at 4 GiB. An instruction also ends the one-instruction shadow of STI and MOV SS, in which
    /// interrupts are blocked. With RFLAGS.TF there is a debug exception behind it.
    /// \sdm{information-for-vm-exits-due-to-instruction-execution-in-vm-exit}
    /// \sdm{table-format-of-interruptibility-state}
    Action skip_instruction() const {
        std::uint64_t next =
            vmcs.read(FieldNatural::guest_rip) + vmcs.read(Field32::exit_instruction_length);
        if (!in_64_bit_code())
            next = static_cast<std::uint32_t>(next);
        vmcs.write(FieldNatural::guest_rip, next);
        return finish_step();
    }

    /// What comes behind each instruction, and behind each element of one with REP: the shadow
    /// ends, and a single step traps.
    Action finish_step() const {
        clear_shadow();
        static constexpr std::uint64_t single_step = 1u << 14;
        if ((vmcs.read(FieldNatural::guest_rflags) & Rflags::tf) != 0)
            vmcs.write(FieldNatural::guest_pending_debug_exceptions, single_step);
        return Action::resume;
    }
    // [skip]

    /// Ends the guest.
    Action end(Ending how) const {
        vm.end.how = how;
        return Action::end;
    }

    // [raise]
    /// Delivers an event through the guest's IDT at the next VM entry. The processor itself pushes
    /// the frame and looks up the gate; if there is none, that is one more exception, as without
    /// us. `error_code` counts where the event has one. In real mode none has.
    /// \sdm{event-injection} \sdm{event-injection-for-vm-entries-to-real-address-mode}
    Action deliver(InterruptionInformation event, std::uint32_t error_code) const {
        event.has_error_code &= !in_real_mode();
        // INT3 and its like push the address behind them: the processor adds the length.
        vcpu.events.exception = {
            .information = event,
            .error_code = error_code,
            .instruction_length =
                event.is_software() ? vmcs.read(Field32::exit_instruction_length) : 0};
        clear_shadow();
        return Action::resume;
    }

    /// The instruction that left the guest raises an exception instead of being done.
    Action raise(Vector vector, std::uint32_t error_code = 0) const {
        return deliver(InterruptionInformation::exception(vector), error_code);
    }
    // [raise]

private:
    void clear_shadow() const {
        static constexpr std::uint32_t sti_or_mov_ss = Blocking::sti | Blocking::mov_ss;
        const std::uint32_t blocked = vmcs.read(Field32::guest_interruptibility);
        if ((blocked & sti_or_mov_ss) != 0) [[unlikely]] {
            vmcs.write(Field32::guest_interruptibility, blocked & ~sti_or_mov_ss);
            // A single-step trap that waited for the shadow to end is dropped with it.
            vmcs.write(FieldNatural::guest_pending_debug_exceptions, std::uint64_t{0});
        }
    }
};

} // namespace vtx
