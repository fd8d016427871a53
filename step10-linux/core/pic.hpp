// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The interrupt controller of a PC: two 8259A, one behind the other.
///
/// Written from Intel's data sheet, "8259A Programmable Interrupt Controller", 1988. Left out: what
/// only an 8080 uses, and buffers.
#pragma once

#include <cstdint>

namespace vtx {

/// One 8259A. Eight lines come in; the most urgent one that may interrupt goes on to the processor.
///
/// A line that rises becomes a request (IRR). If it is not masked (IMR), and nothing as urgent is
/// in service (ISR), the chip interrupts. The processor acknowledges, which moves the request to
/// ISR. The handler says when it is done: EOI.
class Pic {
public:
    /// \param chips the lines that come from another 8259A, a bit a line
    explicit constexpr Pic(unsigned chips = 0) : chips_(chips) {}

    /// Line `n`, 0 to 7, is high or low now.
    void set_line(unsigned n, bool high) {
        const unsigned bit = 1u << n;
        const bool rises = high && (lines_ & bit) == 0;
        lines_ = high ? lines_ | bit : lines_ & ~bit;
        if (rises || (level_triggered_ && high))
            requests_ |= bit;
        if (!high) // whoever drops it before the acknowledgement makes it spurious
            requests_ &= ~bit;
    }

    /// True if the chip interrupts: its output INT is high. Asked before each VM entry, and seldom
    /// true, so the lines are looked at one by one only if one is requested.
    bool interrupts() const { return requests_ != 0 && next() < 8; }

    /// The processor acknowledges. Gives the line, 0 to 7. If no request is left, that is 7, and 7
    /// is not in service then: a spurious interrupt.
    unsigned acknowledge() {
        const unsigned n = next();
        if (n == 8)
            return 7;
        const unsigned bit = 1u << n;
        if (!level_triggered_)
            requests_ &= ~bit;
        if (!automatic_eoi_)
            in_service_ |= bit;
        else if (rotates_)
            lowest_ = n;
        return n;
    }

    /// The vector of line 0; the others follow.
    unsigned base() const { return base_; }

    /// True if the next read is an acknowledgement: OCW3 asked for a poll.
    bool is_polled() const { return polled_; }

    unsigned requests() const { return requests_; }     ///< IRR, a bit a line.
    unsigned in_service() const { return in_service_; } ///< ISR, likewise.
    unsigned masked() const { return masked_; }         ///< IMR, likewise.

    /// OUT to the first port of the chip, or to the second.
    void write(bool second, std::uint8_t value) {
        if (!second && (value & 0x10) != 0)
            begin_initialization(value);
        else if (!second && (value & 0x08) != 0)
            write_ocw3(value);
        else if (!second)
            write_ocw2(value);
        else if (expected_ != Icw::none)
            go_on_with_initialization(value);
        else
            masked_ = value; // OCW1
    }

    /// IN from the first port of the chip, or from the second.
    std::uint8_t read(bool second) {
        if (polled_) { // the read acknowledges, as the processor would
            polled_ = false;
            return interrupts() ? static_cast<std::uint8_t>(0x80 | acknowledge()) : 0;
        }
        if (second)
            return static_cast<std::uint8_t>(masked_);
        return static_cast<std::uint8_t>(reads_in_service_ ? in_service_ : requests_);
    }

private:
    /// The initialization command word that the second port waits for.
    enum class Icw : std::uint8_t { none, icw2, icw3, icw4 };

    /// The lines by priority: place 0 is the most urgent one. Nothing but a rotation.
    unsigned line_at(unsigned place) const { return (lowest_ + 1 + place) % 8; }

    /// The line that interrupts, or 8.
    unsigned next() const {
        // [exercise 09-2]
        if (expected_ != Icw::none)
            return 8;
        // In the special mask mode a masked line holds nobody off, though it is in service.
        const unsigned holding = special_mask_ ? in_service_ & ~masked_ : in_service_;
        for (unsigned place = 0; place < 8; place++) {
            const unsigned n = line_at(place), bit = 1u << n;
            const bool requested = (requests_ & ~masked_ & bit) != 0, held = (holding & bit) != 0;
            // Specially fully nested: another interrupt of the same chip behind it comes through.
            const bool nests = special_nesting_ && (chips_ & bit) != 0;
            if (requested && (!held || nests))
                return n;
            if (held)
                return 8;
        }
        return 8;
        // [exercise 09-2]
    }

    void begin_initialization(std::uint8_t icw1) {
        requests_ = in_service_ = masked_ = 0;
        lowest_ = 7;
        special_mask_ = reads_in_service_ = polled_ = rotates_ = false;
        automatic_eoi_ = special_nesting_ = false;
        wants_icw4_ = (icw1 & 0x01) != 0;
        single_ = (icw1 & 0x02) != 0;
        level_triggered_ = (icw1 & 0x08) != 0;
        if (level_triggered_) // it needs no edge
            requests_ = lines_;
        expected_ = Icw::icw2;
    }

