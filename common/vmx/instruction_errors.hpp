// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What the VM-instruction error field says after VMfailValid.
#pragma once

#include <cstdint>

namespace vtx {

/// VM-instruction error numbers. \sdm{table-vm-instruction-error-numbers}
enum class InstructionError : std::uint32_t {
#define VTX_INSTRUCTION_ERROR(name, number, linux_name, sdm_text) name = number,
#include "vmx/instruction_errors.def"
};

/// A row of the table of VM-instruction errors.
struct InstructionErrorInfo {
    InstructionError error; ///< The number.
    const char *text;       ///< The SDM's words.
    const char *identifier; ///< The enumerator here, "vmlaunch_nonclear_vmcs".
};

/// Every VM-instruction error, by number.
inline constexpr InstructionErrorInfo all_instruction_errors[] = {
#define VTX_INSTRUCTION_ERROR(name, number, linux_name, sdm_text)                                  \
    {InstructionError::name, sdm_text, #name},
#include "vmx/instruction_errors.def"
};

/// The SDM's words for a VM-instruction error, or "(undefined VM-instruction error)". Never null.
/// \param number the field's value, which is Result::error
constexpr const char *instruction_error_text(std::uint32_t number) {
    for (const InstructionErrorInfo &row : all_instruction_errors) {
        if (static_cast<std::uint32_t>(row.error) == number) {
            return row.text;
        }
    }
    return "(undefined VM-instruction error)";
}

/// The same by enumerator.
constexpr const char *instruction_error_text(InstructionError error) {
    return instruction_error_text(static_cast<std::uint32_t>(error));
}

} // namespace vtx
