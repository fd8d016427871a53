// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Running a guest: in a scope from exit to exit, and what a scope leaves behind.
#pragma once

#include <cstdint>

#include "exit.hpp"
#include "explain_ept.hpp"
#include "guest.hpp"
#include "handle.hpp"
#include "scope.hpp"
#include "tell.hpp"
#include "vm_entry.hpp"

namespace vtx {

/// The VMX-preemption timer counts while the guest runs, not while we do. So a scope also ends
/// after this many VM exits: a millisecond or two.
inline constexpr unsigned exits_a_scope = 1000;

// [loop]
/// From VM exit to VM exit, until the guest has ended or the host needs the processor. Returns what
/// to do then. `on_exit(vmcs, reason)` is called at each exit. If an access to the VMCS or an entry
/// failed, vmcs.failure() says how.
template <typename OnExit> Action run_until_left(Guest &guest, CurrentVmcs &vmcs, OnExit on_exit) {
    Vcpu &vcpu = guest.vcpu;
    for (unsigned exits = 0; exits < exits_a_scope; exits++) {
        guest.vm.update(__builtin_ia32_rdtsc());
        inject(vcpu.events, guest.vm.pic, vmcs, vcpu.controls.primary);
        // The scope began with VMCLEAR, so its first entry is VMLAUNCH, and all others are
        // VMRESUME.
        const bool launched = exits > 0;
        const auto reason = enter_guest(vmcs, vcpu.registers, launched);
        if (!reason)
            return Action::leave;
        guest.counts.exits++;
        guest.counts.launches += launched ? 0 : 1;

        on_exit(vmcs, *reason);
        keep_undelivered(vcpu.events, vmcs);
        const Action action = handle({vcpu, guest.vm, vmcs, *reason});
        if (action != Action::resume)
            return action;
        if (guest.vm.end.how != Ending::none)
            return Action::end; // it has reset the machine
        if (guest.vm.output.size > Output::limit / 2)
            return Action::leave; // time to hand it out
    }
    return Action::leave;
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

// [between]
/// Between two scopes: sleeps while the guest does, and says how long the next scope may be. False
/// if the guest still sleeps, because somebody woke us for another reason.
inline bool wait_until_it_runs(Guest &guest) {
    Vm &vm = guest.vm;
    Vcpu &vcpu = guest.vcpu;
    const std::uint64_t millisecond = vtx_tsc_khz(), now = __builtin_ia32_rdtsc();

    vm.update(now);
    const std::uint64_t next = vm.next_update(now);
    if (vcpu.halted && !vcpu.events.waits(vm.pic)) {
        static constexpr std::uint64_t longest = 100; // milliseconds
        const std::uint64_t left = next - now;        // `never` is far off
        vtx_wait(left < longest * millisecond ? left * 1000000 / millisecond : longest * 1000000);
        return false;
    }
    vcpu.halted = false;
    // A scope ends when the next tick is due. One that is due already is on its way: there is no
    // other to wait for.
    vcpu.slice = next > now && next - now < millisecond ? next - now : millisecond;
    return true;
}
// [between]

/// Says how a guest ended; if a VM entry failed, first which rules its VMCS breaks.
inline void tell_end(Guest &guest) {
    if (guest.doctor.has_looked())
        guest.doctor.tell(guest.vcpu.vmx);
    log_end(guest.vm.end);
    if (guest.vm.end.how == Ending::ept_misconfiguration)
        explain_ept(guest.vcpu, guest.vm);
}

} // namespace vtx
