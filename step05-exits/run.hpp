// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Running a guest: from scope to scope, and in each from exit to exit.
#pragma once

#include <cstdint>

#include "exit.hpp"
#include "guest.hpp"
#include "guest_state.hpp"
#include "handle.hpp"
#include "scope.hpp"
#include "vm_entry.hpp"
#include "x86/control_registers.hpp"
#include "x86/msr.hpp"

namespace vtx {

/// How often a guest was given the processor. (It came back by a VM exit each time; all entries of
/// a scope but the first are VMRESUMEs.)
struct RunCounts {
    std::uint64_t scopes = 0, launches = 0;
};

/// Before the first entry of a guest: all of its VMCS but the host state, which each scope writes.
inline void write_vmcs(CurrentVmcs &vmcs, const Machine &machine, const Guest &guest) {
    write_controls(vmcs, machine.controls);
    write_guest_state(
        vmcs, machine.vmx, machine.controls,
        {guest.memory.cr3().value, GuestMemory::begin, GuestMemory::end});
}

/// Bochs 2.7 sees a pending external interrupt only if RFLAGS.IF is 1 at the VM entry. Where no
/// timer bounds the scope, a guest could so keep the processor for itself. To set IF is harmless:
/// external interrupts leave the guest, whatever its IF says. The guest may see IF as 1 where it
/// had cleared it, and nothing will ever come of it.
[[gnu::always_inline]] inline void keep_interruptible(CurrentVmcs &vmcs) {
    const std::uint64_t rflags = vmcs.read(FieldNatural::guest_rflags);
    if ((rflags & Rflags::if_) == 0)
        vmcs.write(FieldNatural::guest_rflags, rflags | Rflags::if_);
}

/// The VMX-preemption timer counts while the guest runs, not while we do. So where it bounds the
/// scope, the scope also ends after this many VM exits: a millisecond or two.
inline constexpr unsigned exits_a_scope = 1000;

// [loop]
/// From VM exit to VM exit, until the guest has ended or the host is wanted. Returns what shall
/// happen then. `recorder.record(vmcs, reason)` is called at each exit. If an access to the VMCS or
/// an entry failed, vmcs.failure() says how.
///
/// A function of its own, and one for each kind of processor: its few instructions are what each
/// VM exit costs.
template <bool has_timer, typename Recorder>
[[gnu::noinline]] inline Action
run_until_left(CurrentVmcs &vmcs, Guest *guest, RunCounts &counts, Recorder &recorder) {
    // After VMCLEAR the first entry is VMLAUNCH, and all others are VMRESUME.
    ExitReason reason{};
    if (!enter_guest(vmcs, guest, false, reason))
        return Action::leave;
    counts.launches++;
    for (unsigned exits_left = exits_a_scope;;) {
        recorder.record(vmcs, reason);
        const Action action = handle({*guest, vmcs}, reason);
        if constexpr (!has_timer)
            keep_interruptible(vmcs);
        if (action != Action::resume)
            return action;
        if (has_timer && --exits_left == 0)
            return Action::leave;
        // If an access to the VMCS failed, it is no longer current, and so this fails, too.
        if (!enter_guest(vmcs, guest, true, reason))
            return Action::leave;
    }
}

/// One scope of a guest. What makes the scope impossible ends the guest.
template <typename Recorder>
[[gnu::always_inline]] inline void
run_scope(const Machine &machine, Guest &guest, RunCounts &counts, Recorder &recorder) {
    const Failure failure = in_scope(machine, [&](Scope scope) {
        CurrentVmcs &vmcs = scope.vmcs;
        if (!guest.begun) {
            write_vmcs(vmcs, machine, guest);
            guest.begun = true;
            if (guest.check) {
                guest.doctor.look(vmcs);
                return; // the verdict comes outside; the next scope enters
            }
            if (vmcs.failure())
                return;
        }
        write_cr2(guest.cr2);
        write_msr(Msr::kernel_gs_base, guest.kernel_gs_base);

        const Action action = machine.controls.has_timer()
                                  ? run_until_left<true>(vmcs, &guest, counts, recorder)
                                  : run_until_left<false>(vmcs, &guest, counts, recorder);

        if (vmcs.failure())
            guest.doctor.look(vmcs);
        guest.cr2 = read_cr2();
        guest.kernel_gs_base = read_msr(Msr::kernel_gs_base);
        guest.rip = vmcs.read(FieldNatural::guest_rip);
        scope.owed.nmi = action == Action::leave_for_nmi;
        scope.owed.machine_check = guest.ending == Ending::machine_check;
    });
    counts.scopes++;
    if (failure) {
        guest.failure = failure;
        guest.end(Ending::failure);
    } else if (guest.check) {
        guest.check = false;
        if (!guest.doctor.tell(machine.vmx))
            guest.end(Ending::refused);
    }
}
// [loop]

/// Says how a guest ended; if a VM entry failed, first which rules its VMCS breaks. Returns as
/// Guest::tell_ending().
inline int tell_end(const Machine &machine, Guest &guest) {
    if (guest.ending == Ending::failure && guest.doctor.has_looked())
        guest.doctor.tell(machine.vmx);
    return guest.tell_ending();
}

} // namespace vtx
