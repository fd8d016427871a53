// SPDX-License-Identifier: GPL-2.0-only
// Prints the tables of common/ as JSON on standard output: fields, controls, exit reasons,
// qualifications of entry failures, VM-instruction errors and MSRs. The book makes its reference
// tables of it, so no table is typed twice.
#include "vmx/controls.hpp"
#include "vmx/exit_reasons.hpp"
#include "vmx/fields.hpp"
#include "vmx/instruction_errors.hpp"
#include "vmx/qualifications.hpp"
#include "x86/msr.hpp"

#include <cstdio>
#include <string>

namespace {

using namespace vtx;

/// Collects JSON; knows where a comma belongs.
class Json {
public:
    void open(char bracket, const char *key = nullptr) {
        separate(key);
        text_ += bracket;
        first_ = true;
    }

    void close(char bracket) {
        text_ += '\n';
        text_ += bracket;
        first_ = false;
    }

    void row(const std::string &object) {
        separate(nullptr);
        text_ += object;
    }

    const std::string &text() const { return text_; }

private:
    void separate(const char *key) {
        text_ += first_ ? "\n" : ",\n";
        first_ = false;
        if (key != nullptr) {
            text_ += std::string{"\""} + key + "\": ";
        }
    }

    std::string text_;
    bool first_ = true;
};

std::string number(const char *key, std::uint64_t value) {
    return std::string{"\""} + key + "\": " + std::to_string(value);
}

std::string string(const char *key, const char *value) {
    std::string text = std::string{"\""} + key + "\": \"";
    for (; *value != '\0'; ++value) {
        if (*value == '"' || *value == '\\') {
            text += '\\';
        }
        text += *value;
    }
    return text + '"';
}

/// The enumerator itself, because the book looks the kind up by it.
const char *kind_name(FieldKind kind) {
    switch (kind) {
    case FieldKind::control:
        return "control";
    case FieldKind::read_only:
        return "read_only";
    case FieldKind::guest_state:
        return "guest_state";
    case FieldKind::host_state:
        return "host_state";
    }
    return "";
}

/// The enumerator of a qualification; null if there is none. A missing case does not compile.
const char *entry_failure_name(EntryFailure qualification) {
    switch (qualification) {
    case EntryFailure::unspecified:
        return "unspecified";
    case EntryFailure::pdpte_loading:
        return "pdpte_loading";
    case EntryFailure::nmi_injection:
        return "nmi_injection";
    case EntryFailure::vmcs_link_pointer:
        return "vmcs_link_pointer";
    }
    return nullptr;
}

const char *width_name(FieldWidth width) {
    constexpr const char *names[] = {"16", "64", "32", "natural"};
    return names[static_cast<unsigned>(width)];
}

template <Control C> void controls(Json &json, const char *key) {
    json.open('{', key);
    json.row(string("name", control_word_name(word_of(C{}))));
    json.row(number("bits", 8 * sizeof(control_word_t<C>)));
    json.open('[', "controls");
    for (const ControlInfo &row : all_controls) {
        if (row.word == word_of(C{})) {
            json.row(
                "{" + number("bit", row.bit) + ", " + string("name", row.name) + ", " +
                string("identifier", row.identifier) + "}");
        }
    }
    json.close(']');
    json.close('}');
}

std::string tables() {
    Json json;
    json.open('{');
    json.open('[', "fields");
    for (const FieldInfo &row : all_fields) {
        json.row(
            "{" + number("encoding", row.encoding) + ", " + string("name", row.name) + ", " +
            string("identifier", row.identifier) + ", " + string("width", width_name(row.width)) +
            ", " + string("kind", kind_name(row.kind)) + ", " +
            number("index", field_index(row.encoding)) + "}");
    }
    json.close(']');
    json.open('{', "control_words");
    controls<PinControl>(json, "pin");
    controls<PrimaryControl>(json, "primary");
    controls<SecondaryControl>(json, "secondary");
    controls<TertiaryControl>(json, "tertiary");
    controls<ExitControl>(json, "exit");
    controls<SecondaryExitControl>(json, "secondary_exit");
    controls<EntryControl>(json, "entry");
    controls<VmFunction>(json, "vm_functions");
    controls<EptVpidCapability>(json, "ept_vpid");
    json.close('}');
    json.open('[', "exit_reasons");
    for (const ExitReasonInfo &row : all_exit_reasons) {
        json.row(
            "{" + number("number", static_cast<unsigned>(row.reason)) + ", " +
            string("name", row.name) + ", " + string("identifier", row.identifier) + "}");
    }
    json.close(']');
    json.open('[', "entry_failures");
    for (std::uint64_t value = 0; value <= 0xff; ++value) {
        if (const char *name = entry_failure_name(static_cast<EntryFailure>(value))) {
            json.row(
                "{" + number("number", value) + ", " + string("text", entry_failure_text(value)) +
                ", " + string("identifier", name) + "}");
        }
    }
    json.close(']');
    json.open('[', "instruction_errors");
    for (const InstructionErrorInfo &row : all_instruction_errors) {
        json.row(
            "{" + number("number", static_cast<unsigned>(row.error)) + ", " +
            string("text", row.text) + ", " + string("identifier", row.identifier) + "}");
    }
    json.close(']');
    json.open('[', "msrs");
    for (const MsrInfo &row : all_msrs) {
        json.row(
            "{" + number("number", static_cast<std::uint32_t>(row.msr)) + ", " +
            string("name", row.name) + "}");
    }
    json.close(']');
    json.close('}');
    return json.text();
}

} // namespace

int main() {
    std::puts(tables().c_str());
    return 0;
}
