// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What the doctor reads: a VMCS, and perhaps its processor, out of text.
#pragma once

#include "doctor/rules/processor.hpp"
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
    own,       ///< NAME = VALUE, one a line
    kvm,       ///< a kernel log with what Linux KVM prints when a VM entry fails
};

/// What a text says of a processor: only what it says. Widths, feature words and register values by
/// their names, for instance "IA32_VMX_BASIC" or "MAXPHYADDR".
using ProcessorWords = std::map<std::string, std::uint64_t, std::less<>>;

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
};

/// An input that cannot be used, and why.
struct InputError {
    std::size_t line = 0; ///< 0 if it is not about a line
    std::string message;  ///< one sentence without a full stop
};

/// What came of reading a text: dumps, or an error.
struct Reading {
    std::vector<Dump> dumps;
    std::optional<InputError> error;
};

/// The longest text and the longest line that are read. More is refused, in words.
inline constexpr std::size_t text_limit = std::size_t{64} << 20;
inline constexpr std::size_t line_limit = 4096;
/// More VMCSs in one text are refused: it is a log of something else.
inline constexpr std::size_t dump_limit = 1000;

/// Reads a text. Whatever the text is, it ends with dumps or with an error.
Reading read_dumps(std::string_view text, Format format);

/// Reads a description of a processor in the own format; a VMCS in it is not looked at.
std::optional<InputError> read_processor(std::string_view text, ProcessorWords &words);

// For the parts of the reader.

/// Walks the lines of a text; a carriage return before the end of a line is dropped.
class Lines {
public:
    explicit Lines(std::string_view text) : rest_(text) {}
    /// The next line, or nothing.
    std::optional<std::string_view> next();
    /// The number of the line that next() gave.
    std::size_t number() const { return number_; }

private:
    std::string_view rest_;
    std::size_t number_ = 0;
};

/// Without white space at both ends.
std::string_view trimmed(std::string_view text);

/// A number as a whole: hexadecimal with 0x, or with a final H as the SDM has it, else decimal.
std::optional<std::uint64_t> whole_number(std::string_view text);

/// The field with this name, the SDM's, ours or Linux's, or with this encoding as a number.
std::optional<std::uint32_t> field_called(std::string_view name);

/// The proper name of a capability MSR ("MSR 480H" is one, too); nothing if it is none.
std::optional<std::string> capability_msr(std::string_view name);

/// Reads the own format, and the log of KVM.
Reading read_own(std::string_view text);
Reading read_kvm_log(std::string_view text);

/// True if the line is one that KVM's dump_vmcs() begins or structures its output with.
bool is_kvm_line(std::string_view line);

/// True if `words` may hold a word of this name.
bool is_processor_word(std::string_view name);

} // namespace doctor
