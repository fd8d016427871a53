/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 08: what a boot sector finds when it begins, and the services of the BIOS.
 *
 * long-file: some fifty boot sectors of a few lines each, best found in one place.
 */
#include "boot.h"

#define CARRY 1
#define ZERO (1 << 6)

/* All segments 0, and a stack. */
.macro plain
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$BOOT, %sp
.endm

/* ---- What it finds ---- */

/* The first instructions compare: no register has been touched. */
boot boot_entry_registers
	cmpl	$0x80, %edx
	jne	1f
	cmpl	$BOOT, %esp
	jne	2f
	orl	%ebx, %eax
	orl	%ecx, %eax
	orl	%esi, %eax
	orl	%edi, %eax
	orl	%ebp, %eax
	jnz	3f
	movw	%cs, %ax
	movw	%ds, %bx
	orw	%bx, %ax
	movw	%es, %bx
	orw	%bx, %ax
	movw	%ss, %bx
	orw	%bx, %ax
	movw	%fs, %bx
	orw	%bx, %ax
	movw	%gs, %bx
	orw	%bx, %ax
	jnz	4f
	PASS
1:	FAIL
2:	FAIL
3:	FAIL
4:	FAIL

boot boot_entry_flags
	pushfl
	popl	%eax
	EXPECT_L($0x202, %eax)			/* IF is 1 */
	call	1f
1:	popw	%ax
	EXPECT_W($1b, %ax)
	PASS

boot boot_entry_system
	movl	%cr0, %eax
	EXPECT_L($0x10, %eax)			/* ET, which is always 1 */
	smsw	%ax
	EXPECT_W($0x10, %ax)
	movl	%cr2, %eax
	EXPECT_L($0, %eax)
	movl	%cr3, %eax
	EXPECT_L($0, %eax)
	movl	%cr4, %eax
	EXPECT_L($0, %eax)
	movl	$IA32_EFER, %ecx
	rdmsr
	orl	%edx, %eax
	EXPECT_L($0, %eax)
	movl	%dr6, %eax
	EXPECT_L($0xffff0ff0, %eax)
	movl	%dr7, %eax
	EXPECT_L($0x400, %eax)
	sidtl	1f
	EXPECT_W($0x3ff, 1f)
	EXPECT_L($0, 1f + 2)
	sgdtl	1f
	EXPECT_W($0xffff, 1f)
	EXPECT_L($0, 1f + 2)
	PASS
1:	.word	0, 0, 0

/* 256 vectors, each to its own VMCALL and IRET; the sector; the blank screen; else zeroes. */
boot boot_entry_memory
	plain
	xorw	%si, %si
	xorl	%eax, %eax
	movl	$0xf0000000, %ebx
1:	lodsl
	EXPECT_L(%ebx, %eax)
	addl	$4, %ebx
	cmpw	$0x400, %si
	jb	1b
2:	lodsw
	EXPECT_W($0, %ax)
	cmpw	$(BOOT - 4), %si		/* what we pushed since lies above */
	jb	2b
	movw	$(BOOT + 512), %si
3:	lodsw
	EXPECT_W($0, %ax)
	testw	%si, %si
	jnz	3b
	movw	$0xb800, %ax
	movw	%ax, %ds
4:	lodsw
	EXPECT_W($0x0720, %ax)
	cmpw	$4000, %si
	jb	4b
	movw	$0xf000, %ax
	movw	%ax, %ds
	xorw	%si, %si
5:	lodsl
	EXPECT_L($0xcfc1010f, %eax)
	cmpw	$0x400, %si
	jb	5b
	PASS

/* CS, too, can be written through in real mode, whatever it was before. */
boot boot_entry_code_is_writable
	cli
	movw	%cs:1f, %ax
	movw	$0x1234, %cs:1f
	EXPECT_W($0x1234, 1f)
	PASS
1:	.word	0

/* ---- INT 10h ---- */

.macro teletype_text name
	movw	$\name, %si
99:	lodsb
	testb	%al, %al
	jz	98f
	movb	$0x0e, %ah
	int	$0x10
	jmp	99b
