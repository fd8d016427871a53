/* SPDX-License-Identifier: GPL-2.0-only */
/* Model-specific registers. */
#include "guest.h"

#define IA32_TSC 0x10
#define IA32_APIC_BASE 0x1b
#define IA32_EFER 0xc0000080
#define IA32_FS_BASE 0xc0000100
#define IA32_GS_BASE 0xc0000101
#define IA32_KERNEL_GS_BASE 0xc0000102

/* Reads an MSR into RAX, whole. */
.macro read_msr number
	movl	$\number, %ecx
	rdmsr
	shlq	$32, %rdx
	orq	%rdx, %rax
.endm

/* Makes EDX:EAX of a value, and ECX of a number, for WRMSR. */
.macro for_wrmsr number, value
	movl	$\number, %ecx
	movabsq	$\value, %rax
	movq	%rax, %rdx
	shrq	$32, %rdx
	movl	%eax, %eax
.endm

guest_with_handlers msr_efer
	movq	$-1, %rax
	movq	$-1, %rdx
	movl	$IA32_EFER, %ecx
	rdmsr
	EXPECT_EQ($0x500, %rax)			/* LMA, LME */
	EXPECT_EQ($0, %rdx)
	WORKS(wrmsr)
	for_wrmsr IA32_EFER, 0x501		/* SCE */
	FAULTS(VECTOR_GP, 0, wrmsr)
	for_wrmsr IA32_EFER, 0xd00		/* NXE */
	FAULTS(VECTOR_GP, 0, wrmsr)
	for_wrmsr IA32_EFER, 0x400		/* LME off */
	FAULTS(VECTOR_GP, 0, wrmsr)
	for_wrmsr IA32_EFER, 0
	FAULTS(VECTOR_GP, 0, wrmsr)
	for_wrmsr IA32_EFER, 0x8000000000000500
	FAULTS(VECTOR_GP, 0, wrmsr)
	movabsq	$0xdeadbeefc0000080, %rcx	/* only ECX counts */
	rdmsr
	EXPECT_EQ($0x500, %rax)
	PASS

guest_with_handlers msr_apic_base
	read_msr IA32_APIC_BASE
	movq	%rax, %rbx
	shrq	$12, %rax
	EXPECT_EQ($0xfee00, %rax)
	testl	$0x800, %ebx			/* enabled */
	EXPECT(nz)
	testl	$0x400, %ebx			/* not an x2APIC */
	EXPECT(z)
	for_wrmsr IA32_APIC_BASE, 0xfee00000	/* switched off */
	FAULTS(VECTOR_GP, 0, wrmsr)
	for_wrmsr IA32_APIC_BASE, 0x1900	/* moved */
	FAULTS(VECTOR_GP, 0, wrmsr)
	read_msr IA32_APIC_BASE
	EXPECT_EQ(%rbx, %rax)
	PASS

guest_with_handlers msr_tsc
	read_msr IA32_TSC
	movq	%rax, %rbx
	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	cmpq	%rbx, %rax
	EXPECT(ae)
	subq	%rbx, %rax
	cmpq	$0x10000000, %rax
	EXPECT(b)
	for_wrmsr IA32_TSC, 0
	FAULTS(VECTOR_GP, 0, wrmsr)
	PASS

guest_with_handlers msr_bases
	for_wrmsr IA32_FS_BASE, 0x8000
	WORKS(wrmsr)
	read_msr IA32_FS_BASE
	EXPECT_EQ($0x8000, %rax)
	movq	$0x1111, 0x8010
	EXPECT_EQ($0x1111, %fs:0x10)
	for_wrmsr IA32_GS_BASE, 0x8100
	WORKS(wrmsr)
	for_wrmsr IA32_KERNEL_GS_BASE, 0x8200
	WORKS(wrmsr)
	movq	$0x2222, 0x8110
	movq	$0x3333, 0x8210
	EXPECT_EQ($0x2222, %gs:0x10)
	swapgs
	EXPECT_EQ($0x3333, %gs:0x10)
	read_msr IA32_GS_BASE
	EXPECT_EQ($0x8200, %rax)
	read_msr IA32_KERNEL_GS_BASE
	EXPECT_EQ($0x8100, %rax)
	read_msr IA32_FS_BASE
	EXPECT_EQ($0x8000, %rax)
	/* Any canonical address is allowed, no other. */
	for_wrmsr IA32_FS_BASE, 0xffff800000000000
	WORKS(wrmsr)
	for_wrmsr IA32_KERNEL_GS_BASE, 0x7fffffffffff
	WORKS(wrmsr)
	for_wrmsr IA32_FS_BASE, 0x800000000000
	FAULTS(VECTOR_GP, 0, wrmsr)
	for_wrmsr IA32_GS_BASE, 0xffff7fffffffffff
	FAULTS(VECTOR_GP, 0, wrmsr)
	for_wrmsr IA32_KERNEL_GS_BASE, 0x8000000000000000
	FAULTS(VECTOR_GP, 0, wrmsr)
	read_msr IA32_FS_BASE
	EXPECT_EQ64($0xffff800000000000, %rax)
	PASS

