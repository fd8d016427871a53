// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The scope: a stretch of time with interrupts off, in VMX operation, with a current VMCS.
#pragma once

#include <cstdint>

#include "guest_fpu.hpp"
#include "guest_msrs.hpp"
#include "host_repair.hpp"
#include "host_state.hpp"
#include "interrupts.hpp"
#include "kernel.h"
#include "translations.hpp"
#include "vcpu.hpp"
#include "vm_entry.hpp"
#include "vmcs.hpp"
#include "vmx/capabilities.hpp"
#include "vmx_operation.hpp"
#include "x86/control_registers.hpp"

namespace vtx {

/// Hands Linux, after the scope, what a VM exit took from it: an NMI or a machine check. Linux's
/// handler may find that the machine must crash and never return, so it must not run in VMX
/// operation. This object is made before all others that change the processor, so its destructor
/// runs after theirs, with nothing in between that can fault or be traced.
struct OwedToHost {
    bool nmi = false, machine_check = false; ///< Set in the scope, after a VM exit for one of them.

    OwedToHost() = default;
    ~OwedToHost() {
        if (nmi)
            asm volatile("int $2" ::: "memory");
        // A kernel built without machine-check support leaves CR4.MCE 0 and has no handler.
        if (machine_check && (read_cr4() & Cr4::mce) != 0)
            asm volatile("int $18" ::: "memory");
    }
    OwedToHost(const OwedToHost &) = delete;
    OwedToHost &operator=(const OwedToHost &) = delete;
};

/// A time in the unit of the VMX-preemption timer, which counts down at the rate of the TSC divided
/// by a power of two. Never 0: the guest would leave before its first instruction.
/// \sdm{vmx-preemption-timer-in-non-root}
inline std::uint32_t in_timer_units(const VmxCapabilities &vmx, std::uint64_t tsc) {
    return static_cast<std::uint32_t>(tsc >> vmx.preemption_timer_rate()) + 1;
}

/// What in_scope() gives to `work`.
struct Scope {
    CurrentVmcs &vmcs;
    OwedToHost &owed;
};

/// Runs `work(scope)` in VMX operation with the VMCS of `vcpu` current and its host state written.
/// Returns the first failure, from VMXON to VMXOFF, or an empty one.
///
/// Destructors undo everything in the opposite order: VMCLEAR, VMXOFF, CR4, what VM exits spoiled,
/// the MSRs and the vector registers, what Linux is owed, interrupts on. The VMCS keeps the guest:
/// a later scope, on this processor or another, goes on where it stopped. `work` must not print,
/// allocate, sleep or touch user memory. (Inlined, because objtool refuses the long names that
/// templates over lambdas have.)
template <typename Work> [[gnu::always_inline]] inline Failure in_scope(Vcpu &vcpu, Work work) {
    Failure failure; // outlives the scope, because VMCLEAR and VMXOFF can fail too
    {
        const InterruptsOff interrupts_off;
        const FpuBorrowed fpu_borrowed; // calls Linux, so what Linux is owed comes before its end
        OwedToHost owed;
        const FpuSwitch fpu(vcpu.fpu);
        const MsrSwitch msrs(vcpu.msrs);
        const HostState host = HostState::capture();
        const HostRepair repair(host);
        const VmxOperation operation(vcpu.vmxon, vcpu.vmx, failure);
        if (failure)
            return failure;

        CurrentVmcs vmcs(vcpu.vmcs, failure);
        host.write_to(vmcs, vcpu.controls);
        vmcs.write_checked(FieldNatural::host_rip, reinterpret_cast<std::uint64_t>(vm_exit));
        vmcs.write(Field32::preemption_timer_value, in_timer_units(vcpu.vmx, vcpu.slice));
        forget_translations(vcpu.vmx, vcpu.controls, vcpu.ept_pointer, failure);
        vcpu.load_registers();
        vcpu.speculation.empty();
        if (!failure)
            work(Scope{vmcs, owed});
        vcpu.save_registers();
        owed.machine_check |= failure.is_machine_check();
    }
    return failure;
}

} // namespace vtx
