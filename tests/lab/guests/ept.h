/* SPDX-License-Identifier: GPL-2.0-only */
/* What the guest programs of step 07 share: its RAM, and a window into any guest-physical page. */
#include "guest.h"

#define VECTOR_MF 16
#define VECTOR_AC 17
#define VECTOR_XM 19

/* The bytes of RAM that test_ept_guests.py asks for. */
#define RAM 0x300000

/* WITH_WINDOW lets the second GiB of linear addresses be mapped by the first entries of these. */
#define WINDOW 0x40000000
#define WINDOW_DIRECTORY 0x80000
#define WINDOW_TABLE 0x81000
#define WITH_WINDOW \
	movq $(WINDOW_DIRECTORY | 3), 0x71008; movq $(WINDOW_TABLE | 3), WINDOW_DIRECTORY

/* Pages for privilege level 3, too: all that the first tables map. */
#define FOR_USER \
	orb $4, 0x70000; orb $4, 0x71000; orb $4, 0x72000; orb $4, 0x72008; \
	movq %cr3, %rax; movq %rax, %cr3

/* Makes EDX:EAX of a value, and ECX of a number, for WRMSR. */
.macro for_wrmsr number, value
	movl	$\number, %ecx
	movabsq	$\value, %rax
	movq	%rax, %rdx
	shrq	$32, %rdx
	movl	%eax, %eax
.endm

/* Reads an MSR into RAX, whole. */
.macro read_msr number
	movl	$\number, %ecx
	rdmsr
	shlq	$32, %rdx
	orq	%rdx, %rax
.endm
