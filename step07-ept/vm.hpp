// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The virtual machine around the virtual CPU: memory, what the guest printed, and how it ended.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest_memory.hpp"
#include "vmx/exit_reasons.hpp"
#include "vmx/failure.hpp"
#include "vmx/qualifications.hpp"

namespace vtx {

/// What the guest printed in a run.
struct Output {
    static constexpr std::size_t limit = std::size_t{16} * 1024;

    std::byte bytes[limit];
    std::size_t size = 0;

    /// Adds a byte. What does not fit is lost.
    void put(std::byte byte) {
        if (size < limit)
            bytes[size++] = byte;
    }
};

/// Why a guest no longer runs.
enum class Ending : std::uint8_t {
    none,                 ///< It still runs.
    status,               ///< HLT, or hypercall 0 with a status.
    ept_violation,        ///< An access outside its RAM.
    ept_misconfiguration, ///< An EPT entry that this CPU does not accept: our mistake.
    triple_fault,         ///< A further fault while a double fault was being delivered.
    machine_check,        ///< The hardware reported an error while it ran.
    string_io,            ///< INS or OUTS, which we do not emulate.
    task_switch,          ///< A hardware task switch, likewise.
    unexpected,           ///< A VM exit that we have no answer to.
    failure,              ///< A VMX instruction or a VM entry failed.
    time_limit,           ///< It ran longer than it was allowed to.
    interrupted,          ///< The task that runs it got a signal.
};

/// How and where a guest ended.
struct End {
    Ending how = Ending::none;
    std::uint64_t rip = 0;     ///< Where in the guest that was.
    std::uint64_t status = 0;  ///< With Ending::status.
    std::uint64_t address = 0; ///< With the two of EPT: guest-physical.
    EptViolation access{};     ///< With Ending::ept_violation: what it wanted to do.
    ExitReason reason{};       ///< With Ending::unexpected.
    Failure failure{};         ///< With Ending::failure.

    /// The negative errno for it, or 0 if the guest ended with status 0.
    int error() const {
        switch (how) {
        case Ending::status:
            return status == 0 ? 0 : -VTX_EIO;
        case Ending::failure:
            return failure.error();
        case Ending::time_limit:
            return -VTX_ETIME;
        case Ending::interrupted:
            return -VTX_EINTR;
        default:
            return -VTX_EIO;
        }
    }
};

/// What one guest has beside its virtual CPU. It outlives the scopes in which the guest runs.
struct Vm {
    GuestMemory memory;
    Output output{};
    End end{};
};

} // namespace vtx
