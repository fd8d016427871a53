/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 08: exceptions and interrupts in each mode, virtual-8086 mode, task switches, and how a
 * guest ends.
 *
 * long-file: some sixty programs of a few lines each, best found in one place.
 */
#include "boot.h"

#define CPUID	xorl %eax, %eax; cpuid

/* ---- Real mode, handlers of the guest's own ---- */

boot_with_handlers faults_in_real_mode
	xorw	%cx, %cx
	FAULTS16(VECTOR_DE, divw %cx)
	FAULTS16(VECTOR_UD, ud2)
	FAULTS16(VECTOR_GP, movw 0xffff, %ax)
	FAULTS16(VECTOR_GP, movw %ax, 0xffff)
	FAULTS16(VECTOR_GP, movl %eax, 0xfffd)
	movw	$0xffff, %bp
	FAULTS16(VECTOR_SS, movw (%bp), %ax)
	movl	$0x10000, %ebx
	FAULTS16(VECTOR_GP, movb (%ebx), %al)
	FAULTS16(VECTOR_GP, jmp *%ebx)
	movw	$5, %ax
	movl	$0x00040003, SCRATCH
	FAULTS16(VECTOR_BR, boundw %ax, SCRATCH)
	FAULTS16(VECTOR_UD, str %ax)		/* these know no real mode */
	FAULTS16(VECTOR_UD, sldt %ax)
	FAULTS16(VECTOR_UD, ltr %ax)
	FAULTS16(VECTOR_UD, verr %ax)
	FAULTS16(VECTOR_UD, lock; nop)
	movl	%cr0, %eax
	orl	$8, %eax			/* TS */
	movl	%eax, %cr0
	FAULTS16(7, fninit)
	CPUID
	FAULTS16(7, fninit)
	clts
	fninit
	/* Those that come behind their instruction. */
	movl	$1f, RESUME
	int3
1:	EXPECT_W($VECTOR_BP, SEEN_VECTOR)
	EXPECT_W($1b, SEEN_IP)
	movl	$1f, RESUME
	movb	$0x7f, %al
	incb	%al
	into
1:	EXPECT_W($VECTOR_OF, SEEN_VECTOR)
	EXPECT_W($1b, SEEN_IP)
	movl	$1f, RESUME
	.byte	0xf1				/* INT1: exits */
1:	EXPECT_W($VECTOR_DB, SEEN_VECTOR)
	EXPECT_W($1b, SEEN_IP)
	EXPECT_L($19, COUNT)
	EXPECT_W($BOOT, %sp)			/* no error code was left behind */
	PASS

/* What leaves the guest and is given back to it as an exception: without an error code. */
boot_with_handlers raised_in_real_mode
	movl	$0x12345, %ecx
	FAULTS16(VECTOR_GP, rdmsr)
	FAULTS16(VECTOR_GP, wrmsr)
	movl	$0x10, %ecx
	FAULTS16(VECTOR_GP, wrmsr)		/* the time-stamp counter */
	movl	$0x277, %ecx
	movl	$2, %eax			/* no memory type */
	FAULTS16(VECTOR_GP, wrmsr)
	xorl	%ecx, %ecx
	FAULTS16(VECTOR_GP, rdpmc)
	FAULTS16(VECTOR_UD, monitor)
	FAULTS16(VECTOR_UD, mwait)
	FAULTS16(VECTOR_UD, vmxoff)
	FAULTS16(VECTOR_UD, vmlaunch)
	FAULTS16(VECTOR_UD, getsec)
	movl	$0x401, %eax
	FAULTS16(VECTOR_GP, movl %eax, %dr7)
	movl	$0x1000, %eax
	FAULTS16(VECTOR_GP, movl %eax, %dr0)
	movl	%cr4, %eax
	orl	$0x2000, %eax			/* VMXE */
	FAULTS16(VECTOR_GP, movl %eax, %cr4)
	movl	%cr4, %eax
	orl	$8, %eax			/* DE: DR4 and DR5 are gone */
	movl	%eax, %cr4
	FAULTS16(VECTOR_UD, movl %dr4, %eax)
	EXPECT_W($BOOT, %sp)
	invd
	wbinvd
	inb	$0x80, %al
	EXPECT_B($0xff, %al)
	PASS

