// SPDX-License-Identifier: GPL-2.0-only
// What the examination concludes: unknown fields, several findings, the predicted outcome, and the
// description of a processor.
#include "rules_fixture.hpp"

#include <gtest/gtest.h>

#include <cstring>
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

TEST(Snapshot, HasASlotForEveryField) {
    VmcsSnapshot vmcs;
    std::uint64_t value = 1;
    for (const FieldInfo &field : all_fields) {
        EXPECT_FALSE(vmcs.find(field.encoding).has_value()) << field.name;
        EXPECT_TRUE(vmcs.set(field.encoding, value)) << field.name;
        EXPECT_EQ(vmcs.find(field.encoding), value) << field.name;
        ++value;
    }
    EXPECT_EQ(vmcs.known_count(), field_count);
    value = 1;
    vmcs.for_each([&](const FieldInfo &field, std::uint64_t held) {
        EXPECT_EQ(held, value++) << field.name;
    });
    EXPECT_EQ(value, field_count + 1);
}

TEST(Snapshot, RefusesWhatIsNoField) {
    VmcsSnapshot vmcs;
    for (const std::uint32_t encoding :
         {0x2001u, 0x6bffu, 0x10000u, 0x0812345u, 0xffffffffu, 0x9000u, 0x07feu}) {
        EXPECT_FALSE(vmcs.set(encoding, 1)) << encoding;
        EXPECT_FALSE(vmcs.find(encoding).has_value()) << encoding;
    }
    EXPECT_EQ(vmcs.known_count(), 0u);
}

TEST(Snapshot, KeepsAsManyBitsAsTheFieldHas) {
    VmcsSnapshot vmcs;
    EXPECT_TRUE(vmcs.set(field_encoding(Field16::vpid), 0x12345));
    EXPECT_EQ(vmcs.get(Field16::vpid), 0x2345);
    EXPECT_TRUE(vmcs.set(field_encoding(Field32::exit_reason), 0x100000002));
    EXPECT_EQ(vmcs.get(Field32::exit_reason), 2u);
    vmcs.forget(Field32::exit_reason);
    EXPECT_FALSE(vmcs.known(Field32::exit_reason));
    EXPECT_EQ(vmcs.get(Field32::exit_reason), 0u);
    EXPECT_TRUE(vmcs.known(Field16::vpid));
}

TEST(Snapshot, FillsFromAReader) {
    VmcsSnapshot vmcs;
    vmcs.set(Field16::vpid, std::uint16_t{7});
    vmcs.fill([](std::uint32_t encoding) -> std::optional<std::uint64_t> {
        if (encoding >= 0x6000) {
            return encoding;
        }
        return std::nullopt;
    });
    EXPECT_FALSE(vmcs.known(Field16::vpid));
    EXPECT_EQ(vmcs.get(FieldNatural::host_rip), 0x6c16u);
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

TEST(Processor, IsDescribedByCpuid) {
    const auto query = [](std::uint32_t leaf, std::uint32_t subleaf) -> CpuidResult {
        switch (leaf) {
        case 0:
            return {0xd, 0, 0, 0};
        case 1:
            return {0, 0, 1u << 15, 0};
        case 7:
            return subleaf == 0 ? CpuidResult{1, (1u << 2) | (1u << 11), 1u << 24, 1u << 20}
                                : CpuidResult{1u << 26, 0, 0, 0};
        case 0xa:
            return {0x0804, 0, 0, 3};
        case 0x80000000:
            return {0x80000008, 0, 0, 0};
        case 0x80000001:
            return {0, 0, 0, (1u << 29) | (1u << 20)};
        case 0x80000008:
            return {0x3930 - 0x0a, 0, 0, 0};
        default:
            return {};
        }
    };
    const ProcessorDescription cpu = describe_processor(VmxCapabilities{}, query);
    EXPECT_TRUE(cpu.has(CpuFeature::enclaves));
    EXPECT_TRUE(cpu.has(CpuFeature::restricted_tsx));
    EXPECT_TRUE(cpu.has(CpuFeature::bus_lock_trap));
    EXPECT_TRUE(cpu.has(CpuFeature::branch_tracking));
    EXPECT_FALSE(cpu.has(CpuFeature::shadow_stacks));
    EXPECT_TRUE(cpu.has(CpuFeature::linear_masking));
    EXPECT_FALSE(cpu.has(CpuFeature::flexible_returns));
    EXPECT_TRUE(cpu.has(CpuFeature::long_mode));
    EXPECT_EQ(cpu.efer_bits, Efer::lme | Efer::lma | Efer::nxe);
    EXPECT_EQ(cpu.debugctl_bits, debugctl_bits_any | 4 | 0x8000);
    EXPECT_EQ(cpu.perf_global_ctrl_bits, 0x10007000000ffull);
    EXPECT_EQ(cpu.physical_address_width, 38);
    EXPECT_EQ(cpu.linear_address_width, 57);
}

TEST(Processor, AsksForNoLeafThatIsNotThere) {
    const auto query = [](std::uint32_t leaf, std::uint32_t) -> CpuidResult {
        EXPECT_TRUE(leaf == 0 || leaf == 0x80000000) << leaf;
        return {leaf == 0 ? 5u : 0x80000000u, 0, 0, 0};
    };
    const ProcessorDescription cpu = describe_processor(VmxCapabilities{}, query);
    EXPECT_EQ(cpu.physical_address_width, 36);
    EXPECT_EQ(cpu.features, 0u);
}

} // namespace
} // namespace vtx::testing
