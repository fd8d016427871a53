// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// INT n, as the BIOS sees it.
#pragma once

#include <cstdint>

#include "exit.hpp"
#include "guest_registers.h"
#include "vm.hpp"
#include "x86/control_registers.hpp"

namespace vtx {

/// A call of the BIOS: the caller's registers, and what INT pushed to its stack. A service changes
/// them, and the IRET behind our VMCALL takes the changes to the caller.
struct BiosCall {
    Vm &vm;
    GuestRegisters &registers;
    std::uint8_t vector;      ///< n of INT n.
    std::uint64_t ds{}, es{}; ///< Bases of the caller's segments.
    std::uint16_t ip{}, cs{}; ///< On the stack: where the caller goes on.
    std::uint16_t flags{};    ///< On the stack: the caller's flags.

    /// Where an offset in a segment is. Addresses have 32 bits here and wrap around, which counts
    /// for a base near 4 GiB that protected mode left behind.
    static std::uint64_t linear(std::uint64_t base, std::uint64_t offset) {
        return static_cast<std::uint32_t>(base + offset);
    }

    /// Parts of registers, under their names.
    std::uint8_t al() const { return static_cast<std::uint8_t>(registers.rax); }
    std::uint8_t ah() const { return static_cast<std::uint8_t>(registers.rax >> 8); } ///< See al()
    std::uint16_t ax() const { return static_cast<std::uint16_t>(registers.rax); }    ///< See al()
    std::uint16_t bx() const { return static_cast<std::uint16_t>(registers.rbx); }    ///< See al()
    std::uint8_t cl() const { return static_cast<std::uint8_t>(registers.rcx); }      ///< See al()
    std::uint8_t ch() const { return static_cast<std::uint8_t>(registers.rcx >> 8); } ///< See al()
    std::uint8_t dl() const { return static_cast<std::uint8_t>(registers.rdx); }      ///< See al()
    std::uint8_t dh() const { return static_cast<std::uint8_t>(registers.rdx >> 8); } ///< See al()
    std::uint16_t si() const { return static_cast<std::uint16_t>(registers.rsi); }    ///< See al()
    std::uint16_t di() const { return static_cast<std::uint16_t>(registers.rdi); }    ///< See al()

    void set_ax(std::uint16_t value) const { set_low(registers.rax, value); }
    void set_cx(std::uint16_t value) const { set_low(registers.rcx, value); }
    void set_dx(std::uint16_t value) const { set_low(registers.rdx, value); }

    /// The service did what it was asked for. By convention the carry flag says so.
    Action done(Action then = Action::resume) {
        flags &= static_cast<std::uint16_t>(~Rflags::cf);
        return then;
    }

    /// It did not: the carry flag is 1.
    Action failed() {
        flags |= static_cast<std::uint16_t>(Rflags::cf);
        return Action::resume;
    }

    /// There is no such service. Counted, for the file `exits`.
    Action unknown() {
        vm.unknown_calls.count(vector, ah());
        return failed();
    }

    /// The guest ends.
    Action end(Ending how) const {
        vm.end.how = how;
        return Action::end;
    }

private:
    static void set_low(std::uint64_t &whole, std::uint16_t value) {
        whole = (whole & ~std::uint64_t{0xffff}) | value;
    }
};

} // namespace vtx
