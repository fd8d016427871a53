/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the guests of step 09 share: the ports of the interrupt controllers and of the timer, and
 * handlers of IRQ 0 that note what they see.
 */
#include "boot.h"

#define PIC1 0x20
#define PIC2 0xa0
#define PIT 0x40
#define PORT_B 0x61
#define EOI 0x20
#define BASE 0x20			/* the vector of IRQ 0; that of IRQ 8 is 28h */

#define TICKS (NOTES + 0x80)		/* how often IRQ 0 came */
#define TICK_IP (NOTES + 0x84)		/* what it interrupted last, */
#define TICK_FLAGS (NOTES + 0x88)	/* with which flags; */
#define TICK_SP (NOTES + 0x8c)		/* and the stack pointer in the handler */

/* OUT of a constant. Uses AL. */
.macro out port, value
	movb	$(\value), %al
	outb	%al, $(\port)
.endm

/* Both controllers: vectors from `base` on, and which lines of the first one are masked. */
.macro set_pics base, icw4, mask
	out PIC1, 0x11
	out PIC1 + 1, \base
	out PIC1 + 1, 4
	out PIC1 + 1, \icw4
	out PIC2, 0x11
	out PIC2 + 1, \base + 8
	out PIC2 + 1, 2
	out PIC2 + 1, 1
	out PIC2 + 1, 0xff
	out PIC1 + 1, \mask
.endm

/* A channel counts from now on: both bytes, binary. */
.macro count channel, mode, number
	out PIT + 3, \channel << 6 | 0x30 | \mode << 1
	out PIT + \channel, (\number) & 0xff
	out PIT + \channel, (\number) >> 8
.endm

/* Waits so many ticks of the timer, by channel 2. Its GATE must be high. Uses AL. */
.macro pause number
	count 2, 0, \number
89:	inb	$PORT_B, %al
	testb	$0x20, %al
	jz	89b
.endm

/* Waits until IRQ 0 is requested, though it may be masked. Uses AL. */
.macro wait_for_request
	out PIC1, 0x0a
88:	inb	$PIC1, %al
	testb	$1, %al
	jz	88b
.endm

/* Reads how long ago channel 2 began with 0 in mode 0, in its ticks, into AX. */
.macro read_elapsed
	out PIT + 3, 0x80
	inb	$(PIT + 2), %al
	movb	%al, %ah
	inb	$(PIT + 2), %al
	xchgb	%al, %ah
	negw	%ax
.endm

/* The handler of IRQ 0 in real mode. */
.macro tick16 name
.Ltick_\name:
	pushw	%bp
	movw	%sp, %bp
	pushw	%ax
	movw	2(%bp), %ax
	movw	%ax, TICK_IP
	movw	6(%bp), %ax
	movw	%ax, TICK_FLAGS
	incl	TICKS
	out PIC1, EOI
	popw	%ax
	popw	%bp
	iretw
.endm

/* Real mode, IF = 0, all segments 0: IRQ 0 is vector 20h, and not masked. GATE of channel 2 is
 * high. */
.macro irq_setup name, icw4=1, mask=0xfe
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$BOOT, %sp
	set_pics BASE, \icw4, \mask
	movw	$.Ltick_\name, BASE * 4
	movw	$0, BASE * 4 + 2
	out PORT_B, 1
.endm

/* The same, at the beginning of a boot sector. */
.macro boot_irq name, icw4=1, mask=0xfe
	boot \name
	jmp	1f
	tick16 \name
1:	irq_setup \name, \icw4, \mask
.endm

/* In protected mode: a gate of 32 bits, and IRQ 0's handler. Uses EAX. */
.macro gate32 vector, handler, selector=CODE32, type=0x8e
	movl	$\handler, %eax
	movw	%ax, IDT32 + (\vector) * 8
	movw	$\selector, IDT32 + (\vector) * 8 + 2
	movw	$(\type << 8), IDT32 + (\vector) * 8 + 4
	movw	$0, IDT32 + (\vector) * 8 + 6
.endm

.macro tick32 name
.Ltick_\name:
	pushl	%eax
	movl	4(%esp), %eax
	movl	%eax, TICK_IP
	movl	12(%esp), %eax
	movl	%eax, TICK_FLAGS
	movl	%esp, TICK_SP
	incl	TICKS
	out PIC1, EOI
	popl	%eax
	iretl
.endm

/* And in long mode. `ist` is 0 for none. */
.macro gate64 vector, handler, ist=0
	movl	$\handler, %eax
	movw	%ax, IDT64 + (\vector) * 16
	movw	$CODE64, IDT64 + (\vector) * 16 + 2
	movw	$(0x8e00 + \ist), IDT64 + (\vector) * 16 + 4
	movw	$0, IDT64 + (\vector) * 16 + 6
	movq	$0, IDT64 + (\vector) * 16 + 8
.endm

.macro tick64 name
.Ltick_\name:
	pushq	%rax
	movq	8(%rsp), %rax
	movl	%eax, TICK_IP
	movq	24(%rsp), %rax
	movl	%eax, TICK_FLAGS
	movl	%esp, TICK_SP
	incl	TICKS
	out PIC1, EOI
	popq	%rax
	iretq
.endm

/* An IDT with vectors up to 2Fh, for LIDT in protected and in long mode. */
.macro long_idt name
	.balign 4
.Lirq32_\name:
	.word	0x30 * 8 - 1
	.long	IDT32
.Lirq64_\name:
	.word	0x30 * 16 - 1
	.quad	IDT64
.endm
