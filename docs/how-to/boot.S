/* SPDX-License-Identifier: GPL-2.0-only */
/* A boot sector that asks for your name. The BIOS loads it to 0000:7C00, in real mode. */
	.code16
	.globl	_start
_start:
	xorw	%ax, %ax
	movw	%ax, %ds		/* so that DS:SI leads to our text */

	movw	$question, %si
	call	print
1:	movb	$0x00, %ah		/* wait for a key: its character comes in AL */
	int	$0x16
	movb	$0x0e, %ah		/* print AL */
	int	$0x10
	cmpb	$'\r', %al
	jne	1b
	movw	$answer, %si
	call	print
	hlt				/* the end, with status 0 */

print:	lodsb				/* AL = the byte at DS:SI, and SI moves on */
	testb	%al, %al
	jz	2f
	movb	$0x0e, %ah
	int	$0x10
	jmp	print
2:	ret

question: .asciz "What is your name? "
answer:	.asciz	"\nNice to meet you.\r\n"

	.org	_start + 510
	.byte	0x55, 0xaa
