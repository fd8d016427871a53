// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// An object for each logical processor.
#pragma once

#include "kernel.h"
#include "page.hpp"

namespace vtx {

/// An array with one entry for each logical processor that the machine can ever have. An entry is
/// empty until its processor needs it.
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
