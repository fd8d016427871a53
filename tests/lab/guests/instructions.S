/* SPDX-License-Identifier: GPL-2.0-only */
/* Instructions that this guest's CPU does not have, or that do nothing for it. */
#include "guest.h"

guest_with_handlers x87
	FAULTS(VECTOR_NM, 0, fninit)
	FAULTS(VECTOR_NM, 0, fld1)
	FAULTS(VECTOR_NM, 0, fnstsw %ax)
	FAULTS(VECTOR_NM, 0, fnstcw SCRATCH)
	FAULTS(VECTOR_NM, 0, frstor SCRATCH)
	FAULTS(VECTOR_NM, 0, fwait)
	FAULTS(VECTOR_NM, 0, emms)
	FAULTS(VECTOR_NM, 0, movd %eax, %mm0)
	PASS

guest_with_handlers sse
	FAULTS(VECTOR_NM, 0, movaps %xmm0, %xmm1)
	FAULTS(VECTOR_NM, 0, movaps %xmm0, SCRATCH)
	FAULTS(VECTOR_NM, 0, movq %rax, %xmm7)
	FAULTS(VECTOR_NM, 0, addsd %xmm1, %xmm2)
	FAULTS(VECTOR_NM, 0, ldmxcsr SCRATCH)
	FAULTS(VECTOR_NM, 0, stmxcsr SCRATCH)
	FAULTS(VECTOR_NM, 0, fxsave SCRATCH)
	FAULTS(VECTOR_NM, 0, fxrstor SCRATCH)
	PASS

/* AVX would need CR4.OSXSAVE, which the guest reads as 0. */
guest_with_handlers avx
	FAULTS(VECTOR_UD, 0, vmovaps %ymm0, %ymm1)
	FAULTS(VECTOR_UD, 0, xgetbv)
	FAULTS(VECTOR_UD, 0, xsave SCRATCH)
	PASS

guest_with_handlers monitor_mwait
	movl	$0x8000, %eax
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	FAULTS(VECTOR_UD, 0, monitor)
	FAULTS(VECTOR_UD, 0, mwait)
	movl	$1, %ecx
	FAULTS(VECTOR_UD, 0, mwait)
	PASS

guest_with_handlers vmx_instructions
	movq	$0x8000, SCRATCH
	movl	$0x4000, %eax
	FAULTS(VECTOR_UD, 0, vmxon SCRATCH)
	FAULTS(VECTOR_UD, 0, vmclear SCRATCH)
	FAULTS(VECTOR_UD, 0, vmptrld SCRATCH)
	FAULTS(VECTOR_UD, 0, vmptrst SCRATCH)
	FAULTS(VECTOR_UD, 0, vmread %rax, %rbx)
	FAULTS(VECTOR_UD, 0, vmread %rax, SCRATCH)
	FAULTS(VECTOR_UD, 0, vmwrite %rbx, %rax)
	FAULTS(VECTOR_UD, 0, vmwrite SCRATCH, %rax)
	FAULTS(VECTOR_UD, 0, vmlaunch)
	FAULTS(VECTOR_UD, 0, vmresume)
	FAULTS(VECTOR_UD, 0, vmxoff)
	FAULTS(VECTOR_UD, 0, invept SCRATCH, %rax)
	FAULTS(VECTOR_UD, 0, invvpid SCRATCH, %rax)
	FAULTS(VECTOR_UD, 0, vmfunc)
	xorl	%eax, %eax
	FAULTS(VECTOR_UD, 0, getsec)
	PASS

guest_with_handlers rdpmc
	xorl	%ecx, %ecx
	FAULTS(VECTOR_GP, 0, .byte 0x0f, 0x33)
	movl	$0x40000000, %ecx
	FAULTS(VECTOR_GP, 0, .byte 0x0f, 0x33)
	PASS

guest_with_handlers do_nothing
	movq	$0x1234, %rax
	movq	%rax, 0x8000
	invd
	movq	$0x5678, 0x8008
	invd
	wbinvd
	invlpg	0x8000
	invlpg	(%rax, %rax, 4)
	invlpg	0
	movabsq	$0xffff888000000000, %rbx
	invlpg	(%rbx)
	pause
	.rept	20
	pause
	.endr
	EXPECT_EQ($0x1234, 0x8000)
	EXPECT_EQ($0x5678, 0x8008)
	EXPECT_EQ($0x1234, %rax)
	EXPECT_EQ($0, COUNT)
	PASS

/* Never back, and on in the end: two readings may be equal, as they are on an emulator that counts
   time for several processors at once. A clock that stands still ends at the time limit. */
guest_with_handlers rdtsc_runs
	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	movq	%rax, %rbx
1:	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	cmpq	%rbx, %rax
	EXPECT(ae)
	je	1b
	PASS

/* What the trace shows: one exit of several kinds at known places. */
guest trace_sample
	cpuid					/* 0x1000, 2 bytes */
	movq	%cr3, %rbx			/* 0x1002, 3 bytes, CR 3, into register 3 */
	outb	%al, $0x80			/* 0x1005, 2 bytes */
	movl	$HYPERCALL_TIME, %eax		/* 0x1007 */
	vmcall					/* 0x100c, 3 bytes */
	pause					/* 0x100f, 2 bytes */
	hlt					/* 0x1011, 1 byte */

/* More exits than the trace keeps in full. */
guest trace_overflow
	movl	$3000, %ebx
1:	cpuid
	movl	$HYPERCALL_TIME, %eax
	vmcall
	movl	%ebp, %ebx
	incl	%ebp
	cmpl	$1500, %ebp
	jb	1b
	hlt