/* The same in protected mode, with error codes. */
boot_with_handlers raised_in_protected_mode
	to_protected raised_in_protected_mode
	movl	$0x12345, %ecx
	FAULTS(VECTOR_GP, 0, rdmsr)
	FAULTS(VECTOR_GP, 0, wrmsr)
	FAULTS(VECTOR_UD, 0, vmxoff)
	FAULTS(VECTOR_UD, 0, vmlaunch)
	movl	$0x401, %eax
	FAULTS(VECTOR_GP, 0, movl %eax, %dr7)
	EXPECT_L($BOOT, %esp)
	to_real raised_in_protected_mode
	PASS

/* IDTR's limit counts in real mode, too: a vector behind it is #GP. */
boot_with_handlers idt_limit
	lidtl	4f
	FAULTS16(VECTOR_GP, int $0x20)
	FAULTS16(VECTOR_GP, int $0x0f)
	CPUID
	FAULTS16(VECTOR_UD, ud2)
	lidtl	5f
	FAULTS16(VECTOR_GP, int $0x0e)
	/* And it may lie elsewhere: two vectors further up, 11 is 13. */
	lidtl	6f
	movl	$1f, RESUME
	int	$11
1:	EXPECT_W($VECTOR_GP, SEEN_VECTOR)
	PASS
4:	.word	0x3b				/* up to 14 */
	.long	0
5:	.word	0x3a				/* 14 is not whole */
	.long	0
6:	.word	0x3ff
	.long	8

/* A step after each instruction, also after those that exit; none in the BIOS. */
boot_with_handlers single_step
	movw	$9f, 4
	movw	$SCRATCH, %di
	movl	%cr0, %esi
	orl	$CR0_CD, %esi
	movw	$0x0e74, %ax
	pushfw
	popw	%cx
	orb	$1, %ch				/* TF */
	pushw	%cx
	popfw
	nop
1:	nop
2:	nop
3:	inb	$0x80, %al			/* exits */
4:	movl	%esi, %cr0			/* exits, and is executed again */
5:	movl	%dr7, %ebx			/* exits */
6:	movb	$0x74, %al
7:	int	$0x10				/* hides TF */
	nop
8:	pushw	%cx
	popw	%cx
	popw	%dx				/* any two bytes */
	pushw	%dx
	.byte	0xf4				/* HLT, which the handler takes away */
9:	pushw	%bp
	movw	%sp, %bp
	pushw	%ax
	movw	2(%bp), %ax
	/* Bochs 2.7 keeps a step pending at an exit whose instruction is not done yet, and so it comes
	 * before MOV CR0, too, when that is executed again. A processor clears it at such an exit. */
	cmpw	$4b, %ax
	jne	94f
	cmpw	%ax, -2(%di)
	je	95f
94:	stosw
95:
	movl	%dr6, %eax
	testb	$0x40, %ah			/* BS */
	jz	91f
	cmpw	$(SCRATCH + 2 * 12), %di
	je	92f
	popw	%ax
	popw	%bp
	iretw
91:	FAIL
92:	movw	$SCRATCH, %si
	.irp	place, 1b, 2b, 3b, 4b, 5b, 6b, 7b, 8b, 8b + 1, 8b + 2, 8b + 3, 8b + 4
	lodsw
	cmpw	$\place, %ax
	jne	93f
	.endr
	PASS
93:	movzwl	%ax, %edi			/* where we did not expect one */
	xorl	%eax, %eax
	vmcall

/* The shadow of MOV SS hides the step behind it, also where the next instruction exits. */
boot_with_handlers single_step_in_shadow
	movl	$1f, RESUME
	movw	%ss, %ax
	pushw	$0x102
	popfw
	movw	%ax, %ss
	inb	$0x80, %al
2:	nop
1:	EXPECT_W($VECTOR_DB, SEEN_VECTOR)
	cmpw	$2b, SEEN_IP
	je	3f
	EXPECT_W($1b, SEEN_IP)
