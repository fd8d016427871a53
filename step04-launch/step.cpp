// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Step 04: a guest in its own pages, VMLAUNCH, and the first VM exit.
#include <cstddef>
#include <cstdint>

#include "doctor.hpp"
#include "guest_memory.hpp"
#include "guest_state.hpp"
#include "kernel.h"
#include "page.hpp"
#include "scope.hpp"
#include "spoil.hpp"
#include "step.h"
#include "vcpu.hpp"
#include "vm_entry.hpp"
#include "vmx/exit_reasons.hpp"
#include "vmx/interruption_information.hpp"
#include "vmx/log_failure.hpp"
#include "vmx_check.hpp"

using namespace vtx;

/// In guest.S.
extern "C" const std::byte first_guest[], first_guest_end[];

namespace {

using ull = unsigned long long;

/// Everything that this step owns while it runs.
struct Launch {
    Vcpu vcpu;
    GuestMemory memory;
    Page msr_list;
    Doctor doctor;

    /// Examines the VMCS that the doctor saw, and logs what is wrong with it. The list of MSRs to
    /// load lies in memory, so the doctor may read that one page.
    bool is_sound() {
        const PhysicalMemory memory{
            [](const void *context, std::uint64_t address, std::uint64_t &value) {
                const Page &page = *static_cast<const Page *>(context);
                const std::uint64_t offset = address - page.physical().value;
                if (offset >= page_size)
                    return false;
                value = page.entries()[offset / sizeof value];
                return true;
            },
            &msr_list};
        return doctor.tell(vcpu.vmx, memory);
    }
};

/// What is known of the VM exit that ended the launch.
struct FirstExit {
    ExitReason reason{};
    std::uint64_t qualification = 0, rip = 0;
    std::uint32_t length = 0;
    bool nmi = false;
    unsigned scopes = 0;

    /// True if the exit has nothing to do with the guest: the host needed the processor.
    bool is_the_hosts() const {
        return nmi || reason == ExitReason::external_interrupt ||
               reason == ExitReason::preemption_timer_expired;
    }
};

// [launch]
/// One scope: writes the VMCS, launches, and notes the exit. Returns what went wrong, if anything.
Failure launch(Launch &step, FirstExit &first) {
    Vcpu &vcpu = step.vcpu;
    first.scopes++;
    return in_scope(vcpu, [&](Scope scope) {
        CurrentVmcs &vmcs = scope.vmcs;
        write_controls(vmcs, vcpu.controls);
        write_guest_state(
            vmcs, vcpu.vmx, vcpu.controls,
            {step.memory.cr3().value, GuestMemory::begin, GuestMemory::end});
        // [exercise 04-1 04-2 04-3 04-5]
        make_mistake(vmcs, spoil, step.msr_list);
        // [exercise 04-1 04-2 04-3 04-5]
        if (check && first.scopes == 1) {
            // It is examined outside, before the next scope enters.
            step.doctor.look_before_entry(vmcs);
            return;
        }

        vcpu.registers = {};
        const auto reason = enter_guest(vmcs, vcpu.registers, false);
        step.doctor.look(vmcs); // for what the processor refused, or did not check
        if (!reason)
            return;
        first.reason = *reason;
        const auto event =
            InterruptionInformation::decode(vmcs.read(Field32::exit_interruption_information));
        first.qualification = vmcs.read(FieldNatural::exit_qualification);
        first.rip = vmcs.read(FieldNatural::guest_rip);
        first.length = vmcs.read(Field32::exit_instruction_length);
        first.nmi = scope.owed.nmi = event.is_nmi();
        if (event.is_exception(Vector::machine_check))
            vmcs.fail({.kind = Failure::Kind::machine_check});
    });
}
// [launch]

/// Logs the doctor's findings, and then what the processor said.
int tell_failure(Launch &step, const Failure &failure) {
    if (step.doctor.has_looked())
        step.is_sound();
    log_failure(failure);
    return failure.error();
}

/// With `spoil`: the failure that was asked for is this step's success.
int tell_spoiled(Launch &step, const Spoil &asked, const Failure &failure) {
    vtx_log("spoiled on purpose: %s", asked.mistake);
    const int error = tell_failure(step, failure);
    if (!asked.matches(failure)) {
        vtx_log_error("that is not the failure that spoil= asked for");
        return error != 0 ? error : -VTX_EIO;
    }
    vtx_log("the VM entry failed in just the way it should, and the machine goes on");
    return 0;
}

int tell_exit(Launch &step, const FirstExit &first) {
    vtx_log("VMLAUNCH entered the guest; it left again: VM exit in scope %u", first.scopes);
    vtx_log(
        "exit reason %u: %s", static_cast<unsigned>(first.reason), exit_reason_name(first.reason));
    vtx_log(
        "exit qualification %#llx, guest RIP %#llx, instruction length %u",
        static_cast<ull>(first.qualification), static_cast<ull>(first.rip), first.length);
    vtx_log("guest RBX is %#llx", static_cast<ull>(step.vcpu.registers.rbx));
    step.doctor.warn(step.vcpu.vmx);
    if (first.reason != ExitReason::vmcall || step.vcpu.registers.rbx != 0x600d600d) {
        vtx_log_error("the guest should have left by VMCALL with 0x600d600d in RBX");
        return -VTX_EIO;
    }
    return 0;
}

} // namespace

int step_start() {
    if (const int error = refuse_without_vmx(check_vmx()))
        return error;

    Box<Launch> step;
    if (!step.allocate() || !step->memory.allocate() || !step->msr_list.allocate()) {
        vtx_log_error("no memory for the guest");
        return -VTX_ENOMEM;
    }
    if (const int error = step->vcpu.prepare())
        return error;
    step->memory.load(first_guest, static_cast<std::size_t>(first_guest_end - first_guest));
    vtx_log(
        "guest: %zu bytes at 0x1000, page tables at %#llx",
        static_cast<std::size_t>(first_guest_end - first_guest),
        static_cast<ull>(step->memory.cr3().value));

    FirstExit first;
    Failure failure;
    if (check) {
        failure = launch(*step, first);
        if (!failure && !step->is_sound()) {
            vtx_log_error("not entered: the VMCS breaks the rules above (parameter check)");
            return -VTX_EIO;
        }
    }

    // An interrupt for the host ends a scope too. Then the guest begins anew in the next one.
    while (!failure) {
        failure = launch(*step, first);
        vtx_give_way();
        if (!first.is_the_hosts())
            break;
    }

    int error = 0;
    if (spoil != SPOIL_NONE)
        error = tell_spoiled(*step, spoils[spoil], failure);
    else
        error = failure ? tell_failure(*step, failure) : tell_exit(*step, first);
    if (error == 0)
        vtx_log_fault_points();
    return error;
}

void step_stop() { vtx_log("unloaded: the guest's memory was given back before insmod returned"); }
