// SPDX-License-Identifier: GPL-2.0-only
// What the formats share: numbers, and which reader takes a text.
#include "dump.hpp"

#include "characters.hpp"

#include <algorithm>
#include <charconv>

namespace doctor {

std::string_view trimmed(std::string_view text) {
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && blank(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && blank(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
    int base = 10;
    if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text.remove_prefix(2);
    } else if (
        text.size() > 1 && (text.back() == 'H' || text.back() == 'h') && is_digit(text.front())) {
        base = 16;
        text.remove_suffix(1);
    }
    std::uint64_t value = 0;
    const char *const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value, base);
    if (stop != end || error != std::errc{}) {
        return std::nullopt;
    }
    return value;
}

namespace {

/// Says of a dump which lines were passed over.
void note_passed_over(const std::vector<TextLine> &lines, Reading &reading) {
    for (const TextLine &line : lines) {
        if (line.passed_over) {
            reading.dumps.front().notes.push_back({line.number, passed_over_note});
        }
    }
}

/// Archives and compressed files, by their first bytes.
struct Packed {
    std::string_view begin;
    const char *what;
};
constexpr Packed packed[] = {
    {"\x1f\x8b", "gzip"},
    {{"PK\3\4", 4}, "zip"},
    {"\xfd"
     "7zXZ",
     "xz"},
    {"\x28\xb5\x2f\xfd", "zstd"},
    {"BZh", "bzip2"},
};

/// What the readers do not look at, if they found nothing.
std::optional<InputError> refuse(std::string_view text, const std::vector<TextLine> &lines) {
    if (text.size() > text_limit) {
        return InputError{0, "the input is longer than 64 MiB: cut the dump out of it"};
    }
    for (const Packed &kind : packed) {
        if (text.substr(0, kind.begin.size()) == kind.begin) {
            return InputError{
                0, std::string{"this is packed by "} + kind.what + ": unpack it first"};
        }
    }
    const auto bad = std::find_if(
        lines.begin(), lines.end(), [](const TextLine &line) { return line.passed_over; });
    if (bad == lines.end()) {
        return std::nullopt;
    }
    return InputError{bad->number, "this line is longer than 4096 bytes, or is not text"};
}

} // namespace

std::optional<InputError> read_processor(std::string_view text, ProcessorWords &words) {
    const std::vector<TextLine> lines = readable_lines(text.substr(0, text_limit));
    if (const auto error = refuse(text, lines)) {
        return error;
    }
    Reading reading = read_own(lines, {});
    if (reading.error && reading.error->line != 0) {
        return reading.error;
    }
    if (reading.processor.empty()) {
        return InputError{0, "there is no description of a processor in it"};
    }
    words = std::move(reading.processor);
    return std::nullopt;
}

Reading read_dumps(std::string_view text, const ReadOptions &options) {
    if (text.size() > text_limit) {
        return Reading{{}, refuse(text, {}), {}};
    }
    const std::vector<TextLine> lines = readable_lines(text);
    const auto other = [&lines](Looks looks) { return Reading{{}, other_dump(lines, looks), {}}; };
    if (options.format != Format::own) {
        if (Reading refused = other(Looks::like_kvm); refused.error) {
            return refused;
        }
        Reading reading = read_kvm_log(lines);
        if (reading.error || !reading.dumps.empty()) {
            return reading;
        }
        if (Reading refused = other(Looks::like_a_list); refused.error) {
            return refused;
        }
    }
    Reading own = options.format == Format::kvm ? Reading{} : read_own(lines, options);
    if (!own.dumps.empty()) {
        note_passed_over(lines, own);
        return own;
    }
    if (options.format != Format::kvm) {
        Reading list = read_list(lines, options);
        if (list.error || !list.dumps.empty()) {
            return own.is_own ? own : list;
        }
    }
    if (options.format != Format::own) {
        if (Reading refused = other(Looks::like_neither); refused.error) {
            return refused;
        }
    }
    if (const auto error = refuse(text, lines)) {
        own.error = error;
    } else if (options.format == Format::kvm) {
        own.error = InputError{
            0, "no dump_vmcs() of KVM is in this log; was kvm_intel loaded with "
               "dump_invalid_vmcs=1?"};
    }
    return own;
}

} // namespace doctor
