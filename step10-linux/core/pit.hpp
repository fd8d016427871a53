// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The timer of a PC: an 8254 with three channels, of which 0 and 2 are in use.
///
/// Written from Intel's data sheet, "8254 Programmable Interval Timer", 1993. Its modes 1 and 5,
/// which wait for an edge of GATE, are left out: such a channel stands still.
#pragma once

#include <cstdint>

namespace vtx {

/// One channel. It counts down at 1,193,182 Hz, and at the end something happens to its output.
/// `now` is the time in such ticks, and never goes back from one call to the next.
class PitChannel {
public:
    static constexpr std::uint64_t never = ~std::uint64_t{0};

    /// The control word: mode, how bytes come, BCD. The channel stops until a count is written.
    void configure(std::uint8_t control) {
        mode_ = control >> 1 & 7u;
        if (mode_ > 5)
            mode_ -= 4; // bit 2 counts for nothing in modes 2 and 3
        access_ = control >> 4 & 3u;
        decimal_ = (control & 1) != 0;
        count_ = next_count_ = 0;
        edges_ = 0;
        wants_high_ = gives_high_ = is_latched_ = status_is_latched_ = false;
    }

    /// A byte of the count. After its last one the channel counts.
    void write(std::uint8_t value, std::uint64_t now) {
        if (access_ == 3 && !wants_high_) {
            low_ = value;
            wants_high_ = true;
            count_ = mode_ == 0 ? 0 : count_; // that stops, and OUT is low
            return;
        }
        wants_high_ = false;
        const unsigned written = access_ == 1   ? value
                                 : access_ == 2 ? unsigned{value} << 8
                                                : unsigned{value} << 8 | low_;
        unsigned count = decimal_ ? from_decimal(written) : written;
        if (count == 0)
            count = modulus();
        settle(now);
        if (is_periodic() && count_ != 0) {
            next_count_ = count; // from the next period on
            const std::uint64_t periods = elapsed(now) / count_;
            edges_ += periods;
            start_ += periods * count_;
        } else {
            count_ = count;
            next_count_ = 0;
            start_ = now + 1; // the next tick loads it and does not count
            stopped_ = now;
            edges_ = 0;
        }
    }

    /// IN: a byte of the latched status, of the latched count, or of the count as it is now.
    std::uint8_t read(std::uint64_t now) {
        if (status_is_latched_) {
            status_is_latched_ = false;
            return status_;
        }
        const unsigned value = is_latched_ ? latched_ : shown_count(now);
        const bool high = access_ == 2 || (access_ == 3 && gives_high_);
        if (access_ == 3)
            gives_high_ = !gives_high_;
        if (!gives_high_)
            is_latched_ = false;
        return static_cast<std::uint8_t>(high ? value >> 8 : value);
    }

    /// The count stays as it is now, for reading.
    void latch_count(std::uint64_t now) {
        if (!is_latched_)
            latched_ = shown_count(now);
        is_latched_ = true;
    }

    /// The same for output and mode.
    void latch_status(std::uint64_t now) {
        if (!status_is_latched_)
            status_ = static_cast<std::uint8_t>(
                (output(now) ? 0x80u : 0u) | (is_loaded(now) ? 0u : 0x40u) | access_ << 4 |
                mode_ << 1 | (decimal_ ? 1u : 0u));
        status_is_latched_ = true;
    }

    /// GATE is high or low now. While it is low the channel stands still; when it rises, periods
    /// begin anew.
    void set_gate(bool high, std::uint64_t now) {
        if (high == gate_)
            return;
        settle(now);
        if (high && is_periodic() && count_ != 0) {
            edges_ += elapsed(now) / count_;
            start_ = now + 1;
            count_ = next_count_ != 0 ? next_count_ : count_;
            next_count_ = 0;
        } else if (high) {
            start_ = now - elapsed(now);
        }
        gate_ = high;
        stopped_ = now;
    }

    /// The output OUT.
    bool output(std::uint64_t now) {
        settle(now);
        if (count_ == 0 || (is_periodic() && !gate_))
            return mode_ != 0;
        const std::uint64_t past = elapsed(now);
        switch (mode_) {
        case 0:
            return past >= count_;
        case 2:
            return past % count_ != count_ - 1;
        case 3:
            return past % count_ < (count_ + 1) / 2;
        case 4:
            return past != count_;
        default:
            return true;
        }
    }

    /// How often OUT has risen since the count was written.
    std::uint64_t edges(std::uint64_t now) {
        settle(now);
        if (count_ == 0)
            return 0;
        const std::uint64_t past = elapsed(now);
        switch (mode_) {
        case 0:
            return past >= count_ ? 1 : 0;
        case 2:
        case 3:
            return edges_ + past / count_;
        case 4:
            return past > count_ ? 1 : 0;
        default:
            return 0;
        }
    }

