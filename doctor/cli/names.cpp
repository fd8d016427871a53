// SPDX-License-Identifier: GPL-2.0-only
// The names of fields and of capability MSRs.
#include "characters.hpp"
#include "dump.hpp"

#include "x86/msr.hpp"

#include <cctype>
#include <cstdio>

namespace doctor {

namespace {

/// Names without case, and with every run of other characters as one underscore: "Guest CR3",
/// "guest_cr3" and "GUEST_CR3" are the same. \return what to compare
std::string plain(std::string_view name) {
    std::string result;
    for (const char c : name) {
        if (is_letter(c) || is_digit(c)) {
            result += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        } else if (!result.empty() && result.back() != '_') {
            result += '_';
        }
    }
    if (!result.empty() && result.back() == '_') {
        result.pop_back();
    }
    return result;
}

/// All names of all fields: the SDM's, ours and Linux's.
const std::map<std::string, std::uint32_t, std::less<>> &field_names() {
    static const auto names = [] {
        std::map<std::string, std::uint32_t, std::less<>> map;
        for (const vtx::FieldInfo &field : vtx::all_fields) {
            map.emplace(plain(field.name), field.encoding);
            map.emplace(plain(field.identifier), field.encoding);
        }
#define VTX_FIELD16(name, linux_name, encoding, sdm_name) map.emplace(plain(#linux_name), encoding);
#define VTX_FIELD32 VTX_FIELD16
#define VTX_FIELD64 VTX_FIELD16
#define VTX_FIELD_NATURAL VTX_FIELD16
#define VTX_FIELD16_NEW(name, encoding, sdm_name)
#define VTX_FIELD32_NEW(name, encoding, sdm_name)
#define VTX_FIELD64_NEW(name, encoding, sdm_name)
#define VTX_FIELD_NATURAL_NEW(name, encoding, sdm_name)
#include "vmx/fields.def"
        map.erase("");
        return map;
    }();
    return names;
}

struct MsrName {
    std::uint32_t number;
    const char *name;
};

constexpr MsrName msr_names[] = {
#define VTX_MSR(name, number, linux_name, sdm_name) {number, sdm_name},
#include "x86/msr.def"
};

/// The capability MSRs by their names, and as "MSR 480H".
const std::map<std::string, const char *, std::less<>> &capability_msrs() {
    static const auto names = [] {
        std::map<std::string, const char *, std::less<>> map;
        for (const MsrName &msr : msr_names) {
            if (msr.number >= 0x480 && msr.number <= 0x493) {
                map.emplace(plain(msr.name), msr.name);
                char number[16];
                std::snprintf(number, sizeof(number), "msr_%xh", msr.number);
                map.emplace(number, msr.name);
            }
        }
        return map;
    }();
    return names;
}

} // namespace

std::optional<std::uint32_t> field_called(std::string_view name) {
    const auto is_wide = [](std::uint64_t encoding) {
        return vtx::field_width(static_cast<std::uint32_t>(encoding)) == vtx::FieldWidth::bits64;
    };
    if (name.empty()) {
        return std::nullopt;
    }
    if (is_digit(name.front())) {
        const auto number = whole_number(name);
        if (!number || *number >= 0x10000 || ((*number & 1u) != 0 && !is_wide(*number)) ||
            vtx::find_field(static_cast<std::uint32_t>(*number & ~std::uint64_t{1})) == nullptr) {
            return std::nullopt;
        }
        return static_cast<std::uint32_t>(*number);
    }
    std::string wanted = plain(name);
    auto found = field_names().find(wanted);
    std::uint32_t half = 0;
    for (const std::string_view suffix : {"_high", "_full", "_low"}) {
        if (found == field_names().end() && wanted.ends_with(suffix)) {
            found = field_names().find(wanted.substr(0, wanted.size() - suffix.size()));
            half = suffix == "_high" ? 1 : 0;
        }
    }
    if (found == field_names().end() || (half != 0 && !is_wide(found->second))) {
        return std::nullopt;
    }
    return found->second | half;
}

std::optional<std::string> capability_msr(std::string_view name) {
    const auto found = capability_msrs().find(plain(name));
    return found == capability_msrs().end() ? std::nullopt
                                            : std::optional<std::string>{found->second};
}

} // namespace doctor
