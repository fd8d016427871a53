// SPDX-License-Identifier: GPL-2.0-only
// long-file: a test for each thing that the data sheet says.
// The serial line, held to the data sheet of the PC16550D and to what Linux's driver asks of it.
#include "uart.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

using vtx::Uart, vtx::UartFifo;

namespace {

/// Registers, by the names that Linux's serial_reg.h has for them.
enum : std::uint16_t { rbr, thr = 0, dll = 0, ier, dlm = 1, iir, fcr = 2, lcr, mcr, lsr, msr, scr };

/// A chip after a reset.
struct Chip : testing::Test {
    std::uint8_t read(std::uint16_t number) {
        return uart.read(static_cast<std::uint16_t>(Uart::base + number));
    }
    void write(std::uint16_t number, unsigned value) {
        uart.write(
            static_cast<std::uint16_t>(Uart::base + number), static_cast<std::uint8_t>(value),
            [&](std::uint8_t byte) { sent += static_cast<char>(byte); });
    }
    void receive(const std::string &text) {
        for (const char letter : text)
            uart.receive(static_cast<std::uint8_t>(letter));
    }

    Uart uart;
    std::string sent;
};

} // namespace

// ---- Registers ----------------------------------------------------------------------------------

TEST(UartPorts, AreEight) {
    EXPECT_FALSE(Uart::has(0x3f7));
    for (std::uint16_t port = 0x3f8; port < 0x400; port++)
        EXPECT_TRUE(Uart::has(port));
    EXPECT_FALSE(Uart::has(0x400));
    EXPECT_FALSE(Uart::has(0x2f8));
}

TEST_F(Chip, AfterAReset) {
    EXPECT_FALSE(uart.interrupts());
    EXPECT_EQ(read(rbr), 0u);
    EXPECT_EQ(read(ier), 0u);
    EXPECT_EQ(read(iir), 0x01u) << "no interrupt, no FIFO";
    EXPECT_EQ(read(mcr), 0u);
    EXPECT_EQ(read(lsr), 0x60u) << "the transmitter is empty";
    EXPECT_EQ(read(msr), 0xb0u) << "the other side is there";
    EXPECT_EQ(read(scr), 0u);
    EXPECT_EQ(uart.room(), 1u);
}

TEST_F(Chip, HoldsWhatIsWritten) {
    for (unsigned value = 0; value < 0x100; value++) {
        write(lcr, value & 0x7f);
        write(mcr, value);
        write(scr, value);
        write(ier, value);
        EXPECT_EQ(read(lcr), value & 0x7f);
        EXPECT_EQ(read(mcr), value & 0x1f) << "five bits";
        EXPECT_EQ(read(scr), value);
        EXPECT_EQ(read(ier), value & 0x0f) << "four bits";
    }
    EXPECT_EQ(sent, "");
}

TEST_F(Chip, StatusCannotBeWritten) {
    write(lsr, 0xff);
    write(msr, 0xff);
    EXPECT_EQ(read(lsr), 0x60u);
    EXPECT_EQ(read(msr), 0xb0u);
}

TEST_F(Chip, TheDivisorIsBehindBit7OfLineControl) {
    write(ier, 0x05);
    write(lcr, 0x83);
    EXPECT_EQ(read(dll) | read(dlm) << 8, 12) << "9600 baud";
    write(dll, 0x34);
    write(dlm, 0x12);
    EXPECT_EQ(read(dll), 0x34u);
    EXPECT_EQ(read(dlm), 0x12u);
    write(lcr, 0x03);
    EXPECT_EQ(sent, "") << "that was no byte to send";
    EXPECT_EQ(read(ier), 0x05u);
    EXPECT_EQ(read(rbr), 0u);
}

TEST_F(Chip, SendsAtOnce) {
    for (const char letter : std::string("Linux"))
        write(thr, static_cast<std::uint8_t>(letter));
    EXPECT_EQ(sent, "Linux");
    EXPECT_EQ(read(lsr), 0x60u);
}

// ---- Receiving ----------------------------------------------------------------------------------

TEST_F(Chip, WithoutFifoThereIsRoomForOneByte) {
    receive("a");
    EXPECT_EQ(uart.room(), 0u);
    receive("b");
    EXPECT_EQ(read(lsr), 0x61u);
    EXPECT_EQ(read(rbr), 'a');
    EXPECT_EQ(read(lsr), 0x60u);
    EXPECT_EQ(read(rbr), 0u) << "the second one is lost";
    EXPECT_EQ(uart.room(), 1u);
}

