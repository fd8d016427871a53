// SPDX-License-Identifier: GPL-2.0-only
// long-file: a test for each thing that the data sheet says.
// The interrupt controller, held to the data sheet of the 8259A: one chip, and the two of a PC.
#include "pic.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>

using vtx::Pic, vtx::PicPair;

namespace {

constexpr std::uint8_t eoi = 0x20, specific_eoi = 0x60, rotate_on_eoi = 0xa0;
constexpr std::uint8_t poll = 0x0c, read_requests = 0x0a, read_in_service = 0x0b;

/// A single chip with base 30h and nothing masked.
struct OneChip : testing::Test {
    OneChip() { initialize(); }
    void initialize(std::uint8_t icw4 = 0x01, std::uint8_t icw1 = 0x13) {
        pic.write(false, icw1); // alone: no ICW3
        pic.write(true, 0x30);
        pic.write(true, icw4);
    }
    void command(std::uint8_t value) { pic.write(false, value); }
    void mask(std::uint8_t value) { pic.write(true, value); }
    void raise(std::initializer_list<unsigned> lines) {
        for (const unsigned n : lines) {
            pic.set_line(n, false);
            pic.set_line(n, true);
        }
    }
    unsigned read(std::uint8_t ocw3) {
        command(ocw3);
        return pic.read(false);
    }
    Pic pic;
};

/// Both chips as a PC has them: vectors 20h to 27h and 28h to 2Fh, nothing masked.
struct TwoChips : testing::Test {
    TwoChips() { initialize(0x01, 0x01); }
    void initialize(std::uint8_t first_icw4, std::uint8_t second_icw4) {
        write(0x20, {0x11});
        write(0xa0, {0x11});
        write(0x21, {0x20, 0x04, first_icw4, 0x00});
        write(0xa1, {0x28, 0x02, second_icw4, 0x00});
    }
    void write(std::uint16_t port, std::initializer_list<std::uint8_t> values) {
        for (const std::uint8_t value : values)
            pics.write(port, value);
    }
    unsigned read(std::uint16_t port, std::uint8_t ocw3) {
        pics.write(port, ocw3);
        return pics.read(port);
    }
    PicPair pics;
};

} // namespace

// ---- One chip: requests, masks, priorities ------------------------------------------------------

TEST(FreshPic, IsMaskedAndSilent) {
    Pic pic;
    pic.set_line(0, true);
    EXPECT_FALSE(pic.interrupts());
    EXPECT_EQ(pic.masked(), 0xffu);
}

TEST_F(OneChip, ARisingLineBecomesOneRequest) {
    EXPECT_FALSE(pic.interrupts());
    pic.set_line(3, true);
    EXPECT_TRUE(pic.interrupts());
    EXPECT_EQ(read(read_requests), 1u << 3);
    EXPECT_EQ(pic.acknowledge(), 3u);
    EXPECT_EQ(read(read_requests), 0u);
    EXPECT_EQ(read(read_in_service), 1u << 3);
    command(eoi);
    EXPECT_EQ(read(read_in_service), 0u);
    EXPECT_FALSE(pic.interrupts()) << "it is still high, which is no new edge";
    pic.set_line(3, true);
    EXPECT_FALSE(pic.interrupts());
    pic.set_line(3, false);
    pic.set_line(3, true);
    EXPECT_TRUE(pic.interrupts());
}

TEST_F(OneChip, AMaskHoldsARequestBackAndKeepsIt) {
    mask(0xff);
    raise({5});
    EXPECT_FALSE(pic.interrupts());
    EXPECT_EQ(read(read_requests), 1u << 5) << "IRR does not know the mask";
    EXPECT_EQ(pic.read(true), 0xff) << "OCW1 can be read";
    mask(0xdf);
    EXPECT_TRUE(pic.interrupts());
    EXPECT_EQ(pic.acknowledge(), 5u);
}

TEST_F(OneChip, Line0IsTheMostUrgentAtFirst) {
    raise({7, 4, 0, 2});
    for (const unsigned n : {0u, 2u, 4u, 7u}) {
        EXPECT_EQ(pic.acknowledge(), n);
        command(eoi);
    }
    EXPECT_FALSE(pic.interrupts());
}

TEST_F(OneChip, OnlyMoreUrgentOnesInterruptAHandler) {
    raise({4});
    EXPECT_EQ(pic.acknowledge(), 4u);
    raise({4});
    EXPECT_FALSE(pic.interrupts()) << "its own line again";
    raise({6});
    EXPECT_FALSE(pic.interrupts()) << "a less urgent one";
    raise({1});
    ASSERT_TRUE(pic.interrupts()) << "a more urgent one";
    EXPECT_EQ(pic.acknowledge(), 1u);
    EXPECT_EQ(read(read_in_service), 0x12u);
    command(eoi);
    EXPECT_EQ(read(read_in_service), 0x10u) << "EOI ends the most urgent";
    EXPECT_FALSE(pic.interrupts());
    command(eoi);
    EXPECT_EQ(pic.acknowledge(), 4u);
}

