// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The scope: a stretch of time with interrupts off, in VMX operation, with a current VMCS.
#pragma once

#include <cstdint>

#include "host_repair.hpp"
#include "host_state.hpp"
#include "interrupts.hpp"
#include "kernel.h"
#include "vm_entry.hpp"
#include "vmcs.hpp"
#include "vmcs_controls.hpp"
#include "vmx/capabilities.hpp"
#include "vmx_operation.hpp"
#include "x86/control_registers.hpp"

namespace vtx {

/// What scopes need and what outlives them: one for each guest.
struct Machine {
    VmxCapabilities vmx{};
    VmcsControls controls{};
    VmxonRegion vmxon{};
    VmcsRegion region{};

    /// Reads what this processor can do, chooses the controls, takes the memory. Returns 0, or a
    /// negative errno after a sentence in the log.
    int prepare() {
        const auto capabilities = read_capabilities(read_msr_safe);
        if (!capabilities) {
            vtx_log_error("this CPU has VMX, but its capability MSRs cannot be read: its "
                          "hypervisor passes VMX on only in part");
            return -VTX_EOPNOTSUPP;
        }
        // An NMI is passed on to Linux by INT 2, which FRED would deliver as something else.
        if ((read_cr4() & Cr4::fred) != 0) {
            vtx_log_error(
                "this kernel uses FRED, which this step does not know: boot with fred=off");
            return -VTX_EOPNOTSUPP;
        }
        vmx = *capabilities;
        if (const int error = choose_controls(vmx, controls))
            return error;
        if (!vmxon.allocate(vmx) || !region.allocate(vmx)) {
            vtx_log_error("no memory for the VMXON region and the VMCS");
            return -VTX_ENOMEM;
        }
        return 0;
    }
};

/// Passes a non-maskable interrupt on to Linux when the scope has ended.
///
/// An NMI that arrives in the guest causes a VM exit and is then gone: nobody will deliver it to
/// the host but we. Its handler may find that the machine must crash and never return, so it must
/// not run in VMX operation. This object is made before all others of the scope, and so it acts
/// after they are gone, with nothing in between that can fault or be traced.
class PendingNmi {
public:
    PendingNmi() = default;
    ~PendingNmi() {
        if (pending_)
            asm volatile("int $2" ::: "memory");
    }
    PendingNmi(const PendingNmi &) = delete;
    PendingNmi &operator=(const PendingNmi &) = delete;

    /// Called in the scope, after a VM exit that an NMI caused.
    void set() { pending_ = true; }

private:
    bool pending_ = false;
};

/// A millisecond in the unit of the VMX-preemption timer, which counts down at the rate of the
/// TSC divided by a power of two. \sdm{vmx-preemption-timer-in-non-root}
inline std::uint32_t one_millisecond(const VmxCapabilities &vmx) {
    return vtx_tsc_khz() >> vmx.preemption_timer_rate();
}

/// What `work` is given by in_scope().
struct Scope {
    CurrentVmcs &vmcs;
    PendingNmi &nmi;
};

/// Runs `work(scope)` in VMX operation with the machine's VMCS current and its host state written.
/// Returns what went wrong, if something did, before `work` or in an access to the VMCS.
///
/// Everything is undone by destructors, in the opposite order: VMCLEAR, VMXOFF, CR4, the host
/// state that VM exits spoiled, an NMI, interrupts on. The VMCS keeps the guest: a later scope,
/// on this processor or another, goes on where the guest stopped. `work` must not print, allocate,
/// sleep or touch user memory.
///
/// (Inlined, for objtool refuses the long names that templates over lambdas have.)
template <typename Work>
[[gnu::always_inline]] inline Failure in_scope(const Machine &machine, Work work) {
    // [exercise 04-4]
    const InterruptsOff interrupts_off;
    // [exercise 04-4]
    PendingNmi nmi;
    const HostState host = HostState::capture();
    const HostRepair repair(host);
    const VmxOperation operation(machine.vmxon, machine.vmx);
    if (operation.failure())
        return operation.failure();

    CurrentVmcs vmcs(machine.region);
    host.write_to(vmcs, machine.controls);
    vmcs.set(FieldNatural::host_rip, reinterpret_cast<std::uint64_t>(vm_exit));
    if (machine.controls.has_timer())
        vmcs.write(Field32::preemption_timer_value, one_millisecond(machine.vmx));
    if (!vmcs.failure())
        work(Scope{vmcs, nmi});
    return vmcs.failure();
}

} // namespace vtx
