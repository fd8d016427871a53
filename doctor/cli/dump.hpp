// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What the doctor reads: a VMCS, and perhaps its processor, out of text.
#pragma once

#include "doctor/rules/processor.hpp"
#include "text.hpp"
#include "vmx/snapshot.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace doctor {

/// The formats that it reads.
enum class Format {
    automatic, ///< find out
    own,       ///< NAME = VALUE, one per line, and other lists of names and values
    kvm,       ///< a kernel log with what Linux KVM prints when a VM entry fails
};

/// What a text says of a processor: only what it says. Widths, feature words and register values by
/// their names, for instance "IA32_VMX_BASIC" or "MAXPHYADDR".
using ProcessorWords = std::map<std::string, std::uint64_t, std::less<>>;

/// How to read.
struct ReadOptions {
    Format format = Format::automatic;
    unsigned base = 0; ///< of numbers that nothing marks as hexadecimal: 10, 16, or 0 to find out
};

/// Something that a reader of the report has to know about a line of the input.
struct Note {
    std::size_t line = 0; ///< 0 if it is not about one line
    std::string text;     ///< goes on after "line N": "is cut off ..."
};

/// One VMCS, as far as a text tells it.
struct Dump {
    Format format = Format::own;                   ///< in which format it was
    std::size_t line = 1;                          ///< where it begins
    vtx::VmcsSnapshot vmcs;                        ///< its fields
    ProcessorWords processor;                      ///< what was said of the processor
    std::map<std::uint64_t, std::uint64_t> memory; ///< eight-byte words of physical memory
    std::optional<std::uint64_t> current_vmcs;     ///< where the VMCS lies
    std::optional<bool> host_ia32e_mode;           ///< the host's IA32_EFER.LMA
    /// What every dump of this format has and this one lacks, a string for each part. If there is
    /// any, the dump is incomplete: it may be broken, but it is never sound.
    std::vector<std::string> missing;
    std::vector<Note> notes; ///< what was not used of the text, and why
};

/// An input that cannot be used, and why.
struct InputError {
    std::size_t line = 0; ///< 0 if it is not about a line
    std::string message;  ///< one sentence without a full stop
};

/// What came of reading a text: dumps, or an error.
struct Reading {
    std::vector<Dump> dumps{};
    std::optional<InputError> error{};
    ProcessorWords processor{}; ///< what the own format says of one, with a VMCS or without
    bool is_own = false;        ///< most lines are of the own format
};

/// The longest text, which is refused beyond, and the longest line, which is passed over.
inline constexpr std::size_t text_limit = std::size_t{64} << 20;
inline constexpr std::size_t line_limit = 4096;
/// What is said of a line that was passed over.
inline constexpr const char *passed_over_note =
    "is longer than 4096 bytes or no text, and was passed over";
/// More VMCSs in one text are refused: it is a log of something else.
inline constexpr std::size_t dump_limit = 1000;

/// Reads a text. Whatever the text is, it ends with dumps or with an error.
Reading read_dumps(std::string_view text, const ReadOptions &options = {});

/// Reads a description of a processor in the own format; a VMCS in it is not looked at.
std::optional<InputError> read_processor(std::string_view text, ProcessorWords &words);

// For the parts of the reader.

/// Without white space at both ends.
std::string_view trimmed(std::string_view text);

/// A number as a whole: hexadecimal with 0x, or with a final H as the SDM has it, else decimal.
std::optional<std::uint64_t> whole_number(std::string_view text);

/// The field with this name, the SDM's, ours or Linux's, or with this encoding as a number. The
/// upper half of a 64-bit field ("VMCS_LINK_POINTER_HIGH", 2801H) has an odd encoding.
std::optional<std::uint32_t> field_called(std::string_view name);

/// The proper name of a capability MSR ("MSR 480H" is one, too); nothing if it is none.
std::optional<std::string> capability_msr(std::string_view name);

/// Reads the own format: an error if a line is not of it.
Reading read_own(const std::vector<TextLine> &lines, const ReadOptions &options);
/// Reads names and values out of other texts: neither dumps nor an error if there are too few.
Reading read_list(const std::vector<TextLine> &lines, const ReadOptions &options);
/// Reads what KVM printed: neither dumps nor an error if there is nothing of the kind.
Reading read_kvm_log(const std::vector<TextLine> &lines);

/// When to look for a dump that is not read: its lines can look like KVM's, or like a list of
/// fields.
enum class Looks { like_kvm, like_a_list, like_neither };
/// Why the text is no VMCS that can be read, if it is known who printed it.
std::optional<InputError> other_dump(const std::vector<TextLine> &lines, Looks looks);

} // namespace doctor
