// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Finds the records of KVM's dump in lines of text, wherever in a line they stand and however a
/// mail program broke them.
#pragma once

#include "kvm_format.hpp"
#include "text.hpp"

namespace doctor::kvm {

/// A record that was found.
struct Match {
    const Record *record = nullptr;
    std::size_t line = 0, column = 0;                   ///< where it begins
    std::size_t end_line = 0, end_column = 0;           ///< where the text goes on
    std::array<std::optional<std::uint64_t>, 7> values; ///< what could be read of its values
    unsigned value_count = 0;                           ///< how many a whole record has
    bool cut = false;                                   ///< the text ends in the middle of it
    bool aside = false; ///< "(autoload)" or "(effective)" follows: the VMCS does not hold it

    /// How many of its values could be read.
    unsigned good() const {
        unsigned count = 0;
        for (const auto &value : values) {
            count += value.has_value() ? 1u : 0u;
        }
        return count;
    }
};

/// All records of a text, in its order.
std::vector<Match> find_records(const std::vector<TextLine> &lines);

/// Matches one record at one place of a line, and in the lines behind it if it is broken.
std::optional<Match> match_at(
    const std::vector<TextLine> &lines, std::size_t line, std::size_t column, const Record &record);

/// A text with each number as one 0 and each run of blanks as one, cut at its end: what stands
/// before the words of one log has the same shape in all lines, whatever their times are.
std::string shape(std::string_view text);

/// The shape of what stands before a record.
std::string shape_before(const std::vector<TextLine> &lines, const Match &match);

} // namespace doctor::kvm
