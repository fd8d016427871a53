// SPDX-License-Identifier: GPL-2.0-only
// What log.hpp says of a verdict, and log_ept_walk.hpp of a walk. In a kernel the lines go to its
// log; here they are kept.
#include "doctor/rules/log.hpp"
#include "doctor/rules/log_ept_walk.hpp"
#include "ept_tables.hpp"
#include "rules_fixture.hpp"

#include <gtest/gtest.h>

#include <cstdarg>
#include <cstdio>
#include <string>
#include <vector>

namespace vtx::testing {
namespace {

using namespace vtx::entry_checks;
using Lines = std::vector<std::string>;

Lines lines;  // informational
Lines errors; // at error level

void keep(Lines &where, const char *format, std::va_list arguments) {
    char line[512];
    std::vsnprintf(line, sizeof line, format, arguments);
    where.emplace_back(line);
}

void tell(const Verdict &verdict) {
    lines.clear();
    errors.clear();
    log_verdict(verdict);
}

void tell(const EptWalk &walk) {
    lines.clear();
    errors.clear();
    log_ept_walk(walk);
}

} // namespace
} // namespace vtx::testing

// The two functions of kernel.h that log.hpp calls; in a module they are common/kernel/log.c.

void vtx_log(const char *format, ...) {
    std::va_list arguments;
    va_start(arguments, format);
    vtx::testing::keep(vtx::testing::lines, format, arguments);
    va_end(arguments);
}

void vtx_log_error(const char *format, ...) {
    std::va_list arguments;
    va_start(arguments, format);
    vtx::testing::keep(vtx::testing::errors, format, arguments);
    va_end(arguments);
}

