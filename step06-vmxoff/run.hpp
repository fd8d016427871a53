// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Running a guest: in a scope from exit to exit, and what a scope leaves behind.
#pragma once

#include <cstdint>

#include "exit.hpp"
#include "guest.hpp"
#include "handle.hpp"
#include "scope.hpp"
#include "tell.hpp"
#include "vm_entry.hpp"
#include "x86/control_registers.hpp"

namespace vtx {

/// Bochs 2.7 sees a pending external interrupt only if RFLAGS.IF is 1 at the VM entry. Where no
/// timer bounds the scope, a guest could then keep the processor for itself. Setting IF does no
/// harm: external interrupts leave the guest, whatever its IF says. A guest that cleared IF may
/// read it as 1, but it gets no interrupts either way.
inline void keep_interruptible(CurrentVmcs &vmcs) {
    const std::uint64_t rflags = vmcs.read(FieldNatural::guest_rflags);
    if ((rflags & Rflags::if_) == 0)
        vmcs.write(FieldNatural::guest_rflags, rflags | Rflags::if_);
}

/// The VMX-preemption timer counts while the guest runs, not while we do. So a scope also ends
/// after this many VM exits: a millisecond or two.
inline constexpr unsigned exits_a_scope = 1000;

// [loop]
/// From VM exit to VM exit, until the guest has ended or the host needs the processor. Returns what
/// to do then. `on_exit(vmcs, reason)` is called at each exit. If an access to the VMCS or an entry
/// failed, vmcs.failure() says how.
template <typename OnExit> Action run_until_left(Guest &guest, CurrentVmcs &vmcs, OnExit on_exit) {
    // [exercise 05-6]
    for (unsigned exits = 0; exits < exits_a_scope; exits++) {
        // The scope began with VMCLEAR, so its first entry is VMLAUNCH, and all others are
        // VMRESUME.
        const bool launched = exits > 0;
        const auto reason = enter_guest(vmcs, guest.vcpu.registers, launched);
        if (!reason)
            return Action::leave;
        guest.counts.exits++;
        guest.counts.launches += launched ? 0 : 1;

        on_exit(vmcs, *reason);
        const Action action = handle({guest.vcpu, guest.vm, vmcs, *reason});
        if (!guest.vcpu.controls.has_timer())
            keep_interruptible(vmcs);
        if (action != Action::resume)
            return action;
    }
    return Action::leave;
    // [exercise 05-6]
}

/// One scope of a guest. If the scope fails, the guest ends.
template <typename OnExit> void run_scope(Guest &guest, OnExit on_exit) {
    Vm &vm = guest.vm;
    const Failure failure = in_scope(guest.vcpu, [&](Scope scope) {
        const Action action = run_until_left(guest, scope.vmcs, on_exit);
        if (scope.vmcs.failure())
            guest.doctor.look(scope.vmcs);
        vm.end.rip = scope.vmcs.read(FieldNatural::guest_rip);
        scope.owed.nmi = action == Action::leave_for_nmi;
        scope.owed.machine_check = vm.end.how == Ending::machine_check;
    });
    guest.counts.scopes++;
    if (failure) {
        vm.end.how = Ending::failure;
        vm.end.failure = failure;
    }
}
// [loop]

/// Says how a guest ended; if a VM entry failed, first which rules its VMCS breaks. Returns 0 if it
/// ended with status 0, else a negative errno.
inline int tell_end(Guest &guest) {
    if (guest.doctor.has_looked())
        guest.doctor.tell(guest.vcpu.vmx);
    log_end(guest.vm.end);
    return guest.vm.end.error();
}

} // namespace vtx
