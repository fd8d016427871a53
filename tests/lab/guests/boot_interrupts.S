/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 09: the interrupt controller and the timer, as a guest in real mode sees them.
 *
 * long-file: some fifty boot sectors of a few lines each, best found in one place.
 */
#include "irq.h"

/* ---- Where it begins ---- */

boot irq_entry
	pushfw
	popw	%cx
	testb	$2, %ch				/* IF */
	EXPECT(nz)
	EXPECT_B($0x80, %dl)
	EXPECT_W($BOOT, %sp)
	movw	%ss, %bx
	EXPECT_W($0, %bx)
	inb	$(PIC1 + 1), %al
	EXPECT_B($0xff, %al)			/* all is masked */
	inb	$(PIC2 + 1), %al
	EXPECT_B($0xff, %al)
	inb	$PIC1, %al
	EXPECT_B($0, %al)			/* IRR */
	inb	$PORT_B, %al
	andb	$3, %al
	EXPECT_B($0, %al)
	out PIT + 3, 0xe2			/* channel 0's status: it has no count */
	inb	$PIT, %al
	testb	$0x40, %al
	EXPECT(nz)
	out PORT_B, 1
	pause 3000				/* with IF = 1 */
	PASS

/* ---- The timer's modes ---- */

boot_irq irq_ticks
	count 0, 2, 1193
	sti
	xorw	%cx, %cx
1:	hlt
	pushfw
	popw	%bx
	testb	$2, %bh				/* IF is back */
	EXPECT(nz)
	incw	%cx
	cmpw	%cx, TICKS
	EXPECT(ae)
	cmpw	$20, %cx
	jb	1b
	testb	$2, TICK_FLAGS + 1
	EXPECT(nz)
	EXPECT_W($BOOT, %sp)
	PASS

/* Ticks come at their rate, and none is lost: mode 2, then mode 3. */
.macro boot_rate name, mode, number
boot_irq \name
	count 2, 0, 0
	count 0, \mode, \number
	sti
1:	read_elapsed
	cmpw	$40000, %ax
	jb	1b
	cli
	read_elapsed
	xorw	%dx, %dx
	movw	$\number, %cx
	divw	%cx
	cmpw	%ax, TICKS
	EXPECT(be)
	subw	$(1200 / \number + 1), %ax
	cmpw	%ax, TICKS
	EXPECT(ae)
	PASS
.endm
boot_rate rate_in_mode_2, 2, 1000
boot_rate rate_in_mode_3, 3, 1000
boot_rate rate_of_odd_count, 3, 1001
boot_rate rate_of_100_us, 2, 119

/* One tick, and no more; then one for each count that is written; none for a control word. */
.macro boot_once name, mode
boot_irq \name
	count 0, \mode, 2000
	sti
	hlt
	EXPECT_W($1, TICKS)
	pause 5000
	EXPECT_W($1, TICKS)
	out PIT, 500 & 0xff
	out PIT, 500 >> 8
	hlt
	EXPECT_W($2, TICKS)
	out PIT + 3, 0x30 | \mode << 1
	pause 5000
	EXPECT_W($2, TICKS)
	count 0, \mode, 60000			/* a new count begins at once */
	out PIT, 1000 & 0xff
	out PIT, 1000 >> 8
	pause 3000
	EXPECT_W($3, TICKS)
	PASS
.endm
boot_once mode_0_ticks_once, 0
boot_once mode_4_ticks_once, 4

/* Those that wait for an edge of GATE, which channel 0 does not have. */
.macro boot_no_tick name, mode
boot_irq \name
	count 0, \mode, 100
	sti
	pause 3000
	EXPECT_W($0, TICKS)
	PASS
.endm
boot_no_tick mode_1_stands_still, 1
boot_no_tick mode_5_stands_still, 5

/* In mode 2 a count that is written takes over at the end of the period. */
boot_irq count_changes_later
	count 0, 2, 4000
	out PIT, 50000 & 0xff
	out PIT, 50000 >> 8
	sti
	pause 10000
	EXPECT_W($1, TICKS)
	PASS

