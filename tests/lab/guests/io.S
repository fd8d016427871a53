/* SPDX-License-Identifier: GPL-2.0-only */
/* Ports. */
#include "guest.h"

guest port_e9_prints
	movl	$1f, %esi
	movl	$(2f - 1f), %ecx
	movl	$0xe9, %edx
3:	movb	(%rsi), %al
	outb	%al, %dx
	incl	%esi
	loop	3b
	movb	$'!', %al
	outb	%al, $0xe9
	movb	$'\n', %al
	outb	%al, $0xe9
	movl	$0x41414141, %eax		/* a word is not a byte */
	outw	%ax, $0xe9
	outl	%eax, $0xe9
	PASS
1:	.ascii	"byte by byte"
2:

guest_with_handlers port_reads
	movabsq	$0x1122334455667788, %rbx
	movq	%rbx, %rax
	inb	$0x60, %al
	EXPECT_EQ64($0x11223344556677ff, %rax)
	movq	%rbx, %rax
	inw	$0x60, %ax
	EXPECT_EQ64($0x112233445566ffff, %rax)
	movq	%rbx, %rax
	inl	$0x60, %eax
	EXPECT_EQ64($0xffffffff, %rax)
	movq	%rbx, %rax
	movl	$0xcf8, %edx
	inb	%dx, %al
	EXPECT_EQ64($0x11223344556677ff, %rax)
	movq	%rbx, %rax
	movl	$0xffff, %edx
	inw	%dx, %ax
	EXPECT_EQ64($0x112233445566ffff, %rax)
	movq	%rbx, %rax
	movl	$0xcfc, %edx
	inl	%dx, %eax
	EXPECT_EQ64($0xffffffff, %rax)
	movq	%rbx, %rax
	inb	$0xe9, %al			/* the port that prints reads nothing */
	EXPECT_EQ64($0x11223344556677ff, %rax)
	EXPECT_EQ($0xcfc, %rdx)
	EXPECT_EQ($0, COUNT)
	PASS

/* None of these may reach a device: a keyboard's reset, the serial port, PCI, the ACPI timer. */
guest_with_handlers port_writes_are_ignored
	movb	$0xfe, %al
	outb	%al, $0x64
	movb	$'?', %al
	movl	$0x3f8, %edx
	outb	%al, %dx
	movl	$0x80000000, %eax
	movl	$0xcf8, %edx
	outl	%eax, %dx
	movb	$6, %al
	movl	$0xcf9, %edx
	outb	%al, %dx
	movw	$0x2000, %ax
	movl	$0xb004, %edx
	outw	%ax, %dx
	movl	$0x8900, %edx			/* Bochs's own way to shut down */
	outb	%al, %dx
	movl	$0xffff, %edx
	outl	%eax, %dx
	EXPECT_EQ($0, COUNT)
	PASS

guest string_outsb
	movl	$0x1000, %esi
	movl	$0xe9, %edx
	outsb
	PASS

guest string_rep_outsb
	movl	$0x1000, %esi
	movl	$16, %ecx
	movl	$0xe9, %edx
	rep outsb
	PASS

guest string_insb
	movl	$0x8000, %edi
	movl	$0x60, %edx
	insb
	PASS

guest string_rep_insl
	movl	$0x8000, %edi
	movl	$0x60, %edx
	movl	$4, %ecx
	rep insl
	PASS
