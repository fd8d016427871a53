/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 07: the registers that are the guest's now, and those that are not.
 *
 * long-file: one program for each group of registers.
 */
#include "ept.h"

#define IA32_SYSENTER_CS 0x174
#define IA32_SYSENTER_ESP 0x175
#define IA32_SYSENTER_EIP 0x176
#define IA32_PAT 0x277
#define IA32_EFER 0xc0000080
#define IA32_STAR 0xc0000081
#define IA32_LSTAR 0xc0000082
#define IA32_CSTAR 0xc0000083
#define IA32_FMASK 0xc0000084
#define IA32_FS_BASE 0xc0000100
#define IA32_GS_BASE 0xc0000101
#define IA32_KERNEL_GS_BASE 0xc0000102
#define IA32_TSC_AUX 0xc0000103

/* ---- Control registers ---- */

guest_with_handlers ept_cr0
	.irp	bit, 1, 2, 3, 16, 18		/* MP, EM, TS, WP, AM: its own */
	movq	%cr0, %rax
	btcq	$\bit, %rax
	WORKS(movq %rax, %cr0)
	movq	%cr0, %rbx
	EXPECT_EQ(%rax, %rbx)
	btcq	$\bit, %rax
	movq	%rax, %cr0
	.endr
	movq	%cr0, %rbp
	.irp	bit, 0, 31, 32, 63		/* PE, PG, and what does not exist */
	movq	%rbp, %rax
	btcq	$\bit, %rax
	FAULTS(VECTOR_GP, 0, movq %rax, %cr0)
	movq	%cr0, %rax
	EXPECT_EQ(%rbp, %rax)
	.endr
	movq	%rbp, %rax			/* NW without CD */
	btsq	$29, %rax
	FAULTS(VECTOR_GP, 0, movq %rax, %cr0)
	btsq	$30, %rax			/* CD and NW, CD alone, neither: read as written */
	WORKS(movq %rax, %cr0)
	movq	%cr0, %rbx
	EXPECT_EQ(%rax, %rbx)
	btrq	$29, %rax
	WORKS(movq %rax, %cr0)
	movq	%cr0, %rbx
	EXPECT_EQ(%rax, %rbx)
	movq	%rbp, %rax
	WORKS(movq %rax, %cr0)
	btcq	$5, %rax			/* NE */
	WORKS(movq %rax, %cr0)
	movq	%cr0, %rbx
	EXPECT_EQ(%rax, %rbx)
	btcq	$5, %rax
	WORKS(movq %rax, %cr0)
	btsq	$3, %rax			/* a host's bit and an own one at once */
	btsq	$30, %rax
	WORKS(movq %rax, %cr0)
	FAULTS(VECTOR_NM, 0, fninit)
	movq	%cr0, %rbx
	EXPECT_EQ(%rax, %rbx)
	WORKS(clts)
	movq	%cr0, %rbx
	btrq	$3, %rax
	EXPECT_EQ(%rax, %rbx)
	WORKS(fninit)
	movl	$0xf, %eax			/* MP, EM, TS by LMSW, which cannot clear PE */
	WORKS(lmsw %ax)
	FAULTS(VECTOR_NM, 0, fninit)
	movl	$2, %eax
	WORKS(lmsw %ax)
	smsw	%rax
	andl	$0xf, %eax
	EXPECT_EQ($3, %rax)
	PASS

guest_with_handlers ept_cr4
	.irp	bit, 2, 3, 4, 7, 9, 10		/* TSD, DE, PSE, PGE, OSFXSR, OSXMMEXCPT: its own */
	movq	%cr4, %rax
	btcq	$\bit, %rax
	WORKS(movq %rax, %cr4)
	movq	%cr4, %rbx
	EXPECT_EQ(%rax, %rbx)
	btcq	$\bit, %rax
	movq	%rax, %cr4
	.endr
	movq	%cr4, %rbp
	xorl	%ecx, %ecx