boot_irq pit_decimal
	out PIT + 3, 0x31			/* mode 0, BCD */
	out PIT, 0x00
	out PIT, 0x10				/* 1000, not 4096 */
	sti
	pause 2000
	EXPECT_W($1, TICKS)
	out PIT + 3, 0x35			/* mode 2, BCD */
	out PIT, 0
	out PIT, 0				/* 10000 */
	movw	$2000, %cx
1:	out PIT + 3, 0
	inb	$PIT, %al
	movb	%al, %ah
	andb	$0x0f, %ah
	cmpb	$9, %ah
	EXPECT(be)
	cmpb	$0x9f, %al
	EXPECT(be)
	inb	$PIT, %al
	loop	1b
	PASS

boot_irq pit_bytes
	out PIT + 3, 0x10			/* the low byte */
	out PIT, 200
	sti
	hlt
	EXPECT_W($1, TICKS)
	out PIT + 3, 0x20			/* the high one */
	out PIT, 8				/* 2048 */
	inb	$PIT, %al
	cmpb	$8, %al
	EXPECT(be)
	hlt
	EXPECT_W($2, TICKS)
	PASS

/* ---- Reading the count ---- */

boot_irq pit_latch, mask=0xff
	count 0, 2, 0				/* 65536 */
	pause 300
	out PIT + 3, 0				/* latch */
	inb	$PIT, %al
	movb	%al, %bl
	pause 2000
	out PIT + 3, 0				/* counts for nothing: one is there */
	inb	$PIT, %al
	movb	%al, %bh
	cmpw	$-250, %bx
	EXPECT(b)
	out PIT + 3, 0				/* and now it shows the present */
	inb	$PIT, %al
	movb	%al, %cl
	inb	$PIT, %al
	movb	%al, %ch
	subw	%cx, %bx
	cmpw	$1900, %bx
	EXPECT(a)
	inb	$PIT, %al			/* without a latch, low and high byte in turn */
	inb	$PIT, %al
	cmpb	%ch, %al
	EXPECT(be)
	PASS

boot_irq pit_read_back, mask=0xff
	count 0, 3, 50000
	count 2, 0, 30
	out PIT + 3, 0xe2			/* the status of channel 0 */
	inb	$PIT, %al
	EXPECT_B($0xb6, %al)			/* OUT high, counts, both bytes, mode 3 */
	out PIT + 3, 0xc2			/* both: the status comes first */
	inb	$PIT, %al
	EXPECT_B($0xb6, %al)
	inb	$PIT, %al
	inb	$PIT, %al
	cmpb	$(50000 >> 8), %al
	EXPECT(be)
	pause 30
	out PIT + 3, 0xee			/* all three */
	inb	$(PIT + 2), %al
	EXPECT_B($0xb0, %al)			/* mode 0, OUT is high */
	inb	$(PIT + 1), %al
	testb	$0x40, %al			/* no count */
	EXPECT(nz)
	out PIT + 3, 0x36
	out PIT + 3, 0xe2
	inb	$PIT, %al
	EXPECT_B($0xf6, %al)			/* no count any more */
	inb	$(PIT + 3), %al			/* cannot be read */
	PASS

/* As Linux does it when it starts: the high byte falls by one in 256 ticks. */
boot_irq pit_quick_calibration, mask=0xff
	inb	$PORT_B, %al
	andb	$~2, %al
	orb	$1, %al
	outb	%al, $PORT_B
	out PIT + 3, 0xb0
	out PIT + 2, 0xff
	out PIT + 2, 0xff
	movb	$0xff, %bl
1:	xorw	%cx, %cx
2:	inb	$(PIT + 2), %al			/* the low byte */
	inb	$(PIT + 2), %al
	cmpb	%bl, %al
	jne	3f
	incw	%cx
	jmp	2b
3:	decb	%bl
	cmpb	$0xf0, %bl
	ja	1b
	inb	$(PIT + 2), %al
	inb	$(PIT + 2), %al
	cmpb	$0xf0, %al
	EXPECT(be)
	cmpb	$0x80, %al
	EXPECT(a)
	PASS

/* The same by OUT of channel 2, for 50 ms: prints the ticks of the TSC. */
boot_irq pit_calibration, mask=0xff
	count 2, 0, 59659
	rdtsc
	movl	%eax, %ebx
