// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A guest: what it has, what it said, and how it ended.
#pragma once

#include <cstddef>
#include <cstdint>

#include "doctor.hpp"
#include "guest_memory.hpp"
#include "guest_registers.h"
#include "vmx/exit_reasons.hpp"
#include "vmx/failure.hpp"
#include "x86/exceptions.hpp"

namespace vtx {

/// What the guest printed: 16 KiB for a run, of which complete lines are logged between scopes.
class Output {
public:
    static constexpr std::size_t limit = std::size_t{16} * 1024;

    /// Room that is left, in bytes.
    std::size_t room() const { return limit - size_; }

    /// Adds a byte. What does not fit is lost.
    void put(std::byte byte) {
        if (size_ < limit)
            bytes_[size_++] = byte;
    }

    /// Logs what has not been logged yet, line by line; with `all` also an unfinished last line.
    /// Not inside a scope: it prints.
    void log(bool all);

private:
    std::byte bytes_[limit];
    std::size_t size_ = 0, logged_ = 0;
};

/// Why a guest no longer runs.
enum class Ending : std::uint8_t {
    none,          ///< It does.
    status,        ///< HLT, or hypercall 0 with a status.
    exception,     ///< An exception for which its IDT has no entry.
    triple_fault,  ///< A further fault while a double fault was being delivered.
    machine_check, ///< The hardware reported an error while it ran.
    string_io,     ///< INS or OUTS, which we do not emulate.
    task_switch,   ///< A hardware task switch, likewise.
    unexpected,    ///< A VM exit that we have no answer to.
    failure,       ///< A VMX instruction or a VM entry failed.
    refused,       ///< Its VMCS was examined, and breaks a rule of VM entry.
    time_limit,    ///< It ran longer than it was allowed to.
    interrupted,   ///< The task that runs it got a signal.
};

/// All that makes up one guest, but its VMCS. It outlives the scopes in which it runs.
struct Guest {
    GuestRegisters registers{}; ///< First: vm_enter() finds them by the guest's address.
    GuestMemory memory;
    Output output{};

    std::uint64_t cr2 = 0;            ///< Guest registers that the VMCS does not hold,
    std::uint64_t kernel_gs_base = 0; ///< kept here between scopes.
    bool check = false;               ///< Examine its VMCS before the first entry.
    bool begun = false;               ///< Its VMCS has been written.
    Doctor doctor{};

    Ending ending = Ending::none;
    Failure failure{};         ///< With Ending::failure.
    std::uint64_t status = 0;  ///< With Ending::status.
    Vector vector{};           ///< With Ending::exception,
    std::uint64_t address = 0; ///< and for a page fault the address.
    ExitReason reason{};       ///< With Ending::unexpected.
    std::uint64_t rip = 0;     ///< Where in the guest that was.

    /// Ends the guest. The caller has filled in what goes with the ending.
    void end(Ending how) { ending = how; }

    /// Says in one sentence how the guest ended. Returns 0 if it ended with status 0, else the
    /// negative errno for it. Not inside a scope: it prints.
    int tell_ending() const;
};
static_assert(offsetof(Guest, registers) == 0);

inline void Output::log(bool all) {
    static constexpr char digits[] = "0123456789abcdef";
    static constexpr std::size_t longest = 160;
    char line[longest + 5];
    std::size_t length = 0, taken = logged_;
    const auto flush = [&](std::size_t next) {
        line[length] = '\0';
        vtx_log("guest: %s", line);
        vtx_give_way(); // there may be 16384 lines, and a console is slow
        length = 0;
        taken = next;
    };

    for (std::size_t i = logged_; i < size_; i++) {
        const char c = static_cast<char>(bytes_[i]);
        if (c == '\n') {
            flush(i + 1);
            continue;
        }
        if (length >= longest)
            flush(i);
        if (c >= ' ' && c <= '~') {
            line[length++] = c;
        } else {
            line[length++] = '\\';
            line[length++] = 'x';
            line[length++] = digits[static_cast<unsigned char>(c) >> 4];
            line[length++] = digits[static_cast<unsigned char>(c) & 15];
        }
    }
    if (all && length > 0)
        flush(size_);
    logged_ = taken;
}

inline int Guest::tell_ending() const {
    using ull = unsigned long long;
    const ull at = rip;

    switch (ending) {
    case Ending::status:
        if (status == 0)
            return 0;
        vtx_log_error("the guest ended with status %#llx", static_cast<ull>(status));
        return -VTX_EIO;
    case Ending::exception:
        if (vector == Vector::page_fault)
            vtx_log_error(
                "the guest ended: #PF at RIP %#llx for address %#llx, and no entry for "
                "it in the guest's IDT",
                at, static_cast<ull>(address));
        else
            vtx_log_error(
                "the guest ended: %s at RIP %#llx, and no entry for it in the guest's "
                "IDT",
                mnemonic(vector), at);
        return -VTX_EIO;
    case Ending::triple_fault:
        vtx_log_error("the guest ended: triple fault at RIP %#llx", at);
        return -VTX_EIO;
    case Ending::machine_check:
        return Failure::machine_check().tell();
    case Ending::string_io:
        vtx_log_error(
            "the guest ended: INS or OUTS at RIP %#llx; string I/O is not emulated, use "
            "IN or OUT",
            at);
        return -VTX_EIO;
    case Ending::task_switch:
        vtx_log_error("the guest ended: task switch at RIP %#llx; 64-bit code has none", at);
        return -VTX_EIO;
    case Ending::unexpected:
        vtx_log_error(
            "the guest ended: VM exit %u (%s) at RIP %#llx, which nothing here handles",
            static_cast<unsigned>(reason), exit_reason_name(reason), at);
        return -VTX_EIO;
    case Ending::failure:
        return failure.tell();
    case Ending::refused:
        vtx_log_error(
            "the guest was not entered: its VMCS breaks the rules above (parameter check)");
        return -VTX_EIO;
    case Ending::time_limit:
        vtx_log_error(
            "the guest was stopped at RIP %#llx: its time was over (parameter limit_ms)", at);
        return -VTX_ETIME;
    case Ending::interrupted:
        vtx_log_error("the guest was stopped at RIP %#llx: the task that runs it got a signal", at);
        return -VTX_EINTR;
    case Ending::none:
        break;
    }
    return -VTX_EIO;
}

} // namespace vtx
