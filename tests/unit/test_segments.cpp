// SPDX-License-Identifier: GPL-2.0-only
// Selectors, access rights, descriptors and gates, against descriptors that real kernels use.
#include "x86/descriptor_tables.hpp"
#include "x86/segments.hpp"

#include <gtest/gtest.h>

#include <concepts>
#include <cstdint>

using namespace vtx;

static_assert(!std::convertible_to<std::uint16_t, Selector>);
static_assert(!std::convertible_to<std::uint32_t, AccessRights>);

TEST(Selector, Parts) {
    const Selector user_code{0x33};
    EXPECT_EQ(user_code.index(), 6u);
    EXPECT_EQ(user_code.rpl(), 3u);
    EXPECT_FALSE(user_code.in_ldt());
    EXPECT_EQ(user_code.without_rpl(), Selector{0x30});

    EXPECT_TRUE(Selector{0x0f}.in_ldt());
    EXPECT_EQ(Selector{0x0f}.without_rpl(), Selector{0x08});
    EXPECT_EQ(Selector{0xffff}.index(), 8191u);
}

TEST(Selector, NullWhateverTheRpl) {
    for (std::uint16_t value = 0; value < 4; ++value) {
        EXPECT_TRUE(Selector{value}.is_null()) << value;
    }
    EXPECT_FALSE(Selector{4}.is_null()) << "index 0 of the LDT is a segment";
    EXPECT_FALSE(Selector{8}.is_null());
}

TEST(AccessRights, Makers) {
    EXPECT_EQ(AccessRights::code64().value, 0xa09bu);
    EXPECT_EQ(AccessRights::code64(3).value, 0xa0fbu);
    EXPECT_EQ(AccessRights::data().value, 0xc093u);
    EXPECT_EQ(AccessRights::data(3).value, 0xc0f3u);
    EXPECT_EQ(AccessRights::tss64_busy().value, 0x8bu);
    EXPECT_EQ(AccessRights::ldt().value, 0x82u);
    EXPECT_EQ(AccessRights::unusable().value, 0x10000u);
}

TEST(AccessRights, Types) {
    EXPECT_EQ(SegmentType::accessed, 1u);
    EXPECT_EQ(SegmentType::writable, 2u);
    EXPECT_EQ(SegmentType::readable, 2u);
    EXPECT_EQ(SegmentType::expand_down, 4u);
    EXPECT_EQ(SegmentType::conforming, 4u);
    EXPECT_EQ(SegmentType::code, 8u);
    EXPECT_EQ(SystemType::ldt, 2u);
    EXPECT_EQ(SystemType::tss_available, 9u);
    EXPECT_EQ(SystemType::tss_busy, 11u);
    EXPECT_EQ(SystemType::call_gate, 12u);
    EXPECT_EQ(SystemType::interrupt_gate, 14u);
    EXPECT_EQ(SystemType::trap_gate, 15u);
}

TEST(AccessRights, EachBitIsDecoded) {
    struct Row {
        std::uint32_t bit;
        bool (AccessRights::*is)() const;
    };
    const Row rows[] = {
        {1u << 4, &AccessRights::is_code_or_data}, {1u << 7, &AccessRights::is_present},
        {1u << 12, &AccessRights::is_available},   {1u << 13, &AccessRights::is_long_mode},
        {1u << 14, &AccessRights::is_default_big}, {1u << 15, &AccessRights::is_granular},
        {1u << 16, &AccessRights::is_unusable},
    };
    for (const Row &row : rows) {
        EXPECT_TRUE((AccessRights{row.bit}.*row.is)()) << std::hex << row.bit;
        EXPECT_FALSE((AccessRights{~row.bit}.*row.is)()) << std::hex << row.bit;
        EXPECT_EQ(row.bit & AccessRights::reserved_bits, 0u) << std::hex << row.bit;
    }
    for (unsigned dpl = 0; dpl < 4; ++dpl) {
        EXPECT_EQ(AccessRights::code64(dpl).dpl(), dpl);
        EXPECT_EQ(AccessRights::data(dpl).dpl(), dpl);
    }
    for (unsigned type = 0; type < 16; ++type) {
        EXPECT_EQ(AccessRights{0xfffffff0u | type}.type(), type);
    }
    // Every bit is either reserved or part of something.
    EXPECT_EQ(
        AccessRights::reserved_bits | AccessRights::type_mask | AccessRights::code_or_data |
            (3u << AccessRights::dpl_shift) | AccessRights::present_bit |
            AccessRights::available_bit | AccessRights::long_mode_bit |
            AccessRights::default_big_bit | AccessRights::granularity_bit |
            AccessRights::unusable_bit,
        0xffffffffu);
}

TEST(AccessRights, CodeAndData) {
    EXPECT_TRUE(AccessRights::code64().is_code());
    EXPECT_FALSE(AccessRights::data().is_code());
    EXPECT_FALSE(AccessRights::tss64_busy().is_code()) << "type 11 of a system segment is a TSS";
}

TEST(AccessRights, GranularityFitsLimit) {
    const AccessRights bytes{0x93};
    const AccessRights pages{0x8093};
    EXPECT_TRUE(bytes.granularity_fits(0));
    EXPECT_TRUE(bytes.granularity_fits(0xfffff));
    EXPECT_FALSE(bytes.granularity_fits(0x100000));
    EXPECT_TRUE(pages.granularity_fits(0xffffffff));
    EXPECT_TRUE(pages.granularity_fits(0xfff));
    EXPECT_FALSE(pages.granularity_fits(0));
    EXPECT_FALSE(pages.granularity_fits(0x1ffe));
}

