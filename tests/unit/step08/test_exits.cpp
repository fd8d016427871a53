// SPDX-License-Identifier: GPL-2.0-only
// What handlers make of a VM exit from real mode, with a VMCS that a test fills: the way into the
// BIOS and back, exceptions, RIP, CR0. fakes/vmx/instructions.hpp has the VMCS.
#include "bios.hpp"
#include "handle_registers.hpp"
#include "machine.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>

using namespace vtx;

namespace {

/// A guest that has just left by VMCALL in entry 10h of the BIOS, in real mode.
struct RealMode : Machine {
    RealMode() {
        fake::vmcs.clear();
        set(FieldNatural::guest_cr0, 0x30);
        set(FieldNatural::guest_cs_base, 0xf0000);
        set(FieldNatural::guest_rip, 4 * 0x10);
        set(Field32::exit_instruction_length, 3);
        set(Field32::guest_ss_access_rights, 0x93);
        set(Field32::guest_cs_access_rights, 0x9b);
        set(FieldNatural::guest_rflags, 2);
        vcpu->registers = {};
    }

    template <VmcsField F> static void set(F field, std::uint64_t value) {
        fake::vmcs[field_encoding(field)] = value;
    }
    template <VmcsField F> static std::uint64_t get(F field) {
        return fake::vmcs[field_encoding(field)];
    }

    /// The three words of INT n at SS:SP.
    void push(
        std::uint64_t ss_base, std::uint64_t rsp, std::uint16_t ip, std::uint16_t cs,
        std::uint16_t flags) const {
        set(FieldNatural::guest_ss_base, ss_base);
        set(FieldNatural::guest_rsp, rsp);
        const std::uint16_t words[] = {ip, cs, flags};
        EXPECT_TRUE(vm->memory.write(ss_base + rsp, words, sizeof words));
    }

    const std::unique_ptr<Vcpu> vcpu = std::make_unique<Vcpu>();
    Failure failure{};
    CurrentVmcs vmcs{vcpu->vmcs, failure};
    Exit exit{*vcpu, *vm, vmcs, ExitReason::vmcall};
};

} // namespace

// ---- The way into the BIOS and back -------------------------------------------------------------

TEST_F(RealMode, AVmcallOfTheBiosIsKnownByItsPlace) {
    EXPECT_TRUE(is_bios_call(exit));
    for (const unsigned ip : {0x0, 0x4, 0x3fc}) {
        set(FieldNatural::guest_rip, ip);
        EXPECT_TRUE(is_bios_call(exit)) << ip;
    }
    for (const unsigned ip : {0x1, 0x3, 0x41, 0x3fd, 0x400, 0x10000, 0x7c00}) {
        set(FieldNatural::guest_rip, ip);
        EXPECT_FALSE(is_bios_call(exit)) << ip;
    }
    set(FieldNatural::guest_rip, 0x40);
    set(FieldNatural::guest_cs_base, 0);
    EXPECT_FALSE(is_bios_call(exit)) << "a hypercall from segment 0";
    set(FieldNatural::guest_cs_base, 0xf0000);
    set(FieldNatural::guest_cr0, 0x31);
    EXPECT_FALSE(is_bios_call(exit)) << "a hypercall from protected mode";
}

TEST_F(RealMode, TheBiosReturnsBehindItsVmcall) {
    push(0x7000, 0x100, 0x7c05, 0x0000, 0x0202);
    vcpu->registers.rax = 0x0e41;
    EXPECT_EQ(handle_bios_call(exit), Action::resume);
    EXPECT_EQ(printed(), "A");
    EXPECT_EQ(get(FieldNatural::guest_rip), 4u * 0x10 + 3) << "IRET is next";
    EXPECT_EQ(get(FieldNatural::guest_rsp), 0x100u) << "and takes the three words";
    EXPECT_EQ(in_ram<std::uint16_t>(0x7100), 0x7c05);
    EXPECT_EQ(in_ram<std::uint16_t>(0x7102), 0x0000);
    EXPECT_EQ(in_ram<std::uint16_t>(0x7104), 0x0202);
}

TEST_F(RealMode, AServiceChangesTheFlagsThatIretTakes) {
    push(0x7000, 0x100, 0x7c05, 0x0000, 0x0202);
    vcpu->registers.rax = 0x0300; // INT 10h, AH = 03h: unknown
    EXPECT_EQ(handle_bios_call(exit), Action::resume);
    EXPECT_EQ(in_ram<std::uint16_t>(0x7104), 0x0203) << "carry";
    EXPECT_EQ(get(FieldNatural::guest_rflags), 2u) << "not those inside of the BIOS";
}