98:
.endm

/* CR, LF, backspace at and behind the first column, bell, characters that are not ASCII, zero. */
boot boot_screen_controls
	plain
	teletype_text 1f
	movw	$0x0e00, %ax
	int	$0x10
	movw	$0x0e7a, %ax			/* z */
	int	$0x10
	EXPECT_W($0x0502, 0x450)		/* the cursor: column 2, line 5 */
	PASS
1:	.ascii	"one\r\ntwo\rT\nX\r\n\b\b\bfour\b\bu\007\r\n\x01\x80\xff~\r\n"
	.byte	0

/* The 80th column wraps, and the line after the last one moves all up. */
boot boot_screen_scrolls
	plain
	movw	$0x0e41, %ax			/* A … */
	movw	$(80 * 26 + 5), %cx
1:	int	$0x10
	incb	%al
	cmpb	$0x5a, %al
	jbe	2f
	movb	$0x41, %al
2:	loop	1b
	EXPECT_W($0x1805, 0x450)
	PASS

/* The last place of the last line. */
boot boot_screen_last_place
	plain
	movw	$0x174f, 0x450
	movw	$0x0e61, %ax
	int	$0x10
	EXPECT_W($0x1800, 0x450)
	movw	$0x184f, 0x450
	movw	$0x0e62, %ax
	int	$0x10
	EXPECT_W($0x1800, 0x450)
	movw	$0x0e63, %ax
	int	$0x10
	PASS

/* The guest may write anything to where the cursor is kept. */
boot boot_screen_wild_cursor
	plain
	xorw	%bx, %bx
1:	movw	%bx, 0x450
	movw	$0x0e2a, %ax
	int	$0x10
	addw	$0x2520, %bx
	jnz	1b
	movw	$0xffff, 0x450
	movw	$0x0e2a, %ax
	int	$0x10
	movb	$0x0a, %al
	int	$0x10
	movb	$0x08, %al
	int	$0x10
	cmpb	$80, 0x450
	EXPECT(b)
	cmpb	$25, 0x451
	EXPECT(b)
	movw	$0xb800, %ax
	movw	%ax, %ds
	movw	$4000, %si			/* nothing behind the screen */
2:	lodsw
	EXPECT_W($0, %ax)
	cmpw	$4096, %si
	jb	2b
	PASS

/* Without the BIOS. */
boot boot_screen_direct
	plain
	movw	$0xb800, %ax
	movw	%ax, %es
	movl	$0x07421741, %es:0
	movw	$0x0043, %es:2 * (80 * 24 + 79)
	movw	$0x00e9, %es:2 * (80 * 12)
	movw	$0x0000, %es:2 * (80 * 12 + 1)
	movw	$0x0744, %es:2 * (80 * 12 + 2)
	PASS

/* The character alone changes: its colours stay. Registers and flags come back. */
boot boot_teletype_keeps
	plain
	movw	$0xb800, %ax
	movw	%ax, %es
	movw	$0x1f20, %es:0
	movl	$0x11110e41, %eax
	movl	$0x22222222, %ebx
	movl	$0x33333333, %ecx
	movl	$0x44444444, %edx
	movl	$0x55555555, %esi
	movl	$0x66666666, %edi
	movl	$0x77777777, %ebp
	std
	stc
	int	$0x10
	pushfw
	cld
	EXPECT_L($0x11110e41, %eax)
	EXPECT_L($0x22222222, %ebx)
	EXPECT_L($0x33333333, %ecx)
	EXPECT_L($0x44444444, %edx)
	EXPECT_L($0x55555555, %esi)
	EXPECT_L($0x66666666, %edi)
	EXPECT_L($0x77777777, %ebp)
	popw	%ax
	andw	$0x0700, %ax
	EXPECT_W($0x0400, %ax)			/* DF, and not IF and TF */
	EXPECT_W($0x1f41, %es:0)
	PASS

/* ---- INT 13h ---- */

