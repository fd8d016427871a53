// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Interrupts held off for the length of a scope.
#pragma once

#include <cstdint>

namespace vtx {

/// Holds maskable interrupts off on this logical processor while it lives, and then puts the
/// interrupt flag back as it was. While they are off nothing else runs here but an NMI, a machine
/// check or an SMI handler, and the task cannot move to another processor.
class InterruptsOff {
public:
    InterruptsOff() { asm volatile("pushfq; popq %[flags]; cli" : [flags] "=r"(flags_)::"memory"); }
    ~InterruptsOff() {
        if ((flags_ & interrupt_flag) != 0)
            asm volatile("sti" ::: "memory");
    }
    InterruptsOff(const InterruptsOff &) = delete;
    InterruptsOff &operator=(const InterruptsOff &) = delete;

private:
    static constexpr std::uint64_t interrupt_flag = 1 << 9;
    std::uint64_t flags_;
};

} // namespace vtx