1:	movl	$0x350e9c, %eax			/* all that may be its own: these, and UMIP, FSGSBASE, */
	btq	%rcx, %rax			/* OSXSAVE, SMEP and SMAP, if the CPU has them */
	jc	2f
	movq	%rbp, %rax
	btcq	%rcx, %rax
	FAULTS(VECTOR_GP, 0, movq %rax, %cr4)
	movq	%cr4, %rbx
	EXPECT_EQ(%rbp, %rbx)
2:	incl	%ecx
	cmpl	$64, %ecx
	jb	1b
	/* CPUID tells of what it may switch on. */
	movl	$7, %eax
	xorl	%ecx, %ecx
	cpuid
	movl	%ebx, %r12d
	movq	%rbp, %rax
	btsq	$16, %rax			/* FSGSBASE */
	btl	$0, %r12d
	jnc	3f
	WORKS(movq %rax, %cr4)
	movl	$0x8000, %ebx
	WORKS(wrgsbase %rbx)
	WORKS(rdgsbase %rcx)
	EXPECT_EQ(%rbx, %rcx)
	jmp	4f
3:	FAULTS(VECTOR_GP, 0, movq %rax, %cr4)
4:	movl	$1, %eax
	cpuid
	movq	%rbp, %rax
	btsq	$18, %rax			/* OSXSAVE */
	btl	$26, %ecx			/* XSAVE */
	jnc	5f
	WORKS(movq %rax, %cr4)
	movl	$1, %eax
	cpuid
	btl	$27, %ecx			/* CPUID's OSXSAVE follows */
	EXPECT(c)
	movq	%rbp, %cr4
	movl	$1, %eax
	cpuid
	btl	$27, %ecx
	EXPECT(nc)
	PASS
5:	FAULTS(VECTOR_GP, 0, movq %rax, %cr4)
	PASS

guest_with_handlers ept_cr3
	movl	$0x80000008, %eax
	cpuid
	movzbl	%al, %ecx
1:	movq	%cr3, %rax			/* bits that no physical address has */
	btsq	%rcx, %rax
	FAULTS(VECTOR_GP, 0, movq %rax, %cr3)
	incl	%ecx
	cmpl	$64, %ecx
	jb	1b
	movq	%cr3, %rax
	EXPECT_EQ($0x70000, %rax)
	orq	$0x18, %rax			/* PWT, PCD */
	WORKS(movq %rax, %cr3)
	movq	%cr3, %rbx
	EXPECT_EQ(%rax, %rbx)
	PASS

guest_with_handlers ept_cr8
	movl	$15, %eax
1:	WORKS(movq %rax, %cr8)
	movq	%cr8, %rbx
	EXPECT_EQ(%rax, %rbx)
	decl	%eax
	jns	1b
	movl	$16, %eax
	FAULTS(VECTOR_GP, 0, movq %rax, %cr8)
	movq	$-1, %rax
	FAULTS(VECTOR_GP, 0, movq %rax, %cr8)
	movq	%cr8, %rax
	EXPECT_EQ($0, %rax)
	PASS

/* CR2 lasts from scope to scope. */
guest_with_handlers ept_cr2
	movabsq	$0x123456789000, %rbx
	movq	%rbx, %cr2
	movl	$4000000, %ecx
1:	loop	1b
	movq	%cr2, %rax
	EXPECT_EQ(%rbx, %rax)
	PASS

/* ---- Debug registers and events ---- */

guest_with_handlers ept_debug_registers
	movq	%db0, %rax
	EXPECT_EQ($0, %rax)
	movq	%db3, %rax
	EXPECT_EQ($0, %rax)
	WORKS(movq %rax, %db3)
	movq	%db7, %rax
	EXPECT_EQ($0x400, %rax)
	WORKS(movq %rax, %db7)
	movl	$0x1000, %eax
	FAULTS(VECTOR_GP, 0, movq %rax, %db0)
	movl	$0x401, %eax
	FAULTS(VECTOR_GP, 0, movq %rax, %db7)
	movl	$0x2400, %eax			/* GD */
	FAULTS(VECTOR_GP, 0, movq %rax, %db7)
	movl	$0xffff4ff1, %eax
	WORKS(movq %rax, %db6)
	movq	%db6, %rbx
	EXPECT_EQ(%rax, %rbx)
	movq	$-1, %rax
	FAULTS(VECTOR_GP, 0, movq %rax, %db6)	/* bits 63:32 */
	/* DR4 and DR5 are DR6 and DR7. (With CR4.DE they would be #UD.) */
	movl	$0xffff0ff0, %eax
	WORKS(.byte 0x0f, 0x23, 0xe0)		/* MOV DR4, RAX */
	movq	%db6, %rbx
	EXPECT_EQ(%rax, %rbx)
	PASS

