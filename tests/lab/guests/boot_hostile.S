/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 08: guests that never end, that break their own BIOS, and that use it wildly.
 *
 * long-file: some fifty programs of a few lines each, best found in one place.
 */
#include "boot.h"

.macro plain
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$BOOT, %sp
.endm

/* ---- For ever ---- */

boot loop_real
	jmp	.

boot loop_interrupts_off
	cli
	jmp	.

boot_with_handlers loop_protected
	to_protected loop_protected
	jmp	.

boot_with_handlers loop_paging_pae
	to_protected loop_paging_pae
	SET_CR4(CR4_PAE)
	LOAD_CR3(PAE_PDPT)
	SET_CR0(CR0_PG)
1:	incl	SCRATCH
	jmp	1b

boot_with_handlers loop_long
	to_protected loop_long
	to_long loop_long
1:	incq	%r15
	jmp	1b

boot_with_handlers loop_v86
	to_protected loop_v86
	pushl	$0
	pushl	$0
	pushl	$0
	pushl	$0
	pushl	$0
	pushl	$0x6000
	pushl	$0x20002
	pushl	$0
	pushl	$1f
	iretl
1:	.byte	0xeb, 0xfe

boot_with_handlers loop_modes
1:	to_protected loop_modes
	to_long loop_modes
	from_long loop_modes
	to_real loop_modes
	jmp	1b

/* Likewise, and with checks and exits. */
boot_with_handlers loop_modes_checked
	movl	$0x11223344, SCRATCH
1:	incl	SCRATCH + 8
	to_protected loop_modes_checked
	xorl	%eax, %eax
	cpuid
	EXPECT_L($0x11223344, SCRATCH)
	SET_CR4(CR4_PAE)
	LOAD_CR3(PAE_PDPT)
	SET_CR0(CR0_PG)
	FAULTS(VECTOR_PF, 0, movb 0x300000, %al)
	CLEAR_CR0(CR0_PG)
	to_long loop_modes_checked
	movabsq	$0x123456789abcdef0, %r15
	xorl	%eax, %eax
	cpuid
	movabsq	$0x123456789abcdef0, %rax
	EXPECT_Q(%rax, %r15)
	movl	$IA32_EFER, %ecx
	rdmsr
	EXPECT_L($(EFER_LME + EFER_LMA), %eax)
	from_long loop_modes_checked
	to_real loop_modes_checked
	FAULTS16(VECTOR_UD, ud2)
	EXPECT_L($0x11223344, SCRATCH)
	movw	$1000, %cx
2:	loop	2b
	jmp	1b

boot loop_cache_bits
	movl	%cr0, %eax
1:	xorl	$CR0_CD, %eax
	movl	%eax, %cr0
	jmp	1b

boot loop_faults
	plain
	movw	$1f, 6 * 4
	movw	$0, 6 * 4 + 2
	ud2
1:	iretw

boot loop_int1
	plain
	movw	$2f, 4
	movw	$0, 6
1:	.byte	0xf1
	jmp	1b
2:	iretw

boot loop_single_step
	plain
	movw	$2f, 4
	movw	$0, 6
	pushw	$0x102
	popfw
1:	jmp	1b
2:	iretw

/* The handler of #DB raises #DB before its first instruction, in the delivery of the other. */
boot loop_single_step_of_handler
	plain
	movw	$2f, 4
	movw	$0, 6
	pushw	$0x102
	popfw
2:	pushw	$0x102
	popfw
	movw	$BOOT, %sp
	jmp	2b

boot loop_teletype
	movw	$0x0e41, %ax
1:	int	$0x10
	jmp	1b

boot loop_scroll
	movw	$0x0e0a, %ax
1:	int	$0x10
	jmp	1b

/* As much as one call reads; the image is a whole floppy disk (test_real_mode_guests.py). */
boot loop_disk
	plain
1:	movw	$2f, %si
	movb	$0x42, %ah
	movb	$0x80, %dl
	int	$0x13
	jnc	1b
	FAIL
	.balign 4
2:	.byte	16, 0
	.word	127, 0, 0x2000
	.quad	1

boot loop_disk_of_nothing
	plain
1:	movw	$0x0201, %ax
	movw	$0xffff, %cx
	int	$0x13
	jmp	1b

