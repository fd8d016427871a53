// SPDX-License-Identifier: GPL-2.0-only
// long-file: each debug register and each MSR of the table, both ways.
// RDMSR and WRMSR by the table, MOV DR, and what is left of control registers.
#include "handle_registers.hpp"
#include "machine.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <set>

using namespace vtx;

namespace {

constexpr std::uint32_t undefined_opcode = 0x80000306, protection = 0x80000b0d;

/// A guest that has just left by one of these instructions.
struct Registers : Exits {
    /// What the next VM entry injects, 0 if nothing.
    std::uint32_t raised() {
        const auto event = vcpu->events.exception.information;
        vcpu->events.exception = {};
        return event.valid ? event.encode() : 0;
    }
    /// The instruction faulted, and the guest is where it was.
    void expect_fault(Action action, std::uint32_t event) {
        EXPECT_EQ(action, Action::resume);
        EXPECT_EQ(raised(), event);
        EXPECT_EQ(get(FieldNatural::guest_rip), 0x1000u);
    }
    /// It was done.
    void expect_done(Action action) {
        EXPECT_EQ(action, Action::resume);
        EXPECT_EQ(raised(), 0u);
        EXPECT_EQ(get(FieldNatural::guest_rip), 0x1002u);
        set(FieldNatural::guest_rip, 0x1000);
    }
    void set_mode(bool in_64_bit) {
        set(FieldNatural::guest_rip, 0x1000);
        set(Field32::guest_cs_access_rights, in_64_bit ? 0xa09b : 0xc09b);
        set(Field64::guest_efer, in_64_bit ? 0x500 : 0);
    }
    GuestRegisters &registers = vcpu->registers;
};

struct Msrs : Registers {
    Action rdmsr(Msr msr) {
        registers.rcx = 0xabcd'0000'0000'0000 | static_cast<std::uint32_t>(msr);
        return handle_rdmsr(exit);
    }
    Action wrmsr(Msr msr, std::uint64_t value) {
        registers.rcx = 0xabcd'0000'0000'0000 | static_cast<std::uint32_t>(msr);
        registers.rax = 0x1234'5678'0000'0000 | static_cast<std::uint32_t>(value);
        registers.rdx = 0x1234'5678'0000'0000 | value >> 32;
        return handle_wrmsr(exit);
    }
    std::uint64_t value() const { return registers.rdx << 32 | registers.rax; }
};

struct DebugRegisters : Registers {
    static constexpr unsigned rbx = 3;
    /// MOV of a debug register to RBX, and back.
    Action move(unsigned dr, bool from_dr) {
        set(FieldNatural::exit_qualification, dr | (from_dr ? 0x10u : 0u) | rbx << 8);
        return handle_dr_access(exit);
    }
    std::uint64_t read(unsigned dr) {
        registers.rbx = 0x5555'5555'5555'5555;
        expect_done(move(dr, true));
        return registers.rbx;
    }
    void write(unsigned dr, std::uint64_t value) {
        registers.rbx = value;
        expect_done(move(dr, false));
    }
};

} // namespace

// ---- MSRs ---------------------------------------------------------------------------------------

TEST(MsrTable, HasARowForEachMsrOnce) {
    std::set<Msr> seen;
    for (const MsrRow &row : msr_rows) {
        EXPECT_TRUE(seen.insert(row.msr).second) << msr_name(row.msr);
        EXPECT_NE(row.rule, MsrRule::refused) << "that is what those without a row are";
        EXPECT_TRUE(
            row.value == 0 || row.rule == MsrRule::constant || row.rule == MsrRule::features);
        EXPECT_EQ(msr_row(row.msr).rule, row.rule);
        EXPECT_EQ(msr_row(row.msr).value, row.value);
    }
}

TEST(MsrTable, LetsThroughWhatIsSwitchedAndNoMore) {
    const std::set<Msr> own{Msr::efer,           Msr::fs_base,      Msr::gs_base,
                            Msr::sysenter_cs,    Msr::sysenter_esp, Msr::sysenter_eip,
                            Msr::kernel_gs_base, Msr::star,         Msr::lstar,
                            Msr::cstar,          Msr::fmask};
    for (const MsrRow &row : msr_rows)
        EXPECT_EQ(row.rule == MsrRule::own, own.contains(row.msr)) << msr_name(row.msr);
    for (const Msr msr : switched_msrs)
        EXPECT_TRUE(own.contains(msr) || msr_row(msr).rule == MsrRule::own_if_tscp);
    EXPECT_EQ(msr_row(Msr::tsc_aux).rule, MsrRule::own_if_tscp);
}