TEST(Descriptor, LinuxKernelCodeAndData) {
    // GDT entries 2 and 3 of 64-bit Linux.
    const Segment code = decode_descriptor(Selector{0x10}, 0x00af9b000000ffff);
    EXPECT_EQ(code, (Segment{Selector{0x10}, 0, 0xffffffff, AccessRights::code64()}));
    const Segment data = decode_descriptor(Selector{0x18}, 0x00cf93000000ffff);
    EXPECT_EQ(data, (Segment{Selector{0x18}, 0, 0xffffffff, AccessRights::data()}));
}

TEST(Descriptor, BaseAndLimitAreScattered) {
    // Base 12345678h, limit 99abch in bytes, 32-bit data with AVL.
    const Segment segment = decode_descriptor(Selector{0x28}, 0x1259933456789abc);
    EXPECT_EQ(segment.base, 0x12345678u);
    EXPECT_EQ(segment.limit, 0x99abcu);
    EXPECT_EQ(segment.access_rights.value, 0x5093u);
    EXPECT_TRUE(segment.access_rights.is_available());
    EXPECT_TRUE(segment.access_rights.is_default_big());
    EXPECT_FALSE(segment.access_rights.is_granular());
}

TEST(Descriptor, GranularLimitEndsInFff) {
    EXPECT_EQ(descriptor_limit(0x00cf93000000ffff), 0xffffffffu);
    EXPECT_EQ(descriptor_limit(0x0080930000000000), 0x00000fffu);
    EXPECT_EQ(descriptor_limit(0x0080930000000001), 0x00001fffu);
    EXPECT_EQ(descriptor_limit(0x0000930000000001), 1u);
}

TEST(Descriptor, TssOfSixteenBytes) {
    // A busy TSS at fffffe0000003000h with the limit 4087h of Linux (an I/O bitmap follows it).
    const Segment tss =
        decode_system_descriptor(Selector{0x40}, 0x00008b0030004087, 0x00000000fffffe00);
    EXPECT_EQ(tss.base, 0xfffffe0000003000u);
    EXPECT_EQ(tss.limit, 0x4087u);
    EXPECT_EQ(tss.access_rights, AccessRights::tss64_busy());
    EXPECT_EQ(tss.access_rights.type(), SystemType::tss_busy);
}

TEST(Descriptor, NullSelectorIsUnusableWhateverTheDescriptor) {
    const Segment null = decode_descriptor(Selector{3}, 0x00af9b000000ffff);
    EXPECT_EQ(null, (Segment{Selector{3}, 0, 0, AccessRights::unusable()}));
    EXPECT_EQ(decode_system_descriptor(Selector{}, 0x00008b0030004087, 0xfffffe00).base, 0u);
}

TEST(Descriptor, RoundTrip) {
    const std::uint64_t descriptors[] = {0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff,
                                         0x12599334567899ab, 0x00008b0030004087, 0xfffff3ffffffffff,
                                         0x000093000001ffff};
    for (const std::uint64_t descriptor : descriptors) {
        EXPECT_EQ(encode_descriptor(decode_descriptor(Selector{8}, descriptor)), descriptor)
            << std::hex << descriptor;
    }
}

TEST(Gate, LinuxPageFault) {
    // IDT entry 14 of a 64-bit kernel: handler ffffffff81e00b90h, CS 10h, no IST, ring 0.
    const Gate gate = decode_gate(0x81e08e0000100b90, 0x00000000ffffffff);
    EXPECT_EQ(
        gate, (Gate{0xffffffff81e00b90, Selector{0x10}, 0, SystemType::interrupt_gate, 0, true}));
}

TEST(Gate, TrapGateForRing3WithStackTable) {
    // Breakpoint: DPL 3; here as a trap gate with IST 5, to see each part.
    const Gate gate = decode_gate(0x1234ef0500085678, 0);
    EXPECT_EQ(gate.offset, 0x12345678u);
    EXPECT_EQ(gate.selector, Selector{8});
    EXPECT_EQ(gate.ist, 5u);
    EXPECT_EQ(gate.type, SystemType::trap_gate);
    EXPECT_EQ(gate.dpl, 3u);
    EXPECT_TRUE(gate.present);
    EXPECT_FALSE(decode_gate(0x12346f0500085678, 0).present);
}

TEST(DescriptorTables, RegisterImageIsTenBytes) {
    static_assert(sizeof(DescriptorTableRegister) == 10);
    const DescriptorTableRegister a{0x7f, 0xfffffe0000001000};
    EXPECT_EQ(a, (DescriptorTableRegister{0x7f, 0xfffffe0000001000}));
    EXPECT_FALSE(a == (DescriptorTableRegister{0xffff, 0xfffffe0000001000}));
}

TEST(DescriptorTables, SelectorsOfThisProgram) {
    // Reading a selector is allowed in ring 3: user code runs at RPL 3.
    EXPECT_EQ(read_cs().rpl(), 3u);
    EXPECT_EQ(read_ss().rpl(), 3u);
}