    void go_on_with_initialization(std::uint8_t value) {
        switch (expected_) {
        case Icw::icw2:
            base_ = value & 0xf8u;
            expected_ = !single_ ? Icw::icw3 : wants_icw4_ ? Icw::icw4 : Icw::none;
            break;
        case Icw::icw3: // how the two are wired, which we know
            expected_ = wants_icw4_ ? Icw::icw4 : Icw::none;
            break;
        default:
            automatic_eoi_ = (value & 0x02) != 0;
            special_nesting_ = (value & 0x10) != 0;
            expected_ = Icw::none;
        }
    }

    /// OCW2: ends of interrupts, and who is the least urgent from now on.
    void write_ocw2(std::uint8_t value) {
        const unsigned named = value & 7u;
        switch (value >> 5) {
        case 0b001: // non-specific EOI
            end_most_urgent();
            break;
        case 0b101: // the same, and it is the least urgent now
            end_most_urgent(true);
            break;
        case 0b011: // specific EOI
            in_service_ &= ~(1u << named);
            break;
        case 0b111: // the same, and it is the least urgent now
            in_service_ &= ~(1u << named);
            lowest_ = named;
            break;
        case 0b110:
            lowest_ = named;
            break;
        case 0b100:
            rotates_ = true;
            break;
        case 0b000:
            rotates_ = false;
            break;
        default:
            break;
        }
    }

    void end_most_urgent(bool rotate = false) {
        const unsigned ending = special_mask_ ? in_service_ & ~masked_ : in_service_;
        for (unsigned place = 0; place < 8; place++)
            if (const unsigned n = line_at(place); (ending & 1u << n) != 0) {
                in_service_ &= ~(1u << n);
                if (rotate)
                    lowest_ = n;
                return;
            }
    }

    /// OCW3: what the next reads give, and the special mask mode.
    void write_ocw3(std::uint8_t value) {
        if ((value & 0x40) != 0)
            special_mask_ = (value & 0x20) != 0;
        if ((value & 0x02) != 0)
            reads_in_service_ = (value & 0x01) != 0;
        polled_ = (value & 0x04) != 0;
    }

    unsigned chips_;
    unsigned lines_ = 0, requests_ = 0, in_service_ = 0, masked_ = 0xff;
    unsigned base_ = 0, lowest_ = 7;
    Icw expected_ = Icw::none;
    bool wants_icw4_ = false, single_ = false, level_triggered_ = false;
    bool automatic_eoi_ = false, rotates_ = false, special_mask_ = false, special_nesting_ = false;
    bool reads_in_service_ = false, polled_ = false;
};

/// Both chips: the second one's output is line 2 of the first. Lines are IRQ 0 to 15.
class PicPair {
public:
    /// An IRQ line is high or low now.
    void set_line(unsigned irq, bool high) {
        (irq < 8 ? first_ : second_).set_line(irq % 8, high);
        connect();
    }

    /// A line that is high goes low and high again: one more request.
    void pulse(unsigned irq) {
        set_line(irq, false);
        set_line(irq, true);
    }

    /// True if the processor is interrupted.
    bool interrupts() const { return first_.interrupts(); }

    /// True if this IRQ waits to be acknowledged.
    bool is_requested(unsigned irq) const {
        return ((irq < 8 ? first_ : second_).requests() & 1u << irq % 8) != 0;
    }

    /// The processor acknowledges: gives the vector.
    std::uint8_t acknowledge() {
        const unsigned n = first_.acknowledge();
        unsigned vector = first_.base() + n;
        if (n == 2) {
            vector = second_.base() + second_.acknowledge();
            first_.set_line(2, false); // if another one waits, that is a new edge
        }
        connect();
        return static_cast<std::uint8_t>(vector);
    }

    /// True if `port` is one of the four.
    static bool has(std::uint16_t port) { return (port & ~0x81u) == 0x20; }

    /// OUT to one of them.
    void write(std::uint16_t port, std::uint8_t value) {
        chip(port).write((port & 1) != 0, value);
        connect();
    }

    /// IN from one of them.
    std::uint8_t read(std::uint16_t port) {
        const bool acknowledges = chip(port).is_polled();
        const std::uint8_t value = chip(port).read((port & 1) != 0);
        if (acknowledges && &chip(port) == &second_)
            first_.set_line(2, false);
        connect();
        return value;
    }

private:
    Pic &chip(std::uint16_t port) { return port < 0xa0 ? first_ : second_; }
    void connect() { first_.set_line(2, second_.interrupts()); }

    Pic first_{1u << 2}, second_;
};

} // namespace vtx
