// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A dump of KVM's in the making: the records that belong together.
#pragma once

#include "kvm_match.hpp"

#include <algorithm>
#include <set>

namespace doctor::kvm {

/// A record in its dump.
struct Row {
    Match match;
    Section section; ///< guest or host for a record that both have
    std::string shape;
};

/// A dump in the making.
struct Draft {
    std::size_t line = 0;  ///< where it begins, as an index of lines
    std::size_t last = 0;  ///< where its last record is
    std::vector<Row> rows; ///< in the order in which they were printed
    Section section = Section::start;
    std::vector<Note> notes; ///< about lines that are not used
    unsigned strange = 0;    ///< records that do not come in the order of a dump
    bool headed = false;     ///< there is a heading, or the line before it
    bool entry = false;      ///< there is the line before it, which 5.14 brought
    bool mixed = false;      ///< it begins in the middle of another one

    /// True if nearly all records are there that every dump has.
    bool is_whole() const {
        std::set<std::pair<const Record *, Section>> there;
        for (const Row &row : rows) {
            if (row.match.record->always) {
                there.emplace(row.match.record, row.section);
            }
        }
        return there.size() >= 28; // of 32
    }

    /// True if there is a record of this section.
    bool has(Section section_wanted) const {
        return std::any_of(rows.begin(), rows.end(), [=](const Row &row) {
            return row.section == section_wanted;
        });
    }
};

/// Makes a dump out of a draft. \return what is wrong with the whole of it
std::optional<InputError>
finish(const std::vector<TextLine> &lines, const Draft &draft, Dump &dump);

} // namespace doctor::kvm