3:	PASS

/* ---- Real mode, no handler but the BIOS. The address is where INT or the fault says. ---- */

boot none_de
	xorw	%cx, %cx
	divw	%cx

boot none_db
	.byte	0xf1

boot none_db_step
	pushw	$0x102
	popfw
	nop
	nop

boot none_bp
	int3

boot none_int_3
	int	$3
	nop

boot none_of
	movb	$0x7f, %al
	incb	%al
	into

boot none_br
	movw	$5, %ax
	boundw	%ax, 1f
1:	.word	6, 7

boot none_ud
	ud2

boot none_nm
	movb	$8, %al				/* TS */
	lmsw	%ax
	fninit

boot none_ss
	movw	$0xffff, %bp
	movw	(%bp), %ax

boot none_gp
	movw	0xffff, %ax

boot none_gp_raised
	movl	$0x12345, %ecx
	rdmsr

/* A software interrupt is taken for an exception there: it goes to the same vector. */
boot none_int_8
	int	$8

boot none_elsewhere
	ljmpw	$0x7a0, $(1f - 0x7a00)
1:	ud2

/* ---- Ends ---- */

boot ends_by_hlt
	sti
	hlt

boot ends_by_hlt_interrupts_off
	cli
	hlt

boot_with_handlers ends_by_hlt_in_protected_mode
	to_protected ends_by_hlt_in_protected_mode
	hlt

boot_with_handlers ends_by_hlt_in_long_mode
	to_protected ends_by_hlt_in_long_mode
	to_long ends_by_hlt_in_long_mode
	hlt

boot ends_with_status
	EXIT(0x1234)

boot string_insb
	cld
	movw	$0x80, %dx
	insb

boot string_rep_outsw
	movw	$3, %cx
	rep outsw

boot triple_fault_in_real_mode
	lidtl	1f
	ud2
1:	.long	0, 0

boot triple_fault_by_stack
	movw	$1, %sp
	pushw	%ax

boot_with_handlers triple_fault_in_protected_mode
	to_protected triple_fault_in_protected_mode
	movl	$0, IDT32 + 6 * 8 + 4
	movl	$0, IDT32 + 8 * 8 + 4
	movl	$0, IDT32 + 11 * 8 + 4
	movl	$0, IDT32 + 13 * 8 + 4
	ud2

boot_with_handlers triple_fault_in_long_mode
	to_protected triple_fault_in_long_mode
	to_long triple_fault_in_long_mode
	xorl	%esp, %esp
	movq	$-8, %rsp
	movw	$0, .Lidtr64_triple_fault_in_long_mode
	lidt	.Lidtr64_triple_fault_in_long_mode
	ud2

/* RAM ends at 1 MiB: FFFF:0010 is the first byte beyond, for A20 is on. */
boot beyond_1_mib
	movw	$0xffff, %ax
	movw	%ax, %ds
	movb	0x10, %al

boot beyond_1_mib_write
	movw	$0xffff, %ax
	movw	%ax, %es
	movw	%ax, %es:0x0f

boot beyond_1_mib_fetch
	ljmpw	$0xffff, $0x0010

/* An FPU error while CR0.NE reads 0. A PC would stop there: we do not get on either. */
boot fpu_error_without_ne
	fninit
	fldcw	1f
	fld1
	fldz
	fdivrp
	fwait
	FAIL
1:	.word	0x0300

/* ---- Task switches ---- */

boot_with_handlers task_switch_by_jump
	to_protected task_switch_by_jump
	movw	$TSS32, %ax
	ltr	%ax
	CPUID
	ljmp	$OTHER_TSS32, $0

boot_with_handlers task_switch_by_call_of_gate
	to_protected task_switch_by_call_of_gate
	movw	$TSS32, %ax
	ltr	%ax
	lcall	$TASK_GATE, $0

boot_with_handlers task_switch_by_interrupt
	to_protected task_switch_by_interrupt
	movw	$TSS32, %ax
	ltr	%ax
	movl	$(OTHER_TSS32 << 16), IDT32 + 6 * 8
	movl	$0x8500, IDT32 + 6 * 8 + 4
	ud2

