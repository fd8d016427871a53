// SPDX-License-Identifier: GPL-2.0-only
// INS and OUTS: what is left of them to do after a VM exit, with a VMCS that a test fills.
#include "handle_io.hpp"
#include "machine.hpp"

#include <gtest/gtest.h>

#include <cstdint>

using namespace vtx;

namespace {

constexpr unsigned es = 0, ss = 2, ds = 3, fs = 4;
constexpr std::uint32_t data = 0xc093;

/// A guest that has just left by INS or OUTS. Linear addresses are physical ones.
struct StringIo : Exits {
    StringIo() {
        set(FieldNatural::guest_cr0, 0x31); // protected mode, no paging
        set(Field64::guest_efer, 0);
        set(Field32::guest_cs_access_rights, 0xc09b);
        for (const SegmentFields &segment : segment_fields) {
            set(segment.limit, 0xffffffff);
            if (segment.rights != Field32::guest_cs_access_rights)
                set(segment.rights, data);
        }
        set(FieldNatural::guest_linear_address, 0x5000);
        vcpu->registers.rsi = vcpu->registers.rdi = 0x5000;
    }

    Action access(bool in, unsigned size, bool rep = false) {
        set(Field32::exit_instruction_information, address_size << 7 | segment << 15);
        return handle_string_io(
            exit, {.size = size, .in = in, .string = true, .rep = rep, .port = port});
    }
    Action outs(unsigned size = 1, bool rep = false) { return access(false, size, rep); }
    Action ins(unsigned size = 1, bool rep = false) { return access(true, size, rep); }

    /// The exception that waits; none: 0.
    unsigned raised() const {
        const InterruptionInformation event = vcpu->events.exception.information;
        return event.valid ? event.vector : 0;
    }
    /// True if the access is done, and goes past the instruction.
    bool is_done(Action action) const {
        return action == Action::resume && raised() == 0 && get(FieldNatural::guest_rip) == 0x1002;
    }
    void put(std::uint64_t address, char value) const { vm->memory.write(address, &value, 1); }

    unsigned address_size = 1, segment = ds;
    std::uint16_t port = print_port;
};

} // namespace

TEST_F(StringIo, OutsWritesWhatLiesInRam) {
    put(0x5000, 'x');
    EXPECT_TRUE(is_done(outs()));
    EXPECT_EQ(printed(), "x");
    EXPECT_EQ(vcpu->registers.rsi, 0x5001u);
    EXPECT_EQ(vcpu->registers.rdi, 0x5000u);
}

TEST_F(StringIo, InsWritesToRam) {
    vm->pic.write(0x21, 0x5a);
    port = 0x21;
    put(0x5001, 'y');
    EXPECT_TRUE(is_done(ins()));
    std::uint8_t bytes[2];
    vm->memory.read(0x5000, bytes, 2);
    EXPECT_EQ(bytes[0], 0x5a);
    EXPECT_EQ(bytes[1], 'y');
    EXPECT_EQ(vcpu->registers.rdi, 0x5001u);
    port = 0x80;
    set(FieldNatural::guest_rip, 0x1000);
    EXPECT_TRUE(is_done(ins(4)));
    vm->memory.read(0x5000, bytes, 2);
    EXPECT_EQ(bytes[1], 0xff) << "four bytes of a port without a device";
}

TEST_F(StringIo, TheDirectionFlagGoesDown) {
    set(FieldNatural::guest_rflags, 0x602);
    EXPECT_TRUE(is_done(outs(2)));
    EXPECT_EQ(vcpu->registers.rsi, 0x4ffeu);
}

TEST_F(StringIo, RepeatedItIsExecutedAgainUntilTheCountIs0) {
    put(0x5000, 'r');
    vcpu->registers.rcx = 2;
    EXPECT_EQ(outs(1, true), Action::resume);
    EXPECT_EQ(get(FieldNatural::guest_rip), 0x1000u) << "interrupts can come in between";
    EXPECT_EQ(vcpu->registers.rcx, 1u);
    EXPECT_TRUE(is_done(outs(1, true)));
    EXPECT_EQ(vcpu->registers.rcx, 0u);
    EXPECT_EQ(printed(), "rr");
    set(FieldNatural::guest_rip, 0x1000);
    EXPECT_TRUE(is_done(outs(1, true))) << "a count of 0 does nothing";
    EXPECT_EQ(printed(), "rr");
    EXPECT_EQ(vcpu->registers.rsi, 0x5002u);
}

