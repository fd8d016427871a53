// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What went wrong, as a value: inside a scope nothing may be printed, so failures are carried
/// out of it and told afterwards.
#pragma once

#include <cstdint>

#include "kernel.h"
#include "vmx/exit_reasons.hpp"
#include "vmx/fields.hpp"
#include "vmx/instruction_errors.hpp"
#include "vmx/result.hpp"
#include "x86/control_registers.hpp"

namespace vtx {

/// The first thing that went wrong, or nothing.
class [[nodiscard]] Failure {
public:
    constexpr Failure() = default;

    /// CR4.VMXE was set already: another hypervisor holds VMX on this processor.
    static constexpr Failure vmx_in_use() { return {Kind::vmx_in_use, "CR4.VMXE", 0, 0, 0, {}}; }

    /// Intel Processor Trace is running, which VMXON would disturb.
    static constexpr Failure tracing() { return {Kind::tracing, "IA32_RTIT_CTL", 0, 0, 0, {}}; }

    /// Precise event-based sampling is on, which would write its records into the guest.
    static constexpr Failure sampling() {
        return {Kind::sampling, "IA32_PEBS_ENABLE", 0, 0, 0, {}};
    }

    /// This processor's VMX capabilities are not those that the step goes by.
    static constexpr Failure other_capabilities() {
        return {Kind::other_capabilities, "", 0, 0, 0, {}};
    }

    /// A control register has a value with which VMX operation cannot be entered.
    static constexpr Failure unfit_register(const char *name, std::uint64_t value) {
        return {Kind::unfit_register, name, 0, value, 0, {}};
    }

    /// A VMX instruction failed; `field` is the encoding that a VMREAD or VMWRITE named.
    static constexpr Failure instruction(Result result, std::uint32_t field = 0) {
        return {Kind::instruction, "", field, 0, 0, result};
    }

    /// A field, written and read back, did not hold what was written.
    static constexpr Failure
    readback(std::uint32_t field, std::uint64_t written, std::uint64_t read) {
        return {Kind::readback, "", field, written, read, {}};
    }

    /// The VM entry began and failed: the exit reason has bit 31 set.
    static constexpr Failure entry(std::uint32_t exit_reason, std::uint64_t qualification) {
        return {Kind::entry, "", 0, exit_reason, qualification, {}};
    }

    /// Remembers what went wrong, unless something did before.
    constexpr void note(const Failure &other) {
        if (kind_ == Kind::none)
            *this = other;
    }

    /// The hardware reported an error of its own while the guest ran.
    static constexpr Failure machine_check() { return {Kind::machine_check, "", 0, 0, 0, {}}; }

    /// True if something went wrong.
    explicit constexpr operator bool() const { return kind_ != Kind::none; }

    /// What the instruction returned, if it was an instruction that failed.
    constexpr const Result &result() const { return result_; }

    /// The raw exit reason, if it was a VM entry that failed; else 0.
    constexpr std::uint32_t exit_reason() const {
        return kind_ == Kind::entry ? static_cast<std::uint32_t>(value_) : 0;
    }

    /// True if it was a machine check, in the guest or one that made the VM entry fail.
    constexpr bool is_machine_check() const {
        return kind_ == Kind::machine_check ||
               decode_exit_reason(exit_reason()).basic == ExitReason::entry_failure_machine_check;
    }

    /// The exit qualification of a VM entry that failed.
    constexpr std::uint64_t qualification() const { return second_value_; }

    /// Says in one sentence at error level what went wrong and, where that is known, what to do.
    /// Returns the negative errno for it: -EBUSY, -EOPNOTSUPP or -EIO; 0 if nothing went wrong.
    /// Not inside a scope: it prints.
    int tell() const;

private:
    enum class Kind : std::uint8_t {
        none,
        vmx_in_use,
        tracing,
        sampling,
        other_capabilities,
        machine_check,
        unfit_register,
        instruction,
        readback,
        entry,
    };

