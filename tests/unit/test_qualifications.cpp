// SPDX-License-Identifier: GPL-2.0-only
// Exit qualifications: each row is a qualification and what the SDM's table makes of it.
#include "vmx/qualifications.hpp"

#include <gtest/gtest.h>

#include <cstdint>

using namespace vtx;

TEST(Qualifications, ControlRegisterAccess) {
    using T = CrAccessType;
    using R = GeneralRegister;
    const struct {
        std::uint64_t qualification;
        CrAccess expected;
    } rows[] = {
        {0x000, {0, T::mov_to_cr, false, R::rax, 0}},              // mov cr0, rax
        {0x003, {3, T::mov_to_cr, false, R::rax, 0}},              // mov cr3, rax
        {0x313, {3, T::mov_from_cr, false, R::rbx, 0}},            // mov rbx, cr3
        {0x404, {4, T::mov_to_cr, false, R::rsp, 0}},              // mov cr4, rsp
        {0xf08, {8, T::mov_to_cr, false, R::r15, 0}},              // mov cr8, r15
        {0x818, {8, T::mov_from_cr, false, R::r8, 0}},             // mov r8, cr8
        {0x020, {0, T::clts, false, R::rax, 0}},                   // clts
        {0x00010030, {0, T::lmsw, false, R::rax, 1}},              // lmsw of a register, word 1
        {0xfff10070, {0, T::lmsw, true, R::rax, 0xfff1}},          // lmsw of memory, word FFF1H
        {0xffffffff00000000, {0, T::mov_to_cr, false, R::rax, 0}}, // nothing above bit 31
    };
    for (const auto &row : rows) {
        EXPECT_EQ(decode_cr_access(row.qualification), row.expected)
            << std::hex << row.qualification;
    }
}

TEST(Qualifications, MovDr) {
    using R = GeneralRegister;
    const struct {
        std::uint64_t qualification;
        DrAccess expected;
    } rows[] = {
        {0x007, {7, false, R::rax}}, // mov dr7, rax
        {0x117, {7, true, R::rcx}},  // mov rcx, dr7
        {0xf00, {0, false, R::r15}}, // mov dr0, r15
        {0xa16, {6, true, R::r10}},  // mov r10, dr6
        {0x008, {0, false, R::rax}}, // bit 3 means nothing
    };
    for (const auto &row : rows) {
        EXPECT_EQ(decode_dr_access(row.qualification), row.expected)
            << std::hex << row.qualification;
    }
}

TEST(Qualifications, IoInstruction) {
    const struct {
        std::uint64_t qualification;
        IoAccess expected;
    } rows[] = {
        // size, in, string, rep, immediate, port
        {0x00e90000, {1, false, false, false, false, 0xe9}},  // out dx, al
        {0x00e90040, {1, false, false, false, true, 0xe9}},   // out 0e9h, al
        {0x00600048, {1, true, false, false, true, 0x60}},    // in al, 60h
        {0x0cfc000b, {4, true, false, false, false, 0xcfc}},  // in eax, dx
        {0x0cfa0001, {2, false, false, false, false, 0xcfa}}, // out dx, ax
        {0x01f00039, {2, true, true, true, false, 0x1f0}},    // rep insw
        {0x03f80010, {1, false, true, false, false, 0x3f8}},  // outsb
        {0xffff0003, {4, false, false, false, false, 0xffff}},
        {0x0000ff80, {1, false, false, false, false, 0}}, // bits 15:7 mean nothing
    };
    for (const auto &row : rows) {
        EXPECT_EQ(decode_io_access(row.qualification), row.expected)
            << std::hex << row.qualification;
    }
}

TEST(Qualifications, TaskSwitch) {
    const struct {
        std::uint64_t qualification;
        TaskSwitch expected;
    } rows[] = {
        {0x00000028, {Selector{0x28}, TaskSwitchSource::call}},
        {0x40000028, {Selector{0x28}, TaskSwitchSource::iret}},
        {0x8000ffff, {Selector{0xffff}, TaskSwitchSource::jmp}},
        {0xc0000030, {Selector{0x30}, TaskSwitchSource::task_gate}},
        {0x3fff0030, {Selector{0x30}, TaskSwitchSource::call}}, // bits 29:16 mean nothing
    };
    for (const auto &row : rows) {
        EXPECT_EQ(decode_task_switch(row.qualification), row.expected)
            << std::hex << row.qualification;
    }
}

TEST(Qualifications, DebugException) {
    const struct {
        std::uint64_t qualification;
        DebugConditions expected;
    } rows[] = {
        {0x0000, {}},
        {0x0001, {.breakpoints = 1}},
        {0x000f, {.breakpoints = 15}},
        {0x0800, {.bus_lock = true}},
        {0x2000, {.register_access = true}},
        {0x4000, {.single_step = true}},
        {0x10000, {.transactional = true}},
        {0x4002, {.breakpoints = 2, .single_step = true}},
        {0x1000, {}}, // bit 12, of the pending debug exceptions, is no condition
        {0xfffffffffffe97f0, {}},
    };
    for (const auto &row : rows) {
        EXPECT_EQ(decode_debug_conditions(row.qualification), row.expected)
            << std::hex << row.qualification;
    }
}

