/* SPDX-License-Identifier: GPL-2.0-only */
/* VMCALL: exit, print, time, and numbers that mean nothing. */
#include "guest.h"

#define EFAULT -14
#define ENOSPC -28
#define ENOSYS -38

/* Prints "<text>\n". */
.macro say text
	jmp	2f
1:	.ascii	"\text\n"
2:	leaq	1b(%rip), %rdi
	movl	$(2b - 1b), %esi
	HYPERCALL(HYPERCALL_PRINT)
.endm

guest print_lines
	say	"first line"
	EXPECT_EQ($0, %rax)
	say	"second line"
	EXPECT_EQ($0, %rax)
	jmp	2f
1:	.ascii	"two\nin one, and half a li"
2:	PRINT($1b, $(2b - 1b))
	say	"ne"
	jmp	2f
1:	.ascii	"no end of line"
2:	PRINT($1b, $(2b - 1b))
	EXPECT_EQ($0, %rax)
	PASS

guest print_escapes
	jmp	2f
1:	.ascii	"tab\t bell\007 nul\0 escape\033[31m percent %s%n high\377 tilde~ back\\slash\r\n"
2:	PRINT($1b, $(2b - 1b))
	EXPECT_EQ($0, %rax)
	PASS

/* 200 letters are more than one line of the log takes; 160 are just as many. */
guest print_long_lines
	movl	$0x4000, %edi
	movl	$200, %ecx
	movb	$'a', %al
	rep stosb
	movb	$'\n', (%rdi)
	incl	%edi
	movl	$160, %ecx
	movb	$'b', %al
	rep stosb
	movb	$'\n', (%rdi)
	PRINT($0x4000, $362)
	EXPECT_EQ($0, %rax)
	say	"end"
	PASS

guest print_bad_pointers
	PRINT($0, $1)
	EXPECT_EQ($EFAULT, %rax)
	PRINT($0, $0)
	EXPECT_EQ($EFAULT, %rax)
	PRINT($0xfff, $1)
	EXPECT_EQ($EFAULT, %rax)
	PRINT($0xfff, $2)
	EXPECT_EQ($EFAULT, %rax)
	PRINT($0x10000, $1)
	EXPECT_EQ($EFAULT, %rax)
	PRINT($0xffff, $2)
	EXPECT_EQ($EFAULT, %rax)
	PRINT($0xf001, $4096)			/* the last byte lies outside */
	EXPECT_EQ($EFAULT, %rax)
	PRINT($-1, $1)
	EXPECT_EQ($EFAULT, %rax)
	PRINT($-1, $2)				/* wraps around */
	EXPECT_EQ($EFAULT, %rax)
	PRINT($-4096, $4096)
	EXPECT_EQ($EFAULT, %rax)
	PRINT($0x1000, $-1)
	EXPECT_EQ($EFAULT, %rax)
	PRINT($0x2000, $-0x1000)		/* ends at 0x1000, by wrapping around */
	EXPECT_EQ($EFAULT, %rax)
	PRINT($0x1000, $4097)
	EXPECT_EQ($EFAULT, %rax)
	movabsq	$0x100001000, %rdi		/* right but for bit 32 */
	movl	$1, %esi
	HYPERCALL(HYPERCALL_PRINT)
	EXPECT_EQ($EFAULT, %rax)
	movl	$0x1000, %edi
	movabsq	$0x100000001, %rsi
	HYPERCALL(HYPERCALL_PRINT)
	EXPECT_EQ($EFAULT, %rax)
	movabsq	$0x800000000000, %rdi
	movl	$1, %esi
	HYPERCALL(HYPERCALL_PRINT)
	EXPECT_EQ($EFAULT, %rax)
	movabsq	$0xffff888000000000, %rdi	/* Linux's direct map */
	movl	$16, %esi
	HYPERCALL(HYPERCALL_PRINT)
	EXPECT_EQ($EFAULT, %rax)
	PASS

