// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A failure in words.
#pragma once

#include "kernel.h"
#include "vmx/exit_reasons.hpp"
#include "vmx/failure.hpp"
#include "vmx/fields.hpp"
#include "vmx/instruction_errors.hpp"
#include "vmx/qualifications.hpp"
#include "x86/control_registers.hpp"

namespace vtx {

/// log_failure() for a VMX instruction.
inline void log_failed_instruction(const Failure &failure) {
    const Result &result = failure.result;
    const char *const name = instruction_name(result.instruction);
    const char *const of = failure.field != 0 ? " of " : "";
    const char *const field = failure.field != 0 ? field_name(failure.field) : "";

    switch (result.status) {
    case Status::fault:
        vtx_log_error(
            "%s faulted: VMX operation is not possible here, or was left already%s", name,
            result.instruction == Instruction::vmxon
                ? " (IA32_FEATURE_CONTROL allows it by bit 1 in SMX operation, under tboot, and by "
                  "bit 2 elsewhere)"
                : "");
        break;
    case Status::fail_invalid:
        vtx_log_error(
            "%s%s%s failed: VMfailInvalid: %s", name, of, field,
            fail_invalid_text(result.instruction));
        break;
    default:
        vtx_log_error(
            "%s%s%s failed: VMfailValid, VM-instruction error %u: %s", name, of, field,
            result.error, instruction_error_text(result.error));
        break;
    }
}

/// Says that there was a machine check, and who has the details. Not inside a scope: it prints.
inline void log_machine_check() {
    vtx_log_error(
        "the processor reported a machine check, an error of the hardware; %s",
        (read_cr4() & Cr4::mce) != 0
            ? "Linux's handler was called after the scope, and its log has the details"
            : "this kernel has no handler for it (CR4.MCE is 0), so none was called: restart the "
              "machine and look at the hardware");
}

/// Says in one sentence at error level what went wrong and, where that is known, what to do.
/// Says nothing of the empty failure. Not inside a scope: it prints.
inline void log_failure(const Failure &failure) {
    using ull = unsigned long long;
    switch (failure.kind) {
    case Failure::Kind::none:
        break;
    case Failure::Kind::vmx_in_use:
        vtx_log_error("another hypervisor holds VMX on this CPU (CR4.VMXE is set): unload it (for "
                      "KVM: rmmod kvm_intel, after its virtual machines have ended) and try again");
        break;
    case Failure::Kind::tracing:
        vtx_log_error("Intel Processor Trace is running on this CPU (IA32_RTIT_CTL.TraceEn), and "
                      "VMX operation would break its trace: stop it and try again");
        break;
    case Failure::Kind::sampling:
        vtx_log_error("perf samples a precise event on this CPU (IA32_PEBS_ENABLE is not 0), whose "
                      "records would be written in the guest: stop it and try again");
        break;
    case Failure::Kind::other_capabilities:
        vtx_log_error(
            "this CPU's VMX capabilities are not those of the CPU on which the module was "
            "loaded, and it needs the same: run it in the emulated machine with ./lab run");
        break;
    case Failure::Kind::unfit_register:
        vtx_log_error(
            "%s is %#llx, and this CPU does not allow VMX operation with that", failure.name,
            static_cast<ull>(failure.value));
        break;
    case Failure::Kind::instruction:
        log_failed_instruction(failure);
        break;
    case Failure::Kind::readback:
        vtx_log_error(
            "VMCS field %s was written as %#llx and reads %#llx", field_name(failure.field),
            static_cast<ull>(failure.value), static_cast<ull>(failure.second_value));
        break;
    case Failure::Kind::entry: {
        const auto reason = static_cast<ExitReason>(failure.exit_reason() & 0xffff);
        // For invalid guest state, every qualification except 0 names a part.
        const char *const part =
            reason == ExitReason::entry_failure_guest_state && failure.second_value != 0
                ? entry_failure_text(failure.second_value)
                : "";
        vtx_log_error(
            "VM entry failed: exit reason %#x (%s), qualification %#llx%s%s", failure.exit_reason(),
            exit_reason_name(reason), static_cast<ull>(failure.second_value),
            *part != 0 ? ": " : "", part);
        if (failure.is_machine_check())
            log_machine_check();
        break;
    }
    case Failure::Kind::machine_check:
        log_machine_check();
        break;
    }
}

} // namespace vtx
