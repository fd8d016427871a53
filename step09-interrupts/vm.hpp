// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The virtual machine around the virtual CPU: memory, disk, keyboard, interrupt controller, timer,
/// what the guest printed, and how it ended.
#pragma once

#include <cstddef>
#include <cstdint>

#include "clock.hpp"
#include "disk.hpp"
#include "guest_memory.hpp"
#include "keyboard.hpp"
#include "pic.hpp"
#include "pit.hpp"
#include "vmx/exit_reasons.hpp"
#include "vmx/failure.hpp"
#include "vmx/qualifications.hpp"
#include "x86/exceptions.hpp"

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

/// Calls of the BIOS that it does not know, counted.
struct UnknownCalls {
    static constexpr std::size_t limit = 32; ///< As many different ones are kept.

    /// One kind of call.
    struct Call {
        std::uint8_t vector, ah;
        std::uint32_t count;
    };
    Call calls[limit]{};
    std::size_t size = 0;

    /// Counts a call. What does not fit is lost.
    void count(std::uint8_t vector, std::uint8_t ah) {
        for (std::size_t i = 0; i < size; i++)
            if (calls[i].vector == vector && calls[i].ah == ah) {
                calls[i].count++;
                return;
            }
        if (size < limit)
            calls[size++] = {vector, ah, 1};
    }
};

/// Why a guest no longer runs.
enum class Ending : std::uint8_t {
    none,                 ///< It still runs.
    status,               ///< Hypercall 0 with a status.
    halt,                 ///< HLT while RFLAGS.IF is 0: nothing will ever wake it.
    ept_violation,        ///< An access outside its RAM.
    ept_misconfiguration, ///< An EPT entry that this CPU does not accept: our mistake.
    triple_fault,         ///< A further fault while a double fault was being delivered.
    machine_check,        ///< The hardware reported an error while it ran.
    task_switch,          ///< A hardware task switch, which we do not emulate.
    no_key,               ///< It waits for a key, and nobody will press one.
    exception,            ///< An exception in real mode that has no handler but the BIOS.
    unexpected,           ///< A VM exit that we have no answer to.
    failure,              ///< A VMX instruction or a VM entry failed.
    stopped,              ///< Somebody wrote 0 to the file `run`, or unloads the module.
    signal,               ///< The task that runs it got a signal.
};

/// How and where a guest ended.
struct End {
    Ending how = Ending::none;
    std::uint64_t rip = 0;     ///< Where in the guest that was.
    std::uint64_t status = 0;  ///< With Ending::status.
    std::uint64_t address = 0; ///< With the two of EPT: guest-physical.
    EptViolation access{};     ///< With Ending::ept_violation: what it wanted to do.
    Vector vector{};           ///< With Ending::exception: which,
    std::uint16_t cs = 0;      ///< and where in real mode.
    std::uint16_t ip = 0;      ///< See cs.
    ExitReason reason{};       ///< With Ending::unexpected.
    Failure failure{};         ///< With Ending::failure.

    /// The negative errno for it, or 0 if the guest ended by HLT or with status 0.
    int error() const {
        switch (how) {
        case Ending::status:
            return status == 0 ? 0 : -VTX_EIO;
        case Ending::halt:
            return 0;
        case Ending::failure:
            return failure.error();
        case Ending::stopped:
        case Ending::signal:
            return -VTX_EINTR;
        default:
            return -VTX_EIO;
        }
    }
};

/// What one guest has beside its virtual CPU. It outlives the scopes in which the guest runs.
struct Vm {
    /// Where a BIOS loads the first sector of the disk, and where it begins.
    static constexpr std::uint16_t boot_sector = 0x7c00;
    static constexpr unsigned timer_irq = 0; ///< Where a PC has the timer.
    static constexpr std::uint64_t never = ~std::uint64_t{0};

    GuestMemory memory;
    Disk disk{};
    Keyboard keyboard{};
    Clock clock{};
    PicPair pic{};
    Pit pit{};
    UnknownCalls unknown_calls{};
    Output output{};
    End end{};

    /// The timer's ticks become interrupt requests: one at a time, since the controller remembers
    /// no more than one. Those that are due besides come when the guest has taken it.
    void update(std::uint64_t tsc) {
        // [exercise 09-3]
        if (!pic.is_requested(timer_irq) && pit.take_tick(clock.ticks(tsc)))
            pic.pulse(timer_irq);
        // [exercise 09-3]
    }

    /// When the next tick is due, as TSC; `never` if there is none. Called after update(). A tick
    /// that is due already waits for the guest, which must take the one before it: no time says
    /// when.
    std::uint64_t next_update(std::uint64_t tsc) {
        const std::uint64_t now = clock.ticks(tsc), next = pit.next_tick(now);
        return next == PitChannel::never || next <= now ? never : tsc + clock.tsc_of(next - now);
    }

    /// Does what the BIOS of a PC does last.
    void load_boot_sector() const { disk.read(memory, 0, 1, boot_sector); }
};

} // namespace vtx
