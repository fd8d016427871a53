/* SPDX-License-Identifier: GPL-2.0-only */
/* Control and debug registers. */
#include "guest.h"

guest_with_handlers cr3
	movq	%cr3, %rax
	movq	%cr3, %rsp			/* into RSP, which is in the VMCS */
	movq	%rsp, %rbx
	movq	$0x10000, %rsp
	EXPECT_EQ(%rax, %rbx)
	movq	%cr3, %r15
	EXPECT_EQ(%rax, %r15)
	movq	%rax, %rbx
	xorq	$0x1000, %rbx
	FAULTS(VECTOR_GP, 0, movq %rbx, %cr3)
	movq	$-1, %rbx
	FAULTS(VECTOR_GP, 0, movq %rbx, %cr3)
	movabsq	$0x8000000000000000, %rbx
	FAULTS(VECTOR_GP, 0, movq %rbx, %cr3)
	movq	$0x9000, %rsp
	movq	%rsp, %rbx
	FAULTS(VECTOR_GP, 0, movq %rsp, %cr3)
	EXPECT_EQ(%rbx, %rsp)
	movq	%cr3, %rbx
	EXPECT_EQ(%rax, %rbx)
	PASS

guest_with_handlers cr0
	movq	%cr0, %rax
	WORKS(movq %rax, %cr0)			/* no change */
	movl	$0, %ecx			/* each bit in turn */
1:	movq	%cr0, %rax
	btcq	%rcx, %rax
	FAULTS(VECTOR_GP, 0, movq %rax, %cr0)
	movq	%cr0, %rbx
	btcq	%rcx, %rbx
	EXPECT_EQ(%rax, %rbx)
	incl	%ecx
	cmpl	$64, %ecx
	jb	1b
	FAULTS(VECTOR_GP, 0, clts)
	xorl	%eax, %eax
	FAULTS(VECTOR_GP, 0, lmsw %ax)		/* would clear TS */
	movl	$0xf, %eax
	FAULTS(VECTOR_GP, 0, lmsw %ax)		/* would set MP and EM */
	smsw	%rbx
	movw	%bx, SCRATCH
	WORKS(lmsw SCRATCH)			/* no change */
	movq	%cr0, %rax
	EXPECT_EQ(%rbx, %rax)
	PASS

guest_with_handlers cr4
	movq	%cr4, %rax
	WORKS(movq %rax, %cr4)			/* no change */
	movl	$0, %ecx
1:	movq	%cr4, %rax
	btcq	%rcx, %rax
	FAULTS(VECTOR_GP, 0, movq %rax, %cr4)
	movq	%cr4, %rbx
	btcq	%rcx, %rbx
	EXPECT_EQ(%rax, %rbx)
	incl	%ecx
	cmpl	$64, %ecx
	jb	1b
	PASS

guest_with_handlers cr8
	movq	%cr8, %rax
	EXPECT_EQ($0, %rax)
	movl	$1, %ebx
	FAULTS(VECTOR_GP, 0, movq %rbx, %cr8)
	movl	$15, %ebx
	FAULTS(VECTOR_GP, 0, movq %rbx, %cr8)
	movl	$16, %ebx
	FAULTS(VECTOR_GP, 0, movq %rbx, %cr8)
	movq	%cr8, %rax
	EXPECT_EQ($0, %rax)
	PASS

/* CR2 is the guest's own, and lasts from scope to scope. */
guest_with_handlers cr2
	movabsq	$0x123456789000, %rbx
	movq	%rbx, %cr2
	movl	$4000000, %ecx
1:	loop	1b
	movq	%cr2, %rax
	EXPECT_EQ(%rbx, %rax)
	PASS

/* XCR0: its instruction is not there (CPUID says that the system did not turn it on), or it gives
 * #GP. In no case is it changed. */
guest_with_handlers xcr0
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	movl	$1, %eax
	movq	$2f, RESUME
	movq	$-1, SEEN_VECTOR
1:	xsetbv
	FAIL
2:	EXPECT_EQ($1b, SEEN_RIP)
	EXPECT_EQ($0, SEEN_ERROR)
	cmpq	$VECTOR_GP, SEEN_VECTOR
	je	3f
	EXPECT_EQ($VECTOR_UD, SEEN_VECTOR)
	movl	$1, %eax
	cpuid
	btl	$27, %ecx			/* OSXSAVE */
	EXPECT(nc)
3:	PASS

/* Debug registers: the host's breakpoints are not shown, and none can be set. */
guest_with_handlers debug_registers
	movq	%db0, %rax
	EXPECT_EQ($0, %rax)
	movq	%db3, %rax
	EXPECT_EQ($0, %rax)
	movq	%db7, %rbx
	EXPECT_EQ($0x400, %rbx)
	movq	%db6, %rax
	EXPECT_EQ64($0xffff0ff0, %rax)
	WORKS(movq %rbx, %db7)
	movl	$0x402, %ebx
	FAULTS(VECTOR_GP, 0, movq %rbx, %db7)
	movl	$0x2400, %ebx			/* GD */
	FAULTS(VECTOR_GP, 0, movq %rbx, %db7)
	movl	$0x1000, %ebx
	FAULTS(VECTOR_GP, 0, movq %rbx, %db0)
	FAULTS(VECTOR_GP, 0, movq %rbx, %db3)
	movq	%db7, %rax
	EXPECT_EQ($0x400, %rax)
	PASS
