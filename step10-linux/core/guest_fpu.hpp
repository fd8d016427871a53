// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The x87, SSE, AVX and AVX-512 registers of the guest. No VM entry and no exit touches them.
#pragma once

#include <cstdint>

#include "kernel.h"
#include "page.hpp"
#include "x86/control_registers.hpp"

namespace vtx {

/// Components that XSAVE knows by the bits of XCR0. \sdm{extended-control-registers-including-xcr0}
struct Xcr0 {
    static constexpr std::uint64_t x87 = 1u << 0;    ///< The eight x87 registers. Always 1.
    static constexpr std::uint64_t sse = 1u << 1;    ///< XMM registers and MXCSR.
    static constexpr std::uint64_t avx = 1u << 2;    ///< Upper halves of YMM registers.
    static constexpr std::uint64_t avx512 = 7u << 5; ///< Mask registers, upper halves, ZMM16 to 31.

    /// True if XSETBV accepts it: what builds on something needs that, too.
    static constexpr bool is_consistent(std::uint64_t value) {
        const bool needs_sse = (value & avx) != 0, needs_avx = (value & avx512) != 0;
        return (value & x87) != 0 && (!needs_sse || (value & sse) != 0) &&
               (!needs_avx || ((value & avx512) == avx512 && (value & avx) != 0));
    }
};

/// Where the guest's registers are kept while it does not run.
class GuestFpu {
public:
    /// Finds out what this host has switched on, and takes the memory. False if there is none. The
    /// guest gets no component that the host does not use itself, and none whose content belongs to
    /// more than the registers (protection keys, AMX).
    [[nodiscard]] bool allocate() {
        if (!area_.allocate() || !initial_.allocate())
            return false;
        if ((read_cr4() & Cr4::osxsave) != 0)
            offered_ = read_xcr0() & (Xcr0::x87 | Xcr0::sse | Xcr0::avx | Xcr0::avx512);
        for (const Page *page : {&area_, &initial_}) {
            // Zeroes are the initial state but for two: FCW masks all x87 exceptions, MXCSR all
            // SSE ones.
            const std::uint32_t fcw = 0x37f, mxcsr = 0x1f80;
            __builtin_memcpy(page->bytes(), &fcw, sizeof(std::uint16_t));
            __builtin_memcpy(page->bytes() + 24, &mxcsr, sizeof mxcsr);
        }
        return true;
    }

    /// The bits that the guest may set in its XCR0; 0 if it has no XSAVE, only FXSAVE.
    std::uint64_t offered() const { return offered_; }

    std::uint64_t xcr0 = Xcr0::x87; ///< The guest's, as after a reset.

    /// The guest's registers into the processor.
    void load() const { restore(area_); }

    /// Out of it again. What is left there is the initial state, and nothing of the guest's.
    void save() const {
        if (offered_ != 0)
            asm volatile("xsave64 %[area]"
                         : [area] "+m"(*area_.bytes())
                         : "a"(static_cast<std::uint32_t>(offered_)), "d"(0)
                         : "memory");
        else
            asm volatile("fxsave64 %[area]" : [area] "=m"(*area_.bytes())::"memory");
        restore(initial_);
    }

private:
    void restore(const Page &from) const {
        if (offered_ != 0)
            asm volatile("xrstor64 %[area]"
                         :
                         : [area] "m"(*from.bytes()), "a"(static_cast<std::uint32_t>(offered_)),
                           "d"(0)
                         : "memory");
        else
            asm volatile("fxrstor64 %[area]" : : [area] "m"(*from.bytes()) : "memory");
    }

    Page area_, initial_; // XSAVE wants 64 bytes alignment and, up to AVX-512, 2,688 bytes
    std::uint64_t offered_ = 0;
};

/// Linux keeps its hands off the registers while this lives, and has saved what a program had in
/// them. Outside VMX operation, with interrupts off.
class FpuBorrowed {
public:
    FpuBorrowed() { vtx_fpu_begin(); }
    ~FpuBorrowed() { vtx_fpu_end(); }
    FpuBorrowed(const FpuBorrowed &) = delete;
    FpuBorrowed &operator=(const FpuBorrowed &) = delete;
};

/// The processor's registers are the guest's while this lives, within the life of a FpuBorrowed.
class FpuSwitch {
public:
    explicit FpuSwitch(GuestFpu &guest) : guest_(guest) {
        guest_.load();
        if (guest_.offered() != 0) {
            host_xcr0_ = read_xcr0();
            write_xcr0(guest_.xcr0);
        }
    }
    ~FpuSwitch() {
        if (guest_.offered() != 0)
            write_xcr0(host_xcr0_);
        guest_.save();
    }
    FpuSwitch(const FpuSwitch &) = delete;
    FpuSwitch &operator=(const FpuSwitch &) = delete;

private:
    GuestFpu &guest_;
    std::uint64_t host_xcr0_ = 0;
};

} // namespace vtx