TEST(MsrTable, RefusesTheRest) {
    // Microcode, machine checks, MTRRs, the APIC, VMX, debugging, speculation, performance, and
    // both ends.
    for (const std::uint32_t number : {0x0u,        0x1bu,
                                       0x3au,       0x34u,
                                       0x48u,       0x49u,
                                       0x79u,       0xc1u,
                                       0xfeu,       0x10au,
                                       0x122u,      0x140u,
                                       0x179u,      0x1d9u,
                                       0x200u,      0x2ffu,
                                       0x345u,      0x38fu,
                                       0x400u,      0x480u,
                                       0x48bu,      0x6e0u,
                                       0x800u,      0xda0u,
                                       0x1fffu,     0xc0000101u + 0x20,
                                       0xc0011029u, 0xc0001fffu,
                                       0x40000000u, 0xffffffffu})
        EXPECT_EQ(msr_row(Msr{number}).rule, MsrRule::refused) << std::hex << number;
}

TEST_F(Msrs, ThoseWithoutARowFault) {
    for (const std::uint32_t number : {0x3au, 0x34u, 0x140u, 0xc0011029u, 0x79u, 0x1bu}) {
        registers.rax = 1, registers.rdx = 2;
        expect_fault(rdmsr(Msr{number}), protection);
        EXPECT_EQ(registers.rax, 1u);
        EXPECT_EQ(registers.rdx, 2u);
        expect_fault(wrmsr(Msr{number}, 0), protection);
    }
}

TEST_F(Msrs, ThoseThatTheBitmapLetsThroughAreNoCaseOfOurs) {
    for (const Msr msr : {Msr::efer, Msr::lstar, Msr::tsc_aux}) {
        expect_fault(rdmsr(msr), protection);
        expect_fault(wrmsr(msr, 0), protection);
    }
}

TEST_F(Msrs, Constants) {
    const std::map<Msr, std::uint64_t> values{
        {Msr::misc_enable, 0x1800}, {Msr::bios_sign_id, 0x1'0000'0000}, {Msr::platform_id, 0}};
    for (const auto &[msr, wanted] : values) {
        registers.rax = registers.rdx = ~std::uint64_t{0};
        expect_done(rdmsr(msr));
        EXPECT_EQ(registers.rax, wanted & 0xffffffff) << "the upper halves are cleared";
        EXPECT_EQ(registers.rdx, wanted >> 32);
        expect_done(wrmsr(msr, ~wanted));
        expect_done(rdmsr(msr));
        EXPECT_EQ(value(), wanted) << "what was written is forgotten";
    }
}

TEST_F(Msrs, FastStringsAreTheProcessors) {
    vcpu->fast_strings_bit = fast_strings;
    expect_done(rdmsr(Msr::misc_enable));
    EXPECT_EQ(value(), 0x1801u);
}

TEST_F(Msrs, TheTimeCanBeReadOnly) {
    const std::uint64_t before = __builtin_ia32_rdtsc();
    expect_done(rdmsr(Msr::time_stamp_counter));
    EXPECT_GE(value(), before);
    EXPECT_LE(value(), __builtin_ia32_rdtsc());
    expect_fault(wrmsr(Msr::time_stamp_counter, 0), protection);
}

TEST_F(Msrs, PatIsRemembered) {
    expect_done(rdmsr(Msr::pat));
    EXPECT_EQ(value(), 0x0007040600070406u) << "as after a reset";
    expect_done(wrmsr(Msr::pat, 0x0407050600070106));
    expect_done(rdmsr(Msr::pat));
    EXPECT_EQ(value(), 0x0407050600070106u);
    for (const unsigned long wrong : {0x0407050600070102ul, 0x0307050600070106ul, 0x800ul}) {
        expect_fault(wrmsr(Msr::pat, wrong), protection);
        expect_done(rdmsr(Msr::pat));
        EXPECT_EQ(value(), 0x0407050600070106u);
        set(FieldNatural::guest_rip, 0x1000);
    }
}

TEST(PatTypes, AreSix) {
    const std::set<unsigned> types{0, 1, 4, 5, 6, 7};
    for (unsigned place = 0; place < 64; place += 8)
        for (unsigned type = 0; type < 256; type++)
            EXPECT_EQ(is_pat(std::uint64_t{type} << place), types.contains(type))
                << type << " at " << place;
}

// ---- MOV DR -------------------------------------------------------------------------------------

TEST_F(DebugRegisters, AreAsAfterAReset) {
    for (unsigned dr = 0; dr < 4; dr++)
        EXPECT_EQ(read(dr), 0u);
    for (const unsigned dr : {4u, 6u})
        EXPECT_EQ(read(dr), 0xffff0ff0u);
    for (const unsigned dr : {5u, 7u})
        EXPECT_EQ(read(dr), 0x400u);
}

