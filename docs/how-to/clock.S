/* SPDX-License-Identifier: GPL-2.0-only */
/* A boot sector that says each second that it has passed. It never ends: stop it. */
	.code16
	.globl	_start
_start:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	$tick, 0x20 * 4		/* vector 0x20 of real mode: where its handler is */
	movw	%ax, 0x20 * 4 + 2

	movb	$0x11, %al		/* the interrupt controller: ICW1, two chips */
	outb	%al, $0x20
	movb	$0x20, %al		/* ICW2: IRQ 0 is vector 0x20 */
	outb	%al, $0x21
	movb	$0x04, %al		/* ICW3: the second chip is at line 2 */
	outb	%al, $0x21
	movb	$0x01, %al		/* ICW4: the handler says when it is done */
	outb	%al, $0x21
	movb	$0xfe, %al		/* all lines but 0 are masked */
	outb	%al, $0x21

	movb	$0x34, %al		/* the timer: channel 0, two bytes, mode 2 */
	outb	%al, $0x43
	movb	$(11932 & 0xff), %al	/* 1193182 Hz / 11932 is 100 Hz */
	outb	%al, $0x40
	movb	$(11932 >> 8), %al
	outb	%al, $0x40

	sti
1:	hlt				/* sleep until the next interrupt */
	jmp	1b

tick:	pusha
	movb	$0x20, %al		/* EOI: this interrupt is handled */
	outb	%al, $0x20		/* EOI goes to the first chip */
	decw	left
	jnz	1f
	movw	$100, left
	movw	$text, %si
	movw	$9, %cx
	movw	$0xe9, %dx
	rep outsb			/* each byte to the port that prints */
1:	popa
	iretw

left:	.word	100
text:	.ascii	"a second\n"

	.org	_start + 510
	.byte	0x55, 0xaa