1:	inb	$PORT_B, %al
	testb	$0x20, %al
	jz	1b
	rdtsc
	subl	%ebx, %eax
	movw	$8, %cx
2:	roll	$4, %eax
	pushw	%ax
	andb	$15, %al
	cmpb	$10, %al
	jb	3f
	addb	$('a' - '0' - 10), %al
3:	addb	$'0', %al
	outb	%al, $0xe9
	popw	%ax
	loop	2b
	PASS

/* While GATE is low the channel stands still. */
boot_irq pit_gate, mask=0xff
	count 0, 2, 0
	count 2, 0, 3000
	out PORT_B, 0
	out PIT + 3, 0x80
	inb	$(PIT + 2), %al
	movb	%al, %bl
	inb	$(PIT + 2), %al
	movb	%al, %bh
	out PIT + 3, 0
	inb	$PIT, %al
	inb	$PIT, %al
	movb	%al, %ah
	subb	$40, %ah
1:	out PIT + 3, 0				/* 40 * 256 ticks later */
	inb	$PIT, %al
	inb	$PIT, %al
	cmpb	%ah, %al
	jne	1b
	inb	$PORT_B, %al
	testb	$0x20, %al
	EXPECT(z)
	out PIT + 3, 0x80
	inb	$(PIT + 2), %al
	movb	%al, %cl
	inb	$(PIT + 2), %al
	movb	%al, %ch
	EXPECT_W(%bx, %cx)
	out PORT_B, 1
1:	inb	$PORT_B, %al
	testb	$0x20, %al
	jz	1b
	PASS

boot_irq pit_refresh, mask=0xff
	movw	$100, %cx			/* bit 4 of port 61h changes all the time */
1:	inb	$PORT_B, %al
	testb	$0x10, %al
	jz	1b
2:	inb	$PORT_B, %al
	testb	$0x10, %al
	jnz	2b
	loop	1b
	PASS

/* ---- Waiting to be delivered ---- */

boot_irq pending_behind_imr, mask=0xff
	count 0, 0, 100
	sti
	wait_for_request
	pause 500
	EXPECT_W($0, TICKS)
	out PIC1 + 1, 0xfe
1:	nop
	EXPECT_W($1, TICKS)
	EXPECT_W($1b, TICK_IP)
	PASS

/* STI holds it off for one instruction more. */
boot_irq pending_behind_sti
	count 0, 0, 100
	wait_for_request
	EXPECT_W($0, TICKS)
	sti
	nop
1:	nop
	EXPECT_W($1, TICKS)
	EXPECT_W($1b, TICK_IP)
	/* STI; CLI lets nothing come in between. */
	cli
	count 0, 0, 100
	wait_for_request
	sti
	cli
	nop
	EXPECT_W($1, TICKS)
	/* An instruction that exits ends the shadow, too. */
	sti
	inb	$0x80, %al
1:	nop
	EXPECT_W($2, TICKS)
	EXPECT_W($1b, TICK_IP)
	PASS

boot_irq pending_behind_mov_ss
	movw	%ss, %cx
	count 0, 0, 100
	wait_for_request
	pushw	$0x202
	popfw					/* IF, without a shadow */
1:	nop
	EXPECT_W($1, TICKS)
	EXPECT_W($1b, TICK_IP)
	cli
	count 0, 0, 100
	wait_for_request
	sti
	movw	%cx, %ss			/* a second shadow, or none */
	nop
1:	nop
	EXPECT_W($2, TICKS)
	cmpw	$1b, TICK_IP
	EXPECT(be)
	PASS

/* The same while it comes: at whatever instruction, never behind one with a shadow. */
boot_irq arrives_in_no_shadow
	count 0, 2, 300
	movw	$3000, %cx
	movw	%ss, %bx
	sti
1:	movw	%bx, %ss
2:	sti
3:	movw	%bx, %ss
4:	inb	$0x80, %al
	cmpw	$2b, TICK_IP
	EXPECT(ne)
	cmpw	$4b, TICK_IP
	EXPECT(ne)
	loop	1b
	cmpw	$10, TICKS
	EXPECT(a)
	PASS

