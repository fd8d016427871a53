// SPDX-License-Identifier: GPL-2.0-only
// Control words as sets, and their adjustment by what a processor allows.
#include "vmx/capabilities.hpp"
#include "vmx/controls.hpp"

#include <gtest/gtest.h>

#include <concepts>
#include <cstdint>
#include <set>
#include <string>

using namespace vtx;

namespace {

// A control fits its own word only.
template <class Set, class C>
concept Takes = requires(Set set, C control) {
    set.with(control);
};
template <class Set, class C>
concept MadeFrom = requires(C control) {
    Set{control};
};

using PinSet = ControlSet<PinControl>;
static_assert(Takes<PinSet, PinControl>);
static_assert(!Takes<PinSet, PrimaryControl>);
static_assert(!Takes<PinSet, int>);
static_assert(!Takes<PinSet, std::uint8_t>);
static_assert(MadeFrom<PinSet, PinControl>);
static_assert(!MadeFrom<PinSet, EntryControl>);
static_assert(!MadeFrom<PinSet, std::uint32_t>);
static_assert(!std::convertible_to<ControlSet<ExitControl>, ControlSet<EntryControl>>);

// Sets of different words cannot be joined or compared.
template <class A, class B>
concept Joinable = requires(A a, B b) {
    a | b;
};
static_assert(Joinable<PinSet, PinSet>);
static_assert(!Joinable<PinSet, ControlSet<PrimaryControl>>);

// Words are as wide as the VMCS fields that hold them.
static_assert(sizeof(ControlSet<SecondaryControl>) == 4);
static_assert(sizeof(ControlSet<TertiaryControl>) == 8);
static_assert(sizeof(ControlSet<SecondaryExitControl>) == 8);
static_assert(std::same_as<decltype(control_field(PinControl{})), Field32>);
static_assert(std::same_as<decltype(control_field(TertiaryControl{})), Field64>);

// A 32-bit word is adjusted by an Allowed, a 64-bit one by a number, never the other way round.
template <class C, class A>
concept AdjustableBy = requires(ControlSet<C> set, A allowed) {
    adjust(set, set, allowed);
};
static_assert(AdjustableBy<PinControl, Allowed>);
static_assert(!AdjustableBy<PinControl, std::uint64_t>);
static_assert(AdjustableBy<TertiaryControl, std::uint64_t>);
static_assert(!AdjustableBy<TertiaryControl, Allowed>);

template <class C> void expect_good_table() {
    int last = -1;
    std::set<std::string> names;
    std::set<std::string> identifiers;
    for (const ControlInfo &row : all_controls) {
        if (row.word != word_of(C{})) {
            continue;
        }
        EXPECT_GT(row.bit, last) << row.name;
        EXPECT_LT(row.bit, 8 * sizeof(control_word_t<C>)) << row.name;
        EXPECT_TRUE(names.insert(row.name).second) << row.name;
        EXPECT_TRUE(identifiers.insert(row.identifier).second) << row.identifier;
        EXPECT_EQ(find_control(row.word, row.bit), &row);
        EXPECT_STREQ(control_name(C{row.bit}), row.name);
        last = row.bit;
    }
    EXPECT_GE(last, 0) << control_word_name(word_of(C{})) << " has no rows";
    EXPECT_EQ(find_control(word_of(C{}), 63), nullptr);
    EXPECT_STREQ(control_name(static_cast<C>(63)), "(reserved control)");
}

} // namespace

TEST(Controls, Tables) {
    expect_good_table<PinControl>();
    expect_good_table<PrimaryControl>();
    expect_good_table<SecondaryControl>();
    expect_good_table<TertiaryControl>();
    expect_good_table<ExitControl>();
    expect_good_table<SecondaryExitControl>();
    expect_good_table<EntryControl>();
    expect_good_table<VmFunction>();
    expect_good_table<EptVpidCapability>();
}

template <class C> void expect_field_of_same_name() {
    EXPECT_STREQ(field_name(control_field(C{})), control_word_name(word_of(C{})));
}