boot loop_keyboard
1:	movb	$1, %ah
	int	$0x16
	jmp	1b

boot loop_time
1:	movb	$0, %ah
	int	$0x1a
	jmp	1b

boot loop_map
	plain
1:	movl	$0xe820, %eax
	movl	$20, %ecx
	movl	$0x534d4150, %edx
	movw	$BUFFER, %di
	int	$0x15
	jmp	1b

boot loop_unknown
1:	incw	%ax
	int	$0x2f
	jmp	1b

boot loop_boots
	int	$0x19

boot loop_hypercall
1:	movl	$99, %eax
	vmcall
	jmp	1b

boot loop_port_e9
1:	outb	%al, $0xe9
	jmp	1b

/* INT n of a vector that points to itself: one more frame each time, round and round the stack. */
boot loop_vector_of_itself
	plain
	movb	$0xcd, 0x600			/* INT 60h */
	movb	$0x60, 0x601
	movw	$0x600, 0x60 * 4
	movw	$0, 0x60 * 4 + 2
	movw	$0x8000, %ax
	movw	%ax, %ss
	int	$0x60

/* ---- The BIOS is just memory ---- */

boot bios_overwritten
	plain
	movw	$0xf000, %ax
	movw	%ax, %es
	movl	$0x90cfcf90, %es:0x40		/* NOP; IRET for INT 10h */
	movw	$0x0e41, %ax
	int	$0x10
	movw	$0xb800, %ax
	movw	%ax, %es
	EXPECT_W($0x0720, %es:0)
	PASS

boot bios_moved
	plain
	movw	$0xf000, %ax
	movw	%ax, %ds
	xorw	%si, %si
	movw	$0x8000, %ax
	movw	%ax, %es
	xorw	%di, %di
	movw	$1024, %cx
	rep movsb
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	$0x8000, 0x10 * 4 + 2
	movl	$99, %eax			/* VMCALL elsewhere is a hypercall */
	int	$0x10
	EXPECT_L($-38, %eax)
	PASS

/* Into the BIOS without INT: whatever is on the stack is the frame. */
boot bios_by_jump
	plain
	pushw	$0x202
	pushw	$0
	pushw	$1f
	movb	$0x0e, %ah
	ljmpw	$0xf000, $0x40
1:	PASS

boot bios_by_jump_without_a_stack
	movw	$0xffff, %ax
	movw	%ax, %ss
	movw	$0x1000, %sp
	movw	$0x0e41, %ax
	ljmpw	$0xf000, $0x40

/* An entry for an exception, by a jump: what is said of it is on the stack. */
boot bios_by_jump_as_an_exception
	plain
	pushw	$0x202
	pushw	$0xbeef
	pushw	$0xcafe
	ljmpw	$0xf000, $(4 * 13)

/* To IRET, and to the middle of VMCALL. */
boot bios_in_between
	plain
	pushw	$0x202
	pushw	$0
	pushw	$1f
	ljmpw	$0xf000, $0x43
1:	pushw	$0x202
	pushw	$0
	pushw	$2f
	ljmpw	$0xf000, $0x41			/* ADD CX, AX; IRET */
2:	PASS

/* The same words by other segments. */
boot bios_by_another_segment
	plain
	pushw	$0x202
	pushw	$0
	pushw	$1f
	movl	$99, %eax
	ljmpw	$0xf004, $0x0000		/* F0040h: the base is another one */
1:	EXPECT_L($-38, %eax)
	PASS

/* In protected mode it is a hypercall, whatever CS and IP say. */
boot_with_handlers bios_in_protected_mode
	to_protected bios_in_protected_mode
	movw	$0x0000, .Lgdt_bios_in_protected_mode + CODE16 + 2
	movb	$0x0f, .Lgdt_bios_in_protected_mode + CODE16 + 4
	movl	$99, %eax
	pushl	$2
	pushl	$CODE32
	pushl	$1f
	movb	$0xcb, 0xf0043			/* RETF */
	pushl	$1f
	movw	$CODE32, %dx
	movl	$1f, %ecx
	pushw	%dx				/* a frame of 16 bits */
	pushw	%cx
	ljmp	$CODE16, $0x40
