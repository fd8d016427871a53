// SPDX-License-Identifier: GPL-2.0-only
// Exit reasons, VM-instruction errors, results, interruption information.
#include "vmx/exit_reasons.hpp"
#include "vmx/instruction_errors.hpp"
#include "vmx/interruption_information.hpp"
#include "vmx/result.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string>

using namespace vtx;

TEST(ExitReasons, NamesByNumber) {
    EXPECT_STREQ(
        exit_reason_name(ExitReason::exception_or_nmi),
        "Exception or non-maskable interrupt (NMI)");
    EXPECT_STREQ(exit_reason_name(ExitReason{1}), "External interrupt");
    EXPECT_STREQ(exit_reason_name(ExitReason{10}), "CPUID");
    EXPECT_STREQ(exit_reason_name(ExitReason{18}), "VMCALL");
    EXPECT_STREQ(exit_reason_name(ExitReason{33}), "VM-entry failure due to invalid guest state");
    EXPECT_STREQ(exit_reason_name(ExitReason{52}), "VMX-preemption timer expired");
    EXPECT_STREQ(exit_reason_name(ExitReason{0xffff}), "(reserved exit reason)");
}

TEST(ExitReasons, OnlyTheReservedNumbersAreMissing) {
    const std::set<unsigned> reserved{35, 38, 42, 71, 82, 83};
    for (unsigned number = 0; number < exit_reason_limit; ++number) {
        const std::string name = exit_reason_name(static_cast<ExitReason>(number));
        EXPECT_EQ(name == "(reserved exit reason)", reserved.contains(number)) << number;
    }
    EXPECT_EQ(exit_reason_limit, 86u);
}

TEST(ExitReasons, InOrderWithoutDuplicates) {
    int last = -1;
    std::set<std::string> names;
    for (const ExitReasonInfo &row : all_exit_reasons) {
        EXPECT_GT(static_cast<int>(row.reason), last) << row.name;
        EXPECT_TRUE(names.insert(row.name).second) << row.name;
        last = static_cast<int>(row.reason);
    }
}

TEST(ExitReasons, DecodeField) {
    EXPECT_EQ(decode_exit_reason(18), (ExitReasonField{.basic = ExitReason::vmcall}));
    EXPECT_EQ(
        decode_exit_reason(0x80000021),
        (ExitReasonField{.basic = ExitReason::entry_failure_guest_state, .entry_failure = true}));
    const auto all = decode_exit_reason(0xffffffff);
    EXPECT_EQ(all.basic, ExitReason{0xffff});
    EXPECT_TRUE(
        all.shadow_stack_busy && all.bus_lock && all.enclave_mode &&
        all.pending_monitor_trap_flag && all.from_root_operation && all.entry_failure);
    EXPECT_TRUE(decode_exit_reason(1u << 25).shadow_stack_busy);
    EXPECT_TRUE(decode_exit_reason(1u << 26).bus_lock);
    EXPECT_TRUE(decode_exit_reason(1u << 27).enclave_mode);
    EXPECT_TRUE(decode_exit_reason(1u << 28).pending_monitor_trap_flag);
    EXPECT_TRUE(decode_exit_reason(1u << 29).from_root_operation);
    // Bits 24:16 and 30 mean nothing.
    EXPECT_EQ(decode_exit_reason(0x41ff0000), ExitReasonField{});
}

TEST(ExitReasons, InstructionLength) {
    const std::set<unsigned> others{0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  33, 34,
                                    37, 41, 43, 44, 45, 48, 49, 52, 56, 62, 66, 70,
                                    72, 73, 74, 75, 78, 79, 80, 81, 84, 85};
    for (const ExitReasonInfo &row : all_exit_reasons) {
        const auto number = static_cast<unsigned>(row.reason);
        EXPECT_EQ(has_instruction_length(row.reason), !others.contains(number)) << row.name;
    }
    EXPECT_FALSE(has_instruction_length(ExitReason{0xffff}));
}