TEST_F(StringIo, RegistersHaveTheSizeOfAddresses) {
    address_size = 0;
    vcpu->registers.rsi = 0x1234'5678'ffff;
    vcpu->registers.rcx = 0x1234'5678'0001;
    EXPECT_TRUE(is_done(outs(1, true)));
    EXPECT_EQ(vcpu->registers.rsi, 0x1234'5678'0000u) << "16 bits leave the others alone";
    EXPECT_EQ(vcpu->registers.rcx, 0x1234'5678'0000u);

    address_size = 1;
    vcpu->registers.rsi = 0x1234'ffff'ffff;
    set(FieldNatural::guest_rip, 0x1000);
    EXPECT_TRUE(is_done(outs()));
    EXPECT_EQ(vcpu->registers.rsi, 0u) << "32 bits clear the others";
}

TEST_F(StringIo, AnElementMayCrossPages) {
    set(FieldNatural::guest_linear_address, 0x5ffe);
    vcpu->registers.rdi = 0x5ffe;
    port = 0x80;
    EXPECT_TRUE(is_done(ins(4)));
    std::uint32_t value = 0;
    vm->memory.read(0x5ffe, &value, 4);
    EXPECT_EQ(value, 0xffffffffu);
}

TEST_F(StringIo, OutsideRamItIsAnEptViolation) {
    set(FieldNatural::guest_linear_address, 0x100000);
    EXPECT_EQ(outs(), Action::end);
    EXPECT_EQ(vm->end.how, Ending::ept_violation);
    EXPECT_EQ(vm->end.address, 0x100000u);
    EXPECT_TRUE(vm->end.access.read);
    EXPECT_FALSE(vm->end.access.write);
}

// ---- What the processor has not looked at -------------------------------------------------------

TEST_F(StringIo, AnUnusableSegmentIsAProtectionFault) {
    set(segment_fields[ds].rights, 0x10000);
    EXPECT_EQ(outs(), Action::resume);
    EXPECT_EQ(raised(), 13u);
    EXPECT_EQ(get(FieldNatural::guest_rip), 0x1000u);
    EXPECT_EQ(printed(), "");
    EXPECT_TRUE(vcpu->events.exception.information.has_error_code);
    EXPECT_EQ(vcpu->events.exception.error_code, 0u);
}

TEST_F(StringIo, InsUsesEsWhateverThePrefix) {
    segment = fs;
    set(segment_fields[fs].rights, 0x10000);
    EXPECT_TRUE(is_done(ins()));
    segment = es;
    set(segment_fields[es].rights, 0x10000);
    ins();
    EXPECT_EQ(raised(), 13u);
}

TEST_F(StringIo, TheLimitIsForEachByte) {
    set(segment_fields[ds].limit, 0x5000);
    EXPECT_TRUE(is_done(outs(1)));
    vcpu->registers.rsi = 0x5000;
    outs(2);
    EXPECT_EQ(raised(), 13u);
}

TEST_F(StringIo, OfTheStackSegmentItIsAStackFault) {
    segment = ss;
    set(segment_fields[ss].limit, 0x4fff);
    outs();
    EXPECT_EQ(raised(), 12u);
}

TEST_F(StringIo, AnExpandDownSegmentBeginsBehindItsLimit) {
    set(segment_fields[ds].rights, 0x97); // 16 bits
    set(segment_fields[ds].limit, 0x4fff);
    EXPECT_TRUE(is_done(outs()));
    vcpu->registers.rsi = 0xffff;
    outs(2);
    EXPECT_EQ(raised(), 13u) << "behind its end";
    vcpu->events.exception = {};
    vcpu->registers.rsi = 0x4fff;
    outs();
    EXPECT_EQ(raised(), 13u) << "before its beginning";
}

TEST_F(StringIo, ASegmentMustAllowTheAccess) {
    set(segment_fields[es].rights, 0xc091); // read only
    ins();
    EXPECT_EQ(raised(), 13u);
    vcpu->events.exception = {};
    segment = es;
    EXPECT_TRUE(is_done(outs()));
    set(segment_fields[es].rights, 0xc099); // execute only
    outs();
    EXPECT_EQ(raised(), 13u);
    vcpu->events.exception = {};
    set(segment_fields[es].rights, 0xc09b); // code that can be read, but not written
    ins();
    EXPECT_EQ(raised(), 13u);
}

TEST_F(StringIo, In64BitCodeSegmentsHaveNoLimits) {
    set(FieldNatural::guest_cr0, 0x31);
    set(Field64::guest_efer, 0x500);
    set(Field32::guest_cs_access_rights, 0xa09b);
    set(segment_fields[ds].rights, 0x10000);
    set(segment_fields[ds].limit, 0);
    address_size = 2;
    EXPECT_TRUE(is_done(outs()));
    set(FieldNatural::guest_linear_address, 0x8000'0000'0000);
    outs();
    EXPECT_EQ(raised(), 13u) << "not canonical";
    vcpu->events.exception = {};
    set(FieldNatural::guest_linear_address, 0x7fff'ffff'ffff);
    outs(2);
    EXPECT_EQ(raised(), 13u) << "its second byte is not";
}
