// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One guest for each logical processor.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest.hpp"
#include "kernel.h"
#include "page.hpp"
#include "run.hpp"

namespace vtx {

/// A guest that stays on its processor, and everything it needs: nothing is shared with another
/// processor, neither the VMXON region nor the VMCS nor a counter.
///
/// When the thread has stopped between two scopes, the guest has left VMX operation for the last
/// time: the scope's destructors did VMCLEAR, VMXOFF and CR4. Only then does this object's own
/// destructor free the pages. If it did so earlier, the processor could write its cached VMCS into
/// somebody else's memory.
struct CpuGuest : Guest {
    int error = 0; ///< How the guest ended: 0 or a negative errno. Told once.
    bool told = false;

    /// Runs the guest for one scope, on its own processor. Logs once how it ended.
    void run() {
        run_scope(*this, [](CurrentVmcs &, ExitReason) {});
        if (has_ended() && !told) {
            error = tell_end(*this);
            told = true;
        }
        vtx_give_way();
    }

    /// True if the guest no longer runs.
    bool has_ended() const { return vm.end.how != Ending::none; }

    /// What the guest has counted, in its RBX.
    std::uint64_t count() const { return vcpu.registers.rbx; }
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

    /// The entry of a processor, in use or not.
    Box<T> &operator[](unsigned cpu) { return entries_[cpu]; }

    /// Calls `work(cpu, object)` for each entry that is in use.
    template <typename Work> void for_each(Work work) {
        for (unsigned cpu = 0; cpu < size(); cpu++)
            if (entries_[cpu])
                work(cpu, *entries_[cpu]);
    }

private:
    unsigned size() const { return entries_ == nullptr ? 0 : vtx_cpu_limit(); }

    Box<T> *entries_ = nullptr;
};

} // namespace vtx