TEST(InstructionErrors, EveryNumberHasATextExceptThree) {
    const std::set<std::uint32_t> undefined{0, 14, 21, 27, 29, 0xffffffff};
    std::set<std::string> texts;
    for (std::uint32_t number = 1; number <= 28; ++number) {
        const std::string text = instruction_error_text(number);
        EXPECT_EQ(text == "(undefined VM-instruction error)", undefined.contains(number)) << number;
        if (!undefined.contains(number)) {
            EXPECT_TRUE(texts.insert(text).second) << number;
        }
    }
    EXPECT_EQ(texts.size(), 25u);
    for (const std::uint32_t number : undefined) {
        EXPECT_STREQ(instruction_error_text(number), "(undefined VM-instruction error)");
    }
}

TEST(InstructionErrors, Landmarks) {
    EXPECT_STREQ(instruction_error_text(7), "VM entry with invalid control field(s)");
    EXPECT_STREQ(instruction_error_text(8), "VM entry with invalid host-state field(s)");
    EXPECT_STREQ(
        instruction_error_text(InstructionError::vmptrld_wrong_revision),
        "VMPTRLD with incorrect VMCS revision identifier");
    EXPECT_EQ(static_cast<int>(InstructionError::unsupported_vmcs_component), 12);
    EXPECT_EQ(static_cast<int>(InstructionError::vmwrite_read_only_component), 13);
    EXPECT_EQ(static_cast<int>(InstructionError::vmxon_in_root_operation), 15);
}

TEST(Result, OkOnlyIfItSucceeded) {
    EXPECT_TRUE((Result{Instruction::vmxon, Status::succeed, 0}.ok()));
    EXPECT_FALSE((Result{Instruction::vmxon, Status::fail_invalid, 0}.ok()));
    EXPECT_FALSE((Result{Instruction::vmxon, Status::fail_valid, 15}.ok()));
    EXPECT_FALSE((Result{Instruction::vmxon, Status::fault, 0}.ok()));
}

TEST(Result, Names) {
    EXPECT_STREQ(status_name(Status::succeed), "VMsucceed");
    EXPECT_STREQ(status_name(Status::fail_invalid), "VMfailInvalid");
    EXPECT_STREQ(status_name(Status::fail_valid), "VMfailValid");
    EXPECT_STREQ(status_name(Status::fault), "fault");
    EXPECT_STREQ(instruction_name(Instruction::vmxon), "VMXON");
    EXPECT_STREQ(instruction_name(Instruction::vmresume), "VMRESUME");
    EXPECT_STREQ(instruction_name(Instruction::invvpid), "INVVPID");
    EXPECT_STREQ(instruction_name(Instruction{200}), "(no instruction)");
}

TEST(Result, FailInvalidOfAPageNamesWhatMayBeWrongWithIt) {
    for (const Instruction instruction : {Instruction::vmxon, Instruction::vmptrld}) {
        const std::string text = fail_invalid_text(instruction);
        for (const char *word : {"revision identifier", "alignment", "address"})
            EXPECT_NE(text.find(word), text.npos) << word;
    }
    EXPECT_STREQ(fail_invalid_text(Instruction::vmread), "there is no current VMCS");
}

using Information = InterruptionInformation;

TEST(InterruptionInformation, MakeAndEncode) {
    EXPECT_EQ(Information::none().encode(), 0u);
    EXPECT_EQ(Information::exception(Vector::general_protection).encode(), 0x80000b0du);
    EXPECT_EQ(Information::exception(Vector::invalid_opcode).encode(), 0x80000306u);
    EXPECT_EQ(Information::exception(Vector::page_fault).encode(), 0x80000b0eu);
    EXPECT_EQ(Information::nmi().encode(), 0x80000202u);
    EXPECT_EQ(Information::interrupt(0x20).encode(), 0x80000020u);
}

TEST(InterruptionInformation, RoundTripOfEveryMeaningfulBit) {
    for (unsigned type = 0; type < 8; ++type) {
        for (const std::uint32_t flags : {0u, 1u << 11, 1u << 12, 1u << 31, 0x80001800u}) {
            for (const std::uint32_t vector : {0u, 1u, 14u, 0xffu}) {
                const std::uint32_t word = vector | (type << 8) | flags;
                EXPECT_EQ(Information::decode(word).encode(), word) << std::hex << word;
            }
        }
    }
    EXPECT_EQ(Information::decode(0x7fffe000).encode(), 0u) << "reserved bits are dropped";
}