/* Where a read is wanted: fails with this status in AH, nothing read, and AL 0. */
.macro read_fails status
	int	$0x13
	EXPECT(c)
	EXPECT_W($(\status << 8), %ax)
	EXPECT_L($0, BUFFER)
.endm

.macro chs count, place, head, drive = 0x80
	movw	$(0x0200 + \count), %ax
	movw	$\place, %cx
	movb	$\head, %dh
	movb	$\drive, %dl
	movw	$BUFFER, %bx
.endm

/* Of a disk of a whole floppy's size (test_real_mode_guests.py), each sector begins with its
 * number. `place`: cylinder and sector as CX has them. */
boot boot_disk_by_place
	plain
	.irp	which, 0x0002, 0x0003, 0x0012, 0x4f12
	chs	1, \which, 0
	int	$0x13
	EXPECT(nc)
	EXPECT_W($1, %ax)			/* no error, one sector */
	EXPECT_W($((\which >> 8) * 36 + (\which & 63) - 1), BUFFER + 4)
	chs	1, \which, 1
	int	$0x13
	EXPECT(nc)
	EXPECT_W($((\which >> 8) * 36 + 18 + (\which & 63) - 1), BUFFER + 4)
	.endr
	PASS

/* From the last one of a track on to the other side and to the next cylinder. */
boot boot_disk_across_tracks
	plain
	chs	40, 0x0012, 0
	int	$0x13
	EXPECT(nc)
	EXPECT_W($40, %ax)
	xorw	%cx, %cx
	movw	$(BUFFER + 4), %bx
	movw	$17, %ax
1:	cmpw	%ax, (%bx)
	EXPECT(e)
	incw	%ax
	addw	$512, %bx
	jnc	2f
	movw	$0x1000, %dx
	movw	%dx, %ds
2:	cmpw	$(17 + 40), %ax
	jb	1b
	PASS

boot_with_handlers boot_disk_by_place_wrong
	chs	1, 0x0000, 0			/* sectors are counted from 1 */
	read_fails 1
	chs	1, 0x0013, 0			/* to 18 */
	read_fails 1
	chs	1, 0x003f, 0
	read_fails 1
	chs	1, 0x0001, 2			/* sides are 0 and 1 */
	read_fails 1
	chs	1, 0x0001, 255
	read_fails 1
	chs	1, 0x0010, 0			/* this disk has 15 sectors */
	read_fails 4
	chs	1, 0x0001, 1
	read_fails 4
	chs	1, 0xffd2, 1			/* cylinder 1023 */
	read_fails 4
	chs	2, 0x000f, 0
	read_fails 4
	chs	0, 0x0001, 0
	read_fails 4
	chs	1, 0x0001, 0, 0			/* the first floppy disk */
	read_fails 1
	chs	1, 0x0001, 0, 0x81
	read_fails 1
	PASS

/* ES:BX beyond RAM, which ends at 1 MiB here: whole or in part. Nothing is read. */
boot boot_disk_beyond_ram
	plain
	movw	$0xffff, %ax
	movw	%ax, %es
	chs	1, 0x0001, 0
	movw	$0x0010, %bx			/* 100000h */
	read_fails 1
	chs	1, 0x0001, 0
	movw	$0xffff, %bx
	read_fails 1
	movw	$0xffe0, %ax
	movw	%ax, %es
	chs	1, 0x0001, 0
	movw	$0x0001, %bx
	read_fails 1
	EXPECT_W($0, %es:0x1fe)
	chs	1, 0x0001, 0
	movw	$0x0000, %bx			/* the last 512 bytes */
	int	$0x13
	EXPECT(nc)
	EXPECT_W($0xaa55, %es:0x1fe)
	PASS

.macro packet size, count, offset, segment, first
	.byte	\size, 0
	.word	\count, \offset, \segment
	.quad	\first
.endm

.macro by_number label, drive = 0x80
	movw	$\label, %si
	movb	$\drive, %dl
	movw	$0x4200, %ax
.endm