boot_irq pending_behind_iret
	count 0, 0, 100
	wait_for_request
	pushw	$0x202
	pushw	$0
	pushw	$1f
	iretw
1:	nop
	EXPECT_W($1, TICKS)
	EXPECT_W($1b, TICK_IP)
	PASS

/* HLT with a request that waits does not sleep: nobody would wake it. */
boot_irq sti_hlt_does_not_sleep
	count 0, 0, 100
	wait_for_request
	sti
	hlt
1:	nop
	EXPECT_W($1, TICKS)
	EXPECT_W($1b, TICK_IP)
	PASS

/* It sleeps, and IRQ 0 wakes it. */
boot_irq hlt_wakes
	movw	$5, %cx
1:	count 0, 0, 12000
	sti
	hlt
2:	cli
	EXPECT_W($2b, TICK_IP)
	loop	1b
	EXPECT_W($5, TICKS)
	PASS

/* ---- The controller ---- */

boot eoi_forgotten
	jmp	2f
	tick16 eoi_forgotten
1:	incw	TICKS
	iretw
2:	irq_setup eoi_forgotten
	movw	$1b, BASE * 4
	count 0, 2, 500
	sti
	hlt
	pause 5000
	EXPECT_W($1, TICKS)
	out PIC1, 0x0b
	inb	$PIC1, %al
	EXPECT_B($1, %al)			/* ISR */
	out PIC1, 0x61				/* for another line */
	pause 2000
	EXPECT_W($1, TICKS)
	out PIC1, 0x60				/* for this one */
	nop
	EXPECT_W($2, TICKS)
	pause 2000
	EXPECT_W($2, TICKS)
	PASS

boot eoi_automatic
	jmp	2f
	tick16 eoi_automatic
1:	incw	TICKS
	iretw
2:	irq_setup eoi_automatic, icw4=3
	movw	$1b, BASE * 4
	count 0, 2, 1000
	sti
	pause 10500
	out PIC1, 0x0b
	inb	$PIC1, %al
	EXPECT_B($0, %al)
	cmpw	$10, TICKS
	EXPECT(ae)
	PASS

/* OCW3 with P: reading acknowledges, as the processor would. */
boot_irq pic_poll
	out PIC1, 0x0c
	inb	$PIC1, %al
	EXPECT_B($0, %al)			/* nothing yet */
	count 0, 0, 100
	wait_for_request
	out PIC1, 0x0c
	inb	$PIC1, %al
	EXPECT_B($0x80, %al)
	out PIC1, 0x0b
	inb	$PIC1, %al
	EXPECT_B($1, %al)
	sti
	nop
	nop
	EXPECT_W($0, TICKS)			/* it is in service, not requested */
	out PIC1, EOI
	nop
	EXPECT_W($0, TICKS)
	count 0, 0, 100
	hlt
	EXPECT_W($1, TICKS)
	PASS

/* Nothing is at the second controller; whatever is written to it, IRQ 0 comes. */
boot_irq pic_slave, mask=0xfa
	out PIC2 + 1, 0
	count 0, 2, 300
	sti
	xorw	%cx, %cx
1:	movb	%cl, %al
	outb	%al, $PIC2
	inb	$PIC2, %al
	movb	%ch, %al
	outb	%al, $(PIC2 + 1)
	inb	$(PIC2 + 1), %al
	addw	$0x357, %cx
	cmpw	$60000, %cx
	jb	1b
	cmpw	$1, TICKS
	EXPECT(a)
	movw	TICKS, %bx
	pause 1000
	cmpw	%bx, TICKS
	EXPECT(a)
	PASS

/* A controller that waits for the rest of its initialization interrupts nobody, and forgets. */
boot_irq pic_initialization
	count 0, 0, 100
	wait_for_request
	out PIC1, 0x11
	sti
	pause 1000
	EXPECT_W($0, TICKS)
	out PIC1 + 1, BASE
	out PIC1 + 1, 4
	out PIC1 + 1, 1
	nop
	EXPECT_W($0, TICKS)			/* the request is gone */
	inb	$(PIC1 + 1), %al
	EXPECT_B($0, %al)			/* and so is the mask */
	count 0, 0, 100
	hlt
	EXPECT_W($1, TICKS)
	PASS

