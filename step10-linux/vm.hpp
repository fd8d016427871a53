// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The virtual machine around the virtual CPU: memory, interrupt controller, timer, serial line,
/// battery clock, what the guest printed, and how it ended.
#pragma once

#include <cstddef>
#include <cstdint>

#include "clock.hpp"
#include "cmos.hpp"
#include "guest_memory.hpp"
#include "pic.hpp"
#include "pit.hpp"
#include "uart.hpp"
#include "vmx/exit_reasons.hpp"
#include "vmx/failure.hpp"
#include "vmx/qualifications.hpp"

namespace vtx {

/// What the guest printed in a scope.
struct Output {
    static constexpr std::size_t limit = std::size_t{16} * 1024;

    std::byte bytes[limit];
    std::size_t size = 0;

    /// Adds a byte. What does not fit until the scope ends is lost.
    void put(std::byte byte) {
        if (size < limit)
            bytes[size++] = byte;
    }
};

/// Why a guest no longer runs.
enum class Ending : std::uint8_t {
    none,                 ///< It still runs.
    halt,                 ///< HLT while RFLAGS.IF is 0: Linux has switched the machine off.
    reset,                ///< A reset by the keyboard controller: Linux restarts the machine.
    ept_violation,        ///< An access outside its RAM.
    ept_misconfiguration, ///< An EPT entry that this CPU does not accept: our mistake.
    triple_fault,         ///< A further fault while a double fault was being delivered.
    machine_check,        ///< The hardware reported an error while it ran.
    task_switch,          ///< A hardware task switch, which we do not emulate.
    unexpected,           ///< A VM exit that we have no answer to.
    failure,              ///< A VMX instruction or a VM entry failed.
    stopped,              ///< Somebody wrote 0 to the file `run`, or unloads the module.
};

/// How and where a guest ended.
struct End {
    Ending how = Ending::none;
    std::uint64_t rip = 0;     ///< Where in the guest that was.
    std::uint64_t address = 0; ///< With the two of EPT: guest-physical.
    EptViolation access{};     ///< With Ending::ept_violation: what it wanted to do.
    ExitReason reason{};       ///< With Ending::unexpected.
    Failure failure{};         ///< With Ending::failure.
};

/// How often the guest has used the ports of each device.
struct PortCounts {
    std::uint64_t uart = 0, pic = 0, pit = 0, cmos = 0, others = 0;
};

/// What one guest has beside its virtual CPU. It outlives the scopes in which the guest runs.
struct Vm {
    static constexpr unsigned timer_irq = 0; ///< Where a PC has the timer.
    static constexpr std::uint64_t never = ~std::uint64_t{0};

    GuestMemory memory;
    Clock clock{};
    std::uint64_t wall_start = 0; ///< When the guest began, in seconds from the beginning of 1970.
    PicPair pic{};
    Pit pit{};
    Uart uart{};
    Cmos cmos{};
    PortCounts ports{};
    Output output{};
    End end{};

    /// The timer's ticks become interrupt requests: one at a time, since the controller remembers
    /// no more than one. Those that are due besides come when the guest has taken it.
    void update(std::uint64_t tsc) {
        if (!pic.is_requested(timer_irq) && pit.take_tick(clock.ticks(tsc)))
            pic.pulse(timer_irq);
    }

    /// When the next tick is due, as TSC; `never` if there is none. Called after update(). A tick
    /// that is due already waits for the guest, which must take the one before it: no time says
    /// when.
    std::uint64_t next_update(std::uint64_t tsc) {
        const std::uint64_t now = clock.ticks(tsc), next = pit.next_tick(now);
        return next == PitChannel::never || next <= now ? never : tsc + clock.tsc_of(next - now);
    }

    /// The date and the time, in seconds from the beginning of 1970.
    std::uint64_t wall_seconds() const { return wall_start + clock.milliseconds() / 1000; }
};

} // namespace vtx