TEST_F(Chip, WithFifoThereIsRoomForSixteen) {
    write(fcr, 0x01);
    std::string got;
    // More than one way around the ring.
    for (int round = 0; round < 5; round++) {
        EXPECT_EQ(uart.room(), 16u);
        receive("0123456789abcdefgh");
        EXPECT_EQ(uart.room(), 0u);
        for (int i = 0; i < 3; i++)
            got += static_cast<char>(read(rbr));
        EXPECT_EQ(uart.room(), 3u);
        while ((read(lsr) & 1) != 0)
            got += static_cast<char>(read(rbr));
    }
    std::string wanted;
    for (int round = 0; round < 5; round++)
        wanted += "0123456789abcdef";
    EXPECT_EQ(got, wanted);
}

TEST_F(Chip, TheFifoIsCleared) {
    write(fcr, 0x01);
    EXPECT_EQ(read(iir), 0xc1u) << "by which a driver knows a 16550A";
    receive("abc");
    write(fcr, 0x01);
    EXPECT_EQ(read(lsr), 0x61u) << "it was on already";
    write(fcr, 0x05);
    EXPECT_EQ(read(lsr), 0x61u) << "bit 2 clears the other FIFO";
    write(fcr, 0x03);
    EXPECT_EQ(read(lsr), 0x60u);
    EXPECT_EQ(read(iir), 0xc1u);
    receive("abc");
    write(fcr, 0x00);
    EXPECT_EQ(read(lsr), 0x60u) << "switching it off clears it";
    EXPECT_EQ(read(iir), 0x01u);
    EXPECT_EQ(uart.room(), 1u);
    receive("a");
    write(fcr, 0x01);
    EXPECT_EQ(read(lsr), 0x60u) << "and so does switching it on";
}

TEST(UartRing, TakesNoMoreThanItsRoom) {
    UartFifo fifo;
    EXPECT_TRUE(fifo.is_empty());
    EXPECT_EQ(fifo.take(), 0u);
    EXPECT_TRUE(fifo.put(1, 1));
    EXPECT_FALSE(fifo.put(2, 1));
    EXPECT_TRUE(fifo.put(2, 2));
    EXPECT_EQ(fifo.size(), 2u);
    fifo.clear();
    EXPECT_TRUE(fifo.is_empty());
}

// ---- Interrupts ---------------------------------------------------------------------------------

TEST_F(Chip, AReceivedByteInterruptsUntilItIsRead) {
    receive("a");
    EXPECT_FALSE(uart.interrupts()) << "not enabled";
    write(ier, 0x01);
    EXPECT_TRUE(uart.interrupts());
    EXPECT_EQ(read(iir), 0x04u);
    EXPECT_EQ(read(iir), 0x04u) << "reading its cause does not end it";
    EXPECT_EQ(read(lsr), 0x61u);
    EXPECT_TRUE(uart.interrupts());
    EXPECT_EQ(read(rbr), 'a');
    EXPECT_FALSE(uart.interrupts());
    EXPECT_EQ(read(iir), 0x01u);
}

TEST_F(Chip, WithFifoItInterruptsUntilAllAreRead) {
    write(fcr, 0xc1); // a trigger level of 14
    write(ier, 0x01);
    receive("ab");
    EXPECT_EQ(read(iir), 0xc4u) << "from the first byte on";
    read(rbr);
    EXPECT_TRUE(uart.interrupts());
    read(rbr);
    EXPECT_FALSE(uart.interrupts());
}

TEST_F(Chip, TheTransmitterInterruptsWhenItIsEnabled) {
    write(ier, 0x02);
    EXPECT_TRUE(uart.interrupts());
    EXPECT_EQ(read(iir), 0x02u);
    EXPECT_FALSE(uart.interrupts()) << "reading the cause ends it";
    EXPECT_EQ(read(iir), 0x01u);
    write(ier, 0x02);
    EXPECT_FALSE(uart.interrupts()) << "it was enabled already";
    write(ier, 0x03);
    EXPECT_FALSE(uart.interrupts());
    write(ier, 0x00);
    write(ier, 0x02);
    EXPECT_TRUE(uart.interrupts()) << "an edge again";
}

TEST_F(Chip, TheTransmitterInterruptsBehindEachByte) {
    write(thr, 'a');
    EXPECT_FALSE(uart.interrupts()) << "not enabled";
    write(ier, 0x02);
    read(iir);
    EXPECT_FALSE(uart.interrupts());
    write(thr, 'b');
    EXPECT_TRUE(uart.interrupts());
    read(lsr);
    EXPECT_TRUE(uart.interrupts()) << "the line status does not end it";
    EXPECT_EQ(read(iir), 0x02u);
    EXPECT_FALSE(uart.interrupts());
    EXPECT_EQ(sent, "ab");
}

TEST_F(Chip, DisablingHidesACause) {
    write(ier, 0x02);
    write(ier, 0x00);
    EXPECT_FALSE(uart.interrupts());
    EXPECT_EQ(read(iir), 0x01u);
    write(ier, 0x01);
    EXPECT_FALSE(uart.interrupts());
    receive("a");
    write(ier, 0x00);
    EXPECT_FALSE(uart.interrupts());
    EXPECT_EQ(read(iir), 0x01u);
    EXPECT_EQ(read(lsr), 0x61u);
}

