// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Control registers, debug register 7 and RFLAGS: their bits as constants, and the instructions
/// that read and write them. Those instructions need ring 0 (only read_rflags() does not).
#pragma once

#include <cstdint>

namespace vtx {

#define VTX_BIT_CONSTANT(name, bit, linux_name, text)                                              \
    static constexpr std::uint64_t name = std::uint64_t{1} << (bit);

/// Bits of CR0, by the SDM's acronyms in lower case: Cr0::pe, Cr0::pg, ...
/// \sdm{control-registers}
struct Cr0 {
#define VTX_CR0 VTX_BIT_CONSTANT
#include "x86/control_registers.def"
};

/// Bits of CR4: Cr4::pae, Cr4::vmxe, ... \sdm{control-registers}
struct Cr4 {
#define VTX_CR4 VTX_BIT_CONSTANT
#include "x86/control_registers.def"
};

/// Bits of IA32_EFER: Efer::lme, Efer::lma, ... \sdm{extended-feature-enable-register}
struct Efer {
#define VTX_EFER VTX_BIT_CONSTANT
#include "x86/control_registers.def"
};

/// Bits of RFLAGS: Rflags::if_ (`if` is a C++ word), Rflags::tf, ...
/// \sdm{system-flags-and-fields-in-the-eflags-register}
struct Rflags {
#define VTX_RFLAGS VTX_BIT_CONSTANT
#include "x86/control_registers.def"

    /// Bits 13:12, the I/O privilege level.
    static constexpr std::uint64_t iopl = 0x3000;
};

#undef VTX_BIT_CONSTANT

/// A bit of a register, for tables that print a register in words.
struct BitName {
    std::uint64_t mask; ///< One bit.
    const char *name;   ///< The acronym in lower case, as the constants above.
    const char *text;   ///< What the SDM calls it.
};

#define VTX_BIT_NAME(name, bit, linux_name, text) {std::uint64_t{1} << (bit), #name, text},

/// All bits of CR0 that have a name, lowest first.
inline constexpr BitName cr0_bits[] = {
#define VTX_CR0 VTX_BIT_NAME
#include "x86/control_registers.def"
};

/// All bits of CR4 that have a name, lowest first.
inline constexpr BitName cr4_bits[] = {
#define VTX_CR4 VTX_BIT_NAME
#include "x86/control_registers.def"
};

/// All bits of IA32_EFER that have a name, lowest first.
inline constexpr BitName efer_bits[] = {
#define VTX_EFER VTX_BIT_NAME
#include "x86/control_registers.def"
};

/// All bits of RFLAGS that have a name, lowest first.
inline constexpr BitName rflags_bits[] = {
#define VTX_RFLAGS VTX_BIT_NAME
#include "x86/control_registers.def"
};

#undef VTX_BIT_NAME

/// Bits of `value` that VMX operation forbids: those that must be 1 and are 0, and those that must
/// be 0 and are 1. 0 means that the value is allowed.
/// \param value  a value of CR0 or CR4
/// \param fixed0 IA32_VMX_CR0_FIXED0 or IA32_VMX_CR4_FIXED0: a bit that is 1 there must be 1
/// \param fixed1 IA32_VMX_CR0_FIXED1 or IA32_VMX_CR4_FIXED1: a bit that is 0 there must be 0
/// \sdm{vmx-fixed-bits-in-cr0} \sdm{vmx-fixed-bits-in-cr4}
constexpr std::uint64_t
violated_fixed_bits(std::uint64_t value, std::uint64_t fixed0, std::uint64_t fixed1) {
    return (fixed0 & ~value) | (value & ~fixed1);
}

// The instructions. Reads are volatile: CR4, DR7 and RFLAGS change under us, so the compiler must
// not reuse an older value. Writes clobber memory: they change what an access to memory means.

/// CR0 as it is now.
[[gnu::always_inline]] inline std::uint64_t read_cr0() {
    std::uint64_t value = 0;
    asm volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}

/// CR2: the linear address of the last page fault.
[[gnu::always_inline]] inline std::uint64_t read_cr2() {
    std::uint64_t value = 0;
    asm volatile("mov %%cr2, %0" : "=r"(value));
    return value;
}

/// CR3 as it is now, PCID and LAM bits included.
[[gnu::always_inline]] inline std::uint64_t read_cr3() {
    std::uint64_t value = 0;
    asm volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}

/// CR4 as it is in the register, not as Linux's shadow copy remembers it.
[[gnu::always_inline]] inline std::uint64_t read_cr4() {
    std::uint64_t value = 0;
    asm volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

/// Writes CR0. A reserved bit or a forbidden combination gives \#GP.
[[gnu::always_inline]] inline void write_cr0(std::uint64_t value) {
    asm volatile("mov %0, %%cr0" : : "r"(value) : "memory");
}

/// Writes CR2.
[[gnu::always_inline]] inline void write_cr2(std::uint64_t value) {
    asm volatile("mov %0, %%cr2" : : "r"(value) : "memory");
}

/// Writes CR3. With bit 63 clear this forgets the translations of the PCID in it, or without PCIDs
/// all that are not global.
[[gnu::always_inline]] inline void write_cr3(std::uint64_t value) {
    asm volatile("mov %0, %%cr3" : : "r"(value) : "memory");
}

/// Writes CR4. A reserved bit gives \#GP, and so does clearing CR4.VMXE in VMX operation.
/// Linux's shadow copy of CR4 is not changed: keep interrupts off until the old value is back.
[[gnu::always_inline]] inline void write_cr4(std::uint64_t value) {
    asm volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

/// DR`number`, for number 0, 1, 2, 3, 6 or 7. Any other number is refused by the compiler.
template <unsigned number> [[gnu::always_inline]] inline std::uint64_t read_dr() {
    static_assert(number <= 3 || number == 6 || number == 7, "DR4 and DR5 are other names");
    std::uint64_t value = 0;
    asm volatile("mov %%dr%c1, %0" : "=r"(value) : "i"(number));
    return value;
}

/// Writes DR`number`, as read_dr(). A 1 in bits 63:32 of DR6 or DR7 gives \#GP.
template <unsigned number> [[gnu::always_inline]] inline void write_dr(std::uint64_t value) {
    static_assert(number <= 3 || number == 6 || number == 7, "DR4 and DR5 are other names");
    asm volatile("mov %0, %%dr%c1" : : "r"(value), "i"(number));
}

/// XCR0. Precondition: CR4.OSXSAVE is 1, or \#UD.
/// \sdm{extended-control-registers-including-xcr0}
[[gnu::always_inline]] inline std::uint64_t read_xcr0() {
    std::uint32_t low = 0;
    std::uint32_t high = 0;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0u));
    return (std::uint64_t{high} << 32) | low;
}

/// Writes XCR0. A value that the processor does not have gives \#GP. Precondition as read_xcr0().
[[gnu::always_inline]] inline void write_xcr0(std::uint64_t value) {
    asm volatile("xsetbv"
                 :
                 : "a"(static_cast<std::uint32_t>(value)),
                   "d"(static_cast<std::uint32_t>(value >> 32)), "c"(0u)
                 : "memory");
}

/// RFLAGS as it is now.
[[gnu::always_inline]] inline std::uint64_t read_rflags() {
    std::uint64_t value = 0;
    asm volatile("pushfq\n\tpop %0" : "=r"(value) : : "memory");
    return value;
}

} // namespace vtx
