// SPDX-License-Identifier: GPL-2.0-only
// The fields of one VMCS as a value: a slot for each, unknown until set, as wide as the field.
#include "vmx/snapshot.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>

using namespace vtx;

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
         {0x2001u, 0x6bffu, 0x10000u, 0x0812345u, 0xffffffffu, 0x9000u, 0x07feu, 0x003eu, 0x007eu,
          0x0080u}) {
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
