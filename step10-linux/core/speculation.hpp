// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What a guest could learn from the processor's caches and buffers, and what is done about it.
#pragma once

#include <cstdint>

#include "kernel.h"
#include "x86/cpuid.hpp"
#include "x86/descriptor_tables.hpp"
#include "x86/msr.hpp"

namespace vtx {

/// A guest that writes its own page tables can make an entry that is not present, and on some
/// processors speculation reads the machine's memory through it, as far as that memory is in the
/// first-level cache (L1TF). Others let it see what is left in internal buffers (MDS). Newer
/// microcode has a command to empty each.
class Speculation {
public:
    /// Asks the processor. \sdm{cpuid-cpu-identification}
    void detect() {
        const std::uint32_t features = cpuid(0).eax >= 7 ? cpuid(7).edx : 0;
        flushes_l1d_ = (features & 1u << 28) != 0;
        clears_buffers_ = (features & 1u << 10) != 0;
    }

    /// Says what this processor cannot do. A later one may not need it.
    void tell() const {
        if (!flushes_l1d_ || !clears_buffers_)
            vtx_log(
                "this CPU has no command that empties its %s: a hostile guest might read there",
                flushes_l1d_ ? "internal buffers (MD_CLEAR)"
                : clears_buffers_
                    ? "first-level cache (L1D_FLUSH)"
                    : "first-level cache (L1D_FLUSH) and internal buffers (MD_CLEAR)");
    }

    /// Empties both, once a scope: Linux has run since the last one. Our own handlers touch only
    /// what is the guest's or no secret.
    void empty() const {
        if (flushes_l1d_)
            write_msr(Msr::flush_cmd, 1);
        if (clears_buffers_) {
            const std::uint16_t selector = read_ss().value; // any writable data segment will do
            asm volatile("verw %[selector]" : : [selector] "m"(selector) : "cc");
        }
    }

private:
    bool flushes_l1d_ = false, clears_buffers_ = false;
};

} // namespace vtx