TEST(InterruptionInformation, Decode) {
    const Information page_fault = Information::decode(0x80000b0e);
    EXPECT_TRUE(page_fault.is_exception(Vector::page_fault));
    EXPECT_FALSE(page_fault.is_exception(Vector::general_protection));
    EXPECT_TRUE(page_fault.has_error_code);
    EXPECT_FALSE(page_fault.is_nmi());
    EXPECT_FALSE(page_fault.is_software());
    EXPECT_FALSE(Information::decode(0x00000b0e).is_exception(Vector::page_fault)) << "not valid";
    EXPECT_TRUE(Information::decode(0x80000202).is_nmi());
    EXPECT_TRUE(Information::decode(0x80001202).nmi_unblocking);
    EXPECT_FALSE(Information::decode(0x80000302).is_nmi()) << "vector 2, but an exception";
    EXPECT_TRUE(Information::decode(0x80000480).is_software()) << "INT 80H";
    EXPECT_TRUE(Information::decode(0x80000501).is_software()) << "INT1";
    EXPECT_TRUE(Information::decode(0x80000603).is_software()) << "INT3";
    EXPECT_FALSE(Information::decode(0x00000603).is_software()) << "not valid";
}

TEST(InterruptionInformation, EveryTypeHasAName) {
    std::set<std::string> names;
    for (std::uint8_t type = 0; type < 8; ++type) {
        EXPECT_TRUE(names.insert(event_type_name(static_cast<EventType>(type))).second);
    }
    EXPECT_FALSE(names.contains("(no type)"));
}

// The SDM's table "Conditions for Generating a Double Fault": first event by second exception.
TEST(Combine, TableOfTheDoubleFault) {
    const Vector benign = Vector::debug;
    const Vector contributory = Vector::general_protection;
    const Vector page_fault = Vector::page_fault;
    const struct {
        Vector first;
        Vector second;
        Combination expected;
    } rows[] = {
        {benign, benign, Combination::deliver_second},
        {benign, contributory, Combination::deliver_second},
        {benign, page_fault, Combination::deliver_second},
        {contributory, benign, Combination::deliver_second},
        {contributory, contributory, Combination::double_fault},
        {contributory, page_fault, Combination::deliver_second},
        {page_fault, benign, Combination::deliver_second},
        {page_fault, contributory, Combination::double_fault},
        {page_fault, page_fault, Combination::double_fault},
        {Vector::double_fault, benign, Combination::deliver_second},
        {Vector::double_fault, contributory, Combination::triple_fault},
        {Vector::double_fault, page_fault, Combination::triple_fault},
    };
    for (const auto &row : rows) {
        EXPECT_EQ(combine(Information::exception(row.first), row.second), row.expected)
            << mnemonic(row.first) << " then " << mnemonic(row.second);
    }
}

TEST(Combine, EveryPairAgreesWithItsClasses) {
    for (unsigned first = 0; first < 32; ++first) {
        for (unsigned second = 0; second < 32; ++second) {
            const auto a = exception_class(static_cast<Vector>(first));
            const auto b = exception_class(static_cast<Vector>(second));
            const bool bad = b == ExceptionClass::contributory || b == ExceptionClass::page_fault;
            Combination expected = Combination::deliver_second;
            if (a == ExceptionClass::double_fault && bad) {
                expected = Combination::triple_fault;
            } else if (a == ExceptionClass::page_fault && bad) {
                expected = Combination::double_fault;
            } else if (a == ExceptionClass::contributory && b == ExceptionClass::contributory) {
                expected = Combination::double_fault;
            }
            EXPECT_EQ(
                combine(
                    Information::exception(static_cast<Vector>(first)),
                    static_cast<Vector>(second)),
                expected)
                << first << " then " << second;
        }
    }
}

TEST(Combine, WhateverIsNoHardwareExceptionIsBenign) {
    const Information firsts[] = {
        Information::none(),
        Information::interrupt(13), // an interrupt on the vector of #GP
        Information::nmi(),
        Information::decode(0x8000040d), // INT 13
        Information::decode(0x80000501), // INT1
        Information::decode(0x80000603), // INT3
        Information::decode(0x00000b0d), // #GP, but not valid
    };
    for (const Information &first : firsts) {
        EXPECT_EQ(combine(first, Vector::general_protection), Combination::deliver_second);
        EXPECT_EQ(combine(first, Vector::page_fault), Combination::deliver_second);
    }
}