boot boot_disk_by_number
	plain
	by_number 1f
	int	$0x13
	EXPECT(nc)
	EXPECT_B($0, %ah)
	EXPECT_W($2878, BUFFER + 4)
	EXPECT_W($2879, BUFFER + 512 + 4)
	by_number 2f
	int	$0x13
	EXPECT(nc)
	EXPECT_W($7, BUFFER + 4)		/* 1000h:FFFFh and on: the offset wraps nowhere */
	by_number 3f
	int	$0x13
	EXPECT(nc)
	movw	$0x2000, %ax
	movw	%ax, %ds
	EXPECT_W($100, 4)
	EXPECT_W($(100 + 126), 126 * 512 + 4)
	PASS
1:	packet	16, 2, BUFFER, 0, 2878
2:	packet	24, 1, 0x8000, (BUFFER - 0x8000) >> 4, 7
3:	packet	16, 127, 0, 0x2000, 100

boot_with_handlers boot_disk_by_number_wrong
	by_number 1f
	read_fails 1
	by_number 2f
	read_fails 1
	by_number 3f
	read_fails 4
	by_number 4f
	read_fails 4
	by_number 5f
	read_fails 4
	by_number 6f
	read_fails 4
	by_number 7f
	read_fails 1
	by_number 8f
	read_fails 1
	by_number 9f, 0
	read_fails 1
	by_number 9f, 0xff
	read_fails 1
	movw	$0xffff, %ax			/* the packet itself is half beyond RAM */
	movw	%ax, %ds
	movw	$8, %si
	movb	$0x80, %dl
	movw	$0x4200, %ax
	int	$0x13
	EXPECT(c)
	EXPECT_B($1, %ah)
	PASS
1:	packet	15, 1, BUFFER, 0, 0		/* too short */
2:	packet	16, 128, BUFFER, 0, 0		/* more than a BIOS promises */
3:	packet	16, 0, BUFFER, 0, 0
4:	packet	16, 1, BUFFER, 0, 15		/* beyond the image */
5:	packet	16, 1, BUFFER, 0, 0xffffffffffffffff
6:	packet	16, 2, BUFFER, 0, 0xffffffffffffffff
7:	packet	16, 1, 0xffff, 0xffff, 0	/* beyond RAM */
8:	packet	0, 1, BUFFER, 0, 0
9:	packet	16, 1, BUFFER, 0, 0

/* An image of 513 bytes (test_real_mode_guests.py): the last sector has one. The rest of the
 * buffer is not touched. */
boot boot_disk_short_sector
	plain
	movl	$0x11111111, BUFFER
	movl	$0x22222222, BUFFER + 508
	by_number 1f
	int	$0x13
	EXPECT(nc)
	EXPECT_L($0x111111e7, BUFFER)
	EXPECT_L($0x22222222, BUFFER + 508)
	by_number 2f
	int	$0x13
	EXPECT(c)
	EXPECT_B($4, %ah)
	PASS
1:	packet	16, 1, BUFFER, 0, 1
2:	packet	16, 1, BUFFER, 0, 2

/* 511 bytes, and more than fit, are in test_real_mode_guests.py. */
boot boot_disk_of_one_sector
	plain
	chs	1, 0x0001, 0
	int	$0x13
	EXPECT(nc)
	movw	$BOOT, %si
	movw	$BUFFER, %di
	movw	$256, %cx
	repe cmpsw
	EXPECT(e)
	PASS

/* A sector over the code that asks for it: the CPU goes on with what is there now. */
boot boot_disk_over_itself
	plain
	chs	1, 0x0001, 0
	movw	$BOOT, %bx
	incb	1f
	EXPECT_B($1, 1f)
	int	$0x13
	EXPECT(nc)
	EXPECT_B($0, 1f)
	PASS
1:	.byte	0

/* ---- INT 15h ---- */

/* The whole map in hexadecimal, by port E9h: test_real_mode_guests.py knows what is right. */
boot boot_e820_prints
	plain
	xorl	%ebx, %ebx
