// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The VMX instructions, each as a function that returns what the processor said.
///
/// This file and vm_enter.S contain every VMX opcode of the project. The flags that an
/// instruction leaves are taken by the compiler itself ("=@ccc": CF, "=@ccz": ZF), so no
/// hand-written SETcc can read them too late or from the wrong place.
///
/// Outside VMX operation a VMX instruction raises #UD, and VMXON raises #GP if the processor is
/// not ready for it. Functions below that allow this in their contract catch the exception by the
/// kernel's exception table: the table says "if the instruction at label 1 faults, go on at
/// label 2". Between the labels is the MOV that clears `fault`, so a fault skips it.
#pragma once

#include <cstdint>

#include "vmx/fields.hpp"
#include "vmx/result.hpp"
#include "x86/physical.hpp"

/// One entry of the kernel's exception table. Its last word, 1, is Linux's EX_TYPE_DEFAULT
/// (linux_check.c asserts that).
#define VTX_ON_FAULT_AT_1_GO_TO_2                                                                  \
    ".pushsection __ex_table, \"a\"\n"                                                             \
    ".balign 4\n"                                                                                  \
    ".long 1b - .\n"                                                                               \
    ".long 2b - .\n"                                                                               \
    ".long 1\n"                                                                                    \
    ".popsection\n"