TEST_F(Chip, AReceivedByteIsTheMoreUrgentCause) {
    write(ier, 0x03);
    receive("a");
    EXPECT_EQ(read(iir), 0x04u);
    EXPECT_EQ(read(iir), 0x04u);
    read(rbr);
    EXPECT_EQ(read(iir), 0x02u) << "the transmitter has waited, and was not answered";
    EXPECT_EQ(read(iir), 0x01u);
}

TEST_F(Chip, OtherInterruptsNeverCome) {
    write(ier, 0x0c); // line status and modem status
    receive("a");
    write(thr, 'a');
    write(mcr, 0x1f);
    EXPECT_FALSE(uart.interrupts());
}

// ---- The loop, and how Linux finds the chip -----------------------------------------------------

TEST_F(Chip, InALoopWhatIsSentIsReceived) {
    write(mcr, 0x10);
    write(fcr, 0x01);
    for (const char letter : std::string("0123456789abcdefgh"))
        write(thr, static_cast<std::uint8_t>(letter));
    EXPECT_EQ(sent, "") << "it does not leave the chip";
    EXPECT_EQ(uart.room(), 0u);
    EXPECT_EQ(read(rbr), '0');
    write(mcr, 0x00);
    write(thr, 'x');
    EXPECT_EQ(sent, "x");
    EXPECT_EQ(read(rbr), '1');
}

TEST_F(Chip, InALoopTheOutputsAreTheInputs) {
    const struct {
        unsigned out, in;
    } pairs[] = {{1, 0x20}, {2, 0x10}, {4, 0x40}, {8, 0x80}}; // DTR, RTS, OUT1, OUT2
    for (unsigned all = 0; all < 16; all++) {
        unsigned wanted = 0;
        for (const auto &pair : pairs)
            wanted |= (all & pair.out) != 0 ? pair.in : 0;
        write(mcr, 0x10 | all);
        EXPECT_EQ(read(msr), wanted) << all;
    }
    write(mcr, 0x0f);
    EXPECT_EQ(read(msr), 0xb0u);
}

/// What autoconfig() of drivers/tty/serial/8250/8250_port.c asks, in its order.
TEST_F(Chip, LinuxFindsA16550A) {
    write(ier, 0);
    EXPECT_EQ(read(ier) & 0x0f, 0) << "else there is no chip";
    write(ier, 0x0f);
    EXPECT_EQ(read(ier) & 0x0f, 0x0f);
    write(ier, 0);

    write(mcr, 0x10 | 0x0a);
    EXPECT_EQ(read(msr) & 0xf0, 0x90) << "the test of the loop";
    write(mcr, 0);

    write(lcr, 0xbf); // where chips with more features have them
    write(2, 0);
    write(lcr, 0);
    write(fcr, 0x01);
    EXPECT_EQ(read(iir) >> 6, 3) << "a 16550A, or more";

    write(lcr, 0x80);
    EXPECT_NE(read(2), 0) << "0 would be a 16650";
    write(lcr, 0xbf);
    EXPECT_NE(read(2), 0) << "0 would be a 16650 V2";

    write(lcr, 0); // a SuperIO chip of National's shows modem control in its second bank
    const std::uint8_t control = read(mcr);
    write(lcr, 0xe0);
    EXPECT_EQ((read(2) ^ control) & 0x10, 0);
    write(lcr, 0);
    write(mcr, control ^ 0x10);
    write(lcr, 0xe0);
    EXPECT_EQ((read(2) ^ control) & 0x10, 0) << "else it would be one";
    write(lcr, 0);
    write(mcr, control);

    write(fcr, 0x21); // a 16750 has 64 bytes, which it shows while the divisor is open
    EXPECT_EQ(read(iir) >> 5, 6);
    write(fcr, 0x01);
    write(lcr, 0x80);
    write(fcr, 0x21);
    EXPECT_EQ(read(iir) >> 5, 6) << "7 would be a 16750";
    write(fcr, 0x01);
    write(lcr, 0);

    write(ier, 0x40);
    EXPECT_EQ(read(ier) & 0x40, 0) << "else it would be an XScale";
}

/// What serial8250_do_startup() asks: whether the transmitter interrupts when it is enabled, the
/// first time and each time. A chip that does not costs a timer that polls.
TEST_F(Chip, LinuxFindsNoBugOfTheTransmitter) {
    write(fcr, 0x01);
    write(ier, 0x02);
    EXPECT_EQ(read(iir) & 1, 0) << "UART_BUG_TXEN";
    write(ier, 0);
    write(ier, 0x02);
    EXPECT_EQ(read(iir) & 1, 0) << "UART_BUG_THRE";
    write(ier, 0);
    EXPECT_EQ(read(lsr) & 0x60, 0x60);
}