/* #DB by the trap flag and by INT1, and what DR6 says of it. */
guest_with_handlers ept_debug_exceptions
	movl	$0xffff0ff0, %eax
	movq	%rax, %db6
	movq	$2f, RESUME
	pushfq
	orq	$0x100, (%rsp)
	popfq
	nop
1:	FAIL
2:	EXPECT_EQ($VECTOR_DB, SEEN_VECTOR)
	EXPECT_EQ($1b, SEEN_RIP)
	testq	$0x100, SEEN_RFLAGS
	EXPECT(nz)
	movq	%db6, %rax
	movl	$0xffff4ff0, %ebx		/* BS */
	EXPECT_EQ(%rbx, %rax)
	movl	$0xffff0ff0, %eax
	movq	%rax, %db6
	movq	$2f, RESUME
	.byte	0xf1				/* INT1 */
1:	FAIL
2:	EXPECT_EQ($VECTOR_DB, SEEN_VECTOR)
	EXPECT_EQ($1b, SEEN_RIP)
	movq	%db6, %rbx
	EXPECT_EQ(%rax, %rbx)
	/* Single steps over instructions that leave the guest. */
	.irp	instruction, cpuid, vmcall, "movq %db7, %rbx"
	movl	$HYPERCALL_TIME, %eax
	movq	$2f, RESUME
	pushfq
	orq	$0x100, (%rsp)
	popfq
	\instruction
1:	nop
3:	FAIL
2:	EXPECT_EQ($VECTOR_DB, SEEN_VECTOR)
	.endr
	PASS

/* #AC, at privilege level 3. */
guest_with_handlers ept_alignment_check
	FOR_USER
	movq	%cr0, %rax
	btsq	$18, %rax			/* AM */
	movq	%rax, %cr0
	movq	$0x9000, TSS + 4
	movl	$0x20, %eax
	ltr	%ax
	movl	$2f, %eax
	movw	%ax, IDT + VECTOR_AC * 16
	pushq	$0x3b
	pushq	$0x8000
	pushq	$0x40002			/* AC */
	pushq	$0x33
	pushq	$1f
	iretq
1:	movl	0x8001, %eax
	FAIL
2:	popq	%rax				/* at privilege level 0 again */
	EXPECT_EQ($0, %rax)
	popq	%rax
	EXPECT_EQ($1b, %rax)
	popq	%rax
	EXPECT_EQ($0x33, %rax)
	PASS

/* ---- XCR0 ---- */

guest_with_handlers ept_xcr0
	movl	$1, %eax
	cpuid
	btl	$26, %ecx
	jc	1f
	xorl	%ecx, %ecx
	FAULTS(VECTOR_UD, 0, xgetbv)
	FAULTS(VECTOR_UD, 0, xsetbv)
	PASS
1:	movl	%ecx, %r12d
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	movl	$1, %eax
	FAULTS(VECTOR_UD, 0, xsetbv)		/* without CR4.OSXSAVE */
	movq	%cr4, %rax
	btsq	$18, %rax
	WORKS(movq %rax, %cr4)
	WORKS(xgetbv)
	EXPECT_EQ($1, %rax)			/* as after a reset */
	EXPECT_EQ($0, %rdx)
	movl	$3, %eax
	WORKS(xsetbv)
	/* Nothing; no x87; AVX without SSE; MPX, AVX-512 in part, PT, PKRU, PASID, CET, HDC, UINTR,
	 * LBR, AMX, and what does not exist. */
	movl	$8f, %esi
