// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// VMX instructions that must fail, each with the number that the SDM gives to its failure. Errors
/// 7 and 8 are the business of the cases; what is not here needs SMM's dual monitor, or is
/// undefined, or is error 1: Bochs has 19 for VMCALL in VMX root operation, or a panic.
#pragma once

#include "bare_metal.hpp"

#include "vmx/capabilities.hpp"
#include "vmx/fields.hpp"
#include "vmx/instructions.hpp"

namespace vtx::testing {

/// Prints "E expected seen what"; seen is 0 if the instruction did not end with VMfailValid.
inline void expect_error(std::uint32_t expected, Result result, const char *what) {
    print("E ");
    print_hex(expected);
    print(' ');
    print_hex(result.status == Status::fail_valid ? result.error : 0);
    print(' ');
    print(what);
    print('\n');
}

/// Executes these lines of assembly, and takes the flags that the last one leaves. An entry that
/// succeeds does not come back here. INVEPT's descriptor is %[zeros].
#define VTX_FLAGS_OF(instruction, lines)                                                           \
    [] {                                                                                           \
        constexpr std::uint64_t zeros[2] = {0, 0};                                                 \
        bool carry = false, zero = false;                                                          \
        asm volatile(lines                                                                         \
                     : "=@ccc"(carry), "=@ccz"(zero)                                               \
                     : [zeros] "m"(zeros)                                                          \
                     : "rax", "memory");                                                           \
        return result_of(instruction, carry, zero);                                                \
    }()

/// With the VMCS at `launched`, current and launched, and one beside it that never was.
inline void
provoke_errors(const VmxCapabilities &vmx, std::uint64_t vmxon_region, std::uint64_t launched) {
    const PhysicalAddress current{launched}, misaligned{launched + 1};
    const PhysicalAddress too_high{std::uint64_t{1} << 62}, in_use{vmxon_region};
    const PhysicalAddress clear{new_page()}, other_revision{new_page()};
    std::uint64_t unused = 0;
    *words_at(clear.value) = vmx.revision();
    *words_at(other_revision.value) = vmx.revision() + 1;

    expect_error(2, vmclear(misaligned), "VMCLEAR of an address within a page");
    expect_error(2, vmclear(too_high), "VMCLEAR of an address beyond the physical-address width");
    expect_error(3, vmclear(in_use), "VMCLEAR of the VMXON region");
    expect_error(
        4, VTX_FLAGS_OF(Instruction::vmlaunch, "vmlaunch"), "VMLAUNCH of a VMCS that is launched");
    expect_error(9, vmptrld(misaligned), "VMPTRLD of an address within a page");
    expect_error(9, vmptrld(too_high), "VMPTRLD of an address beyond the physical-address width");
    expect_error(10, vmptrld(in_use), "VMPTRLD of the VMXON region");
    expect_error(11, vmptrld(other_revision), "VMPTRLD with another revision identifier");
    expect_error(12, vmread(0x6ffe, unused), "VMREAD of a field that no processor has");
    expect_error(12, vmwrite(0x6ffe, 0), "VMWRITE to a field that no processor has");
    if (!vmx.writes_read_only_fields())
        expect_error(
            13, vmwrite(field_encoding(Field32::exit_reason), 0), "VMWRITE to a read-only field");
    expect_error(15, vmxon(in_use), "VMXON in VMX root operation");
    expect_error(
        26, VTX_FLAGS_OF(Instruction::vmlaunch, "movl %%ss, %%eax\n movl %%eax, %%ss\n vmlaunch"),
        "VMLAUNCH right behind MOV SS");
    if (vmx.supports(SecondaryControl::enable_ept))
        expect_error(
            28, VTX_FLAGS_OF(Instruction::invept, "movl $7, %%eax\n invept %[zeros], %%rax"),
            "INVEPT of a type that does not exist");
    check(vmclear(clear), "VMCLEAR");
    check(vmptrld(clear), "VMPTRLD");
    expect_error(
        5, VTX_FLAGS_OF(Instruction::vmresume, "vmresume"), "VMRESUME of a VMCS that is clear");
    check(vmptrld(current), "VMPTRLD");
}

} // namespace vtx::testing
