// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What a guest printed and how it ended, in the kernel log. Not inside a scope: it prints.
#pragma once

#include <cstddef>

#include "kernel.h"
#include "text_screen.hpp"
#include "vm.hpp"
#include "vmx/log_failure.hpp"
#include "x86/exceptions.hpp"

namespace vtx {

/// Logs what a guest prints, line by line, while it runs.
class OutputLog {
public:
    /// Logs what was printed, and empties `output`; an unfinished last line only with `all`.
    void log(Output &output, bool all) {
        for (std::size_t i = 0; i < output.size && !vtx_stop_requested(); i++) {
            const char c = static_cast<char>(output.bytes[i]);
            if (c == '\n' || length_ >= longest)
                flush();
            if (c >= ' ' && c <= '~') {
                line_[length_++] = c;
            } else if (c != '\n') {
                static constexpr char digits[] = "0123456789abcdef";
                line_[length_++] = '\\';
                line_[length_++] = 'x';
                line_[length_++] = digits[static_cast<unsigned char>(c) >> 4];
                line_[length_++] = digits[static_cast<unsigned char>(c) & 15];
            }
        }
        output.size = 0;
        if (all && length_ > 0)
            flush();
    }

private:
    void flush() {
        line_[length_] = '\0';
        vtx_log("guest: %s", line_);
        vtx_give_way(); // there may be 16384 lines, and a console is slow
        length_ = 0;
    }

    static constexpr std::size_t longest = 160;
    char line_[longest + 4]; // 159, a byte of four characters, and the zero
    std::size_t length_ = 0;
};

/// The text of a screen, for the file `screen`: each line without the blanks at its end. `cells`
/// has TextScreen::bytes. What is not ASCII shows as a dot.
inline void show_text(const std::byte *cells, vtx_table *table) {
    for (unsigned line = 0; line < TextScreen::lines; line++) {
        char text[TextScreen::columns + 1]{};
        unsigned length = 0;
        for (unsigned column = 0; column < TextScreen::columns; column++, cells += 2) {
            const char c = static_cast<char>(*cells);
            text[column] = c == '\0' ? ' ' : c >= ' ' && c <= '~' ? c : '.';
            if (text[column] != ' ')
                length = column + 1;
        }
        text[length] = '\0';
        vtx_print(table, "%s\n", text);
    }
}

/// What the guest was doing when EPT did not let it. A walk of its page tables may have been at
/// work for it: then the tables themselves lie outside its RAM.
inline const char *access_in_words(const EptViolation &access) {
    if (access.linear_address_valid && !access.is_translation_result)
        return "a page walk to";
    return access.fetch ? "a fetch from" : access.write ? "a write to" : "a read of";
}

/// The same for the file `exits`, as far as EPT ended the guest.
inline void show_end(const End &end, vtx_table *table) {
    if (end.how == Ending::ept_violation)
        vtx_print(
            table, "end  EPT violation: %s guest-physical address %#llx, RIP %#llx\n",
            access_in_words(end.access), static_cast<unsigned long long>(end.address),
            static_cast<unsigned long long>(end.rip));
}

/// What the BIOS was asked for in vain, for the file `exits`.
inline void show_unknown_calls(const UnknownCalls &unknown, vtx_table *table) {
    for (std::size_t i = 0; i < unknown.size; i++)
        vtx_print(
            table, "unknown  INT %02xh, AH = %02xh  %u\n", unknown.calls[i].vector,
            unknown.calls[i].ah, unknown.calls[i].count);
}

/// How a guest ended, in one word for the file `status`.
inline const char *ending_word(Ending how) {
    switch (how) {
    case Ending::none:
        return "none";
    case Ending::status:
        return "status";
    case Ending::halt:
        return "halt";
    case Ending::triple_fault:
        return "triple-fault";
    case Ending::stopped:
        return "stopped";
    case Ending::signal:
        return "signal";
    default:
        return "failure"; // the log says which
    }
}

/// Says in one sentence how a guest ended, unless it ended by HLT or with status 0.
inline void log_end(const End &end) {
    using ull = unsigned long long;
    const ull at = end.rip;

    switch (end.how) {
    case Ending::none:
    case Ending::halt:
        break;
    case Ending::status:
        if (end.status != 0)
            vtx_log_error("the guest ended with status %#llx", static_cast<ull>(end.status));
        break;
    case Ending::ept_violation:
        vtx_log_error(
            "the guest ended: EPT violation: %s guest-physical address %#llx, RIP %#llx",
            access_in_words(end.access), static_cast<ull>(end.address), at);
        break;
    case Ending::ept_misconfiguration:
        vtx_log_error(
            "the guest ended: EPT misconfiguration at guest-physical address %#llx, RIP %#llx",
            static_cast<ull>(end.address), at);
        break;
    case Ending::triple_fault:
        vtx_log_error("the guest ended: triple fault at RIP %#llx", at);
        break;
    case Ending::machine_check:
        log_machine_check();
        break;
    case Ending::task_switch:
        vtx_log_error(
            "the guest ended: task switch at RIP %#llx; task switches are not emulated", at);
        break;
    case Ending::no_key:
        vtx_log_error(
            "the guest ended: it waits for a key (INT 16h), and none is left; type more with the "
            "parameter keys");
        break;
    case Ending::exception:
        vtx_log_error(
            "the guest ended: vector %u (%s) at %04x:%04x in real mode, and the guest has no "
            "handler for it",
            static_cast<unsigned>(end.vector), mnemonic(end.vector), end.cs, end.ip);
        break;
    case Ending::unexpected:
        vtx_log_error(
            "the guest ended: VM exit %u (%s) at RIP %#llx, which nothing here handles",
            static_cast<unsigned>(end.reason), exit_reason_name(end.reason), at);
        break;
    case Ending::failure:
        log_failure(end.failure);
        break;
    case Ending::stopped:
        vtx_log("the guest was stopped at RIP %#llx", at);
        break;
    case Ending::signal:
        vtx_log_error("the guest was stopped at RIP %#llx: the task that runs it got a signal", at);
        break;
    }
}

} // namespace vtx
