// SPDX-License-Identifier: GPL-2.0-only
// The predicted outcome, and the words for it and for what is undecided.
#include "doctor/rules/entry_checks.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <initializer_list>
#include <utility>

namespace vtx::testing {
namespace {

using namespace vtx::entry_checks;
using F = FailureClass;

// Of what is broken, the outcome that comes first counts.
TEST(Prediction, KeepsTheEarliestOutcome) {
    const auto after = [](std::initializer_list<FailureClass> breaches) {
        Prediction ends;
        for (const FailureClass failure : breaches) {
            ends.add(failure, EntryFailure::pdpte_loading, failure == F::msr_loading ? 3 : 0);
        }
        ends.settle();
        return ends;
    };
    EXPECT_EQ(after({}), Prediction{.enters = true});
    EXPECT_EQ(after({F::controls, F::guest_state, F::msr_loading}), Prediction{.error_7 = true});
    EXPECT_EQ(after({F::host_state, F::guest_state, F::msr_loading}), Prediction{.error_8 = true});
    EXPECT_EQ(after({F::guest_state, F::msr_loading}), Prediction{.qualifications = 1u << 2});
    EXPECT_EQ(after({F::msr_loading}), Prediction{.msr_entry = 3});
    EXPECT_EQ(after({F::undefined}), (Prediction{.enters = true, .undefined = true}));
}

TEST(Prediction, KeepsTheFirstEntryOfTheMsrList) {
    Prediction ends;
    for (const std::uint32_t entry : {5u, 2u, 4u}) {
        ends.add(FailureClass::msr_loading, EntryFailure::unspecified, entry);
    }
    EXPECT_EQ(ends.msr_entry, 2u);
}

// An undecided rule makes the outcome uncertain, unless its failure would come later.
TEST(Prediction, IsCertainOfWhatComesFirst) {
    const Prediction error_7{.error_7 = true}, error_8{.error_8 = true},
        exit_33{.qualifications = 1};
    for (const Prediction &error : {error_7, error_8}) {
        EXPECT_TRUE(entry_checks::detail::could_matter(error, F::controls));
        EXPECT_TRUE(entry_checks::detail::could_matter(error, F::host_state));
        EXPECT_FALSE(entry_checks::detail::could_matter(error, F::guest_state));
        EXPECT_FALSE(entry_checks::detail::could_matter(error, F::msr_loading));
    }
    EXPECT_TRUE(entry_checks::detail::could_matter(exit_33, F::controls));
    EXPECT_TRUE(entry_checks::detail::could_matter(exit_33, F::guest_state));
    EXPECT_FALSE(entry_checks::detail::could_matter(exit_33, F::msr_loading));
    EXPECT_TRUE(entry_checks::detail::could_matter(Prediction{}, F::msr_loading));
}

// What is suspicious changes nothing for the VM entry.
TEST(Prediction, IsUncertainForAnyRule) {
    for (std::size_t rule = 0; rule < rule_count; ++rule) {
        Verdict verdict;
        verdict.undecided[rule] = Undecided::memory;
        entry_checks::detail::conclude(verdict);
        EXPECT_EQ(verdict.prediction.certain, all_rules[rule].failure == FailureClass::suspicious)
            << all_rules[rule].id;
    }
}

TEST(Prediction, IsToldInWords) {
    const std::pair<Prediction, const char *> texts[] = {
        {{.error_7 = true, .error_8 = true}, "error 7 or 8"},
        {{.error_7 = true}, "error 7:"},
        {{.error_8 = true}, "error 8:"},
        {{.qualifications = 1}, "reason 33"},
        {{.msr_entry = 1}, "reason 34"},
        {{.undefined = true}, "not defined"},
        {{.enters = true}, "no failure"},
    };
    for (const auto &[ends, words] : texts) {
        EXPECT_NE(std::strstr(outcome_text(ends), words), nullptr) << outcome_text(ends);
    }
    EXPECT_STREQ(failure_name(FailureClass::controls), "VM-instruction error 7");
    EXPECT_STREQ(failure_name(FailureClass::host_state), "VM-instruction error 8");
    EXPECT_STREQ(failure_name(FailureClass::guest_state), "exit reason 33");
    EXPECT_STREQ(failure_name(FailureClass::msr_loading), "exit reason 34");
    EXPECT_STREQ(failure_name(FailureClass::undefined), "undefined behaviour");
}

// VPID has the encoding 0, and must not be taken for "decided".
TEST(Undecided, TellsFieldsFromOtherReasons) {
    const std::uint16_t vpid = Undecided::field(field_encoding(Field16::vpid));
    EXPECT_TRUE(Undecided::is_field(vpid));
    EXPECT_STREQ(undecided_text(vpid), field_name(field_encoding(Field16::vpid)));
    EXPECT_TRUE(Undecided::is_field(Undecided::field(field_encoding(FieldNatural::host_rip))));
    for (const std::uint16_t reason :
         {Undecided::no, Undecided::memory, Undecided::processor, Undecided::msr}) {
        EXPECT_FALSE(Undecided::is_field(reason)) << reason;
    }
    EXPECT_NE(std::strstr(undecided_text(Undecided::memory), "memory"), nullptr);
    EXPECT_NE(std::strstr(undecided_text(Undecided::processor), "processor"), nullptr);
    EXPECT_NE(std::strstr(undecided_text(Undecided::msr), "WRMSR"), nullptr);
}

} // namespace
} // namespace vtx::testing
