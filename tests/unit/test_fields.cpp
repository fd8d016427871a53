// SPDX-License-Identifier: GPL-2.0-only
// VMCS fields: encodings say what the enumerations say, and values of the wrong width do not fit.
#include "vmx/fields.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string>

using namespace vtx;

namespace {

// What instructions.hpp and the steps build upon, in its smallest form.
template <class F, class V>
requires FitsField<V, F>
constexpr std::uint32_t write(F field, V) { return field_encoding(field); }

template <class F, class V>
concept Writable = requires(F field, V value) {
    write(field, value);
};

static_assert(Writable<Field16, std::uint16_t>);
static_assert(!Writable<Field16, std::uint32_t>);
static_assert(!Writable<Field16, std::uint64_t>);
static_assert(Writable<Field32, std::uint16_t>);
static_assert(Writable<Field32, std::uint32_t>);
static_assert(!Writable<Field32, std::uint64_t>);
static_assert(Writable<Field64, std::uint64_t>);
static_assert(Writable<FieldNatural, std::uint64_t>);

// No sign, no bool, no pointer, no floating point; no field but the four enumerations.
static_assert(!Writable<Field64, int>);
static_assert(!Writable<Field64, long long>);
static_assert(!Writable<Field32, bool>);
static_assert(!Writable<FieldNatural, void *>);
static_assert(!Writable<Field64, double>);
static_assert(!Writable<std::uint32_t, std::uint32_t>);
static_assert(!Writable<FieldWidth, std::uint8_t>);

// A field of one enumeration is not one of another, nor a number.
static_assert(!std::convertible_to<Field32, Field64>);
static_assert(!std::convertible_to<Field32, std::uint32_t>);
static_assert(!std::convertible_to<std::uint32_t, Field32>);

static_assert(std::same_as<field_value_t<Field16>, std::uint16_t>);
static_assert(std::same_as<field_value_t<Field32>, std::uint32_t>);
static_assert(std::same_as<field_value_t<Field64>, std::uint64_t>);
static_assert(std::same_as<field_value_t<FieldNatural>, std::uint64_t>);

} // namespace

TEST(Fields, EncodingsAreWellFormed) {
    for (const FieldInfo &row : all_fields) {
        EXPECT_FALSE(is_high_access(row.encoding)) << row.name;
        EXPECT_EQ(row.encoding & 0xffff9000u, 0u) << row.name << ": bits 12 and 31:15 are reserved";
        const auto width = static_cast<std::uint32_t>(row.width);
        const auto kind = static_cast<std::uint32_t>(row.kind);
        EXPECT_EQ(row.encoding, (width << 13) | (kind << 10) | (field_index(row.encoding) << 1))
            << row.name;
    }
}

TEST(Fields, InOrderWithoutDuplicates) {
    std::set<std::string> names;
    std::set<std::string> identifiers;
    std::int64_t last = -1;
    for (const FieldInfo &row : all_fields) {
        EXPECT_GT(std::int64_t{row.encoding}, last) << row.name;
        EXPECT_TRUE(names.insert(row.name).second) << row.name;
        EXPECT_TRUE(identifiers.insert(row.identifier).second) << row.identifier;
        last = row.encoding;
    }
    EXPECT_EQ(names.size(), field_count);
}

TEST(Fields, NamesAgreeWithTheArea) {
    // Whatever lies in the host-state area is named so, on both sides of the table; and nothing
    // else is.
    for (const FieldInfo &row : all_fields) {
        const bool host = row.kind == FieldKind::host_state;
        EXPECT_EQ(std::string{row.identifier}.rfind("host_", 0) == 0, host) << row.identifier;
        EXPECT_EQ(std::string{row.name}.rfind("Host ", 0) == 0, host) << row.name;
        if (std::string{row.identifier}.rfind("guest_", 0) == 0 &&
            row.kind != FieldKind::guest_state) {
            // The SDM calls a few fields of other areas "guest" as well.
            const std::set<std::string> others{
                "guest_physical_address", "guest_linear_address", "guest_deadline_shadow"};
            EXPECT_TRUE(others.contains(row.identifier)) << row.identifier;
        }
    }
}

TEST(Fields, Landmarks) {
    EXPECT_EQ(field_encoding(Field16::vpid), 0x0000u);
    EXPECT_EQ(field_encoding(Field16::host_tr_selector), 0x0c0cu);
    EXPECT_EQ(field_encoding(Field32::pin_based_controls), 0x4000u);
    EXPECT_EQ(field_encoding(Field32::vm_instruction_error), 0x4400u);
    EXPECT_EQ(field_encoding(Field32::exit_reason), 0x4402u);
    EXPECT_EQ(field_encoding(Field32::preemption_timer_value), 0x482eu);
    EXPECT_EQ(field_encoding(Field64::vmcs_link_pointer), 0x2800u);
    EXPECT_EQ(field_encoding(FieldNatural::exit_qualification), 0x6400u);
    EXPECT_EQ(field_encoding(FieldNatural::guest_rip), 0x681eu);
    EXPECT_EQ(field_encoding(FieldNatural::host_rip), 0x6c16u);
}

TEST(Fields, DecodeParts) {
    // Host RIP: natural width, host state, index 11.
    EXPECT_EQ(field_width(0x6c16), FieldWidth::natural);
    EXPECT_EQ(field_kind(0x6c16), FieldKind::host_state);
    EXPECT_EQ(field_index(0x6c16), 11u);
    EXPECT_TRUE(is_high_access(0x2801));
    EXPECT_EQ(field_bits(FieldWidth::bits16), 16u);
    EXPECT_EQ(field_bits(FieldWidth::bits32), 32u);
    EXPECT_EQ(field_bits(FieldWidth::bits64), 64u);
    EXPECT_EQ(field_bits(FieldWidth::natural), 64u);
}

TEST(Fields, NamesCanBeLookedUp) {
    EXPECT_STREQ(field_name(Field32::exit_reason), "Exit reason");
    EXPECT_STREQ(field_name(FieldNatural::guest_cr3), "Guest CR3");
    EXPECT_STREQ(field_name(0x4002), "Primary processor-based VM-execution controls");
    EXPECT_STREQ(field_name(0x6c1e), "(unknown field)");
    EXPECT_EQ(find_field(0x6c1e), nullptr);
    for (const FieldInfo &row : all_fields) {
        EXPECT_EQ(find_field(row.encoding), &row);
        EXPECT_STREQ(field_name(row.encoding), row.name);
    }
}

TEST(Fields, EverySegmentRegisterHasItsFourFields) {
    for (const char *segment : {"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"}) {
        for (const char *part : {"selector", "limit", "access_rights", "base"}) {
            const std::string wanted = std::string{"guest_"} + segment + "_" + part;
            int found = 0;
            for (const FieldInfo &row : all_fields) {
                found += wanted == row.identifier ? 1 : 0;
            }
            EXPECT_EQ(found, 1) << wanted;
        }
    }
}

TEST(Fields, NoLinkIsAllOnes) { EXPECT_EQ(no_vmcs_link, 0xffffffffffffffffu); }
