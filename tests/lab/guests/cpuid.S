/* SPDX-License-Identifier: GPL-2.0-only */
/* CPUID. */
#include "guest.h"

guest cpuid_hypervisor_name
	movabsq	$-1, %rax
	movq	%rax, %rbx
	movq	%rax, %rdx
	movl	$7, %ecx			/* the subleaf does not matter */
	movl	$0x40000000, %eax
	cpuid
	movl	$0x40000000, %esi
	EXPECT_EQ(%rsi, %rax)			/* the upper halves are zero */
	movl	$0x54787456, %esi		/* "VtxT" */
	EXPECT_EQ(%rsi, %rbx)
	movl	$0x726f7475, %esi		/* "utor" */
	EXPECT_EQ(%rsi, %rcx)
	movl	$0x006c6169, %esi		/* "ial" */
	EXPECT_EQ(%rsi, %rdx)
	PASS

guest cpuid_features
	movl	$1, %eax
	cpuid
	testl	$0x80000000, %ecx
	EXPECT(nz)				/* a hypervisor is there */
	testl	$0x20, %ecx
	EXPECT(z)				/* VMX is not */
	testl	$0x8, %ecx
	EXPECT(z)				/* nor is MONITOR */
	testl	$0x20, %edx
	EXPECT(nz)				/* MSRs are */
	PASS

/* The same leaf again gives the same: nothing of it comes from the host's moment. */
guest cpuid_vendor
	xorl	%eax, %eax
	xorl	%ecx, %ecx
	cpuid
	EXPECT_EQ($0x756e6547, %rbx)		/* "Genu" */
	EXPECT_EQ($0x49656e69, %rdx)		/* "ineI" */
	EXPECT_EQ($0x6c65746e, %rcx)		/* "ntel" */
	cmpl	$1, %eax
	EXPECT(ae)
	movl	$0x80000000, %eax
	cpuid
	cmpl	$0x80000001, %eax
	EXPECT(ae)
	movl	$0x80000001, %eax
	cpuid
	testl	$0x20000000, %edx		/* 64-bit mode */
	EXPECT(nz)
	PASS
