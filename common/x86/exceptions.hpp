// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Vectors of exceptions: names, which of them push an error code, and the classes that decide
/// what a second exception becomes. Arithmetic only.
#pragma once

#include <cstdint>

namespace vtx {

/// Vectors 0 to 31, which the architecture reserves. 15 and 22 to 31 have no meaning (28 to 30
/// are AMD's); 21 is newer than the pinned edition. \sdm{exception-and-interrupt-vectors}
enum class Vector : std::uint8_t {
    divide_error = 0,
    debug = 1,
    nmi = 2,
    breakpoint = 3,
    overflow = 4,
    bound_range_exceeded = 5,
    invalid_opcode = 6,
    device_not_available = 7,
    double_fault = 8,
    coprocessor_segment_overrun = 9,
    invalid_tss = 10,
    segment_not_present = 11,
    stack_fault = 12,
    general_protection = 13,
    page_fault = 14,
    x87_floating_point = 16,
    alignment_check = 17,
    machine_check = 18,
    simd_floating_point = 19,
    virtualization = 20,
    control_protection = 21,
};

/// True if delivery of this exception pushes an error code. \sdm{exception-and-interrupt-vectors}
constexpr bool has_error_code(Vector vector) {
    switch (vector) {
    case Vector::double_fault:
    case Vector::invalid_tss:
    case Vector::segment_not_present:
    case Vector::stack_fault:
    case Vector::general_protection:
    case Vector::page_fault:
    case Vector::alignment_check:
    case Vector::control_protection:
        return true;
    default:
        return false;
    }
}

/// The classes of exceptions in the description of the double fault. They decide what happens if a
/// second exception occurs while one of this class is delivered. In all cases not named here, also
/// for a page fault after a contributory exception, the second is delivered. See combine().
/// \sdm{exception-and-interrupt-reference}
enum class ExceptionClass : std::uint8_t {
    benign,       ///< any exception that is in none of the other classes
    contributory, ///< a second contributory exception makes a double fault
    page_fault,   ///< \#PF or \#VE; a second one, or a contributory exception, makes a double fault
    double_fault, ///< a contributory exception or a page fault makes a triple fault
};

/// The class of an exception.
constexpr ExceptionClass exception_class(Vector vector) {
    switch (vector) {
    case Vector::divide_error:
    case Vector::invalid_tss:
    case Vector::segment_not_present:
    case Vector::stack_fault:
    case Vector::general_protection:
    case Vector::control_protection:
        return ExceptionClass::contributory;
    case Vector::page_fault:
    case Vector::virtualization:
        return ExceptionClass::page_fault;
    case Vector::double_fault:
        return ExceptionClass::double_fault;
    default:
        return ExceptionClass::benign;
    }
}

/// True for \#DE, \#TS, \#NP, \#SS, \#GP and \#CP.
constexpr bool is_contributory(Vector vector) {
    return exception_class(vector) == ExceptionClass::contributory;
}

/// The SDM's mnemonic, "#GP"; "NMI" for vector 2; vector 9 has none and is named in full;
/// "(no exception)" for a vector without a meaning. Never null.
constexpr const char *mnemonic(Vector vector) {
    switch (vector) {
    case Vector::divide_error:
        return "#DE";
    case Vector::debug:
        return "#DB";
    case Vector::nmi:
        return "NMI";
    case Vector::breakpoint:
        return "#BP";
    case Vector::overflow:
        return "#OF";
    case Vector::bound_range_exceeded:
        return "#BR";
    case Vector::invalid_opcode:
        return "#UD";
    case Vector::device_not_available:
        return "#NM";
    case Vector::double_fault:
        return "#DF";
    case Vector::coprocessor_segment_overrun:
        return "coprocessor segment overrun";
    case Vector::invalid_tss:
        return "#TS";
    case Vector::segment_not_present:
        return "#NP";
    case Vector::stack_fault:
        return "#SS";
    case Vector::general_protection:
        return "#GP";
    case Vector::page_fault:
        return "#PF";
    case Vector::x87_floating_point:
        return "#MF";
    case Vector::alignment_check:
        return "#AC";
    case Vector::machine_check:
        return "#MC";
    case Vector::simd_floating_point:
        return "#XM";
    case Vector::virtualization:
        return "#VE";
    case Vector::control_protection:
        return "#CP";
    }
    return "(no exception)";
}

} // namespace vtx