TEST_F(DebugRegisters, AddressesAreRemembered) {
    for (unsigned dr = 0; dr < 4; dr++)
        write(dr, 0xffff'8000'0000'0000 + dr);
    for (unsigned dr = 0; dr < 4; dr++)
        EXPECT_EQ(read(dr), 0xffff'8000'0000'0000 + dr);
}

TEST_F(DebugRegisters, Dr6HasFixedBits) {
    write(6, 0);
    EXPECT_EQ(read(6), 0xffff0ff0u);
    write(6, 0xffff'ffff);
    EXPECT_EQ(read(6), 0xffffefffu);
    write(6, 0x4001);
    EXPECT_EQ(read(4), 0xffff4ff1u) << "DR4 is another name of it";
    write(4, 0x2);
    EXPECT_EQ(read(6), 0xffff0ff2u);
}

TEST_F(DebugRegisters, Dr7HasFixedBits) {
    write(7, 0);
    EXPECT_EQ(read(7), 0x400u);
    write(7, 0xffff'ffff);
    EXPECT_EQ(read(7), 0xffff27ffu);
    write(5, 0x0000'0003);
    EXPECT_EQ(read(7), 0x403u) << "DR5 is another name of it";
}

TEST_F(DebugRegisters, UpperHalvesOfDr6AndDr7FaultIn64BitCode) {
    for (const unsigned dr : {4u, 5u, 6u, 7u}) {
        registers.rbx = 0x1'0000'0001;
        expect_fault(move(dr, false), protection);
    }
    EXPECT_EQ(read(6), 0xffff0ff0u) << "and nothing was written";
    EXPECT_EQ(read(7), 0x400u);
    set_mode(false); // where the instruction sees 32 bits of the register
    write(7, 0xffff'ffff'0000'0003);
    EXPECT_EQ(read(7), 0x403u);
    write(0, 0xffff'ffff'8000'0000);
    EXPECT_EQ(read(0), 0x8000'0000u);
}

TEST_F(DebugRegisters, WithDeTheOtherNamesAreUndefined) {
    set(FieldNatural::guest_cr4, 0x8);
    for (const unsigned dr : {4u, 5u})
        for (const bool from : {false, true})
            expect_fault(move(dr, from), undefined_opcode);
    EXPECT_EQ(read(6), 0xffff0ff0u);
    EXPECT_EQ(read(7), 0x400u);
}

TEST_F(DebugRegisters, ProgramsMayNotUseThem) {
    set(Field32::guest_ss_access_rights, 0xc0f3); // level 3
    for (unsigned dr = 0; dr < 8; dr++)
        for (const bool from : {false, true}) {
            registers.rbx = 0x77;
            expect_fault(move(dr, from), protection);
            EXPECT_EQ(registers.rbx, 0x77u);
        }
    set(FieldNatural::guest_cr4, 0x8);
    expect_fault(move(4, true), undefined_opcode); // which is looked at first
    set(Field32::guest_ss_access_rights, 0xc093);
    set(FieldNatural::guest_cr4, 0);
    for (unsigned dr = 0; dr < 4; dr++)
        EXPECT_EQ(read(dr), 0u);
}

TEST_F(DebugRegisters, AnyGeneralRegisterTakesPart) {
    for (unsigned number = 0; number < 16; number++) {
        set(FieldNatural::exit_qualification, 1 | number << 8);
        set(FieldNatural::guest_rsp, 0x4000);
        if (number != 4)
            registers.by_number(number) = 0x1000 + number;
        expect_done(handle_dr_access(exit));
        EXPECT_EQ(read(1), number == 4 ? 0x4000u : 0x1000u + number);
    }
}

// ---- Control registers --------------------------------------------------------------------------

TEST_F(Registers, Cr8HasFourBits) {
    const auto move = [&](bool from) {
        set(FieldNatural::exit_qualification, 8 | (from ? 0x10u : 0u) | 3u << 8);
        return handle_cr_access(exit);
    };
    registers.rbx = 15;
    expect_done(move(false));
    registers.rbx = 99;
    expect_done(move(true));
    EXPECT_EQ(registers.rbx, 15u);
    registers.rbx = 16;
    expect_fault(move(false), protection);
}

TEST_F(Registers, Cr0sHostBitsGoToTheShadow) {
    const auto move = [&](std::uint64_t value) {
        registers.rbx = value;
        set(FieldNatural::exit_qualification, 0 | 3u << 8);
        return handle_cr_access(exit);
    };
    EXPECT_EQ(move(0xe0000011), Action::resume);
    EXPECT_EQ(get(FieldNatural::cr0_read_shadow), 0x60000000u) << "CD and NW";
    EXPECT_EQ(move(0x80000031), Action::resume);
    EXPECT_EQ(get(FieldNatural::cr0_read_shadow), 0x20u) << "NE";
    EXPECT_EQ(get(FieldNatural::guest_rip), 0x1000u) << "it executes its MOV again";
    EXPECT_EQ(raised(), 0u);
    expect_fault(move(0x20000011), protection); // NW without CD
}

TEST_F(Registers, OtherBitsOfCr4AreRefused) {
    set(FieldNatural::exit_qualification, 4 | 3u << 8);
    expect_fault(handle_cr_access(exit), protection);
}

TEST_F(Registers, XsetbvTakesNoMoreThanIsOffered) {
    registers.rcx = 0, registers.rax = 7, registers.rdx = 0;
    expect_fault(handle_xsetbv(exit), protection); // this guest has no XSAVE
    registers.rcx = 1;
    expect_fault(handle_xsetbv(exit), protection);
}