2:	movl	(%rsi), %eax
	movl	4(%rsi), %edx
	FAULTS(VECTOR_GP, 0, xsetbv)
	addl	$8, %esi
	cmpl	$9f, %esi
	jb	2b
	movl	$3, %eax
	xorl	%edx, %edx
	.irp	number, 1, 2, -1		/* XCR1 and so on */
	movl	$\number, %ecx
	FAULTS(VECTOR_GP, 0, xsetbv)
	.endr
	xorl	%ecx, %ecx
	xgetbv
	EXPECT_EQ($3, %rax)
	btl	$28, %r12d			/* AVX */
	jnc	3f
	movl	$7, %eax
	WORKS(xsetbv)
	xgetbv
	EXPECT_EQ($7, %rax)
	WORKS(vmovaps %ymm0, %ymm1)
	movl	$3, %eax
	WORKS(xsetbv)
	FAULTS(VECTOR_UD, 0, vmovaps %ymm0, %ymm1)
	PASS
3:	movl	$7, %eax
	FAULTS(VECTOR_GP, 0, xsetbv)
	PASS
	.balign	8
8:	.quad	0, 2, 4, 6, 5, 0x0b, 0x13, 0x1f, 0x27, 0x67, 0xa7, 0xc7, 0xe3, 0x103, 0x203, 0x207
	.quad	0x403, 0x803, 0x1003, 0x2003, 0x4003, 0x8003, 0x20003, 0x40003, 0x60007, 0x60203
	.quad	0x100000003, 0x8000000000000003, -1
9:

/* CPUID leaf 0DH offers no more than XSETBV accepts. */
guest_with_handlers ept_xsave_leaf
	movl	$0xd, %eax
	xorl	%ecx, %ecx
	cpuid
	testl	$~0xe7, %eax			/* x87, SSE, AVX, AVX-512 */
	EXPECT(z)
	EXPECT_EQ($0, %rdx)
	testl	%eax, %eax
	jz	1f
	movl	%eax, %r12d
	movl	%ecx, %r13d			/* the largest area */
	movq	%cr4, %rax
	btsq	$18, %rax
	WORKS(movq %rax, %cr4)
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	movl	%r12d, %eax
	WORKS(xsetbv)				/* all that is offered */
	movl	$0xd, %eax
	cpuid
	EXPECT_EQ(%r13, %rbx)			/* the area of what is on now */
	movl	$0xd, %eax
	movl	$1, %ecx
	cpuid
	testl	$8, %eax			/* no XSAVES */
	EXPECT(z)
	movl	$SCRATCH, %ebx
	FAULTS(VECTOR_UD, 0, .byte 0x0f, 0xc7, 0x2b)	/* XSAVES (RBX) */
1:	PASS

/* ---- MSRs ---- */

/* At the edges of the bitmap, around what it lets through, and host's affairs. */
guest_with_handlers ept_msrs_refused
	movl	$8f, %esi
1:	movl	(%rsi), %ecx
	FAULTS(VECTOR_GP, 0, rdmsr)
	xorl	%eax, %eax
	xorl	%edx, %edx
	FAULTS(VECTOR_GP, 0, wrmsr)
	movl	$-1, %eax
	movl	$-1, %edx
	FAULTS(VECTOR_GP, 0, wrmsr)
	addl	$4, %esi
	cmpl	$9f, %esi
	jb	1b
	PASS
8:	.long	0, 1, 0x1ffe, 0x1fff, 0x2000, 0x2001, 0x7fffffff, 0x80000000, 0xbfffffff, 0xc0000000
	.long	0xc0000001, 0xc0001ffe, 0xc0001fff, 0xc0002000, 0xffffffff
	.long	0x173, 0x177, 0xc000007f, 0xc0000085, 0xc00000ff, 0xc0000104
	/* With the low 13 bits of one that is let through. */
	.long	0x81, 0x82, 0x100, 0x102, 0x2174, 0x40000174, 0x80000174, 0xc0000174, 0xc0002082
	.long	0x3a, 0x3b, 0x48, 0x49, 0x79, 0x8b, 0x10b, 0x17a, 0x186, 0x1a0, 0x1d9, 0x200, 0x250
	.long	0x2ff, 0x38d, 0x38f, 0x3f1, 0x400, 0x480, 0x48c, 0x600, 0x6a0, 0x6a2, 0x6e0, 0x802
	.long	0x830, 0xda0, 0x1b0, 0x40000000, 0x4b564d00, 0xc0010015
