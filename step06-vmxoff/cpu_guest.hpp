// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One guest for each logical processor.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest.hpp"
#include "host_snapshot.hpp"
#include "kernel.h"
#include "page.hpp"
#include "run.hpp"
#include "scope.hpp"

namespace vtx {

/// How many VM exits there were.
struct ExitCount {
    std::uint64_t value = 0;

    /// What run_scope() calls at each.
    void record(CurrentVmcs &, ExitReason) { value++; }
};

/// A guest that stays on its processor, and everything it needs: nothing is shared with another
/// processor, neither the VMXON region nor the VMCS nor a counter.
///
/// The order of the members is the order of teardown read backwards. When the thread has stopped
/// between two scopes, the guest has left VMX operation for the last time: the scope's destructors
/// did VMCLEAR, VMXOFF and CR4. Only then are the pages freed, which is what is left for this
/// object's own destructor; to free them earlier would let the processor write its cached VMCS
/// into somebody else's memory.
struct CpuGuest {
    Machine machine;
    Guest guest;
    RunCounts counts{};
    ExitCount exits;
    int error = 0; ///< How the guest ended: 0 or a negative errno. Told once.
    bool told = false;

    /// Takes all memory and loads the program. Returns 0, or a negative errno after a sentence.
    int prepare(const std::byte *begin, const std::byte *end) {
        if (!guest.memory.allocate()) {
            vtx_log_error("no memory for a guest");
            return -VTX_ENOMEM;
        }
        guest.memory.load(begin, static_cast<std::size_t>(end - begin));
        return machine.prepare();
    }

    /// Runs the guest for one scope, on its own processor. Tells once if it ended.
    void run() {
        run_scope(machine, guest, counts, exits);
        if (guest.ending != Ending::none && !told) {
            error = tell_end(machine, guest);
            told = true;
        }
        vtx_give_way();
    }

    /// What the guest has counted, in its RBX.
    std::uint64_t count() const { return guest.registers.rbx; }
};

/// An array with one entry for each logical processor that the machine can ever have.
template <typename T> class PerCpu {
public:
    constexpr PerCpu() = default;
    ~PerCpu() {
        for (unsigned cpu = 0; cpu < size(); cpu++)
            entries_[cpu].reset();
        vtx_memory_free(entries_);
    }
    PerCpu(const PerCpu &) = delete;
    PerCpu &operator=(const PerCpu &) = delete;

    /// Makes the array, with all entries empty. False if there is no memory.
    [[nodiscard]] bool allocate() {
        // All bytes zero is an empty Box.
        entries_ = static_cast<Box<T> *>(vtx_memory_allocate(vtx_cpu_limit() * sizeof(Box<T>)));
        return entries_ != nullptr;
    }

    /// Entries, whether in use or not.
    unsigned size() const { return entries_ == nullptr ? 0 : vtx_cpu_limit(); }

    Box<T> &operator[](unsigned cpu) { return entries_[cpu]; }

private:
    Box<T> *entries_ = nullptr;
};

} // namespace vtx
