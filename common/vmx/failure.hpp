// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What went wrong, as a value: inside a scope nothing may be printed, so failures are carried
/// out of it. log_failure.hpp puts them into words.
#pragma once

#include <cstdint>

#include "kernel.h"
#include "vmx/exit_reasons.hpp"
#include "vmx/result.hpp"

namespace vtx {

/// The first thing that went wrong, or nothing.
struct [[nodiscard]] Failure {
    /// What can go wrong.
    enum class Kind : std::uint8_t {
        none,               ///< Nothing went wrong.
        vmx_in_use,         ///< CR4.VMXE was set already: another hypervisor holds VMX.
        tracing,            ///< Intel Processor Trace is running, which VMXON would disturb.
        sampling,           ///< Precise event-based sampling would write into the guest.
        other_capabilities, ///< This processor's VMX is not the one that the step prepared for.
        unfit_register,     ///< A control register does not allow VMX operation.
        instruction,        ///< A VMX instruction failed.
        readback,           ///< A field did not hold what was written to it.
        entry,              ///< The VM entry began and failed: bit 31 of the exit reason.
        machine_check,      ///< The hardware reported an error while the guest ran.
    };

    Kind kind = Kind::none;         ///< What it was.
    const char *name = "";          ///< Of the register that is unfit.
    std::uint32_t field = 0;        ///< The encoding that VMREAD or VMWRITE named; 0 for others.
    std::uint64_t value = 0;        ///< Of the register, written to the field, or the exit reason.
    std::uint64_t second_value = 0; ///< Read from the field, or the exit qualification.
    Result result{};                ///< Of the instruction.

    /// A VMX instruction failed; `field` is the encoding that a VMREAD or VMWRITE named.
    static constexpr Failure instruction(const Result &result, std::uint32_t field = 0) {
        return {.kind = Kind::instruction, .field = field, .result = result};
    }

    /// Remembers what went wrong, unless something did before.
    constexpr void note(const Failure &other) {
        if (kind == Kind::none)
            *this = other;
    }

    /// True if something went wrong.
    explicit constexpr operator bool() const { return kind != Kind::none; }

    /// The raw exit reason, if it was a VM entry that failed; else 0.
    constexpr std::uint32_t exit_reason() const {
        return kind == Kind::entry ? static_cast<std::uint32_t>(value) : 0;
    }

    /// True if it was a machine check, in the guest or one that made the VM entry fail.
    constexpr bool is_machine_check() const {
        return kind == Kind::machine_check ||
               decode_exit_reason(exit_reason()).basic == ExitReason::entry_failure_machine_check;
    }

    /// The negative errno for it: -EBUSY, -EOPNOTSUPP or -EIO; 0 if nothing went wrong.
    constexpr int error() const {
        switch (kind) {
        case Kind::none:
            return 0;
        case Kind::vmx_in_use:
        case Kind::tracing:
        case Kind::sampling:
            return -VTX_EBUSY;
        case Kind::other_capabilities:
        case Kind::unfit_register:
            return -VTX_EOPNOTSUPP;
        default:
            return -VTX_EIO;
        }
    }
};

} // namespace vtx
