// SPDX-License-Identifier: GPL-2.0-only
// The own format, and what both formats share.
#include "dump.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace doctor {

std::optional<std::string_view> Lines::next() {
    if (rest_.empty()) {
        return std::nullopt;
    }
    ++number_;
    const std::size_t end = rest_.find('\n');
    std::string_view line = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view{} : rest_.substr(end + 1);
    if (!line.empty() && line.back() == '\r') {
        line.remove_suffix(1);
    }
    return line;
}

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
    unsigned base = 10;
    if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text.remove_prefix(2);
    } else if (
        text.size() > 1 && (text.back() == 'H' || text.back() == 'h') &&
        std::isdigit(static_cast<unsigned char>(text.front())) != 0) {
        base = 16;
        text.remove_suffix(1);
    }
    if (text.empty()) {
        return std::nullopt;
    }
    std::uint64_t value = 0;
    for (const char c : text) {
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : 99;
        const std::uint64_t limit = (~std::uint64_t{0} - static_cast<unsigned>(digit)) / base;
        if (digit >= static_cast<int>(base) || value > limit) {
            return std::nullopt;
        }
        value = value * base + static_cast<unsigned>(digit);
    }
    return value;
}

namespace {

/// What a processor can be described with, apart from the capability MSRs.
constexpr std::array<std::string_view, 5> own_words = {
    "MAXPHYADDR",         "LINEAR_ADDRESS_WIDTH",       "IA32_EFER_BITS",
    "IA32_DEBUGCTL_BITS", "IA32_PERF_GLOBAL_CTRL_BITS",
};

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

/// The reader of the own format.
class OwnReader {
public:
    explicit OwnReader(Dump &dump) : dump_(dump) {}

    /// Reads one line. \return what is wrong with it
    std::optional<std::string> line(std::string_view text) {
        text = trimmed(text.substr(0, text.find('#')));
        if (text.empty()) {
            return std::nullopt;
        }
        const std::size_t equals = text.find('=');
        if (equals == std::string_view::npos) {
            return "this is not NAME = VALUE";
        }
        const std::string_view name = trimmed(text.substr(0, equals));
        const std::string_view value = trimmed(text.substr(equals + 1));
        if (name.empty()) {
            return "there is no name before the equals sign";
        }
        if (name == "CPU_FEATURES") {
            return read_features(value, dump_.processor);
        }
        const auto number = whole_number(value);
        if (!number) {
            return "\"" + std::string(value.substr(0, 80)) +
                   "\" is not a number of at most 64 bits";
        }
        return pair(name, *number);
    }

    /// True if there was anything but comments.
    bool something() const { return something_; }

private:
    std::optional<std::string> pair(std::string_view name, std::uint64_t value) {
        something_ = true;
        if (const auto encoding = field_called(name)) {
            return set_field(*encoding, value);
        }
        if (const auto msr = capability_msr(name)) {
            return set_word(*msr, value);
        }
        if (std::find(own_words.begin(), own_words.end(), name) != own_words.end()) {
            return set_word(std::string(name), value);
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
            const auto address = whole_number(trimmed(name.substr(7)));
            if (!address || *address % 8 != 0) {
                return "MEMORY wants an address that is a multiple of 8";
            }
            dump_.memory[*address] = value;
            return std::nullopt;
        }
        return "no VMCS field and no capability MSR is called \"" +
               std::string(name.substr(0, 80)) + "\"";
    }

    std::optional<std::string> set_field(std::uint32_t encoding, std::uint64_t value) {
        const unsigned bits = vtx::field_bits(vtx::field_width(encoding));
        if (bits < 64 && (value >> bits) != 0) {
            return std::string(vtx::field_name(encoding)) + " has only " + std::to_string(bits) +
                   " bits";
        }
        const auto before = dump_.vmcs.find(encoding);
        if (before && *before != value) {
            return std::string(vtx::field_name(encoding)) + " was given before with another value";
        }
        dump_.vmcs.set(encoding, value);
        return std::nullopt;
    }

    std::optional<std::string> set_word(const std::string &name, std::uint64_t value) {
        const auto before = dump_.processor.find(name);
        if (before != dump_.processor.end() && before->second != value) {
            return name + " was given before with another value";
        }
        if ((name == "MAXPHYADDR" || name == "LINEAR_ADDRESS_WIDTH") &&
            (value < 32 || value > 64)) {
            return name + " is a number of bits, from 32 to 64";
        }
        dump_.processor[name] = value;
        return std::nullopt;
    }

    Dump &dump_;
    bool something_ = false;
};

/// True if no sane log has this byte.
bool is_binary(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 && c != '\t' && c != '\r' && c != '\n' && c != '\033';
}

std::optional<InputError> refuse(std::string_view text) {
    if (text.size() > text_limit) {
        return InputError{0, "the input is longer than 64 MiB: cut the dump out of it"};
    }
    Lines lines{text};
    while (const auto line = lines.next()) {
        if (line->size() > line_limit) {
            return InputError{lines.number(), "this line is longer than 4096 bytes"};
        }
        if (std::any_of(line->begin(), line->end(), is_binary)) {
            return InputError{lines.number(), "this is not text"};
        }
    }
    return std::nullopt;
}

} // namespace

bool is_processor_word(std::string_view name) {
    return name == "CPU_FEATURES" || capability_msr(name).has_value() ||
           std::find(own_words.begin(), own_words.end(), name) != own_words.end();
}

Reading read_own(std::string_view text) {
    Reading reading;
    Dump dump;
    OwnReader reader{dump};
    Lines lines{text};
    while (const auto line = lines.next()) {
        if (const auto wrong = reader.line(*line)) {
            reading.error = InputError{lines.number(), *wrong};
            return reading;
        }
    }
    if (!reader.something()) {
        reading.error = InputError{0, "there is no VMCS in the input"};
        return reading;
    }
    if (dump.vmcs.known_count() == 0) {
        reading.error = InputError{0, "the input describes a processor, but no VMCS"};
        return reading;
    }
    reading.dumps.push_back(std::move(dump));
    return reading;
}

std::optional<InputError> read_processor(std::string_view text, ProcessorWords &words) {
    if (const auto error = refuse(text)) {
        return error;
    }
    Dump dump;
    OwnReader reader{dump};
    Lines lines{text};
    while (const auto line = lines.next()) {
        if (const auto wrong = reader.line(*line)) {
            return InputError{lines.number(), *wrong};
        }
    }
    if (dump.processor.empty()) {
        return InputError{0, "there is no description of a processor in it"};
    }
    words = std::move(dump.processor);
    return std::nullopt;
}

Reading read_dumps(std::string_view text, Format format) {
    if (const auto error = refuse(text)) {
        return Reading{{}, error};
    }
    if (format == Format::automatic) {
        format = Format::own;
        Lines lines{text};
        while (const auto line = lines.next()) {
            if (is_kvm_line(*line)) {
                format = Format::kvm;
                break;
            }
        }
    }
    return format == Format::kvm ? read_kvm_log(text) : read_own(text);
}

} // namespace doctor