TEST_F(OneChip, AForgottenEoiHoldsAllLessUrgentOnesOff) {
    raise({0});
    EXPECT_EQ(pic.acknowledge(), 0u);
    raise({0, 1, 7});
    EXPECT_FALSE(pic.interrupts());
    command(eoi);
    EXPECT_EQ(pic.acknowledge(), 0u);
}

// ---- Spurious interrupts ------------------------------------------------------------------------

TEST_F(OneChip, ALineThatDropsTooEarlyIsSpurious) {
    pic.set_line(2, true);
    ASSERT_TRUE(pic.interrupts());
    pic.set_line(2, false);
    EXPECT_FALSE(pic.interrupts());
    EXPECT_EQ(pic.acknowledge(), 7u) << "the processor was on its way already";
    EXPECT_EQ(read(read_in_service), 0u) << "7 is not in service: it wants no EOI";
}

TEST_F(OneChip, ARealLine7IsInService) {
    raise({7});
    EXPECT_EQ(pic.acknowledge(), 7u);
    EXPECT_EQ(read(read_in_service), 0x80u);
}

// ---- Ends of interrupts -------------------------------------------------------------------------

TEST_F(OneChip, ASpecificEoiEndsTheOneItNames) {
    raise({5});
    pic.acknowledge();
    raise({3});
    pic.acknowledge();
    command(specific_eoi | 5);
    EXPECT_EQ(pic.in_service(), 1u << 3);
    command(specific_eoi | 6);
    EXPECT_EQ(pic.in_service(), 1u << 3) << "6 was not in service";
}

TEST_F(OneChip, RotationMakesTheServedLineTheLeastUrgent) {
    raise({4});
    pic.acknowledge();
    command(rotate_on_eoi);
    EXPECT_EQ(pic.in_service(), 0u);
    raise({4, 5, 0});
    for (const unsigned n : {5u, 0u, 4u}) {
        EXPECT_EQ(pic.acknowledge(), n);
        command(eoi);
    }
}

TEST_F(OneChip, RotationCanNameTheLine) {
    command(0xc0 | 2); // set priority
    raise({2, 3, 0});
    EXPECT_EQ(pic.acknowledge(), 3u);
    command(0xe0 | 3); // specific EOI, and rotate
    EXPECT_EQ(pic.in_service(), 0u);
    raise({3, 4});
    for (const unsigned n : {4u, 0u, 2u, 3u}) {
        EXPECT_EQ(pic.acknowledge(), n);
        command(eoi);
    }
}

TEST_F(OneChip, AutomaticEoiLeavesNothingInService) {
    initialize(0x03);
    raise({4});
    EXPECT_EQ(pic.acknowledge(), 4u);
    EXPECT_EQ(pic.in_service(), 0u);
    raise({6});
    EXPECT_EQ(pic.acknowledge(), 6u) << "so a less urgent one comes at once";
}

TEST_F(OneChip, AutomaticEoiCanRotate) {
    initialize(0x03);
    command(0x80);
    raise({1, 2, 0});
    EXPECT_EQ(pic.acknowledge(), 0u);
    raise({0});
    EXPECT_EQ(pic.acknowledge(), 1u);
    EXPECT_EQ(pic.acknowledge(), 2u);
    EXPECT_EQ(pic.acknowledge(), 0u);
    command(0x00); // stays as it is from now on: 0 is the least urgent
    raise({0, 5});
    EXPECT_EQ(pic.acknowledge(), 5u);
    raise({5});
    EXPECT_EQ(pic.acknowledge(), 5u);
}

// ---- Special mask mode, poll, reads -------------------------------------------------------------

TEST_F(OneChip, InSpecialMaskModeAMaskedHandlerHoldsNobodyOff) {
    raise({2});
    pic.acknowledge();
    raise({6, 2});
    mask(0x04);
    EXPECT_FALSE(pic.interrupts());
    command(0x68); // special mask mode on
    ASSERT_TRUE(pic.interrupts());
    EXPECT_EQ(pic.acknowledge(), 6u);
    command(eoi);
    EXPECT_EQ(pic.in_service(), 0x04u) << "EOI does not end what is masked";
    command(read_requests);
    raise({6});
    EXPECT_TRUE(pic.interrupts()) << "OCW3 without bit 6 leaves the mode alone";
    command(0x48); // off
    EXPECT_FALSE(pic.interrupts());
}

