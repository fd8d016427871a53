// SPDX-License-Identifier: GPL-2.0-only
// Lists of fields that other programs print: "4000 VMX_PIN_CONTROLS: 1f" (HAXM), "G. CR0 (0x6800):
// 0x80050033" (OpenBSD), "GUEST_CR0: 0x80050033" and the like, with whatever stands before them.
#include "lists.hpp"

#include "characters.hpp"

namespace doctor {

namespace {

/// Fewer fields than these are no list.
constexpr std::size_t fewest = 3;

/// The encoding that four hexadecimal digits are, if a field has it.
std::optional<std::uint32_t> encoding_in(std::string_view digits) {
    if (digits.size() != 4) {
        return std::nullopt;
    }
    return field_called("0x" + std::string(digits));
}

/// The field that a text before a value ends with, and where its name begins.
std::optional<std::uint32_t> named_at_end(std::string_view text, Item &item) {
    text = trimmed(text);
    if (text.size() > 8 && text.back() == ')') { // "(0x6800)"
        const std::size_t at = text.rfind("(0x");
        if (at != std::string_view::npos) {
            item.name = trimmed(text.substr(0, at));
            return encoding_in(text.substr(at + 3, text.size() - at - 4));
        }
    }
    constexpr std::size_t longest = 60;
    const std::size_t from = text.size() > longest ? text.size() - longest : 0;
    for (std::size_t at = from; at < text.size(); ++at) {
        if (!is_word(text[at]) || (at != 0 && is_word(text[at - 1]))) {
            continue;
        }
        const std::string_view name = text.substr(at);
        const std::size_t end = name.find(' ');
        if (end == 4 && (item.encoding = encoding_in(name.substr(0, 4)))) {
            item.name = trimmed(name.substr(end));
            item.is_hex = true; // programs that print encodings so print values the same way
            return item.encoding;
        }
        const bool number = is_digit(name[0]);
        if (number && name.substr(0, 2) != "0x") {
            continue; // a time, and no field
        }
        for (const std::string_view prefix :
             {"", "VMX_VMCS_", "VMX_VMCS16_", "VMX_VMCS32_", "VMX_VMCS64_", "VMCS_", "VMX_"}) {
            if (name.substr(0, prefix.size()) == prefix && name.size() > prefix.size()) {
                if (const auto found = field_called(name.substr(prefix.size()))) {
                    item.name = name;
                    return found;
                }
            }
        }
    }
    return std::nullopt;
}

/// The number at the start of a text, up to a blank or a comma; empty if there is none.
std::string_view number_at(std::string_view text) {
    const std::size_t digits = text.substr(0, 2) == "0x" || text.substr(0, 2) == "0X" ? 2 : 0;
    std::size_t end = digits;
    while (end < text.size() && is_hex(text[end])) {
        ++end;
    }
    if (end == digits) {
        return {};
    }
    if (digits == 0 && end < text.size() && (text[end] == 'h' || text[end] == 'H')) {
        ++end;
    }
    return end < text.size() && is_word(text[end]) ? std::string_view{} : text.substr(0, end);
}

/// Adds the fields of one line.
void read_line(const TextLine &line, std::vector<Item> &items) {
    const std::string_view text = line.text;
    std::size_t behind = 0; // the last item
    for (std::size_t at = text.find_first_of("=:"); at != std::string_view::npos;
         at = text.find_first_of("=:", at + 1)) {
        const std::size_t start = text.find_first_not_of(' ', at + 1);
        if (start == std::string_view::npos) {
            break;
        }
        const std::string_view value = number_at(text.substr(start));
        if (value.empty()) {
            continue;
        }
        Item item{line.number, "", std::string(value)};
        item.encoding = named_at_end(text.substr(behind, at - behind), item);
        if (item.encoding) {
            items.push_back(std::move(item));
            behind = start + value.size();
        }
    }
}

} // namespace

Reading read_list(const std::vector<TextLine> &lines, const ReadOptions &options) {
    std::vector<Item> items;
    std::size_t others = 0;
    for (const TextLine &line : lines) {
        const std::size_t before = items.size();
        read_line(line, items);
        others += items.size() == before && !line.text.empty() ? 1u : 0u;
    }
    Reading reading;
    if (items.size() < fewest) {
        return reading;
    }
    reading.error = apply(items, options, reading);
    if (!reading.dumps.empty() && others != 0) {
        reading.dumps.back().notes.push_back(
            {0, std::to_string(others) + (others == 1 ? " line has" : " lines have") +
                    " no field of a VMCS and " + (others == 1 ? "was" : "were") + " passed over"});
    }
    return reading;
}

} // namespace doctor