/* Any base; its three lower bits count for nothing. */
boot_irq pic_vectors
	movw	$1f, 0xf8 * 4
	movw	$0, 0xf8 * 4 + 2
	out PIC1, 0x11
	out PIC1 + 1, 0xff
	out PIC1 + 1, 4
	out PIC1 + 1, 1
	out PIC1 + 1, 0xfe
	count 0, 0, 100
	sti
	hlt
	FAIL
1:	addw	$6, %sp
	out PIC1, 0x11				/* and again */
	out PIC1 + 1, 0x08
	out PIC1 + 1, 4
	out PIC1 + 1, 3				/* automatic EOI */
	movw	$1f, 8 * 4			/* where a PC has it: as #DF */
	movw	$0, 8 * 4 + 2
	count 0, 0, 100
	sti
	hlt
	FAIL
1:	EXPECT_W($(BOOT - 6), %sp)
	PASS

/* IRQ 0 as the least urgent one is held off by nobody here; in the special mask mode a handler
 * without EOI lets it come again. */
boot pic_special_mask
	jmp	2f
	tick16 pic_special_mask
1:	incw	TICKS
	pushw	%ax
	out PIC1 + 1, 0xff			/* masked, it holds nobody off */
	out PIC1, 0x68				/* special mask mode */
	popw	%ax
	iretw
2:	irq_setup pic_special_mask
	out PIC1, 0xc0				/* lowest priority */
	movw	$1b, BASE * 4
	count 0, 2, 500
	sti
	hlt
	out PIC1, 0x0b
	inb	$PIC1, %al
	EXPECT_B($1, %al)
	pause 2000
	EXPECT_W($1, TICKS)
	PASS

/* A level that stays high requests again and again: the handler ends it. */
boot pic_level
	jmp	2f
	tick16 pic_level
1:	incw	TICKS
	cmpw	$500, TICKS
	je	3f
	pushw	%ax
	out PIC1, EOI
	popw	%ax
	iretw
2:	irq_setup pic_level
	movw	$1b, BASE * 4
	out PIC1, 0x19
	out PIC1 + 1, BASE
	out PIC1 + 1, 4
	out PIC1 + 1, 1
	out PIC1 + 1, 0xfe
	count 0, 0, 100
	sti
4:	hlt
	jmp	4b
3:	PASS

/* Whatever is written to all six ports, in whatever order, the guest goes on. */
boot devices_in_disorder
	cli
	xorw	%bp, %bp
	movl	$12345, %esi
1:	imull	$1103515245, %esi, %esi
	addl	$12345, %esi
	movl	%esi, %eax
	shrl	$16, %eax
	movw	%ax, %bx
	andw	$7, %bx
	addw	$2f, %bx
	movzbw	(%bx), %dx
	movb	%ah, %al
	outb	%al, %dx
	inb	%dx, %al
	incw	%bp
	cmpw	$8000, %bp
	jb	1b
	PASS
2:	.byte	0x20, 0x21, 0xa0, 0xa1, 0x40, 0x42, 0x43, 0x61

/* ---- Storms ---- */

.macro boot_storm name, mode, number
boot \name
	jmp	2f
	tick16 \name
1:	incw	TICKS
	cmpw	$3000, TICKS
	jae	3f
	pushw	%ax
	out PIC1, EOI
	popw	%ax
	iretw
2:	irq_setup \name
	movw	$1b, BASE * 4
	count 0, \mode, \number
	sti
4:	hlt
	jmp	4b
3:	PASS
.endm
boot_storm storm_of_count_1, 2, 1
boot_storm storm_of_count_2, 2, 2
boot_storm storm_in_mode_3, 3, 2

/* Nobody hears it; afterwards a slow count does not bring what was due. */
boot_irq storm_masked, mask=0xff
	count 0, 2, 2
	sti
	pause 5000
	EXPECT_W($0, TICKS)
	count 0, 2, 10000
	out PIC1 + 1, 0xfe
	pause 5000
	cmpw	$2, TICKS
	EXPECT(be)
	PASS