/* What the VMCS does not hold lasts from scope to scope: some 40 of them pass here. */
guest_with_handlers msr_bases_last
	for_wrmsr IA32_KERNEL_GS_BASE, 0x123456789abc
	wrmsr
	for_wrmsr IA32_GS_BASE, 0xffffffff81234567
	wrmsr
	for_wrmsr IA32_FS_BASE, 0x7777
	wrmsr
	movl	$4000000, %ecx
1:	loop	1b
	read_msr IA32_KERNEL_GS_BASE
	EXPECT_EQ64($0x123456789abc, %rax)
	read_msr IA32_GS_BASE
	EXPECT_EQ64($0xffffffff81234567, %rax)
	read_msr IA32_FS_BASE
	EXPECT_EQ64($0x7777, %rax)
	swapgs
	movl	$1000000, %ecx
1:	loop	1b
	read_msr IA32_GS_BASE
	EXPECT_EQ64($0x123456789abc, %rax)
	PASS

/* No base of an earlier guest is left for the next one. Runs after msr_bases_last. */
guest_with_handlers msr_bases_none_left
	read_msr IA32_KERNEL_GS_BASE
	EXPECT_EQ($0, %rax)
	read_msr IA32_GS_BASE
	EXPECT_EQ($0, %rax)
	read_msr IA32_FS_BASE
	EXPECT_EQ($0, %rax)
	movq	%cr2, %rax
	EXPECT_EQ($0, %rax)
	PASS

/* Every other MSR gives #GP, to read and to write, whether this CPU has it or not. */
guest_with_handlers msr_others
	movl	$1f, %esi
3:	movl	(%rsi), %ecx
	FAULTS(VECTOR_GP, 0, rdmsr)
	xorl	%eax, %eax
	xorl	%edx, %edx
	FAULTS(VECTOR_GP, 0, wrmsr)
	movl	$-1, %eax
	movl	$-1, %edx
	FAULTS(VECTOR_GP, 0, wrmsr)
	addl	$4, %esi
	cmpl	$2f, %esi
	jb	3b
	PASS
1:	.long	0x0, 0x1, 0x17, 0x2a, 0x3a, 0x3b, 0x48, 0x49, 0x79, 0x8b, 0x9e, 0xc1, 0xce, 0xe7, 0xe8
	.long	0xfe, 0x10a, 0x10b, 0x122, 0x174, 0x175, 0x176, 0x179, 0x17a, 0x186, 0x198, 0x199
	.long	0x19c, 0x1a0, 0x1b0, 0x1c9, 0x1d9, 0x1dd, 0x200, 0x250, 0x277, 0x2ff, 0x309, 0x345
	.long	0x38d, 0x38f, 0x3f1, 0x400, 0x401, 0x480, 0x481, 0x48b, 0x491, 0x4e0, 0x570, 0x606
	.long	0x6a0, 0x6a2, 0x6e0, 0x802, 0x808, 0x80b, 0x830, 0x8ff, 0xc8f, 0xd90, 0xda0, 0x1fff
	.long	0x2000, 0x40000000, 0x4b564d00, 0x7fffffff, 0x80000000, 0xbfffffff, 0xc0000081
	.long	0xc0000082, 0xc0000083, 0xc0000084, 0xc0000103, 0xc0000104, 0xc0001fff, 0xc0002000
	.long	0xc0010015, 0xffffffff
2:
