// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Into VMX operation, and on as a guest; and asking to come back.
#pragma once

#include "host_state.hpp"
#include "interrupts.hpp"
#include "processor.hpp"
#include "running_state.hpp"
#include "translations.hpp"

/// In late_launch.S. Returns LATE_LAUNCH_IS_GUEST in the guest.
extern "C" int late_launch();
/// In late_launch.S: in the guest, leaves VMX operation.
extern "C" void late_return();

namespace vtx {

// [enter]
/// Makes Linux a guest on the processor at hand: VMXON, its own state into the guest-state area,
/// VMLAUNCH. Returns 0 in the guest. Otherwise a negative errno, and processor.failure says why.
/// \sdm{vmlaunch-vmresume-launch-resume-virtual-machine}
inline int enter(Processor &processor) {
    const InterruptsOff interrupts_off;
    const Hypervisor &shared = *processor.shared;
    Failure &failure = processor.failure;

    failure = {};
    processor.report = {};
    processor.launched = false;
    processor.operation.emplace(processor.vmxon, shared.vmx, failure);
    if (!failure) {
        processor.vmcs.emplace(processor.region, failure);
        CurrentVmcs &vmcs = *processor.vmcs;
        const HostState now = HostState::capture();
        write_controls(vmcs, shared.controls, shared.msrs.physical(), shared.ept.pointer());
        processor.root.write_to(vmcs, shared.controls, now);
        write_running_state(vmcs, now);
        forget_translations(shared.vmx, shared.controls, shared.ept.pointer(), failure);
    }
    if (!failure) {
        processor.state = Processor::State::guest; // true before anybody can ask
        const int outcome = late_launch();
        if (outcome == LATE_LAUNCH_IS_GUEST)
            return 0;
        processor.state = Processor::State::outside;
        if (outcome == LATE_LAUNCH_ENTRY_FAILED)
            return failure.error(); // leave() has undone the rest
        failure.note(Failure::instruction(result_of(
            Instruction::vmlaunch, outcome == VM_ENTER_FAIL_INVALID,
            outcome == VM_ENTER_FAIL_VALID)));
    }
    processor.vmcs.reset();
    processor.operation.reset();
    return failure.error();
}
// [enter]

/// Brings the processor at hand back, if Linux is a guest on it.
inline void come_back(Processor &processor) {
    const InterruptsOff interrupts_off;
    if (processor.state == Processor::State::guest)
        late_return();
}

} // namespace vtx
