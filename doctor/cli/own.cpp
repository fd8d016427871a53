// SPDX-License-Identifier: GPL-2.0-only
// The own format, and lists of fields that other programs print.
#include "characters.hpp"
#include "lists.hpp"

#include <algorithm>
#include <array>

namespace doctor {

namespace {

/// What a processor can be described with, apart from the capability MSRs.
constexpr std::array<std::string_view, 5> own_words = {
    "MAXPHYADDR",         "LINEAR_ADDRESS_WIDTH",       "IA32_EFER_BITS",
    "IA32_DEBUGCTL_BITS", "IA32_PERF_GLOBAL_CTRL_BITS",
};

/// A number of bits, which is decimal wherever it is printed.
bool is_width(std::string_view name) {
    return name == "MAXPHYADDR" || name == "LINEAR_ADDRESS_WIDTH";
}

/// Reads one feature list, "CET_SS LAM".
std::optional<std::string> read_features(std::string_view list, ProcessorWords &words) {
    std::uint64_t bits = 0;
    while (!(list = trimmed(list)).empty()) {
        const std::size_t end = list.find_first_of(" \t,");
        const std::string_view name = list.substr(0, end);
        list = end == std::string_view::npos ? std::string_view{} : list.substr(end + 1);
        const auto *const found =
            std::find(std::begin(vtx::cpu_feature_names), std::end(vtx::cpu_feature_names), name);
        if (found == std::end(vtx::cpu_feature_names)) {
            return "no feature is called \"" + std::string(name) + "\"";
        }
        bits |= std::uint64_t{1} << (found - std::begin(vtx::cpu_feature_names));
    }
    words["CPU_FEATURES"] = bits;
    return std::nullopt;
}

/// True if the own format has this name.
bool is_known(const std::string &name) {
    return field_called(name) || capability_msr(name) || name == "CPU_FEATURES" ||
           name == "CURRENT_VMCS" || name == "HOST_IA32E_MODE" || name.rfind("MEMORY ", 0) == 0 ||
           std::find(own_words.begin(), own_words.end(), name) != own_words.end();
}

/// A number without 0x or H that means one thing in decimal and another in hexadecimal.
bool is_bare(const Item &item) {
    return !item.is_hex && !is_width(item.name) && item.value.size() > 1 &&
           std::all_of(item.value.begin(), item.value.end(), [](char c) { return is_hex(c); });
}

/// The base of numbers without a mark: hexadecimal if one of them has a letter, or if no number of
/// the text is marked as hexadecimal.
unsigned base_of(const std::vector<Item> &items, const ReadOptions &options, Dump &dump) {
    const Item *first = nullptr;
    std::size_t count = 0;
    bool letters = false;
    bool marked = false;
    for (const Item &item : items) {
        if (!is_bare(item)) {
            marked = marked || item.value.find_first_of("xXhH") != std::string::npos;
            continue;
        }
        first = first == nullptr ? &item : first;
        count += 1;
        letters = letters || item.value.find_first_not_of("0123456789") != std::string::npos;
    }
    if (first == nullptr || options.base != 0) {
        return options.base != 0 ? options.base : 10;
    }
    const unsigned base = letters || !marked ? 16 : 10;
    const unsigned other = base == 16 ? 10 : 16;
    dump.notes.push_back(
        {first->line,
         "has no 0x before " + first->value + "; " +
             (count == 1 ? "it was" : "such numbers, " + std::to_string(count) + " in all, were") +
             " read as " + (base == 16 ? "hexadecimal" : "decimal") +
             " (--base=" + std::to_string(other) + " reads them otherwise)"});
    return base;
}

/// Puts items into a dump.
class Applier {
public:
    Applier(Reading &reading, Dump &dump, unsigned base)
        : reading_{reading}, dump_{dump}, base_{base} {}

    /// \return what is wrong with it
    std::optional<std::string> apply(const Item &item) {
        if (item.name == "CPU_FEATURES") {
            return read_features(item.value, dump_.processor);
        }
        const auto number = item.is_hex || (is_bare(item) && base_ == 16)
                                ? whole_number("0x" + item.value)
                                : whole_number(item.value);
        if (!number) {
            return "\"" + item.value.substr(0, 80) + "\" is not a number of at most 64 bits";
        }
        return item.encoding ? set_field(*item.encoding, *number) : pair(item.name, *number);
    }