    constexpr Failure(
        Kind kind, const char *name, std::uint32_t field, std::uint64_t value,
        std::uint64_t second_value, Result result)
        : kind_(kind), field_(field), name_(name), value_(value), second_value_(second_value),
          result_(result) {}

    int tell_instruction() const;
    static int tell_machine_check();

    Kind kind_ = Kind::none;
    std::uint32_t field_ = 0;
    const char *name_ = "";
    std::uint64_t value_ = 0;
    std::uint64_t second_value_ = 0;
    Result result_{};
};

inline int Failure::tell_instruction() const {
    const char *const name = instruction_name(result_.instruction);
    const char *const of = field_ != 0 ? " of " : "";
    const char *const field = field_ != 0 ? field_name(field_) : "";

    switch (result_.status) {
    case Status::fault:
        vtx_log_error(
            "%s faulted: VMX operation is not possible here, or was left already%s", name,
            result_.instruction == Instruction::vmxon
                ? " (IA32_FEATURE_CONTROL allows it by bit 1 in SMX operation, under tboot, and by "
                  "bit 2 elsewhere)"
                : "");
        break;
    case Status::fail_invalid:
        vtx_log_error(
            "%s%s%s failed: VMfailInvalid: %s", name, of, field,
            fail_invalid_text(result_.instruction));
        break;
    default:
        vtx_log_error(
            "%s%s%s failed: VMfailValid, VM-instruction error %u: %s", name, of, field,
            result_.error, instruction_error_text(result_.error));
        break;
    }
    return -VTX_EIO;
}

inline int Failure::tell_machine_check() {
    vtx_log_error(
        "the processor reported a machine check, an error of the hardware; %s",
        (read_cr4() & Cr4::mce) != 0
            ? "Linux's handler was called after the scope, and its log has the details"
            : "this kernel has no handler for it (CR4.MCE is 0), so none was called: restart the "
              "machine and look at the hardware");
    return -VTX_EIO;
}

inline int Failure::tell() const {
    using ull = unsigned long long;
    switch (kind_) {
    case Kind::none:
        return 0;
    case Kind::vmx_in_use:
        vtx_log_error("another hypervisor holds VMX on this CPU (CR4.VMXE is set): unload it (for "
                      "KVM: rmmod kvm_intel, after its virtual machines have ended) and try again");
        return -VTX_EBUSY;
    case Kind::tracing:
        vtx_log_error("Intel Processor Trace is running on this CPU (IA32_RTIT_CTL.TraceEn), and "
                      "VMX operation would break its trace: stop it and try again");
        return -VTX_EBUSY;
    case Kind::sampling:
        vtx_log_error("perf samples a precise event on this CPU (IA32_PEBS_ENABLE is not 0), whose "
                      "records would be written in the guest: stop it and try again");
        return -VTX_EBUSY;
    case Kind::other_capabilities:
        vtx_log_error(
            "this CPU's VMX capabilities are not those of the CPU on which the module was "
            "loaded, and it goes by those: run it in the emulated machine with ./lab run");
        return -VTX_EOPNOTSUPP;
    case Kind::unfit_register:
        vtx_log_error(
            "%s is %#llx, with which this CPU does not allow VMX operation", name_,
            static_cast<ull>(value_));
        return -VTX_EOPNOTSUPP;
    case Kind::instruction:
        return tell_instruction();
    case Kind::readback:
        vtx_log_error(
            "VMCS field %s was written as %#llx and reads %#llx", field_name(field_),
            static_cast<ull>(value_), static_cast<ull>(second_value_));
        return -VTX_EIO;
    case Kind::entry:
        vtx_log_error(
            "VM entry failed: exit reason %#x (%s), qualification %#llx", exit_reason(),
            exit_reason_name(static_cast<ExitReason>(exit_reason() & 0xffff)),
            static_cast<ull>(second_value_));
        return is_machine_check() ? tell_machine_check() : -VTX_EIO;
    case Kind::machine_check:
        return tell_machine_check();
    }
    return -VTX_EIO;
}

} // namespace vtx
