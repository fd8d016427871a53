// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The serial line of a PC: a UART 16550A, at which the guest has its console.
///
/// Written from National Semiconductor's data sheet, "PC16550D Universal Asynchronous
/// Receiver/Transmitter with FIFOs", 1995. There is no wire: what is sent has arrived at once, at
/// any speed, and the modem on the other side is always there. Its interrupt does not wait for
/// OUT2, which PCs have put in between.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vtx {

/// Bytes that wait, in the order in which they came.
class UartFifo {
public:
    static constexpr std::size_t limit = 16; ///< As many as the chip has room for.

    bool is_empty() const { return size_ == 0; }
    std::size_t size() const { return size_; }
    void clear() { size_ = 0; }

    /// Adds a byte. False if there is no room for it.
    bool put(std::uint8_t byte, std::size_t room) {
        if (size_ >= room)
            return false;
        bytes_[(first_ + size_++) % limit] = byte;
        return true;
    }

    /// Takes the first one. 0 if there is none.
    std::uint8_t take() {
        if (size_ == 0)
            return 0;
        const std::uint8_t byte = bytes_[first_];
        first_ = (first_ + 1) % limit;
        size_--;
        return byte;
    }

private:
    std::uint8_t bytes_[limit]{};
    std::size_t first_ = 0, size_ = 0;
};

/// The chip. Eight ports, some of them with two registers.
class Uart {
public:
    static constexpr std::uint16_t base = 0x3f8; ///< Where a PC has its first one,
    static constexpr unsigned irq = 4;           ///< and the line to the interrupt controller.

    /// True if `port` is one of the eight.
    static constexpr bool has(std::uint16_t port) { return port >= base && port < base + 8; }

    // [interrupts]
    /// True if the chip interrupts: its line is high.
    bool interrupts() const { return (cause() & no_interrupt) == 0; }

    /// How many bytes may be received now.
    std::size_t room() const {
        const std::size_t all = fifo_enabled_ ? UartFifo::limit : 1;
        return all > received_.size() ? all - received_.size() : 0;
    }

    /// A byte comes in from the other side. Called while there is room().
    void receive(std::uint8_t byte) { received_.put(byte, fifo_enabled_ ? UartFifo::limit : 1); }
    // [interrupts]

    /// IN from a port.
    std::uint8_t read(std::uint16_t port) {
        switch (port - base) {
        case data:
            return divisor_access() ? static_cast<std::uint8_t>(divisor_) : received_.take();
        case interrupt_enable:
            return divisor_access() ? static_cast<std::uint8_t>(divisor_ >> 8) : enabled_;
        // [exercise 10-1]
        case interrupt_identification: {
            const std::uint8_t value = cause();
            // Reading it is how the driver answers the transmitter.
            if (value == transmitter_empty)
                transmitter_waits_ = false;
            return static_cast<std::uint8_t>(value | (fifo_enabled_ ? fifo_mark : 0));
        }
        case line_status:
            // What is sent has left: both halves of the transmitter are empty.
            return static_cast<std::uint8_t>(both_empty | (received_.is_empty() ? 0 : data_ready));
        // [exercise 10-1]
        case line_control:
            return line_control_;
        case modem_control:
            return modem_control_;
        case modem_status:
            return is_looped() ? looped_modem_status() : modem_is_there;
        default:
            return scratch_;
        }
    }

    /// OUT to a port. `send(byte)` is called with what leaves the chip.
    template <typename Send> void write(std::uint16_t port, std::uint8_t value, Send send) {
        switch (port - base) {
        case data:
            if (divisor_access()) {
                divisor_ = static_cast<std::uint16_t>((divisor_ & 0xff00) | value);
                break;
            }
            if (is_looped())
                receive(value);
            else
                send(value);
            transmitter_waits_ = true; // it is empty again, and says so
            break;
        case interrupt_enable:
            if (divisor_access()) {
                divisor_ = static_cast<std::uint16_t>((divisor_ & 0xff) | value << 8);
                break;
            }
            // Who switches the transmitter's interrupt on gets one: it is empty.
            transmitter_waits_ |= (value & ~enabled_ & enable_transmitter) != 0;
            enabled_ = value & 0xf;
            break;
        case fifo_control:
            // Switching the FIFOs on or off empties them.
            if ((value & clear_received) != 0 || ((value & 1) != 0) != fifo_enabled_)
                received_.clear();
            fifo_enabled_ = (value & 1) != 0;
            break;
        case line_control:
            line_control_ = value;
            break;
        case modem_control:
            modem_control_ = value & 0x1f;
            break;
        case line_status:
        case modem_status:
            break; // for tests in the factory
        default:
            scratch_ = value;
        }
    }

private:
    /// Ports, counted from `base`.
    enum Register : unsigned {
        data = 0, ///< Received and sent bytes; with the divisor latch open its lower half.
        interrupt_enable = 1,         ///< Likewise its upper half.
        interrupt_identification = 2, ///< When read,
        fifo_control = 2,             ///< and when written.
        line_control = 3,
        modem_control = 4,
        line_status = 5,
        modem_status = 6,
    };

    // Interrupt enable: received data, transmitter empty.
    static constexpr std::uint8_t enable_received = 1, enable_transmitter = 2;
    // Interrupt identification: bit 0 is 1 if there is none.
    static constexpr std::uint8_t no_interrupt = 1, transmitter_empty = 2, data_received = 4,
                                  fifo_mark = 0xc0;
    static constexpr std::uint8_t clear_received = 2;                // FIFO control
    static constexpr std::uint8_t data_ready = 1, both_empty = 0x60; // line status
    // Modem status: clear to send, data set ready, carrier.
    static constexpr std::uint8_t modem_is_there = 0xb0;

    /// Why the chip interrupts: the most urgent cause. Received data counts from the first byte on,
    /// whatever trigger level the driver has chosen: nobody types fast.
    std::uint8_t cause() const {
        if ((enabled_ & enable_received) != 0 && !received_.is_empty())
            return data_received;
        if ((enabled_ & enable_transmitter) != 0 && transmitter_waits_)
            return transmitter_empty;
        return no_interrupt;
    }

    bool divisor_access() const { return (line_control_ & 0x80) != 0; }
    bool is_looped() const { return (modem_control_ & 0x10) != 0; }

    /// In a loop the four outputs of modem control come back as the inputs: RTS as CTS, DTR as DSR,
    /// OUT1 as RI, OUT2 as DCD. Drivers look for a chip by that.
    std::uint8_t looped_modem_status() const {
        const unsigned out = modem_control_;
        return static_cast<std::uint8_t>(
            (out & 2) << 3 | (out & 1) << 5 | (out & 4) << 4 | (out & 8) << 4);
    }

    UartFifo received_{};
    std::uint16_t divisor_ = 12; // 9600 baud
    std::uint8_t enabled_ = 0, line_control_ = 3, modem_control_ = 0, scratch_ = 0;
    bool fifo_enabled_ = false, transmitter_waits_ = false;
};

} // namespace vtx