1:	movl	$0xe820, %eax
	movl	$20, %ecx
	movl	$0x534d4150, %edx
	movw	$BUFFER, %di
	int	$0x15
	EXPECT(nc)
	EXPECT_L($0x534d4150, %eax)
	EXPECT_L($20, %ecx)
	movw	$(BUFFER + 19), %si
	movw	$20, %cx
	std
2:	lodsb
	movb	%al, %ah
	shrb	$4, %al
	call	3f
	movb	%ah, %al
	andb	$15, %al
	call	3f
	loop	2b
	cld
	movb	$'\n', %al
	outb	%al, $0xe9
	testl	%ebx, %ebx
	jnz	1b
	PASS
3:	addb	$'0', %al
	cmpb	$'9', %al
	jbe	4f
	addb	$('a' - '9' - 1), %al
4:	outb	%al, $0xe9
	ret

.macro e820 number, size = 24, smap = 0x534d4150, buffer = BUFFER
	movl	$0xe820, %eax
	movl	$\number, %ebx
	movl	$\size, %ecx
	movl	$\smap, %edx
	movw	$\buffer, %di
	int	$0x15
.endm

/* 1 MiB of RAM: two pieces. */
boot_with_handlers boot_e820_wrong
	e820	2
	EXPECT(c)
	EXPECT_L($0, BUFFER)
	e820	0xffffffff
	EXPECT(c)
	e820	0x10000
	EXPECT(c)
	e820	0, 19
	EXPECT(c)
	e820	0, 0
	EXPECT(c)
	e820	0, 20, 0x50414d53
	EXPECT(c)
	EXPECT_L($0, BUFFER + 8)
	movw	$0xffff, %ax
	movw	%ax, %es
	e820	0, 20, 0x534d4150, 0x0000
	EXPECT(c)
	e820	0, 20, 0x534d4150, 0xffff
	EXPECT(c)
	e820	0, 20, 0x534d4150, 0xfff0	/* does not wrap around at 64 KiB either */
	EXPECT(c)
	xorw	%ax, %ax
	movw	%ax, %es
	e820	1
	EXPECT(nc)
	EXPECT_L($0, %ebx)			/* the last one */
	e820	0
	EXPECT(nc)
	EXPECT_L($1, %ebx)
	EXPECT_L($20, %ecx)
	EXPECT_L($0xa0000, BUFFER + 8)
	PASS

/* ---- INT 16h: with keys=aB \r (test_real_mode_guests.py) ---- */

boot boot_keys
	plain
	stc
	movw	$0x0100, %ax			/* look */
	int	$0x16
	EXPECT(nz)
	EXPECT_W($0x1e61, %ax)			/* a */
	movb	$1, %ah
	int	$0x16
	EXPECT(nz)
	EXPECT_W($0x1e61, %ax)			/* it is still there */
	.irp	key, 0x1e61, 0x3042, 0x3920, 0x1c0d
	movb	$0, %ah
	int	$0x16
	EXPECT_W($\key, %ax)
	.endr
	movw	$0x0155, %ax
	int	$0x16
	EXPECT(z)
	EXPECT_W($0x0155, %ax)
	movb	$0, %ah
	int	$0x16				/* which ends us */
	FAIL

/* Prints all keys that there are. */
boot boot_keys_echo
	plain
1:	movb	$1, %ah
	int	$0x16
	jz	2f
	movb	$0, %ah
	int	$0x16
	outb	%al, $0xe9
	jmp	1b
2:	PASS

/* ---- INT 1Ah, INT 19h ---- */

/* The time goes on: 55 ms a tick. What a guest counts in between is more than a scope. */
boot boot_time
	plain
	movb	$0, %ah
	int	$0x1a
	EXPECT(nc)
	EXPECT_B($0, %al)
	EXPECT_W($0, %cx)
	movw	%dx, %bx
1:	movb	$0, %ah
	int	$0x1a
	EXPECT_W($0, %cx)
	cmpw	%bx, %dx
	EXPECT(ae)
	movw	%dx, %ax
	subw	%bx, %ax
	cmpw	$2, %ax
	jb	1b
	EXPECT_W($2, %ax)
	PASS