TEST(Qualifications, ApicAccess) {
    const struct {
        std::uint64_t qualification;
        ApicAccess expected;
    } rows[] = {
        {0x00030, {0x30, ApicAccessType::linear_read, false}},
        {0x01300, {0x300, ApicAccessType::linear_write, false}},
        {0x02fff, {0xfff, ApicAccessType::linear_fetch, false}},
        {0x03080, {0x80, ApicAccessType::linear_event_delivery, false}},
        {0x04000, {0, ApicAccessType::linear_asynchronous, false}},
        {0x0a000, {0, ApicAccessType::physical_event_delivery, false}},
        {0x0f000, {0, ApicAccessType::physical_instruction, false}},
        {0x1b000, {0, ApicAccessType::physical_asynchronous, true}},
    };
    for (const auto &row : rows) {
        EXPECT_EQ(decode_apic_access(row.qualification), row.expected)
            << std::hex << row.qualification;
    }
}

TEST(Qualifications, EptViolationBitByBit) {
    bool EptViolation::*const bits[] = {
        &EptViolation::read,
        &EptViolation::write,
        &EptViolation::fetch,
        &EptViolation::readable,
        &EptViolation::writable,
        &EptViolation::executable,
        &EptViolation::user_executable,
        &EptViolation::linear_address_valid,
        &EptViolation::is_translation_result,
        &EptViolation::user_mode_address,
        &EptViolation::writable_page,
        &EptViolation::execute_disable_page,
        &EptViolation::nmi_unblocking,
        &EptViolation::shadow_stack,
        &EptViolation::supervisor_shadow_stack,
        &EptViolation::guest_paging_verify,
        &EptViolation::asynchronous,
    };
    for (unsigned bit = 0; bit < 17; ++bit) {
        EptViolation expected;
        expected.*bits[bit] = true;
        EXPECT_EQ(decode_ept_violation(1ull << bit), expected) << bit;
    }
    EXPECT_EQ(decode_ept_violation(0xfffffffffffe0000), EptViolation{});
}

TEST(Qualifications, EptViolationOfAWriteToAReadOnlyPage) {
    const EptViolation violation = decode_ept_violation(0x18a);
    EXPECT_TRUE(
        violation.write && violation.readable && violation.linear_address_valid &&
        violation.is_translation_result);
    EXPECT_FALSE(violation.read || violation.fetch || violation.writable || violation.executable);
}

TEST(Qualifications, LogsAndSubPages) {
    EXPECT_EQ(decode_pml_full(0x1000), (PmlFull{true, false}));
    EXPECT_EQ(decode_pml_full(0x10000), (PmlFull{false, true}));
    EXPECT_EQ(decode_pml_full(0), PmlFull{});
    EXPECT_EQ(decode_spp_event(0x800), (SppEvent{true, false, false}));
    EXPECT_EQ(decode_spp_event(0x1000), (SppEvent{false, true, false}));
    EXPECT_EQ(decode_spp_event(0x10000), (SppEvent{false, false, true}));
}

TEST(Qualifications, InstructionTimeout) {
    EXPECT_EQ(decode_instruction_timeout(0), InstructionTimeout{});
    EXPECT_EQ(decode_instruction_timeout(1), (InstructionTimeout{true, false}));
    EXPECT_EQ(decode_instruction_timeout(0x1000), (InstructionTimeout{false, true}));
}

TEST(Qualifications, VectorsOffsetsAndMonitors) {
    EXPECT_EQ(decode_vector(0x1ff), 0xffu);
    EXPECT_EQ(decode_vector(0x12), 0x12u);
    EXPECT_EQ(decode_apic_write(0xf300), 0x300u);
    EXPECT_TRUE(decode_mwait_armed(1));
    EXPECT_FALSE(decode_mwait_armed(2));
    EXPECT_TRUE(decode_is_wrmsrns(1));
    EXPECT_FALSE(decode_is_wrmsrns(0));
    EXPECT_TRUE(decode_is_wbnoinvd(1));
    EXPECT_FALSE(decode_is_wbnoinvd(0));
}

TEST(Qualifications, EntryFailures) {
    EXPECT_STREQ(entry_failure_text(0), "not told which");
    EXPECT_STREQ(entry_failure_text(2), "loading the PDPTEs");
    EXPECT_STREQ(entry_failure_text(3), "NMI injection while STI blocks events");
    EXPECT_STREQ(entry_failure_text(4), "VMCS link pointer");
    EXPECT_STREQ(entry_failure_text(1), "(reserved qualification)");
    EXPECT_STREQ(entry_failure_text(5), "(reserved qualification)");
}