9:

/* Read back as written, at once and after some scopes. TSC_AUX where there is RDTSCP. */
guest_with_handlers ept_msrs_last
	.irp	number, IA32_SYSENTER_CS, IA32_FMASK
	for_wrmsr \number, 0x1234
	WORKS(wrmsr)
	.endr
	.irp	number, IA32_SYSENTER_ESP, IA32_SYSENTER_EIP, IA32_STAR, IA32_LSTAR, IA32_CSTAR, \
		IA32_FS_BASE, IA32_GS_BASE, IA32_KERNEL_GS_BASE
	for_wrmsr \number, 0x123456780000
	addl	$\number, %eax
	WORKS(wrmsr)
	.endr
	.irp	number, IA32_LSTAR, IA32_CSTAR, IA32_FS_BASE, IA32_GS_BASE, IA32_KERNEL_GS_BASE
	for_wrmsr \number, 0x800000000000
	FAULTS(VECTOR_GP, 0, wrmsr)		/* not canonical */
	.endr
	movl	$0x80000001, %eax
	cpuid
	movl	%edx, %r12d
	btl	$27, %r12d
	jnc	1f
	for_wrmsr IA32_TSC_AUX, 0x9abcdef0
	WORKS(wrmsr)
1:	movl	$4000000, %ecx
	loop	.
	.irp	number, IA32_SYSENTER_CS, IA32_FMASK
	read_msr \number
	EXPECT_EQ($0x1234, %rax)
	.endr
	.irp	number, IA32_SYSENTER_ESP, IA32_SYSENTER_EIP, IA32_STAR, IA32_LSTAR, IA32_CSTAR, \
		IA32_FS_BASE, IA32_GS_BASE, IA32_KERNEL_GS_BASE
	movabsq	$0x123456780000, %rbx
	movl	$\number, %ecx
	addl	%ecx, %ebx
	movabsq	$0x123400000000, %rdx
	orq	%rdx, %rbx
	read_msr \number
	EXPECT_EQ(%rbx, %rax)
	.endr
	btl	$27, %r12d
	jnc	2f
	rdtscp
	movl	$0x9abcdef0, %eax
	EXPECT_EQ(%rax, %rcx)
	read_msr IA32_TSC_AUX
	movl	$0x9abcdef0, %ebx
	EXPECT_EQ(%rbx, %rax)
	PASS
2:	movl	$IA32_TSC_AUX, %ecx
	FAULTS(VECTOR_GP, 0, rdmsr)
	FAULTS(VECTOR_UD, 0, rdtscp)
	PASS

/* Nothing of the guest before is left. Runs behind ept_msrs_last. */
guest_with_handlers ept_msrs_none_left
	.irp	number, IA32_SYSENTER_CS, IA32_FMASK, IA32_SYSENTER_ESP, IA32_SYSENTER_EIP, \
		IA32_STAR, IA32_LSTAR, IA32_CSTAR, IA32_FS_BASE, IA32_GS_BASE, IA32_KERNEL_GS_BASE
	read_msr \number
	EXPECT_EQ($0, %rax)
	.endr
	movl	$0x80000001, %eax
	cpuid
	btl	$27, %edx
	jnc	1f
	read_msr IA32_TSC_AUX
	EXPECT_EQ($0, %rax)
1:	movq	%cr2, %rax
	EXPECT_EQ($0, %rax)
	PASS

guest_with_handlers ept_efer
	read_msr IA32_EFER
	EXPECT_EQ($0x500, %rax)			/* LMA, LME */
	FAULTS(VECTOR_UD, 0, syscall)
	for_wrmsr IA32_EFER, 0xd01		/* SCE, NXE */
	WORKS(wrmsr)
	read_msr IA32_EFER
	EXPECT_EQ($0xd01, %rax)
	for_wrmsr IA32_EFER, 0x100		/* what is written to LMA does not count */
	WORKS(wrmsr)
	read_msr IA32_EFER
	EXPECT_EQ($0x500, %rax)
	PASS