1:	EXPECT_L($-38, %eax)
	PASS

/* A stack of 32 bits in real mode, and INT 10h on it: the frame is at SS:ESP. */
boot_with_handlers bios_with_a_32_bit_stack
	to_protected bios_with_a_32_bit_stack
	ljmp	$CODE16, $1f
	.code16
1:	CLEAR_CR0(CR0_PE)			/* SS keeps B = 1 */
	ljmpw	$0, $1f
1:	lidtl	.Lidtr16_bios_with_a_32_bit_stack
	movl	$0x50000, %esp
	movw	$0xff00, %ax
	clc
	int	$0x15
	EXPECT(c)
	EXPECT_L($0x50000, %esp)
	PASS

/* Segments with bases near 4 GiB, which protected mode leaves behind: addresses wrap there. */
boot_with_handlers bios_with_high_bases
	lgdtl	1f
	SET_CR0(CR0_PE)
	movw	$8, %ax
	movw	%ax, %ss
	movw	%ax, %es
	CLEAR_CR0(CR0_PE)
	movl	$0x5000, %esp
	movl	$0, 0x6000
	pushw	$0x1234
	EXPECT_W($0x1234, 0x3ffe)
	movw	$0xff00, %ax
	clc
	int	$0x15
	EXPECT(c)
	movw	$0x0201, %ax			/* a read to ES:7000h, that is 6000h */
	movw	$0x0001, %cx
	movw	$0x0080, %dx
	movw	$0x7000, %bx
	int	$0x13
	EXPECT(nc)
	cmpl	$0, 0x6000
	EXPECT(ne)
	PASS
	.balign 8
2:	.quad	0
	.quad	0xffcf93fff000ffff		/* base FFFFF000h, 4 GiB */
1:	.word	15
	.long	2b

/* ---- Wild ---- */

boot vectors_all_ones
	plain
	xorw	%di, %di
	movw	$512, %cx
	movw	$0xffff, %ax
	rep stosw
	int	$0x10
	FAIL

boot stack_in_the_vectors
	plain
	movw	$0x20, %sp
	movw	$0x0e41, %ax
	int	$0x10
	PASS

boot reset_vector
	ljmpw	$0xffff, $0

boot far_jumps_everywhere
	plain
	lidtl	1f
	movw	$0xf000, %bx
	pushw	$0x8b00
	pushw	%bx
	lretw
1:	.word	0xffff
	.long	0xfffff000

boot segment_registers_of_all_kinds
	xorw	%ax, %ax
1:	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %fs
	movw	%ax, %gs
	cpuid
	incw	%bp
	movw	%bp, %ax
	testw	$0x3fff, %bp
	jnz	1b
	PASS

boot self_erasing
	plain
	cld
	movw	$1f, %di
	movw	$0xffff, %cx
	movb	$0x0f, %al
1:	rep stosb

boot descriptor_tables_in_the_screen
	plain
	lidtl	1f
	lgdtl	1f
	SET_CR0(CR0_PE)
	ljmpl	$8, $0
1:	.word	0xffff
	.long	0xb8000

boot protected_mode_without_tables
	plain
	SET_CR0(CR0_PE)
	cpuid
	movw	$8, %ax
	movw	%ax, %ds
	hlt

boot_with_handlers long_mode_without_memory
	to_protected long_mode_without_memory
	SET_CR4(CR4_PAE)
	LOAD_CR3(0xfffff000)
	SET_EFER(EFER_LME)
	SET_CR0(CR0_PG)
	hlt

/* With tables in RAM that map what is none. */
boot_with_handlers long_mode_into_nothing
	to_protected long_mode_into_nothing
	movl	$0x40000083, DIRECTORY + 8
	to_long long_mode_into_nothing
	movb	0x200000, %al
	FAIL

/* For random guests (test_real_mode_guests.py): goes on a byte further after each exception. What
 * follows it is appended. */
boot survivor
	plain
	xorw	%di, %di
1:	movw	$2f, (%di)
	movw	$0, 2(%di)
	addw	$4, %di
	cmpw	$64, %di
	jb	1b
	jmp	3f
2:	pushw	%bp
	movw	%sp, %bp
	incw	2(%bp)
	popw	%bp
	iretw
3:
