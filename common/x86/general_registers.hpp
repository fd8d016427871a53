// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// General-purpose registers by the numbers that instructions, exit qualifications and VM-exit
/// instruction information use.
#pragma once

#include <cstdint>

namespace vtx {

/// A general-purpose register. \sdm{table-exit-qualification-for-control-register-accesses}
enum class GeneralRegister : std::uint8_t {
    rax = 0,
    rcx = 1,
    rdx = 2,
    rbx = 3,
    rsp = 4,
    rbp = 5,
    rsi = 6,
    rdi = 7,
    r8 = 8,
    r9 = 9,
    r10 = 10,
    r11 = 11,
    r12 = 12,
    r13 = 13,
    r14 = 14,
    r15 = 15,
};

/// Names of the registers by number.
inline constexpr const char *general_register_names[] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP",
                                                         "RSI", "RDI", "R8",  "R9",  "R10", "R11",
                                                         "R12", "R13", "R14", "R15"};

/// "RAX" to "R15"; "(no register)" for anything else. Never null.
constexpr const char *register_name(GeneralRegister general_register) {
    const auto number = static_cast<unsigned>(general_register);
    return number < 16 ? general_register_names[number] : "(no register)";
}

} // namespace vtx