guest_with_handlers ept_efer_refused
	.irp	value, 0, 0x400, 0x502, 0x1500, 0x4500, 0x8500, 0x100000500, 0x8000000000000500
	for_wrmsr IA32_EFER, \value
	FAULTS(VECTOR_GP, 0, wrmsr)
	read_msr IA32_EFER
	EXPECT_EQ($0x500, %rax)
	.endr
	PASS

guest_with_handlers ept_pat
	read_msr IA32_PAT
	EXPECT_EQ64($0x0007040600070406, %rax)
	for_wrmsr IA32_PAT, 0x0001040500070406
	WORKS(wrmsr)
	.irp	value, 0x02, 0x0300, 0x0800000000000000, 0xff
	for_wrmsr IA32_PAT, \value
	FAULTS(VECTOR_GP, 0, wrmsr)
	.endr
	read_msr IA32_PAT
	EXPECT_EQ64($0x0001040500070406, %rax)
	PASS

/* To privilege level 3 and back by SYSRET and SYSCALL. */
guest_with_handlers ept_syscall
	FOR_USER
	for_wrmsr IA32_EFER, 0x501		/* SCE */
	wrmsr
	for_wrmsr IA32_STAR, 0x0020000800000000	/* CS 08h, and 33h by SYSRET */
	WORKS(wrmsr)
	for_wrmsr IA32_LSTAR, 0x1100
	movl	$1f, %eax
	WORKS(wrmsr)
	for_wrmsr IA32_FMASK, 0x600
	WORKS(wrmsr)
	movl	$2f, %ecx
	movl	$0x602, %r11d
	xorl	%ebx, %ebx
	sysretq
	FAIL
2:	movl	%cs, %eax
	EXPECT_EQ($0x33, %rax)
	incl	%ebx
	syscall
3:	FAIL
1:	movl	%cs, %eax
	EXPECT_EQ($8, %rax)
	EXPECT_EQ($3b, %rcx)
	andl	$0x600, %r11d
	EXPECT_EQ($0x600, %r11)
	pushfq
	popq	%rax
	testl	$0x600, %eax
	EXPECT(z)
	cmpl	$100, %ebx
	jae	4f
	movl	$2b, %ecx
	sysretq
4:	PASS

/* ---- Vector and floating-point registers ---- */

#define AREA 0x90000
#define AREA_2 0x91000

/* Switches AVX on, or goes to a label if there is none. */
.macro with_avx none
	movl	$1, %eax
	cpuid
	btl	$28, %ecx
	jnc	\none
	movq	%cr4, %rax
	btsq	$18, %rax
	movq	%rax, %cr4
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	movl	$7, %eax
	xsetbv
.endm

/* Fills 512 bytes at RDI with a pattern. */
.macro pattern factor
	movl	$128, %ecx
	movl	$\factor, %eax
77:	stosl
	imull	$0x19660d, %eax, %eax
	addl	$0x3c6ef35f, %eax
	loop	77b
.endm

.macro load_x87_and_mxcsr
	movl	$0x27f, SCRATCH
	movl	$0x7f80, SCRATCH + 4
	fninit
	fldcw	SCRATCH
	ldmxcsr	SCRATCH + 4
	fldpi
	fldl2e
	fld1
.endm

/* Times that the guest loops while the host takes the processor again and again. */
#define WAIT 150000000

#define EACH_REGISTER 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15

/* Puts patterns into all registers and leaves them there. The next guest must not see them. */
guest ept_fpu_fills
	movl	$AREA, %edi
	pattern	0x600d600d
	with_avx 1f
	.irp	n, EACH_REGISTER
	vmovdqu	AREA + 32 * \n, %ymm\n
	.endr
	load_x87_and_mxcsr
	PASS
1:	.irp	n, EACH_REGISTER
	movdqu	AREA + 32 * \n, %xmm\n
	.endr
	load_x87_and_mxcsr
	PASS