/* Never ends: each of these must be stopped. */
boot_irq endless_storm
	count 0, 2, 1
	sti
1:	jmp	1b

boot_irq endless_storm_of_hlt
	count 0, 2, 2
	sti
1:	hlt
	jmp	1b

boot_irq endless_storm_masked
	count 0, 2, 1
	sti
1:	out PIC1 + 1, 0xff
	out PIC1 + 1, 0xfe
	jmp	1b

boot_irq endless_sleep, mask=0xff
	count 0, 2, 1000
	sti
1:	hlt
	jmp	1b

boot_irq endless_ticks
	count 0, 2, 11932
	sti
1:	hlt
	jmp	1b

boot endless_nested_storm
	jmp	2f
	tick16 endless_nested_storm
1:	pushw	%ax
	out PIC1, EOI
	movw	$BOOT, %sp
	sti
	jmp	.
2:	irq_setup endless_nested_storm
	movw	$1b, BASE * 4
	count 0, 2, 1
	sti
	jmp	.

boot endless_flood
1:	movb	$'x', %al
	movw	$0x3f8, %dx
	movw	$150, %cx
2:	outb	%al, %dx
	loop	2b
	movb	$'\n', %al
	outb	%al, %dx
	jmp	1b

/* ---- How it ends ---- */

boot halt_with_if_0
	cli
	hlt
	FAIL

/* Also while a request waits. */
boot_irq halt_with_a_request
	count 0, 0, 100
	wait_for_request
	hlt
	FAIL

boot_irq triple_fault_in_the_handler
	movw	$1f, BASE * 4
	count 0, 0, 100
	sti
	hlt
	FAIL
1:	lidtl	2f
	int3
	FAIL
2:	.word	0
	.long	0

/* The vector of the IRQ is behind the limit of the table. */
boot_irq triple_fault_of_the_tick
	count 0, 0, 1000
	lidtl	1f
	sti
	hlt
	FAIL
1:	.word	0
	.long	0

/* ---- Single steps ---- */

/* One behind each instruction, although ticks come in between. */
.macro boot_steps name, code:vararg
boot \name
	jmp	2f
	tick16 \name
1:	incl	%esi
	iretw
2:	irq_setup \name
	movw	$1b, 4
	movw	$0, 6
	xorl	%esi, %esi
	movw	$1500, %cx
	count 0, 2, 60
	sti
	pushfw
	popw	%ax
	orb	$1, %ah				/* TF */
	pushw	%ax
	popfw
3:	\code
	loop	3b
	pushfw
	popw	%bx
	andb	$~1, %bh
	pushw	%bx
	popfw
	EXPECT_L($(1500 * 2 + 5), %esi)
	cmpw	$10, TICKS
	EXPECT(a)
	PASS
.endm
boot_steps steps_alone, nop
boot_steps steps_with_exits, inb $0x80, %al

/* The step behind HLT comes at once: nothing else would wake it. */
boot_irq hlt_in_single_step, mask=0xff
	movw	$1f, 4
	movw	$0, 6
	pushw	$0x302				/* TF, IF */
	popfw
	hlt
	FAIL
1:	PASS

/* ---- Time ---- */

/* A line after 10 ticks of 100 Hz, and one a second later. */
boot clock_of_a_second
	jmp	2f
	tick16 clock_of_a_second
2:	irq_setup clock_of_a_second
	count 0, 2, 11932
	sti
	movw	$10, %bx
	movw	$'1', %cx
	call	3f
	movw	$110, %bx
	movw	$'2', %cx
	call	3f
	PASS
3:	hlt
	cmpw	%bx, TICKS
	jb	3b
	movb	%cl, %al
	outb	%al, $0xe9
	movb	$'\n', %al
	outb	%al, $0xe9
	ret

/* 10,000 ticks, and not one more is asked for: the status tells how long they took. */
boot_irq clock_of_ten_seconds
	count 0, 2, 1193
	sti
1:	hlt
	cmpw	$10000, TICKS
	jb	1b
	PASS

/* The same without HLT, for ever. */
boot_irq endless_clock
	count 0, 2, 1193
	sti
	jmp	.