TEST_F(OneChip, PollAcknowledges) {
    EXPECT_EQ(read(poll), 0u) << "nothing waits";
    raise({6, 3});
    EXPECT_EQ(read(poll), 0x83u);
    EXPECT_EQ(pic.in_service(), 1u << 3);
    EXPECT_EQ(pic.read(false), 1u << 6) << "one read only: then IRR again";
    command(poll);
    EXPECT_EQ(pic.read(true), 0u) << "either port; 6 waits for the EOI of 3";
}

TEST_F(OneChip, WhatReadsGiveStaysUntilItIsChanged) {
    raise({1});
    pic.acknowledge();
    raise({4});
    command(read_in_service);
    EXPECT_EQ(pic.read(false), 0x02);
    command(0x08); // OCW3 that asks for neither
    EXPECT_EQ(pic.read(false), 0x02);
    command(read_requests);
    EXPECT_EQ(pic.read(false), 0x10);
}

// ---- Initialization -----------------------------------------------------------------------------

TEST_F(OneChip, InitializationForgetsAllButTheLines) {
    raise({1});
    pic.acknowledge();
    raise({3});
    mask(0x40);
    command(0xc0 | 3);
    command(0x68);
    command(read_in_service);
    command(0x13);
    EXPECT_FALSE(pic.interrupts()) << "nor does it interrupt before it is done";
    pic.write(true, 0x57);
    pic.write(true, 0x01);
    EXPECT_EQ(pic.base(), 0x50u) << "the lower three bits are the line's";
    EXPECT_EQ(pic.requests() | pic.in_service() | pic.masked(), 0u);
    pic.set_line(3, true);
    EXPECT_FALSE(pic.interrupts()) << "it was high before: that is no edge";
    raise({3, 4});
    EXPECT_EQ(pic.read(false), 0x18) << "reads give IRR";
    EXPECT_EQ(pic.acknowledge(), 3u) << "and line 0 is the most urgent again";
}

TEST_F(OneChip, WithoutIcw4ItIsAsIfThatWere0) {
    initialize(0x03);
    pic.write(false, 0x12); // alone, no ICW4
    pic.write(true, 0x40);
    pic.write(true, 0x02); // OCW1
    EXPECT_EQ(pic.masked(), 0x02u);
    raise({0});
    pic.acknowledge();
    EXPECT_EQ(pic.in_service(), 1u) << "no automatic EOI";
}

TEST_F(OneChip, ALevelRequestsForAsLongAsItIsHigh) {
    initialize(0x01, 0x1b);
    pic.set_line(4, true);
    EXPECT_EQ(pic.acknowledge(), 4u);
    EXPECT_FALSE(pic.interrupts());
    command(eoi);
    ASSERT_TRUE(pic.interrupts());
    EXPECT_EQ(pic.acknowledge(), 4u);
    pic.set_line(4, false);
    command(eoi);
    EXPECT_FALSE(pic.interrupts());
}

TEST_F(OneChip, ALevelThatWasThereBeforeTheInitializationRequests) {
    pic.set_line(4, true);
    initialize(0x01, 0x1b);
    ASSERT_TRUE(pic.interrupts());
    EXPECT_EQ(pic.acknowledge(), 4u);
}

// ---- Two chips ----------------------------------------------------------------------------------

TEST(Ports, AreFour) {
    for (const unsigned port : {0x20, 0x21, 0xa0, 0xa1})
        EXPECT_TRUE(PicPair::has(static_cast<std::uint16_t>(port))) << port;
    for (const unsigned port : {0x1f, 0x22, 0x24, 0x9f, 0xa2, 0x120, 0x80a0})
        EXPECT_FALSE(PicPair::has(static_cast<std::uint16_t>(port))) << port;
}

TEST_F(TwoChips, VectorsFollowTheBases) {
    for (const unsigned irq : {0u, 1u, 3u, 7u, 8u, 11u, 15u}) {
        pics.pulse(irq);
        ASSERT_TRUE(pics.interrupts()) << irq;
        EXPECT_TRUE(pics.is_requested(irq));
        EXPECT_EQ(pics.acknowledge(), 0x20 + irq);
        EXPECT_FALSE(pics.is_requested(irq));
        pics.write(0xa0, eoi);
        pics.write(0x20, eoi);
    }
}

TEST_F(TwoChips, TheSecondComesBetween1And3) {
    for (const unsigned irq : {3u, 8u, 15u, 1u})
        pics.pulse(irq);
    for (const unsigned vector : {0x21u, 0x28u, 0x2fu, 0x23u}) {
        ASSERT_TRUE(pics.interrupts());
        EXPECT_EQ(pics.acknowledge(), vector);
        pics.write(0xa0, eoi);
        pics.write(0x20, eoi);
    }
    EXPECT_FALSE(pics.interrupts());
}

