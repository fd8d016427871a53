// SPDX-License-Identifier: GPL-2.0-only
// long-file: what an examination concludes, case by case.
// What the examination concludes: unknown fields, several findings, what is undecided.
#include "rules_fixture.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <set>
#include <string>

namespace vtx::testing {
namespace {

using namespace vtx::entry_checks;

unsigned undecided_count(const Verdict &verdict) {
    unsigned count = 0;
    for (std::size_t i = 0; i < rule_count; ++i) {
        count += verdict.undecided[i] != Undecided::no ? 1 : 0;
    }
    return count;
}

TEST(EntryChecks, EveryKindOfGuestIsSound) {
    for (const GuestKind kind :
         {GuestKind::long_mode, GuestKind::pae, GuestKind::real_mode, GuestKind::virtual_8086}) {
        for (const bool ept : {false, true}) {
            Patient patient;
            if (!can_run(patient.cpu, kind, ept)) {
                EXPECT_EQ(kind, GuestKind::real_mode);
                continue;
            }
            Patient sound{kind, ept};
            const Verdict verdict = sound.verdict();
            EXPECT_TRUE(verdict.sound())
                << guest_kind_names[static_cast<unsigned>(kind)]
                << (verdict.count != 0 ? all_rules[verdict.findings[0].rule].id : "");
            EXPECT_EQ(undecided_count(verdict), 0u);
            EXPECT_TRUE(verdict.prediction.enters);
            EXPECT_TRUE(verdict.prediction.certain);
        }
    }
}

// A rule that keeps a value for its next step forgets that it was unknown.
TEST(EntryChecks, AnUnknownFieldBreaksNothing) {
    for (const GuestKind kind :
         {GuestKind::long_mode, GuestKind::pae, GuestKind::real_mode, GuestKind::virtual_8086}) {
        for (const bool fred : {false, true}) {
            Patient patient{kind};
            patient.with(FieldNatural::guest_cr4, fred ? std::uint64_t{Cr4::fred} : 0);
            const Verdict before = patient.verdict();
            for (const FieldInfo &field : all_fields) {
                VmcsSnapshot partial;
                partial.fill([&](std::uint32_t encoding) {
                    return encoding == field.encoding ? std::nullopt : patient.vmcs.find(encoding);
                });
                const Verdict verdict = examine(partial, patient.cpu, patient.now);
                for (std::size_t rule = 0; rule < rule_count; ++rule) {
                    EXPECT_LE(verdict.is_broken(rule), before.is_broken(rule))
                        << all_rules[rule].id << " without " << field.name;
                }
            }
        }
    }
}

TEST(EntryChecks, NothingKnownIsNothingDecided) {
    const Verdict verdict = examine(VmcsSnapshot{}, rich_processor());
    EXPECT_TRUE(verdict.sound());
    EXPECT_FALSE(verdict.prediction.certain);
    for (std::size_t i = 0; i < rule_count; ++i) {
        if (std::strcmp(all_rules[i].id, "N12") == 0) {
            EXPECT_EQ(verdict.undecided[i], Undecided::no) << "no tracing, no question";
        } else {
            EXPECT_NE(verdict.undecided[i], Undecided::no) << all_rules[i].id;
        }
    }
}

TEST(EntryChecks, WorksAtCompileTime) {
    constexpr auto broken = [] {
        VmcsSnapshot vmcs;
        ProcessorDescription cpu;
        cpu.vmx.cr0_fixed1 = 0xffffffff;
        vmcs.set(FieldNatural::host_cr0, std::uint64_t{1} << 32);
        return examine(vmcs, cpu).is_broken(find_rule("H01"));
    }();
    static_assert(broken);
}

TEST(EntryChecks, ControlsAndHostStateCompete) {
    Patient patient;
    patient.set(Field32::cr3_target_count, 9);
    patient.set(Field16::host_cs_selector, 0);
    patient.set(FieldNatural::guest_rflags, 0);
    const Verdict verdict = patient.verdict();
    EXPECT_EQ(verdict.count, 3u);
    EXPECT_TRUE(verdict.prediction.error_7);
    EXPECT_TRUE(verdict.prediction.error_8);
    EXPECT_EQ(verdict.prediction.qualifications, 0u) << "guest state is looked at later";
    EXPECT_TRUE(verdict.prediction.certain);
}

TEST(EntryChecks, QualificationsOfGuestStateCompete) {
    Patient patient;
    patient.set(FieldNatural::guest_rflags, 0);
    patient.set(Field64::vmcs_link_pointer, 1);
    const Prediction ends = patient.verdict().prediction;
    EXPECT_EQ(ends.qualifications, (1u << 0) | (1u << 4));
}

TEST(EntryChecks, TheFirstBadMsrCounts) {
    Patient patient;
    patient.set(Field64::entry_msr_load_address, 0x110000);
    patient.set(Field32::entry_msr_load_count, 3);
    patient.memory[0x110000] = 0x174;
    patient.memory[0x110010] = 0x79;       // M04, found after
    patient.memory[0x110020] = 0xc0000100; // M01, though it comes later
    const Verdict verdict = patient.verdict();
    EXPECT_EQ(verdict.count, 2u);
    EXPECT_EQ(verdict.prediction.msr_entry, 2u);
}

TEST(EntryChecks, WithoutMemorySaysSo) {
    Patient patient{GuestKind::pae, false};
    patient.now.memory = {};
    VmcsSnapshot vmcs = patient.vmcs;
    const Verdict verdict = examine(vmcs, patient.cpu, patient.now);
    EXPECT_TRUE(verdict.sound());
    EXPECT_FALSE(verdict.prediction.certain);
    EXPECT_EQ(verdict.undecided[find_rule("T01b")], Undecided::memory);
    EXPECT_EQ(undecided_count(verdict), 1u);
}

TEST(EntryChecks, AnMsrItDoesNotKnowIsUndecided) {
    Patient patient;
    patient.set(Field64::entry_msr_load_address, 0x110000);
    patient.set(Field32::entry_msr_load_count, 1);
    patient.memory[0x110000] = 0x1a0;
    const Verdict verdict = patient.verdict();
    EXPECT_TRUE(verdict.sound());
    EXPECT_EQ(verdict.undecided[find_rule("M06")], Undecided::msr);
    EXPECT_FALSE(verdict.prediction.certain);
}

TEST(EntryChecks, UnknownPremisesProveNothing) {
    Patient patient;
    patient.set(Field64::msr_bitmap, 1);
    patient.vmcs.forget(Field32::primary_controls);
    const Verdict verdict = patient.verdict();
    EXPECT_FALSE(verdict.is_broken(find_rule("C07")));
    EXPECT_EQ(
        verdict.undecided[find_rule("C07")],
        Undecided::field(field_encoding(Field32::primary_controls)));
}

TEST(EntryChecks, AnUndecidedRuleOfALaterStageDoesNotMatter) {
    Patient patient;
    patient.set(Field32::cr3_target_count, 9);
    patient.vmcs.forget(Field64::vmcs_link_pointer);
    EXPECT_TRUE(patient.verdict().prediction.certain);
    patient.vmcs.forget(Field16::host_cs_selector);
    EXPECT_FALSE(patient.verdict().prediction.certain);
}

TEST(EntryChecks, CountsWhatItHasNoRoomFor) {
    Patient patient;
    patient.vmcs.fill([](std::uint32_t) { return std::optional{~std::uint64_t{0}}; });
    const Verdict verdict = patient.verdict();
    EXPECT_EQ(verdict.count, Verdict::capacity);
    EXPECT_GT(verdict.dropped, 0u);
    EXPECT_FALSE(verdict.sound());
    EXPECT_TRUE(verdict.is_broken(find_rule("D02"))) << "the set of rules is complete";
}

TEST(EntryChecks, AddressesMayBeNarrower) {
    Patient patient;
    patient.add(PrimaryControl::use_msr_bitmaps);
    patient.set(Field64::msr_bitmap, std::uint64_t{1} << 33);
    EXPECT_TRUE(patient.verdict().sound());
    patient.cpu.vmx.basic |= std::uint64_t{1} << 48;
    const Verdict verdict = patient.verdict();
    EXPECT_TRUE(verdict.is_broken(find_rule("C07")));
    EXPECT_EQ(verdict.count, 1u);
}

TEST(EntryChecks, AnUnknownWidthIsUndecided) {
    Patient patient;
    patient.add(PrimaryControl::use_msr_bitmaps);
    patient.cpu.physical_address_width = 0;
    patient.cpu.linear_address_width = 0;
    const Verdict verdict = patient.verdict();
    EXPECT_FALSE(verdict.is_broken(find_rule("C07")));
    EXPECT_EQ(verdict.undecided[find_rule("C07")], Undecided::processor);
    EXPECT_EQ(verdict.undecided[find_rule("H14")], Undecided::processor);
}

TEST(EntryChecks, EveryRuleIsTold) {
    std::set<std::string> ids;
    for (const Rule &rule : all_rules) {
        EXPECT_TRUE(ids.insert(rule.id).second) << rule.id << " occurs twice";
        EXPECT_GT(std::strlen(rule.must), 10u) << rule.id;
        EXPECT_NE(rule.must[std::strlen(rule.must) - 1], '.') << rule.id;
        EXPECT_GT(rule.field_count, 0u) << rule.id;
        const SdmReference sdm = sdm_reference(rule.sdm);
        EXPECT_STRNE(sdm.title, rule.sdm) << rule.id << ": unknown section";
        EXPECT_EQ(*sdm.number == 0, *rule.sdm == '+') << rule.id;
        for (std::size_t i = 0; i < rule.field_count; ++i) {
            EXPECT_NE(find_field(rule.fields[i]), nullptr) << rule.id;
        }
    }
    EXPECT_EQ(find_rule("C99"), rule_count);
    EXPECT_EQ(find_rule("C0"), rule_count);
}

// Whatever rule is undecided for want of the widths, none is broken for it.
TEST(EntryChecks, AnUnknownWidthBreaksNothing) {
    Patient patient;
    use_tertiary(patient, TertiaryControl::enable_hlat);
    patient.cpu.physical_address_width = 0;
    patient.cpu.linear_address_width = 0;
    patient.set(Field32::exit_msr_store_count, 1);
    const Verdict verdict = patient.verdict();
    EXPECT_TRUE(verdict.sound()) << all_rules[verdict.findings[0].rule].id;
    for (const char *id : {"C23", "C35b", "X04", "H03", "H14", "G09", "R02"}) {
        EXPECT_EQ(verdict.undecided[find_rule(id)], Undecided::processor) << id;
    }
}

TEST(EntryChecks, TheFirstReasonForDoubtCounts) {
    Patient patient;
    patient.add(PrimaryControl::use_io_bitmaps);
    patient.vmcs.forget(Field64::io_bitmap_a);
    patient.vmcs.forget(Field64::io_bitmap_b);
    patient.now.current_vmcs = std::nullopt;
    patient.set(Field64::vmcs_link_pointer, 0x120000);
    patient.memory[0x120000] = 0x11;
    const Verdict verdict = patient.verdict();
    EXPECT_EQ(
        verdict.undecided[find_rule("C06")],
        Undecided::field(field_encoding(Field64::io_bitmap_a)));
    EXPECT_EQ(verdict.undecided[find_rule("L03")], Undecided::processor);
    EXPECT_EQ(undecided_count(verdict), 2u);
}

// A TPR threshold of 0 exceeds nothing, and STI alone keeps no NMI out: no question, no doubt.
TEST(EntryChecks, WhatNeedsNoAnswerIsDecided) {
    Patient patient;
    patient.now.memory = {};
    patient.add(PrimaryControl::use_tpr_shadow);
    patient.with(FieldNatural::guest_rflags, Rflags::if_);
    patient.set(Field32::guest_interruptibility, 1);
    EXPECT_EQ(undecided_count(patient.verdict()), 0u);
}

// What WRMSR does with a value, as far as the rules know: it works, it faults, or who knows.
TEST(EntryChecks, KnowsSomeValuesOfMsrs) {
    constexpr std::uint64_t not_canonical = std::uint64_t{1} << 47;
    const struct {
        std::uint64_t msr, value;
        bool broken, unknown;
    } cases[] = {
        {0x174, ~std::uint64_t{0}, false, false},      // IA32_SYSENTER_CS
        {0x175, not_canonical, true, false},           // IA32_SYSENTER_ESP
        {0x176, not_canonical, true, false},           // IA32_SYSENTER_EIP
        {0x277, 0x0007040600070406, false, false},     // IA32_PAT
        {0xc0000080, 0x500, false, true},              // IA32_EFER: LME faults under paging
        {0xc0000081, ~std::uint64_t{0}, false, false}, // IA32_STAR
        {0xc0000083, not_canonical, true, false},      // IA32_CSTAR
        {0xc0000084, 0xffffffff, false, false},        // IA32_FMASK
        {0xc0000084, std::uint64_t{1} << 32, false, true},
        {0xc0000102, not_canonical, true, false}, // IA32_KERNEL_GS_BASE
    };
    for (const auto &one : cases) {
        Patient patient;
        patient.set(Field64::entry_msr_load_address, 0x110000);
        patient.set(Field32::entry_msr_load_count, 1);
        patient.memory[0x110000] = one.msr;
        patient.memory[0x110008] = one.value;
        const Verdict verdict = patient.verdict();
        const std::size_t rule = find_rule("M06");
        EXPECT_EQ(verdict.is_broken(rule), one.broken) << std::hex << one.msr;
        EXPECT_EQ(verdict.undecided[rule], one.unknown ? Undecided::msr : Undecided::no)
            << std::hex << one.msr;
    }
}

TEST(EntryChecks, AVerdictIsUsedAgain) {
    Patient patient;
    Verdict verdict;
    examine(VmcsSnapshot{}, patient.cpu, EntrySituation{}, verdict);
    verdict.broken[0] = verdict.dropped = verdict.count = 1;
    patient.verdict(); // gives the memory its context
    examine(patient.vmcs, patient.cpu, patient.now, verdict);
    EXPECT_TRUE(verdict.sound());
    EXPECT_FALSE(verdict.is_broken(0));
    EXPECT_EQ(undecided_count(verdict), 0u);
}

} // namespace
} // namespace vtx::testing