    /// When OUT rises next; `never` if it does not.
    std::uint64_t next_edge(std::uint64_t now) {
        settle(now);
        if (count_ == 0 || !gate_)
            return never;
        const std::uint64_t past = elapsed(now);
        switch (mode_) {
        case 0:
            return past < count_ ? start_ + count_ : never;
        case 2:
        case 3:
            return start_ + (past / count_ + 1) * count_;
        case 4:
            return past <= count_ ? start_ + count_ + 1 : never;
        default:
            return never;
        }
    }

private:
    bool is_periodic() const { return mode_ == 2 || mode_ == 3; }
    unsigned modulus() const { return decimal_ ? 10000 : 65536; }
    bool is_loaded(std::uint64_t now) const {
        return count_ != 0 && next_count_ == 0 && now >= start_;
    }
    /// Ticks counted since start_, which may be ahead: then none.
    std::uint64_t elapsed(std::uint64_t now) const {
        const std::uint64_t until = gate_ ? now : stopped_;
        return until > start_ ? until - start_ : 0;
    }

    /// A count that was written during a period takes over when that ends.
    void settle(std::uint64_t now) {
        if (next_count_ == 0 || elapsed(now) < count_)
            return;
        edges_ += 1;
        start_ += count_;
        count_ = next_count_;
        next_count_ = 0;
    }

    /// The count as the guest reads it.
    unsigned shown_count(std::uint64_t now) {
        settle(now);
        if (count_ == 0)
            return 0;
        const std::uint64_t past = elapsed(now);
        std::uint64_t value = 0;
        if (mode_ == 2)
            value = count_ - past % count_;
        else if (mode_ == 3) // by twos, twice a period; an odd count begins one below
            value = (count_ & ~1u) - 2 * (past % count_ % ((count_ + 1) / 2));
        else
            value = (modulus() - (past % modulus()) + count_) % modulus();
        value %= modulus();
        return decimal_ ? to_decimal(static_cast<unsigned>(value)) : static_cast<unsigned>(value);
    }

    static unsigned from_decimal(unsigned digits) {
        return (digits >> 12) * 1000 + (digits >> 8 & 15) * 100 + (digits >> 4 & 15) * 10 +
               (digits & 15);
    }
    static unsigned to_decimal(unsigned value) {
        return value / 1000 << 12 | value / 100 % 10 << 8 | value / 10 % 10 << 4 | value % 10;
    }

    unsigned mode_ = 0, access_ = 3, count_ = 0, low_ = 0, latched_ = 0, next_count_ = 0;
    std::uint8_t status_ = 0;
    bool decimal_ = false, gate_ = true, wants_high_ = false, gives_high_ = false;
    bool is_latched_ = false, status_is_latched_ = false;
    std::uint64_t start_ = 0, stopped_ = 0;
    std::uint64_t edges_ = 0; // before start_
};

/// The chip, and the port 0x61 that switches the gate of channel 2 and shows its output.
class Pit {
public:
    static constexpr std::uint64_t hertz = 1193182;  ///< How fast all channels count.
    static constexpr std::uint16_t tick_port = 0x40; ///< Of channel 0, which makes the ticks.

    /// Nothing counts yet, and the gate of channel 2 is low.
    Pit() { channels_[2].set_gate(false, 0); }

    /// True if `port` is one of its five.
    static bool has(std::uint16_t port) { return (port & ~3u) == 0x40 || port == 0x61; }

    /// OUT to one of them.
    void write(std::uint16_t port, std::uint8_t value, std::uint64_t now) {
        if (port == 0x61) {
            gate_and_speaker_ = value & 3u;
            channels_[2].set_gate((value & 1) != 0, now);
        } else if (port == 0x43) {
            command(value, now);
        } else {
            channels_[port & 3].write(value, now);
            if (channels_[0].edges(now) < taken_) // it begins anew
                taken_ = 0;
        }
    }

    /// IN from one of them.
    std::uint8_t read(std::uint16_t port, std::uint64_t now) {
        if (port == 0x43)
            return 0xff; // cannot be read
        if (port != 0x61)
            return channels_[port & 3].read(now);
        // Bit 4 changes with each refresh of the memory, about every 15 us. Some count by it.
        const unsigned refresh = static_cast<unsigned>(now / 18) & 1u;
        return static_cast<std::uint8_t>(
            gate_and_speaker_ | refresh << 4 | (channels_[2].output(now) ? 0x20u : 0u));
    }

    /// If OUT of channel 0 has risen more often than this was true, true once more. So no tick is
    /// lost, however late we ask.
    bool take_tick(std::uint64_t now) {
        const bool due = channels_[0].edges(now) > taken_;
        taken_ += due ? 1 : 0;
        return due;
    }

    /// When the next tick that nobody has taken is due; PitChannel::never if there is none.
    std::uint64_t next_tick(std::uint64_t now) {
        return channels_[0].edges(now) > taken_ ? now : channels_[0].next_edge(now);
    }

private:
    /// OUT to 0x43: a control word, or a command to latch.
    void command(std::uint8_t value, std::uint64_t now) {
        const unsigned number = value >> 6;
        if (number == 3) { // read-back, for several channels
            for (unsigned i = 0; i < 3; i++)
                if ((value & 2u << i) != 0) {
                    if ((value & 0x20) == 0)
                        channels_[i].latch_count(now);
                    if ((value & 0x10) == 0)
                        channels_[i].latch_status(now);
                }
        } else if ((value & 0x30) == 0) {
            channels_[number].latch_count(now);
        } else {
            channels_[number].configure(value);
            if (number == 0)
                taken_ = 0;
        }
    }

    PitChannel channels_[3];
    unsigned gate_and_speaker_ = 0;
    std::uint64_t taken_ = 0;
};

} // namespace vtx
