/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest that measures how long an interrupt takes: a boot sector, in real mode. The same bytes
 * run under step 09 and, by kvm_pc.c, under KVM.
 *
 * IRQ 0 is masked while the timer raises it. The guest unmasks it with interrupts on, and from that
 * OUT on the interrupt is on its way: the handler reads the time-stamp counter first. An OUT to the
 * same port that changes nothing is what the exit itself takes. It prints by port e9h, like
 * guest.S:
 *
 *   bench irq TICKS TICKS …	from in front of the OUT to the handler
 *   bench mask TICKS TICKS …	from in front of an OUT that changes nothing to behind it
 */
#define SAMPLES 24
#define RESULTS 0x9000
#define PRINT_PORT 0xe9
#define END_PORT 0xf4			/* ends kvm_pc.c; nothing listens there in step 09 */
#define COUNT 1193			/* a millisecond */

	.section .guest, "awx", @progbits
	.code16
	.globl	start
start:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	cld
	movw	$tick, 0x20 * 4
	movw	%ax, 0x20 * 4 + 2
	movw	$words, %si			/* the interrupt controller and the timer */
1:	lodsw
	testw	%ax, %ax
	jz	2f
	movb	%ah, %dl
	xorb	%dh, %dh
	outb	%al, %dx
	jmp	1b
2:	sti

	movw	$RESULTS, %di
	movw	$SAMPLES, %cx
next:
	inb	$0x20, %al			/* IRR: until a tick waits */
	testb	$1, %al
	jz	next
	rdtsc
	movl	%eax, %ebp
	movb	$0xfe, %al
	outb	%al, $0x21
3:	jmp	3b
tick:
	rdtsc
	subl	%ebp, %eax
	stosl
	movb	$0xff, %al
	outb	%al, $0x21
	movb	$0x20, %al			/* EOI */
	outb	%al, $0x20
	addw	$6, %sp				/* does not return */
	sti
	loop	next

	movw	$SAMPLES, %cx
4:	rdtsc
	movl	%eax, %ebp
	movb	$0xff, %al
	outb	%al, $0x21
	rdtsc
	subl	%ebp, %eax
	stosl
	loop	4b

	movw	$RESULTS, %si
	movw	$word_irq, %bx
	call	print
	movw	$word_mask, %bx
	call	print
	outb	%al, $END_PORT
	xorl	%eax, %eax			/* hypercall 0 */
	xorl	%edi, %edi
	vmcall
5:	hlt
	jmp	5b

	/* SAMPLES numbers at SI, eight a line, each line with the text at BX in front. */
print:
	movb	$(SAMPLES / 8), %cl
1:	pushw	%bx
2:	movb	(%bx), %al
	incw	%bx
	testb	%al, %al
	jz	3f
	outb	%al, $PRINT_PORT
	jmp	2b
3:	movb	$8, %ch
4:	movb	$' ', %al
	outb	%al, $PRINT_PORT
	lodsl
	movl	%eax, %edx
	pushw	%cx
	movw	$8, %cx
5:	roll	$4, %edx			/* one digit after the other */
	movb	%dl, %al
	andb	$15, %al
	cmpb	$10, %al
	jb	6f
	addb	$('a' - '0' - 10), %al
6:	addb	$'0', %al
	outb	%al, $PRINT_PORT
	loop	5b
	popw	%cx
	decb	%ch
	jnz	4b
	movb	$'\n', %al
	outb	%al, $PRINT_PORT
	popw	%bx
	decb	%cl
	jnz	1b
	ret

#define OUT(port, value) .byte value, port
words:
	OUT(0x20, 0x11); OUT(0x21, 0x20); OUT(0x21, 0x04); OUT(0x21, 0x01); OUT(0x21, 0xff)
	OUT(0x43, 0x34); OUT(0x40, COUNT & 0xff); OUT(0x40, COUNT >> 8)
	OUT(0x20, 0x0a)				/* reads give IRR */
	.word	0
word_irq:
	.asciz	"bench irq"
word_mask:
	.asciz	"bench mask"

	.org	start + 510
	.byte	0x55, 0xaa