TEST(Controls, FieldsHaveTheNamesOfTheirWords) {
    expect_field_of_same_name<PinControl>();
    expect_field_of_same_name<PrimaryControl>();
    expect_field_of_same_name<SecondaryControl>();
    expect_field_of_same_name<TertiaryControl>();
    expect_field_of_same_name<ExitControl>();
    expect_field_of_same_name<SecondaryExitControl>();
    expect_field_of_same_name<EntryControl>();
    expect_field_of_same_name<VmFunction>();
}

TEST(ControlSet, BuildAndAsk) {
    constexpr ControlSet set{
        PrimaryControl::hlt_exiting, PrimaryControl::activate_secondary_controls};
    static_assert(set.bits == 0x80000080);
    EXPECT_TRUE(set.has(PrimaryControl::hlt_exiting));
    EXPECT_FALSE(set.has(PrimaryControl::use_msr_bitmaps));
    EXPECT_EQ(set.with(PrimaryControl::use_msr_bitmaps).bits, 0x90000080u);
    EXPECT_EQ(set.with(PrimaryControl::hlt_exiting), set);
    EXPECT_EQ(set.without(PrimaryControl::hlt_exiting).bits, 0x80000000u);
    EXPECT_EQ(set.without(PrimaryControl::use_msr_bitmaps), set);
    EXPECT_FALSE(set.empty());
    EXPECT_TRUE(ControlSet<PrimaryControl>{}.empty());
    EXPECT_EQ(ControlSet<PrimaryControl>::from_bits(0x80000080), set);
}

TEST(ControlSet, Algebra) {
    constexpr ControlSet left{PinControl::nmi_exiting, PinControl::virtual_nmis};
    constexpr ControlSet right{PinControl::virtual_nmis, PinControl::activate_preemption_timer};
    EXPECT_EQ((left | right).bits, 0x68u);
    EXPECT_EQ((left & right).bits, 0x20u);
    EXPECT_EQ((left - right).bits, 0x08u);
    EXPECT_EQ((right - left).bits, 0x40u);
}

TEST(ControlSet, WideWordKeepsHighBits) {
    const auto set = ControlSet<TertiaryControl>::from_bits(1ull << 40);
    EXPECT_EQ(set.with(TertiaryControl::enable_hlat).bits, (1ull << 40) | 2);
    EXPECT_EQ(set.without(TertiaryControl::enable_hlat).bits, 1ull << 40);
}

TEST(Allowed, FromMsr) {
    // IA32_VMX_PINBASED_CTLS as nearly every CPU reports it.
    const Allowed allowed = Allowed::from_msr(0x0000007f00000016);
    EXPECT_EQ(allowed.must_be_1, 0x16u);
    EXPECT_EQ(allowed.may_be_1, 0x7fu);
    EXPECT_TRUE(allowed.permits(0x16));
    EXPECT_TRUE(allowed.permits(0x7f));
    EXPECT_FALSE(allowed.permits(0x12)) << "bit 2 must be 1";
    EXPECT_FALSE(allowed.permits(0x96)) << "bit 7 must be 0";
    EXPECT_FALSE(allowed.permits(0));
}

TEST(Allowed, Setting) {
    const Allowed allowed{0x16 | (1u << 3), 0x7f};
    EXPECT_EQ(setting(PinControl::nmi_exiting, allowed), Setting::must_be_1);
    EXPECT_EQ(setting(PinControl::virtual_nmis, allowed), Setting::may_be_1);
    EXPECT_EQ(setting(PinControl::process_posted_interrupts, allowed), Setting::must_be_0);
    EXPECT_EQ(setting(TertiaryControl::ipi_virtualization, 1ull << 4), Setting::may_be_1);
    EXPECT_EQ(setting(TertiaryControl::enable_hlat, 1ull << 4), Setting::must_be_0);
}