TEST_F(TwoChips, AnInterruptOfTheSecondWantsTwoEois) {
    pics.pulse(12);
    EXPECT_EQ(pics.acknowledge(), 0x2c);
    EXPECT_EQ(read(0x20, read_in_service), 0x04u);
    EXPECT_EQ(read(0xa0, read_in_service), 0x10u);
    pics.pulse(9);
    EXPECT_FALSE(pics.interrupts()) << "more urgent, but the first chip still serves its line 2";
    pics.write(0x20, eoi);
    ASSERT_TRUE(pics.interrupts());
    EXPECT_EQ(pics.acknowledge(), 0x29);
    pics.write(0x20, eoi);
    pics.pulse(12);
    EXPECT_FALSE(pics.interrupts()) << "9 and 12 are in service in the second";
}

TEST_F(TwoChips, AMaskInEitherHoldsItBack) {
    pics.write(0x21, 0x04);
    pics.pulse(10);
    EXPECT_FALSE(pics.interrupts());
    pics.write(0xa1, 0x04);
    pics.write(0x21, 0x00);
    EXPECT_FALSE(pics.interrupts());
    pics.write(0xa1, 0x00);
    ASSERT_TRUE(pics.interrupts());
    EXPECT_EQ(pics.acknowledge(), 0x2a);
}

TEST_F(TwoChips, ALineOfTheSecondThatDropsTooEarlyIsSpuriousInTheFirst) {
    pics.set_line(14, true);
    ASSERT_TRUE(pics.interrupts());
    pics.set_line(14, false);
    EXPECT_FALSE(pics.interrupts());
    EXPECT_EQ(pics.acknowledge(), 0x27);
    EXPECT_EQ(read(0x20, read_in_service), 0u);
}

TEST_F(TwoChips, PollOfTheSecondTakesItsRequest) {
    pics.write(0x21, 0x04); // as somebody does who polls
    pics.pulse(13);
    EXPECT_EQ(read(0xa0, poll), 0x85u);
    EXPECT_EQ(read(0xa0, read_in_service), 0x20u);
    pics.write(0x21, 0x00);
    EXPECT_FALSE(pics.interrupts());
}

TEST_F(TwoChips, APulseIsOneRequestHoweverHighTheLineWas) {
    pics.pulse(0);
    EXPECT_EQ(pics.acknowledge(), 0x20);
    pics.pulse(0);
    EXPECT_TRUE(pics.is_requested(0));
    pics.pulse(0);
    pics.write(0x20, eoi);
    EXPECT_EQ(pics.acknowledge(), 0x20);
    pics.write(0x20, eoi);
    EXPECT_FALSE(pics.interrupts()) << "IRR remembers one";
}

TEST_F(TwoChips, EachRequestOfASecondWithAutomaticEoiComesThrough) {
    initialize(0x01, 0x03);
    for (const unsigned irq : {9u, 12u, 14u})
        pics.pulse(irq);
    for (const unsigned vector : {0x29u, 0x2cu, 0x2eu}) {
        ASSERT_TRUE(pics.interrupts()) << vector;
        EXPECT_EQ(pics.acknowledge(), vector);
        pics.write(0x20, eoi);
    }
    EXPECT_FALSE(pics.interrupts());
}

TEST_F(TwoChips, AfterAPollOfTheSecondTheNextRequestIsANewEdge) {
    initialize(0x01, 0x03);
    pics.pulse(9);
    pics.pulse(12);
    EXPECT_EQ(read(0x20, poll), 0x82u);
    EXPECT_EQ(read(0xa0, poll), 0x81u);
    pics.write(0x20, eoi);
    ASSERT_TRUE(pics.interrupts());
    EXPECT_EQ(pics.acknowledge(), 0x2c);
}

TEST_F(TwoChips, SpecialFullNestingLetsAMoreUrgentOneOfTheSecondThrough) {
    initialize(0x11, 0x01);
    pics.pulse(12);
    EXPECT_EQ(pics.acknowledge(), 0x2c);
    pics.pulse(14);
    EXPECT_FALSE(pics.interrupts()) << "less urgent in the second";
    pics.pulse(9);
    ASSERT_TRUE(pics.interrupts());
    EXPECT_EQ(pics.acknowledge(), 0x29);
    pics.pulse(3);
    EXPECT_FALSE(pics.interrupts()) << "less urgent in the first";
}

TEST_F(TwoChips, SpecialFullNestingIsForLinesWithAChipBehindThem) {
    initialize(0x11, 0x11);
    pics.pulse(0);
    EXPECT_EQ(pics.acknowledge(), 0x20);
    pics.pulse(0);
    EXPECT_FALSE(pics.interrupts()) << "the timer does not interrupt its own handler";
    pics.write(0x20, eoi);
    pics.write(0x21, 0x01);
    pics.pulse(10);
    EXPECT_EQ(pics.acknowledge(), 0x2a);
    pics.write(0x20, eoi);
    pics.pulse(10);
    EXPECT_FALSE(pics.interrupts()) << "nor does line 2 of the second chip";
}
