// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The bitmaps: which MSRs and which ports leave the guest.
#pragma once

#include <cstdint>

#include "page.hpp"
#include "x86/msr.hpp"

namespace vtx {

/// Three pages that the processor asks at each RDMSR, WRMSR, IN and OUT: a bit that is 1 makes the
/// guest exit. All begin as ones. \sdm{msr-bitmap-address} \sdm{i-o-bitmap-addresses}
class Bitmaps {
public:
    /// False if there is no memory.
    [[nodiscard]] bool allocate() {
        for (Page *page : {&msrs_, &ports_low_, &ports_high_}) {
            if (!page->allocate())
                return false;
            __builtin_memset(page->bytes(), 0xff, page_size);
        }
        return true;
    }

    /// Lets the guest read and write an MSR without an exit. It must be one that the host's value
    /// comes back to when the scope ends.
    void let_through(Msr msr) const {
        const auto number = static_cast<std::uint32_t>(msr);
        // [exercise 07-2]
        // A quarter for each of: reads of 0 to 0x1fff, reads of 0xc0000000 to 0xc0001fff, and
        // writes of the same two.
        const std::uint32_t high = number >= 0xc0000000 ? 1024u : 0u;
        const std::uint32_t byte = high + (number & 0x1fff) / 8;
        const auto bit = static_cast<std::byte>(1u << number % 8);
        msrs_.bytes()[byte] &= ~bit;
        msrs_.bytes()[2048 + byte] &= ~bit;
        // [exercise 07-2]
    }

    /// What the VMCS must hold: of the bitmap of MSRs, of ports up to 0x7FFF, and of those above.
    PhysicalAddress msrs() const { return msrs_.physical(); }
    PhysicalAddress ports_low() const { return ports_low_.physical(); }   ///< See msrs().
    PhysicalAddress ports_high() const { return ports_high_.physical(); } ///< See msrs().

private:
    Page msrs_, ports_low_, ports_high_;
};

} // namespace vtx