TEST(Adjust, RequiredOptionalForced) {
    const Allowed allowed{0x16, 0x3f}; // no preemption timer: penryn
    const auto adjusted = adjust(
        ControlSet{PinControl::external_interrupt_exiting, PinControl::nmi_exiting},
        ControlSet{PinControl::activate_preemption_timer, PinControl::virtual_nmis}, allowed);
    EXPECT_TRUE(adjusted.ok());
    EXPECT_EQ(adjusted.value.bits, 0x16u | 0x01u | 0x08u | 0x20u);
    EXPECT_FALSE(adjusted.value.has(PinControl::activate_preemption_timer));
    EXPECT_TRUE(adjusted.missing.empty());
    EXPECT_EQ(adjusted.forced.bits, 0x16u);
    EXPECT_TRUE(allowed.permits(adjusted.value.bits));
}

TEST(Adjust, MissingIsNamed) {
    const auto adjusted =
        adjust(ControlSet{PinControl::activate_preemption_timer}, {}, Allowed{0x16, 0x3f});
    EXPECT_FALSE(adjusted.ok());
    EXPECT_EQ(adjusted.missing, ControlSet{PinControl::activate_preemption_timer});
    EXPECT_STREQ(
        control_name(PinControl::activate_preemption_timer), "Activate VMX-preemption timer");
}

TEST(Adjust, ForcedControlThatWasAskedForIsNotForced) {
    // Without TRUE MSRs "CR3-load exiting" must be 1.
    const Allowed allowed{0x0401e172, 0xfff9fffe};
    const auto unasked = adjust(ControlSet<PrimaryControl>{}, {}, allowed);
    EXPECT_TRUE(unasked.forced.has(PrimaryControl::cr3_load_exiting));
    EXPECT_TRUE(unasked.value.has(PrimaryControl::cr3_load_exiting));
    const auto asked = adjust(ControlSet{PrimaryControl::cr3_load_exiting}, {}, allowed);
    EXPECT_FALSE(asked.forced.has(PrimaryControl::cr3_load_exiting));
    EXPECT_EQ(asked.value, unasked.value);
    // What is optional was asked for as well.
    const auto optional = adjust({}, ControlSet{PrimaryControl::cr3_load_exiting}, allowed);
    EXPECT_FALSE(optional.forced.has(PrimaryControl::cr3_load_exiting));
}

TEST(Adjust, ValueIsAlwaysPermittedWhenOk) {
    // Walk required and optional through every single control, against several processors.
    const Allowed processors[] = {
        {0x0401e172, 0xfff9fffe},
        {0x04006172, 0xfff9fffe},
        {0, 0xffffffff},
        {0xffffffff, 0xffffffff},
        {0, 0}};
    for (const Allowed &allowed : processors) {
        for (std::uint8_t first = 0; first < 32; ++first) {
            for (std::uint8_t second = 0; second < 32; ++second) {
                const PrimaryControl required{first};
                const PrimaryControl optional{second};
                const auto adjusted = adjust(ControlSet{required}, ControlSet{optional}, allowed);
                EXPECT_EQ(adjusted.ok(), setting(required, allowed) != Setting::must_be_0);
                if (adjusted.ok()) {
                    EXPECT_TRUE(allowed.permits(adjusted.value.bits));
                    EXPECT_TRUE(adjusted.value.has(required));
                }
            }
        }
    }
}

TEST(Adjust, Wide) {
    const std::uint64_t may_be_1 = (1ull << 4) | (1ull << 40);
    const auto adjusted = adjust(
        ControlSet{TertiaryControl::ipi_virtualization}, ControlSet{TertiaryControl::enable_hlat},
        may_be_1);
    EXPECT_TRUE(adjusted.ok());
    EXPECT_EQ(adjusted.value.bits, 0x10u);
    EXPECT_TRUE(adjusted.forced.empty());
    const auto refused = adjust(ControlSet{TertiaryControl::enable_hlat}, {}, may_be_1);
    EXPECT_FALSE(refused.ok());
    EXPECT_EQ(refused.missing.bits, 2u);
}