/* Boots again: with the first sector as it was, the stack as it is, and DL as at first. */
boot boot_again
	cmpw	$0x1234, 0x9000
	je	1f
	movw	$0x1234, 0x9000
	movw	$0x0b0f, 2f			/* UD2, which the sector has not */
	movw	$0x4444, %dx
	movw	$0x100, %sp
	ljmpw	$0x7c0, $(3f - BOOT)
3:	int	$0x19
	FAIL
1:	EXPECT_B($0x80, %dl)
	EXPECT_W($0x100, %sp)
	movw	%cs, %ax
	EXPECT_W($0, %ax)
2:	nop
	nop
	PASS

/* ---- What it does not know ---- */

boot boot_unknown_services
	plain
	.irp	which, 0x0003, 0x0f00, 0xff00
	movw	$\which, %ax
	clc
	int	$0x10
	EXPECT(c)
	EXPECT_W($\which, %ax)
	.endr
	.irp	which, 0x0301, 0x4b01, 0x4b01
	movw	$\which, %ax
	clc
	int	$0x13
	EXPECT(c)
	.endr
	movw	$0x2401, %ax			/* A20 */
	int	$0x15
	EXPECT(c)
	movw	$0x8600, %ax
	int	$0x15
	EXPECT(c)
	movw	$0x1200, %ax
	int	$0x16
	EXPECT(c)
	movw	$0x0200, %ax
	int	$0x1a
	EXPECT(c)
	.irp	number, 0x10, 0x11, 0x12, 0x17, 0x18, 0x1b, 0x20, 0x21, 0x40, 0x80, 0xff
	movw	$0xbe00, %ax
	clc
	int	$\number
	EXPECT(c)
	.endr
	PASS

/* More kinds than are counted one by one. */
boot boot_unknown_many
	plain
	xorw	%ax, %ax
1:	clc
	int	$0x2f
	EXPECT(c)
	incb	%ah
	jnz	1b
	PASS

/* ---- The frame of INT n ---- */

/* At the stack's wrap: each word of the frame is found, and IRET returns. */
boot boot_frame_wraps
	plain
	movw	$0x8000, %ax
	movw	%ax, %ss
	.irp	sp, 0, 2, 4, 6, 8
	movw	$\sp, %sp
	movb	$0xff, %ah
	clc
	int	$0x15
	EXPECT(c)
	EXPECT_W($\sp, %sp)
	.endr
	PASS

/* Beyond RAM there is no stack: INT itself writes there. */
boot boot_frame_beyond_ram
	plain
	movw	$0xffff, %ax
	movw	%ax, %ss
	movw	$0x1000, %sp
	int	$0x15
	FAIL

/* The caller may have its own handler, and call the BIOS from it: PUSHF, CALL far. */
boot boot_hooked
	plain
	movl	0x10 * 4, %eax
	movl	%eax, 2f
	movw	$3f, 0x10 * 4
	movw	$0, 0x10 * 4 + 2
	movw	$0x0e41, %ax
	int	$0x10
	EXPECT_B($1, 4f)
	movw	$0xb800, %ax
	movw	%ax, %es
	EXPECT_B($0x41, %es:0)
	PASS
3:	incb	%cs:4f - 0
	pushfw
	lcallw	*%cs:2f
	iretw
	.balign 4
2:	.long	0
4:	.byte	0

/* A VMCALL of its own in the BIOS's segment is a hypercall if it is at no entry. */
boot boot_vmcall_in_segment_f000
	plain
	movw	$0xf000, %ax
	movw	%ax, %es
	movl	$0xcbc1010f, %es:0x401		/* VMCALL; RETF */
	movl	$0xcbc1010f, %es:0x1002
	movl	$99, %eax			/* unknown */
	lcallw	$0xf000, $0x401
	EXPECT_L($-38, %eax)			/* ENOSYS */
	movl	$99, %eax
	lcallw	$0xf000, $0x1002
	EXPECT_L($-38, %eax)
	PASS