boot_with_handlers task_switch_by_iret
	to_protected task_switch_by_iret
	movw	$TSS32, %ax
	ltr	%ax
	movw	$OTHER_TSS32, TSS
	orb	$2, .Lgdt_task_switch_by_iret + OTHER_TSS32 + 5	/* busy */
	pushl	$0x4002
	popfl
	iretl

/* Long mode has none: #GP instead. */
boot_with_handlers task_switch_in_long_mode
	to_protected task_switch_in_long_mode
	to_long task_switch_in_long_mode
	pushq	$CODE32
	pushq	$1f
	lretq
	.code32
1:	movw	$DATA32, %ax
	movw	%ax, %ss
	movw	%ax, %ds
	FAULTS(VECTOR_GP, OTHER_TSS32, ljmp $OTHER_TSS32, $0)
	FAULTS(VECTOR_GP, TASK_GATE, ljmp $TASK_GATE, $0)
	PASS

/* ---- Virtual-8086 mode ---- */

/* In by IRET, exits there, and out by #GP, whose handler goes on behind. */
boot_with_handlers v86
	to_protected v86
	movl	$BOOT - 0x100, TSS + 4
	movl	$DATA32, TSS + 8
	movw	$TSS32, %ax
	ltr	%ax
	movw	$8f, IDT32 + 13 * 8
	xorl	%eax, %eax
	pushl	%eax				/* GS, FS, DS, ES */
	pushl	%eax
	pushl	%eax
	pushl	$0xb800
	pushl	%eax				/* SS, ESP */
	pushl	$0x6000
	pushl	$0x23002			/* VM, IOPL 3 */
	pushl	%eax				/* CS, EIP */
	pushl	$1f
	iretl
	.code16
1:	CPUID
	movw	%es, %ax
	EXPECT_W($0xb800, %ax)
	EXPECT_W($0x0720, %es:0)
	EXPECT_W($0x6000, %sp)
	movl	$99, %eax
	vmcall
	EXPECT_L($-38, %eax)
	pushfw
	popw	%ax
	andw	$0x7302, %ax			/* IOPL; neither NT, TF nor IF */
	EXPECT_W($0x3002, %ax)
	movl	$4f, %edi
	movl	$4, %esi
	movl	$1, %eax
	vmcall
	EXPECT_L($0, %eax)
	CPUID
2:	hlt					/* #GP at privilege level 3 */
	FAIL
4:	.ascii	"v86\n"
	.code32
8:	movw	$DATA32, %ax
	movw	%ax, %ds
	EXPECT_L($0, (%esp))
	EXPECT_L($2b, 4(%esp))
	testl	$0x20000, 12(%esp)
	EXPECT(nz)
	EXPECT_L($0xb800, 24(%esp))
	CPUID
	movl	$BOOT, %esp
	to_real v86
	PASS

/* User mode, 32 bits: what is refused there is refused before it exits. */
boot_with_handlers user_mode
	to_protected user_mode
	movl	$BOOT - 0x100, TSS + 4
	movl	$DATA32, TSS + 8
	movw	$TSS32, %ax
	ltr	%ax
	pushl	$USER_DATA32
	pushl	$0x6000
	pushl	$2
	pushl	$USER_CODE32
	pushl	$1f
	iretl
1:	movw	$USER_DATA32, %ax
	movw	%ax, %ds
	CPUID
	FAULTS(VECTOR_GP, 0, hlt)
	FAULTS(VECTOR_GP, 0, movl %cr0, %eax)
	FAULTS(VECTOR_GP, 0, movl %eax, %cr0)
	FAULTS(VECTOR_GP, 0, movl %dr7, %eax)
	FAULTS(VECTOR_GP, 0, rdmsr)
	FAULTS(VECTOR_GP, 0, wbinvd)
	FAULTS(VECTOR_GP, 0, cli)
	movl	$99, %eax
	vmcall
	EXPECT_L($-38, %eax)
	PASS