namespace vtx::testing {
namespace {

const std::string total = std::to_string(rule_count);

TEST(Log, SaysThatNothingIsBroken) {
    tell(Patient{}.verdict());
    EXPECT_EQ(errors, Lines{});
    EXPECT_EQ(
        lines,
        Lines{"doctor: none of " + total + " rules of VM entry is broken, 0 could not be decided"});
}

TEST(Log, NamesFieldValueBitsRuleAndPlace) {
    Patient patient;
    patient.set(FieldNatural::guest_rflags, 0);
    tell(patient.verdict());
    EXPECT_EQ(lines, Lines{});
    EXPECT_EQ(
        errors,
        (Lines{
            "R03: Guest RFLAGS (6820H) is 0: bits 63:22, 15, 5 and 3 of guest RFLAGS must be 0, "
            "and "
            "bit 1 must be 1; at fault: 0x2 (SDM, Checks on Guest RIP and RFLAGS 26.3.1.4)",
            "doctor: a VM entry gives a VM exit with reason 33 and bit 31: guest state is not "
            "valid; qualification 0"}));
}

// A rule that the pinned edition does not have: no number follows the title, and no blank.
TEST(Log, ANewerRuleHasNoNumber) {
    Patient patient;
    patient.with(FieldNatural::host_cr4, Cr4::cet);
    patient.without(FieldNatural::host_cr0, Cr0::wp);
    tell(patient.verdict());
    ASSERT_EQ(errors.size(), 2u);
    EXPECT_NE(errors[0].find("(SDM, Checks on Host Control Registers and MSRs)"), std::string::npos)
        << errors[0];
    EXPECT_EQ(
        errors[1], "doctor: a VM entry gives VMfailValid with VM-instruction error 8: a host-state "
                   "field is not valid");
}

TEST(Log, CountsEntriesOfTheMsrLoadList) {
    Patient patient;
    patient.set(Field64::entry_msr_load_address, 0x110000);
    patient.set(Field32::entry_msr_load_count, 2);
    patient.memory[0x110000] = 0x174;
    patient.memory[0x110010] = 0x79;
    tell(patient.verdict());
    EXPECT_EQ(
        errors, (Lines{
                    "M04: entry 2 of the MSR-load list, MSR 0x79: a VM entry cannot load an MSR "
                    "that its model reserves, as IA32_BIOS_UPDT_TRIG (SDM, Loading MSRs 26.4)",
                    "doctor: a VM entry gives a VM exit with reason 34 and bit 31: an entry of the "
                    "MSR-load list is not valid; qualification 2"}));
}

// The processor may check guest state in any order: with two qualifications there is none to tell.
TEST(Log, TellsTheQualificationOnlyIfThereIsOne) {
    Patient patient;
    patient.set(Field64::vmcs_link_pointer, 1);
    tell(patient.verdict());
    ASSERT_EQ(errors.size(), 2u);
    EXPECT_NE(errors[1].find("; qualification 4"), std::string::npos) << errors[1];
    patient.set(FieldNatural::guest_rflags, 0);
    tell(patient.verdict());
    ASSERT_EQ(errors.size(), 3u);
    EXPECT_EQ(errors[2].find("qualification"), std::string::npos) << errors[2];
}

TEST(Log, CountsWhatItDropped) {
    Patient patient;
    patient.vmcs.fill([](std::uint32_t) { return std::optional{~std::uint64_t{0}}; });
    const Verdict verdict = patient.verdict();
    tell(verdict);
    EXPECT_EQ(lines, Lines{}) << "what is undecided does not matter then";
    ASSERT_EQ(errors.size(), Verdict::capacity + 2);
    EXPECT_EQ(
        errors[Verdict::capacity], "... and " + std::to_string(verdict.dropped) + " more findings");
}

// Each undecided rule is named, with the field that is unknown, or with another reason.
TEST(Log, SaysWhyARuleIsUndecided) {
    Patient patient{GuestKind::pae, false};
    patient.now.memory = {};
    patient.vmcs.forget(Field64::vmcs_link_pointer);
    tell(examine(patient.vmcs, patient.cpu, patient.now));
    EXPECT_EQ(errors, Lines{});
    EXPECT_EQ(
        lines,
        (Lines{
            "doctor: L01 is undecided: VMCS link pointer is unknown",
            "doctor: L02 is undecided: VMCS link pointer is unknown",
            "doctor: L03 is undecided: VMCS link pointer is unknown",
            "doctor: T01b is undecided: it looks into memory that was not given",
            "doctor: W08 is undecided: VMCS link pointer is unknown",
            "doctor: none of " + total + " rules of VM entry is broken, 5 could not be decided"}));
}

// No row is passed over, neither the first nor the last.
TEST(Log, GoesThroughAllRules) {
    Verdict verdict;
    verdict.undecided[0] = verdict.undecided[rule_count - 1] = Undecided::msr;
    tell(verdict);
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_EQ(lines[0].find("doctor: C01 is undecided: whether"), 0u) << lines[0];
    EXPECT_EQ(lines[1].find("doctor: W08 is undecided: whether"), 0u) << lines[1];
}

TEST(LogEptWalk, TellsEachLevelAndThePage) {
    EptTables tables;
    tables.entry(3) = 0x102005;
    tell(tables.walk());
    EXPECT_EQ(errors, Lines{});
    EXPECT_EQ(
        lines, (Lines{
                   "doctor: EPT PML4E at 0x100008 is 0x101007: rwx",
                   "doctor: EPT PDPTE at 0x101010 is 0x102005: r-x",
                   "doctor: EPT PDE at 0x102018 is 0x103007: rwx",
                   "doctor: EPT PTE at 0x103020 is 0x5037: rwx",
                   "doctor: guest-physical 0x8080604567 is host-physical 0x5567, in a 4-KByte page "
                   "of memory type WB: r-x, any other access is an EPT violation"}));
}

TEST(LogEptWalk, TellsLargePagesAndThatPatDoesNotCount) {
    EptTables tables;
    tables.entry(2) = 0x2000f3;
    tell(tables.walk());
    ASSERT_EQ(lines.size(), 4u);
    EXPECT_EQ(
        lines[3], "doctor: guest-physical 0x8080604567 is host-physical 0x204567, in a 2-MByte "
                  "page of memory type WB, whatever the guest's PAT says: rw-, any other access is "
                  "an EPT violation");
    tables.entry(3) = 0x87;
    tell(tables.walk());
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_EQ(
        lines[2], "doctor: guest-physical 0x8080604567 is host-physical 0x604567, in a 1-GByte "
                  "page of memory type UC: rwx");
}

TEST(LogEptWalk, TellsWhichEntryIsNotPresent) {
    EptTables tables;
    tables.entry(3) = 0;
    tell(tables.walk());
    EXPECT_EQ(errors, Lines{});
    EXPECT_EQ(
        lines, (Lines{
                   "doctor: EPT PML4E at 0x100008 is 0x101007: rwx",
                   "doctor: EPT PDPTE at 0x101010 is 0: ---",
                   "doctor: guest-physical 0x8080604567 is not mapped: bits 2:0 of its EPT PDPTE "
                   "are 0, so an access is an EPT violation (SDM, EPT Violations 28.2.3.2)"}));
}

TEST(LogEptWalk, TellsWhatIsMisconfigured) {
    EptTables tables;
    tables.entry(4) = 0x101087;
    tell(tables.walk());
    EXPECT_EQ(lines, Lines{"doctor: EPT PML4E at 0x100008 is 0x101087: rwx"});
    EXPECT_EQ(
        errors, Lines{"doctor: guest-physical 0x8080604567 is misconfigured: its EPT PML4E sets "
                      "bits that are reserved at this level; at fault: 0x80 (SDM, EPT "
                      "Misconfigurations 28.2.3.1)"});
}

TEST(LogEptWalk, TellsWhatItCannotDo) {
    EptTables tables;
    tables.memory.erase(EptTables::entry_address(3));
    tell(tables.walk());
    EXPECT_EQ(lines, Lines{"doctor: EPT PML4E at 0x100008 is 0x101007: rwx"});
    EXPECT_EQ(
        errors, Lines{"doctor: guest-physical 0x8080604567 leads to an EPT PDPTE at 0x101010, "
                      "which cannot be read"});
    tell(tables.walk(0x100026));
    EXPECT_EQ(lines, Lines{});
    EXPECT_EQ(
        errors, Lines{"doctor: guest-physical 0x8080604567 is not translated: the EPTP asks for a "
                      "page-walk length other than 4"});
}

} // namespace
} // namespace vtx::testing
