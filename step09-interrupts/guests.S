/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The boot sector that comes with this step: the smallest operating system. It has two tasks, and a
 * timer that takes the processor from one and gives it to the other. It ends after 100 ticks of a
 * hundredth of a second.
 */
#define EXIT 0

#define ORIGIN 0x7c00
#define AT(label) (label - tasks_guest + ORIGIN)

#define PIC1 0x20
#define PIC2 0xa0
#define PIT 0x40
#define BASE 0x20			/* the vector of IRQ 0 */
#define COUNT 11932			/* 1193182 Hz / 100 */
#define TICKS 100
#define EOI 0x20

#define STACK_A 0x7000
#define STACK_B 0x6000

	.section .rodata
	.globl	tasks_guest, tasks_guest_end

	.code16
tasks_guest:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$STACK_A, %sp

	/* IRQ 0 comes as vector 0x20. All others stay masked. */
	movb	$0x11, %al		/* ICW1: two chips, ICW4 comes */
	outb	%al, $PIC1
	movb	$BASE, %al		/* ICW2: the first vector */
	outb	%al, $(PIC1 + 1)
	movb	$0x04, %al		/* ICW3: the other chip is at line 2 */
	outb	%al, $(PIC1 + 1)
	movb	$0x01, %al		/* ICW4: handlers send EOI */
	outb	%al, $(PIC1 + 1)
	movb	$0xfe, %al		/* OCW1: all but line 0 are masked */
	outb	%al, $(PIC1 + 1)
	movw	$AT(tasks_tick), BASE * 4
	movw	$0, BASE * 4 + 2

	/* Channel 0: low byte and high byte, mode 2, binary. */
	movb	$0x34, %al
	outb	%al, $(PIT + 3)
	movb	$(COUNT & 0xff), %al
	outb	%al, $PIT
	movb	$(COUNT >> 8), %al
	outb	%al, $PIT

	/* Task B has never run. Its stack looks as if a tick had interrupted it at its beginning:
	 * FLAGS with IF, CS, IP, and eight registers for POPA. */
	movw	$0x202, STACK_B - 2
	movw	$0, STACK_B - 4
	movw	$AT(tasks_b), STACK_B - 6
	movw	$(STACK_B - 6 - 16), AT(tasks_other)
	sti

tasks_a:
	movw	$AT(tasks_text_a), %si
	call	tasks_print
	call	tasks_pause
	jmp	tasks_a

tasks_b:
	movw	$AT(tasks_text_b), %si
	call	tasks_print
	call	tasks_pause
	jmp	tasks_b

	/* Waits for 25 turns. HLT sleeps until the next interrupt. */
tasks_pause:
	movw	$25, %cx
1:	hlt				/* VM exit, reason 12 */
	loop	1b
	ret

	/* IRQ 0: saves the registers, exchanges the stacks, and goes on with the other task. */
tasks_tick:
	pusha
	movb	$EOI, %al
	outb	%al, $PIC1
	incw	AT(tasks_ticks)
	cmpw	$TICKS, AT(tasks_ticks)
	je	tasks_end
	xchgw	%sp, AT(tasks_other)
	popa
	iretw

tasks_end:
	movw	$AT(tasks_text_end), %si
	call	tasks_print
	movl	$EXIT, %eax
	xorl	%edi, %edi
	vmcall				/* VM exit, reason 18: the end */

	/* Prints the text at DS:SI, up to a zero, by the BIOS. */
tasks_print:
	lodsb
	testb	%al, %al
	jz	1f
	movb	$0x0e, %ah
	int	$0x10
	jmp	tasks_print
1:	ret

tasks_text_a:
	.asciz	"task A\r\n"
tasks_text_b:
	.asciz	"task B\r\n"
tasks_text_end:
	.asciz	"100 ticks\r\n"

	.balign	2
tasks_other:
	.word	0			/* the stack pointer of the task that does not run */
tasks_ticks:
	.word	0

	.org	tasks_guest + 510
	.byte	0x55, 0xaa
tasks_guest_end:
	.code64