/* Lengths 0 and 4096, and text that ends with the RAM. Nothing of it but "last" shows. */
guest print_lengths
	PRINT($0x1000, $0)
	EXPECT_EQ($0, %rax)
	PRINT($0xffff, $0)
	EXPECT_EQ($0, %rax)
	movl	$0x4000, %edi
	movl	$4095, %ecx
	movb	$'.', %al
	rep stosb
	movb	$'\n', (%rdi)
	PRINT($0x4000, $4096)
	EXPECT_EQ($0, %rax)
	movl	$0x7473616c, 0xfffb		/* "last" */
	movb	$'\n', 0xffff
	PRINT($0xfffb, $5)
	EXPECT_EQ($0, %rax)
	PASS

/* 16 KiB of output, and not a byte more, by either way. */
guest print_until_full
	movl	$0x4000, %edi
	movl	$4096, %ecx
	movb	$'x', %al
	rep stosb
	movb	$'\n', 0x4fff
	PRINT($0x4000, $4096)
	EXPECT_EQ($0, %rax)
	PRINT($0x4000, $4096)
	EXPECT_EQ($0, %rax)
	PRINT($0x4000, $4096)
	EXPECT_EQ($0, %rax)
	PRINT($0x4000, $4095)
	EXPECT_EQ($0, %rax)
	PRINT($0x4000, $2)
	EXPECT_EQ($ENOSPC, %rax)
	PRINT($0x4000, $4096)
	EXPECT_EQ($ENOSPC, %rax)
	movb	$'\n', %al
	outb	%al, $0xe9			/* the last byte that fits */
	PRINT($0x4000, $1)
	EXPECT_EQ($ENOSPC, %rax)
	PRINT($0x4000, $0)
	EXPECT_EQ($0, %rax)
	PRINT($0, $1)				/* still a bad address first */
	EXPECT_EQ($EFAULT, %rax)
	movb	$'!', %al
	outb	%al, $0xe9			/* lost */
	PASS

guest hypercall_time
	rdtsc
	shlq	$32, %rdx
	orq	%rax, %rdx
	movq	%rdx, %rbx
	HYPERCALL(HYPERCALL_TIME)
	movq	%rax, %rcx
	cmpq	%rbx, %rcx
	EXPECT(ae)
	rdtsc
	shlq	$32, %rdx
	orq	%rax, %rdx
	cmpq	%rdx, %rcx
	EXPECT(be)
	PASS

guest hypercall_unknown
	HYPERCALL(3)
	EXPECT_EQ($ENOSYS, %rax)
	HYPERCALL(-1)
	EXPECT_EQ($ENOSYS, %rax)
	movabsq	$0x100000000, %rax		/* EAX is 0, RAX is not */
	movl	$1, %edi
	vmcall
	EXPECT_EQ($ENOSYS, %rax)
	movabsq	$0x8000000000000001, %rax
	vmcall
	EXPECT_EQ($ENOSYS, %rax)
	PASS

/* A hypercall changes RAX and RIP, and nothing else. */
guest hypercall_keeps_registers
	movq	$0x11, %rbx
	movq	$0x22, %rcx
	movq	$0x33, %rdx
	movq	$0x44, %rsi
	movq	$0x55, %rdi
	movq	$0x66, %rbp
	movq	$0x88, %r8
	movq	$0x99, %r9
	movq	$0xaa, %r10
	movq	$0xbb, %r11
	movq	$0xcc, %r12
	movq	$0xdd, %r13
	movq	$0xee, %r14
	movq	$0xff, %r15
	std
	stc
	HYPERCALL(HYPERCALL_TIME)
	pushfq
	popq	%rax
	andq	$~0x200, %rax
	EXPECT_EQ($0x403, %rax)
	cld
	EXPECT_EQ($0x11, %rbx)
	EXPECT_EQ($0x22, %rcx)
	EXPECT_EQ($0x33, %rdx)
	EXPECT_EQ($0x44, %rsi)
	EXPECT_EQ($0x55, %rdi)
	EXPECT_EQ($0x66, %rbp)
	EXPECT_EQ($0x88, %r8)
	EXPECT_EQ($0x99, %r9)
	EXPECT_EQ($0xaa, %r10)
	EXPECT_EQ($0xbb, %r11)
	EXPECT_EQ($0xcc, %r12)
	EXPECT_EQ($0xdd, %r13)
	EXPECT_EQ($0xee, %r14)
	EXPECT_EQ($0xff, %r15)
	EXPECT_EQ($0x10000, %rsp)
	PASS