/* The state after a reset. Runs behind ept_fpu_fills, and while the host uses its own. */
guest ept_fpu_begins_empty
	fxsave64 AREA
	cmpw	$0x37f, AREA			/* FCW */
	EXPECT(e)
	cmpw	$0, AREA + 2			/* FSW */
	EXPECT(e)
	cmpb	$0, AREA + 4			/* FTW: all empty */
	EXPECT(e)
	cmpl	$0x1f80, AREA + 24		/* MXCSR */
	EXPECT(e)
	movl	$(AREA + 32), %edi
	movl	$96, %ecx			/* ST0 to XMM15 */
	xorl	%eax, %eax
	repe scasl
	EXPECT(e)
	with_avx 1f
	.irp	n, EACH_REGISTER
	vmovdqu	%ymm\n, AREA + 32 * \n
	.endr
	movl	$AREA, %edi
	movl	$128, %ecx
	xorl	%eax, %eax
	repe scasl
	EXPECT(e)
	xorl	%ecx, %ecx
	xgetbv
	EXPECT_EQ($7, %rax)
1:	PASS

/* XCR0 is as after a reset again. Runs behind it. */
guest ept_fpu_xcr0_is_new
	movl	$1, %eax
	cpuid
	btl	$26, %ecx
	jnc	1f
	movq	%cr4, %rax
	btsq	$18, %rax
	movq	%rax, %cr4
	xorl	%ecx, %ecx
	xgetbv
	EXPECT_EQ($1, %rax)
1:	PASS

/* What it put there lasts, however often the host takes the processor. */
guest ept_fpu_lasts
	movl	$AREA, %edi
	pattern	0x12345
	with_avx 2f
	.irp	n, EACH_REGISTER
	vmovdqu	AREA + 32 * \n, %ymm\n
	.endr
	call	6f
	.irp	n, EACH_REGISTER
	vmovdqu	%ymm\n, AREA_2 + 32 * \n
	.endr
	xorl	%ecx, %ecx
	xgetbv
	EXPECT_EQ($7, %rax)
	movl	$128, %ecx
	jmp	3f
2:	.irp	n, EACH_REGISTER
	movdqu	AREA + 32 * \n, %xmm\n
	.endr
	call	6f
	PASS
3:	movl	$AREA, %esi
	movl	$AREA_2, %edi
	repe cmpsl
	EXPECT(e)
	PASS
	/* x87 and MXCSR around a long wait. */
6:	load_x87_and_mxcsr
	fxsave64 AREA_2 + 0x400
	movl	$WAIT, %ecx
	loop	.
	fxsave64 AREA_2 + 0x800
	movl	$(AREA_2 + 0x400), %esi
	movl	$(AREA_2 + 0x800), %edi
	movl	$104, %ecx			/* 416 bytes */
	repe cmpsl
	EXPECT(e)
	ret

/* The same with a hypercall, CPUID, a port and an exception in between. */
guest_with_handlers ept_fpu_outlasts_exits
	load_x87_and_mxcsr
	movl	$AREA, %edi
	pattern	0x777
	.irp	n, EACH_REGISTER
	movdqu	AREA + 32 * \n, %xmm\n
	.endr
	fxsave64 AREA
	movl	$3000, %ebp
1:	HYPERCALL(HYPERCALL_TIME)
	cpuid
	inb	$0x60, %al
	decl	%ebp
	jnz	1b
	movq	$2f, RESUME
	.byte	0xf1				/* INT1 */
2:	EXPECT_EQ($VECTOR_DB, SEEN_VECTOR)
	fxsave64 AREA_2
	movl	$AREA, %esi
	movl	$AREA_2, %edi
	movl	$104, %ecx
	repe cmpsl
	EXPECT(e)
	PASS

