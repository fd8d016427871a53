// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Lists of fields with their names and values.
#pragma once

#include "dump.hpp"

namespace doctor {

/// A name and a value, not understood yet.
struct Item {
    std::size_t line = 0;                    ///< in the input
    std::string name;                        ///< as it was written
    std::string value;                       ///< likewise
    std::optional<std::uint32_t> encoding{}; ///< if that was written, too
    bool is_hex = false; ///< the value is hexadecimal, though nothing marks it so
};

/// Makes one dump, or the description of a processor, of all items. \return what is wrong
std::optional<InputError>
apply(const std::vector<Item> &items, const ReadOptions &options, Reading &reading);

} // namespace doctor