namespace vtx {

/// VMREAD without a check, for the one place that needs a field to explain a failure.
inline std::uint64_t vmread_unchecked(std::uint32_t encoding) {
    std::uint64_t value = 0;
    asm volatile("vmread %[encoding], %[value]"
                 : [value] "+rm"(value)
                 : [encoding] "r"(std::uint64_t{encoding})
                 : "cc");
    return value;
}

/// Makes a Result of the two flags that every VMX instruction leaves. CF: there was no current
/// VMCS to put an error number into. ZF: the number is in the VM-instruction error field.
/// \sdm{conventions}
inline Result result_of(Instruction instruction, bool carry, bool zero, bool fault = false) {
    if (fault) [[unlikely]]
        return {instruction, Status::fault, 0};
    if (carry) [[unlikely]]
        return {instruction, Status::fail_invalid, 0};
    if (zero) [[unlikely]]
        return {
            instruction, Status::fail_valid,
            static_cast<std::uint32_t>(
                vmread_unchecked(field_encoding(Field32::vm_instruction_error)))};
    return {instruction, Status::succeed, 0};
}

/// VMXON: enters VMX root operation. `region` is the physical address of a page whose first four
/// bytes hold the VMCS revision identifier. Needs CR4.VMXE. Any fault (#UD, #GP) is reported as
/// Status::fault. \sdm{vmxon-enter-vmx-operation}
inline Result vmxon(PhysicalAddress region) {
    bool carry = false, zero = false;
    std::uint32_t fault = 1;
    asm volatile("1: vmxon %[region]\n"
                 "   movl $0, %[fault]\n" // MOV leaves the flags alone
                 "2:\n" VTX_ON_FAULT_AT_1_GO_TO_2
                 : "=@ccc"(carry), "=@ccz"(zero), [fault] "+r"(fault)
                 : [region] "m"(region.value)
                 : "memory");
    return result_of(Instruction::vmxon, carry, zero, fault != 0);
}

/// VMXOFF: leaves VMX operation. Outside VMX operation it raises #UD, reported as Status::fault.
/// \sdm{vmxoff-leave-vmx-operation}
inline Result vmxoff() {
    bool carry = false, zero = false;
    std::uint32_t fault = 1;
    asm volatile("1: vmxoff\n"
                 "   movl $0, %[fault]\n"
                 "2:\n" VTX_ON_FAULT_AT_1_GO_TO_2
                 : "=@ccc"(carry), "=@ccz"(zero), [fault] "+r"(fault)
                 :
                 : "memory");
    return result_of(Instruction::vmxoff, carry, zero, fault != 0);
}

/// VMPTRST: stores the current-VMCS pointer, all ones if there is none. It changes nothing, so
/// it also serves to ask whether the processor is in VMX operation: if not, Status::fault.
/// \sdm{vmptrst-store-pointer-to-virtual-machine-control-structure}
inline Result vmptrst(PhysicalAddress &current) {
    bool carry = false, zero = false;
    std::uint32_t fault = 1;
    asm volatile("1: vmptrst %[current]\n"
                 "   movl $0, %[fault]\n"
                 "2:\n" VTX_ON_FAULT_AT_1_GO_TO_2
                 : "=@ccc"(carry), "=@ccz"(zero), [fault] "+r"(fault), [current] "+m"(current.value)
                 :
                 : "memory");
    return result_of(Instruction::vmptrst, carry, zero, fault != 0);
}

/// VMCLEAR: writes what the processor holds of a VMCS back to its page, and makes its launch
/// state "clear". If it was the current VMCS, there is none afterwards. In VMX operation only.
/// \sdm{vmclear-clear-virtual-machine-control-structure}
inline Result vmclear(PhysicalAddress region) {
    bool carry = false, zero = false;
    asm volatile("vmclear %[region]"
                 : "=@ccc"(carry), "=@ccz"(zero)
                 : [region] "m"(region.value)
                 : "memory");
    return result_of(Instruction::vmclear, carry, zero);
}

/// VMPTRLD: makes a VMCS active and current on this logical processor. In VMX operation only.
/// \sdm{vmptrld-load-pointer-to-virtual-machine-control-structure}
inline Result vmptrld(PhysicalAddress region) {
    bool carry = false, zero = false;
    asm volatile("vmptrld %[region]"
                 : "=@ccc"(carry), "=@ccz"(zero)
                 : [region] "m"(region.value)
                 : "memory");
    return result_of(Instruction::vmptrld, carry, zero);
}

/// VMREAD: reads the field with this encoding from the current VMCS; `value` is unchanged on
/// failure. In VMX operation only. Steps read by name, with CurrentVmcs::read().
/// \sdm{vmread-read-field-from-virtual-machine-control-structure}
inline Result vmread(std::uint32_t encoding, std::uint64_t &value) {
    bool carry = false, zero = false;
    std::uint64_t read = value;
    asm volatile("vmread %[encoding], %[read]"
                 : "=@ccc"(carry), "=@ccz"(zero), [read] "+r"(read)
                 : [encoding] "r"(std::uint64_t{encoding}));
    value = read;
    return result_of(Instruction::vmread, carry, zero);
}

/// VMWRITE: writes a field of the current VMCS. In VMX operation only. Steps write by name, with
/// CurrentVmcs::write(), which does not let a value of the wrong width through.
/// \sdm{vmwrite-write-field-to-virtual-machine-control-structure}
inline Result vmwrite(std::uint32_t encoding, std::uint64_t value) {
    bool carry = false, zero = false;
    asm volatile("vmwrite %[value], %[encoding]"
                 : "=@ccc"(carry), "=@ccz"(zero)
                 : [value] "rm"(value), [encoding] "r"(std::uint64_t{encoding}));
    return result_of(Instruction::vmwrite, carry, zero);
}

/// INVEPT: forgets translations that came from EPT. `type` is 1 for those of one EPT pointer, 2 for
/// all. In VMX operation only. \sdm{invept-invalidate-translations-derived-from-ept}
inline Result invept(std::uint64_t type, std::uint64_t ept_pointer) {
    const struct { std::uint64_t ept_pointer, reserved; } descriptor{ept_pointer, 0};
    bool carry = false, zero = false;
    asm volatile("invept %[descriptor], %[type]"
                 : "=@ccc"(carry), "=@ccz"(zero)
                 : [descriptor] "m"(descriptor), [type] "r"(type)
                 : "memory");
    return result_of(Instruction::invept, carry, zero);
}

/// INVVPID: forgets translations that are tagged with a VPID. `type` is 1 for those of one VPID, 2
/// for those of all but 0, which is the host's. In VMX operation only.
/// \sdm{invvpid-invalidate-translations-based-on-vpid}
inline Result invvpid(std::uint64_t type, std::uint16_t vpid) {
    const struct { std::uint64_t vpid, linear_address; } descriptor{vpid, 0};
    bool carry = false, zero = false;
    asm volatile("invvpid %[descriptor], %[type]"
                 : "=@ccc"(carry), "=@ccz"(zero)
                 : [descriptor] "m"(descriptor), [type] "r"(type)
                 : "memory");
    return result_of(Instruction::invvpid, carry, zero);
}

} // namespace vtx
