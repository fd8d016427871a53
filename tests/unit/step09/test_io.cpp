// SPDX-License-Identifier: GPL-2.0-only
// IN and OUT: registers, and when a scope ends.
#include "handle_io.hpp"
#include "machine.hpp"

#include <gtest/gtest.h>

#include <cstdint>

using namespace vtx;

namespace {

/// A guest that has just left by IN or OUT.
struct Io : Exits {
    Action access(bool in, std::uint16_t port, unsigned size) {
        set(FieldNatural::exit_qualification,
            (size - 1) | (in ? 8u : 0u) | std::uint64_t{port} << 16);
        return handle_io(exit);
    }
    std::uint64_t &rax = vcpu->registers.rax;
};

} // namespace

TEST_F(Io, InChangesAsMuchOfRaxAsItReads) {
    vm->pic.write(0x21, 0x5a);
    rax = 0x1122'3344'5566'7788;
    EXPECT_EQ(access(true, 0x21, 1), Action::resume);
    EXPECT_EQ(rax, 0x1122'3344'5566'775au);
    EXPECT_EQ(access(true, 0x80, 2), Action::resume);
    EXPECT_EQ(rax, 0x1122'3344'5566'ffffu);
    EXPECT_EQ(access(true, 0x80, 4), Action::resume);
    EXPECT_EQ(rax, 0xffff'ffffu) << "32 bits clear the upper half";
    EXPECT_EQ(get(FieldNatural::guest_rip), 0x1006u);
}

TEST_F(Io, OutWritesOneByte) {
    rax = 0x1122'3344'5566'7741;
    EXPECT_EQ(access(false, 0xe9, 1), Action::resume);
    EXPECT_EQ(printed(), "A");
    EXPECT_EQ(rax, 0x1122'3344'5566'7741u);
    EXPECT_EQ(get(FieldNatural::guest_rip), 0x1002u);
}

TEST_F(Io, ANewCountOfTheTimerEndsTheScope) {
    rax = 0x34;
    EXPECT_EQ(access(false, 0x43, 1), Action::resume);
    EXPECT_EQ(access(false, 0x40, 1), Action::leave) << "so that the next one ends in time";
    EXPECT_EQ(access(false, 0x40, 1), Action::leave);
    EXPECT_EQ(get(FieldNatural::guest_rip), 0x1006u);
    EXPECT_EQ(access(true, 0x40, 1), Action::resume);
    EXPECT_EQ(access(false, 0x42, 1), Action::resume);
    EXPECT_EQ(access(false, 0x61, 1), Action::resume);
}
