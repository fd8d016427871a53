/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The top of the stack in root operation, as the assembler and C++ know it. Each VM exit finds RSP
 * at the beginning of this frame, because HOST_RSP says so, and stores the general registers into
 * it. While a processor is in root operation the base of FS, which Linux's kernel does not use, is
 * the frame's address: so an NMI finds it wherever it arrives.
 */
#pragma once

#include "guest_registers.h" /* the first 0x80 bytes of the frame */

#define FRAME_SELF 0x80      /* the frame's own address */
#define FRAME_PROCESSOR 0x88 /* the object that it belongs to */
#define FRAME_PENDING 0x90   /* what arrived in root operation and belongs to Linux */
#define FRAME_GS_BASE 0x98   /* what late_exit gives GS last, when the processor leaves */
#define FRAME_IRET 0xa0      /* what IRETQ takes when the processor leaves: 5 words */

/* Bits of FRAME_PENDING. */
#define PENDING_NMI 1
#define PENDING_MACHINE_CHECK 2

/* IA32_GS_BASE */
#define MSR_OF_GS_BASE 0xc0000101

/* VMCS fields that late_launch() writes. */
#define VMCS_GUEST_RSP 0x681c
#define VMCS_GUEST_RIP 0x681e

/* What late_launch() returns. VM_ENTER_FAIL_INVALID and VM_ENTER_FAIL_VALID are the others. */
#define LATE_LAUNCH_IS_GUEST 0
#define LATE_LAUNCH_ENTRY_FAILED 3

#ifndef __ASSEMBLER__
#include "x86/msr.hpp"

namespace vtx {

struct Processor;

/// The frame at the top of a processor's stack in root operation.
struct alignas(16) RootFrame {
    GuestRegisters registers; ///< Linux's, while the processor is in root operation.
    RootFrame *self;
    Processor *processor;
    std::uint64_t pending; ///< PENDING_NMI, PENDING_MACHINE_CHECK. Set by the handlers in root.
    std::uint64_t gs_base; ///< For GS, when the processor leaves. See late_exit.
    std::uint64_t rip, cs, rflags, rsp, ss; ///< For IRETQ, when the processor leaves.
};

static_assert(offsetof(RootFrame, self) == FRAME_SELF);
static_assert(offsetof(RootFrame, processor) == FRAME_PROCESSOR);
static_assert(offsetof(RootFrame, pending) == FRAME_PENDING);
static_assert(offsetof(RootFrame, gs_base) == FRAME_GS_BASE);
static_assert(offsetof(RootFrame, rip) == FRAME_IRET);
static_assert(static_cast<std::uint32_t>(Msr::gs_base) == MSR_OF_GS_BASE);
static_assert(field_encoding(FieldNatural::guest_rsp) == VMCS_GUEST_RSP);
static_assert(field_encoding(FieldNatural::guest_rip) == VMCS_GUEST_RIP);

} // namespace vtx
#endif
