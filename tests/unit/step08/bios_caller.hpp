// SPDX-License-Identifier: GPL-2.0-only
// A guest that calls the BIOS.
#pragma once

#include "bios.hpp"
#include "machine.hpp"

#include <cstddef>
#include <cstdint>

/// The carry flag, the zero flag, and one that nobody has business with.
inline constexpr std::uint16_t cf = 0x0001, zf = 0x0040, sf = 0x0080;

/// A guest that calls the BIOS. Upper halves of registers are full of ones: real mode leaves them
/// alone, and so must a service that was not asked for them.
struct Bios : Machine {
    static constexpr std::uint64_t ones = 0xffff'ffff'ffff'0000;

    explicit Bios(unsigned megabytes = 1) : Machine(megabytes) {
        registers.rax = registers.rbx = registers.rcx = registers.rdx = ones;
        registers.rsi = registers.rdi = ones;
    }

    vtx::Action call(std::uint8_t vector) {
        vtx::BiosCall asked{
            .vm = *vm,
            .registers = registers,
            .vector = vector,
            .ds = ds,
            .es = es,
            .ip = 0x1234,
            .cs = 0x5678,
            .flags = flags};
        const vtx::Action action = vtx::serve(asked);
        flags = asked.flags;
        ip = asked.ip;
        cs = asked.cs;
        EXPECT_EQ(flags & sf, sf) << "only flags that say something change";
        return action;
    }

    /// The same, with AX.
    vtx::Action call(std::uint8_t vector, std::uint16_t ax) {
        registers.rax = ones | ax;
        return call(vector);
    }

    bool failed() const { return (flags & cf) != 0; }

    /// Calls of this kind that were counted as unknown.
    unsigned unknown(std::uint8_t vector, std::uint8_t ah) const {
        for (std::size_t i = 0; i < vm->unknown_calls.size; i++)
            if (const auto &call = vm->unknown_calls.calls[i];
                call.vector == vector && call.ah == ah)
                return call.count;
        return 0;
    }

    vtx::GuestRegisters registers{};
    std::uint64_t ds = 0, es = 0;
    std::uint16_t flags = sf, ip = 0, cs = 0;
};
