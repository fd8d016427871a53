/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the guest's general registers are kept while the host runs. A VM exit saves RSP, RIP and
 * RFLAGS in the VMCS and leaves the other fifteen as the guest had them: software must save them
 * before it uses one. The order is the processor's own numbering, in which an exit qualification
 * names a register. Read by C++ and by the assembler.
 */
#pragma once

#define GUEST_RAX 0x00
#define GUEST_RCX 0x08
#define GUEST_RDX 0x10
#define GUEST_RBX 0x18
/* 0x20 would be RSP: it is in the VMCS, and this slot stays unused. */
#define GUEST_RBP 0x28
#define GUEST_RSI 0x30
#define GUEST_RDI 0x38
#define GUEST_R8 0x40
#define GUEST_R9 0x48
#define GUEST_R10 0x50
#define GUEST_R11 0x58
#define GUEST_R12 0x60
#define GUEST_R13 0x68
#define GUEST_R14 0x70
#define GUEST_R15 0x78

/* The encoding of the VMCS field that vm_enter() writes. */
#define VMCS_HOST_RSP 0x6c14

/* What vm_enter() returns. */
#define VM_ENTER_EXITED 0
#define VM_ENTER_FAIL_INVALID 1
#define VM_ENTER_FAIL_VALID 2

#ifndef __ASSEMBLER__
#include <cstddef>
#include <cstdint>

#include "vmx/fields.hpp"

namespace vtx {

/// The guest's general registers, by their SDM names.
struct GuestRegisters {
    std::uint64_t rax, rcx, rdx, rbx;
    std::uint64_t rsp_is_in_the_vmcs;
    std::uint64_t rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;

    /// A register by the number that exit qualifications use (0 RAX ... 15 R15); not RSP (4).
    std::uint64_t& by_number(unsigned number) { return (&rax)[number]; }
};

static_assert(offsetof(GuestRegisters, rax) == GUEST_RAX);
static_assert(offsetof(GuestRegisters, rbx) == GUEST_RBX);
static_assert(offsetof(GuestRegisters, rbp) == GUEST_RBP);
static_assert(offsetof(GuestRegisters, rdi) == GUEST_RDI);
static_assert(offsetof(GuestRegisters, r8) == GUEST_R8);
static_assert(offsetof(GuestRegisters, r15) == GUEST_R15);
static_assert(field_encoding(FieldNatural::host_rsp) == VMCS_HOST_RSP);

}  // namespace vtx
#endif