/* Its own exceptions of the x87 and SSE units: #MF and #XM. */
guest_with_handlers ept_fpu_exceptions
	movl	$0x37b, SCRATCH			/* division by zero is not masked */
	movl	$0x1d80, SCRATCH + 4
	fninit
	fldcw	SCRATCH
	fldz
	fld1
	fdivp
	movq	%cr0, %rax
	btsq	$5, %rax			/* NE */
	movq	%rax, %cr0
	FAULTS(VECTOR_MF, 0, fwait)
	fninit
	ldmxcsr	SCRATCH + 4
	xorps	%xmm1, %xmm1
	pcmpeqd	%xmm0, %xmm0
	psrld	$25, %xmm0
	pslld	$23, %xmm0			/* ones */
	FAULTS(VECTOR_XM, 0, divps %xmm1, %xmm0)
	movl	$0xffff0000, SCRATCH
	FAULTS(VECTOR_GP, 0, ldmxcsr SCRATCH)	/* reserved bits */
	PASS

/* ---- Instructions ---- */

/* Handled by the processor alone: the host sees no exit but those for time and the end. */
guest_with_handlers ept_no_exits
	WITH_WINDOW
	movl	$WINDOW, %ebp
	movl	$500, %ebx
1:	movq	%cr3, %rax
	movq	%rax, %cr3
	invlpg	(%rbp)
	FAULTS(VECTOR_PF, 0, movb (%rbp), %al)
	FAULTS(VECTOR_UD, 0, ud2)
	movq	$2f, RESUME
	int3
2:	movq	%cr4, %rax
	xorl	$0x80, %eax			/* PGE */
	movq	%rax, %cr4
	movq	%cr0, %rax
	xorl	$0x10008, %eax			/* WP, TS */
	movq	%rax, %cr0
	clts
	smsw	%eax
	rdtsc
	pause
	swapgs
	read_msr IA32_LSTAR
	wrmsr
	read_msr IA32_FS_BASE
	wrmsr
	read_msr IA32_SYSENTER_EIP
	wrmsr
	sgdt	SCRATCH
	lgdt	SCRATCH
	movl	$0x20, %eax
	andb	$~2, GDT + 0x25			/* not busy */
	ltr	%ax
	xorl	%eax, %eax
	lldt	%ax
	pushfq
	cli
	popfq
	clflush	0x1000
	decl	%ebx
	jnz	1b
	PASS

guest_with_handlers ept_instructions_refused
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	movl	$0x8000, %eax
	FAULTS(VECTOR_UD, 0, monitor)
	FAULTS(VECTOR_UD, 0, mwait)
	FAULTS(VECTOR_GP, 0, rdpmc)
	FAULTS(VECTOR_UD, 0, vmxon SCRATCH)
	FAULTS(VECTOR_UD, 0, invept SCRATCH, %rax)
	FAULTS(VECTOR_UD, 0, invvpid SCRATCH, %rax)
	FAULTS(VECTOR_UD, 0, vmfunc)
	FAULTS(VECTOR_UD, 0, rsm)
	WORKS(invd)
	WORKS(wbinvd)
	movq	%cr4, %rax
	btsq	$2, %rax			/* TSD stops privilege level 3 only */
	WORKS(movq %rax, %cr4)
	WORKS(rdtsc)
	PASS

/* ---- Without end ---- */

/* The handler of #DB begins with INT1: an exit for each, and the guest stays where it is. */
guest_with_handlers ept_loop_int1
	movb	$1, IDT + VECTOR_DB * 16 + 4
	movq	$0x9000, TSS + 0x24
	movl	$0x20, %eax
	ltr	%ax
	movl	$1f, %eax
	movw	%ax, IDT + VECTOR_DB * 16
1:	.byte	0xf1

/* #PF in the handler of #PF, on a stack of its own each time: no exit, and interrupts off. */
guest_with_handlers ept_loop_page_faults
	movb	$1, IDT + VECTOR_PF * 16 + 4
	movq	$0x9000, TSS + 0x24
	movl	$0x20, %eax
	ltr	%ax
	movl	$1f, %eax
	movw	%ax, IDT + VECTOR_PF * 16
	movl	$WINDOW, %ebx
1:	movb	(%rbx), %al

guest ept_loop_interrupts_off
	cli
1:	jmp	1b

guest ept_loop_cr3
1:	movq	%cr3, %rax
	movq	%rax, %cr3
	jmp	1b

guest ept_loop_xsetbv
	with_avx 1f
1:	xsetbv					/* or #UD: the end */
	jmp	1b