    /// Puts halves of 64-bit fields together. \return what is wrong
    std::optional<InputError> finish() {
        for (const auto &[encoding, high] : high_halves_) {
            const std::string name = vtx::field_name(encoding);
            const auto low = dump_.vmcs.find(encoding);
            if (!low) {
                dump_.notes.push_back({0, name + " is not used: only its upper half is there"});
            } else if ((*low >> 32) != 0 && (*low >> 32) != high) {
                return InputError{0, "the upper half of " + name + " is not that of the whole"};
            } else {
                dump_.vmcs.set(encoding, (high << 32) | (*low & 0xffffffffu));
            }
        }
        const std::uint32_t link = vtx::field_encoding(vtx::Field64::vmcs_link_pointer);
        if (dump_.vmcs.find(link) == 0xffffffffu && high_halves_.count(link) == 0) {
            dump_.vmcs.forget(vtx::Field64::vmcs_link_pointer);
            dump_.notes.push_back(
                {0, "VMCS link pointer is not used: 0xffffffff is its lower half "
                    "(give the other as VMCS_LINK_POINTER_HIGH)"});
        }
        reading_.processor = dump_.processor;
        return std::nullopt;
    }

private:
    std::optional<std::string> pair(const std::string &name, std::uint64_t value) {
        if (const auto encoding = field_called(name)) {
            return set_field(*encoding, value);
        }
        if (const auto msr = capability_msr(name)) {
            return set_word(*msr, value);
        }
        if (std::find(own_words.begin(), own_words.end(), name) != own_words.end()) {
            return set_word(name, value);
        }
        if (name == "CURRENT_VMCS") {
            dump_.current_vmcs = value;
            return std::nullopt;
        }
        if (name == "HOST_IA32E_MODE") {
            dump_.host_ia32e_mode = value != 0;
            return std::nullopt;
        }
        if (name.substr(0, 7) == "MEMORY ") {
            const auto address = whole_number(trimmed(std::string_view{name}.substr(7)));
            if (!address || *address % 8 != 0) {
                return "MEMORY wants an address that is a multiple of 8";
            }
            dump_.memory[*address] = value;
            return std::nullopt;
        }
        return "no VMCS field and no capability MSR is called \"" + name.substr(0, 80) + "\"";
    }

    std::optional<std::string> set_field(std::uint32_t encoding, std::uint64_t value) {
        const bool high = (encoding & 1u) != 0;
        const unsigned bits = high ? 32 : vtx::field_bits(vtx::field_width(encoding));
        const std::string name = vtx::field_name(encoding & ~1u);
        if (bits < 64 && (value >> bits) != 0) {
            return name + (high ? " (high)" : "") + " has only " + std::to_string(bits) + " bits";
        }
        std::optional<std::uint64_t> before = dump_.vmcs.find(encoding);
        if (high) {
            const auto half = high_halves_.find(encoding & ~1u);
            before = half == high_halves_.end() ? std::nullopt : std::optional{half->second};
        }
        if (before && *before != value) {
            return name + " was given before with another value";
        }
        if (high) {
            high_halves_[encoding & ~1u] = value;
        } else {
            dump_.vmcs.set(encoding, value);
        }
        return std::nullopt;
    }

    std::optional<std::string> set_word(const std::string &name, std::uint64_t value) {
        const auto before = dump_.processor.find(name);
        if (before != dump_.processor.end() && before->second != value) {
            return name + " was given before with another value";
        }
        if (is_width(name) && (value < 32 || value > 64)) {
            return name + " is a number of bits, from 32 to 64";
        }
        dump_.processor[name] = value;
        return std::nullopt;
    }

    Reading &reading_;
    Dump &dump_;
    unsigned base_;
    std::map<std::uint32_t, std::uint64_t> high_halves_;
};

} // namespace

std::optional<InputError>
apply(const std::vector<Item> &items, const ReadOptions &options, Reading &reading) {
    Dump dump;
    dump.line = items.empty() ? 1 : items.front().line;
    Applier applier{reading, dump, base_of(items, options, dump)};
    for (const Item &item : items) {
        if (const auto wrong = applier.apply(item)) {
            return InputError{item.line, *wrong};
        }
    }
    if (const auto wrong = applier.finish()) {
        return wrong;
    }
    if (dump.vmcs.known_count() != 0) {
        reading.dumps.push_back(std::move(dump));
    }
    return std::nullopt;
}

Reading read_own(const std::vector<TextLine> &lines, const ReadOptions &options) {
    Reading reading;
    std::vector<Item> items;
    for (const TextLine &line : lines) {
        const std::string_view text =
            trimmed(std::string_view{line.text}.substr(0, line.text.find('#')));
        if (text.empty()) {
            continue;
        }
        const std::size_t equals = text.find('=');
        const std::string_view name = trimmed(text.substr(0, equals));
        if (equals == std::string_view::npos || name.empty()) {
            if (!reading.error) {
                reading.error = InputError{
                    line.number, equals == std::string_view::npos
                                     ? "this is neither a line of a dump of KVM's nor NAME = VALUE"
                                     : "there is no name before the equals sign"};
            }
            continue;
        }
        items.push_back(
            {line.number, std::string(name), std::string(trimmed(text.substr(equals + 1)))});
    }
    // Some lines of another kind, such as a greeting, do no harm.
    const auto known = static_cast<std::size_t>(std::count_if(
        items.begin(), items.end(), [](const Item &item) { return is_known(item.name); }));
    reading.is_own = known != 0 && known * 2 >= items.size();
    if (reading.error && (!reading.is_own || known < 3)) {
        return reading;
    }
    const auto greeting = reading.error;
    reading.error = apply(items, options, reading);
    if (greeting && !reading.dumps.empty()) {
        reading.dumps.back().notes.push_back({greeting->line, "is not NAME = VALUE"});
    }
    if (!reading.error && reading.dumps.empty()) {
        reading.error = InputError{
            0, items.empty() ? "there is no VMCS in the input"
                             : "the input describes a processor, but no VMCS"};
    }
    return reading;
}

} // namespace doctor