TEST_F(RealMode, TheStackPointerHas16Bits) {
    push(0x7000, 0xfffc, 0x7c05, 0x1234, 0);
    const std::uint16_t flags = 0x0202;
    vm->memory.write(0x7000, &flags, 2);    // SS:0000, behind SS:FFFE
    set(FieldNatural::guest_rsp, 0x5'fffc); // as 32-bit code may have left it
    vcpu->registers.rax = 0x0300;
    EXPECT_EQ(handle_bios_call(exit), Action::resume);
    EXPECT_EQ(in_ram<std::uint16_t>(0x7000), 0x0203);
    EXPECT_EQ(in_ram<std::uint16_t>(0x17000), 0x0000) << "not behind the segment's end";
}

TEST_F(RealMode, AStackSegmentThatSays32BitsHas32) {
    push(0x7000, 0x1fffc, 0x7c05, 0x1234, 0x0202);
    set(Field32::guest_ss_access_rights, 0x4093); // D/B
    vcpu->registers.rax = 0x0300;
    EXPECT_EQ(handle_bios_call(exit), Action::resume);
    EXPECT_EQ(in_ram<std::uint16_t>(0x7000 + 0x20000), 0x0203);
}

TEST_F(RealMode, AStackOutsideRamIsReadAsZeroes) {
    set(FieldNatural::guest_ss_base, 0xffff0);
    set(FieldNatural::guest_rsp, 0xfffc);
    set(FieldNatural::guest_rip, 4 * 13);
    EXPECT_EQ(handle_bios_call(exit), Action::end);
    EXPECT_EQ(vm->end.cs, 0);
    EXPECT_EQ(vm->end.ip, 0);
}

TEST_F(RealMode, AServiceGetsTheCallersSegmentsAndTheVector) {
    push(0x7000, 0x100, 0x7c05, 0, 0x0203);
    set(FieldNatural::guest_rip, 4 * 0x15);
    set(FieldNatural::guest_es_base, 0x9000);
    set(FieldNatural::guest_ds_base, 0x5000);
    vcpu->registers.rax = 0xe820;
    vcpu->registers.rcx = 20;
    vcpu->registers.rdx = 0x534d4150;
    vcpu->registers.rdi = 0x10;
    EXPECT_EQ(handle_bios_call(exit), Action::resume);
    EXPECT_EQ(in_ram<std::uint32_t>(0x9018), 0xa0000u) << "the size of the first piece";
    EXPECT_EQ(in_ram<std::uint16_t>(0x7104), 0x0202) << "no carry";
}

TEST_F(RealMode, AnExceptionWithoutAHandlerEndsTheGuestWhereItHappened) {
    push(0x7000, 0x100, 0x7c1a, 0x0123, 0x0202);
    set(FieldNatural::guest_rip, 4 * 13);
    EXPECT_EQ(handle_bios_call(exit), Action::end);
    EXPECT_EQ(vm->end.how, Ending::exception);
    EXPECT_EQ(vm->end.vector, Vector::general_protection);
    EXPECT_EQ(vm->end.cs, 0x0123);
    EXPECT_EQ(vm->end.ip, 0x7c1a);
    EXPECT_EQ(get(FieldNatural::guest_rip), 4u * 13);
}

TEST_F(RealMode, BootingAgainChangesWhereTheCallerGoesOn) {
    insert_disk(512);
    push(0x7000, 0x100, 0x1111, 0x2222, 0x0202);
    set(FieldNatural::guest_rip, 4 * 0x19);
    EXPECT_EQ(handle_bios_call(exit), Action::resume);
    EXPECT_EQ(in_ram<std::uint32_t>(0x7100), 0x00007c00u);
}

// ---- Exceptions, RIP, CR0 -----------------------------------------------------------------------

TEST_F(RealMode, AnExceptionHasNoErrorCode) {
    EXPECT_EQ(exit.raise(Vector::general_protection), Action::resume);
    EXPECT_EQ(get(Field32::entry_interruption_information), 0x8000030du);
    set(FieldNatural::guest_cr0, 0x31);
    EXPECT_EQ(exit.raise(Vector::general_protection), Action::resume);
    EXPECT_EQ(get(Field32::entry_interruption_information), 0x80000b0du) << "in protected mode";
    EXPECT_EQ(exit.raise(Vector::invalid_opcode), Action::resume);
    EXPECT_EQ(get(Field32::entry_interruption_information), 0x80000306u) << "has none anywhere";
}

TEST_F(RealMode, RipWrapsAt4GiBOutside64BitCode) {
    set(FieldNatural::guest_rip, 0xffff'fffe);
    EXPECT_EQ(exit.skip_instruction(), Action::resume);
    EXPECT_EQ(get(FieldNatural::guest_rip), 1u);

    set(FieldNatural::guest_rip, 0xffff'fffe);
    set(Field32::guest_cs_access_rights, 0x209b); // L
    exit.skip_instruction();
    EXPECT_EQ(get(FieldNatural::guest_rip), 1u) << "L counts in long mode only";

    set(FieldNatural::guest_rip, 0xffff'fffe);
    set(Field64::guest_efer, 0x500); // LMA, LME
    exit.skip_instruction();
    EXPECT_EQ(get(FieldNatural::guest_rip), 0x1'0000'0001u);
}

TEST_F(RealMode, ASkippedInstructionEndsTheShadowAndTraps) {
    set(Field32::guest_interruptibility, 0x1);
    set(FieldNatural::guest_rflags, 0x102); // TF
    exit.skip_instruction();
    EXPECT_EQ(get(Field32::guest_interruptibility), 0u);
    EXPECT_EQ(get(FieldNatural::guest_pending_debug_exceptions), 1u << 14);
}

TEST_F(RealMode, Cr0sHostBitsGoToTheShadow) {
    set(FieldNatural::guest_rip, 0x100);
    EXPECT_EQ(write_guest_cr0(exit, 0x6000'0031), Action::resume); // CD, NW, NE, ET, PE
    EXPECT_EQ(get(FieldNatural::cr0_read_shadow), 0x6000'0020u) << "only what is the host's";
    EXPECT_EQ(get(FieldNatural::guest_cr0), 0x30u) << "the guest's own MOV does the rest";
    EXPECT_EQ(get(FieldNatural::guest_rip), 0x100u) << "again";
    EXPECT_EQ(get(Field32::entry_interruption_information), 0u);

    EXPECT_EQ(write_guest_cr0(exit, 0x4000'0010), Action::resume);
    EXPECT_EQ(get(FieldNatural::cr0_read_shadow), 0x4000'0000u);

    EXPECT_EQ(write_guest_cr0(exit, 0x2000'0010), Action::resume);
    EXPECT_EQ(get(Field32::entry_interruption_information), 0x8000030du) << "NW without CD";
    EXPECT_EQ(get(FieldNatural::cr0_read_shadow), 0x4000'0000u) << "and nothing changed";
}
