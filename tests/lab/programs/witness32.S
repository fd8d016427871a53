/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * witness32 SECONDS [FILE]
 *
 * A 32-bit program, without a library: asks for its process number again and again, by int 0x80
 * and by the vDSO (SYSENTER on Intel CPUs), and compares; its GS holds a selector of a segment of
 * its own, as 32-bit programs' do. With FILE it also writes a guest (CPUID, HLT) to that file each
 * time. Ends with status 0 when all was well, else with the number of the check that failed.
 */
	.code32
	.globl _start

#define SYS_EXIT 1
#define SYS_WRITE 4
#define SYS_OPEN 5
#define SYS_GETPID 20
#define SYS_TIME 13
#define SYS_SET_THREAD_AREA 243
#define AT_SYSINFO 32

	.text
_start:
	movl	%esp, %ebp
	movl	(%ebp), %eax			/* argc */
	cmpl	$2, %eax
	movl	$1, %ebx
	jl	leave

	/* SECONDS, in decimal. */
	movl	8(%ebp), %esi
	xorl	%edx, %edx
1:	movzbl	(%esi), %eax
	incl	%esi
	subl	$'0', %eax
	jb	2f
	imull	$10, %edx
	addl	%eax, %edx
	jmp	1b
2:	movl	%edx, seconds

	/* FILE */
	movl	12(%ebp), %ebx
	testl	%ebx, %ebx
	jz	3f
	movl	$SYS_OPEN, %eax
	movl	$1, %ecx			/* O_WRONLY */
	xorl	%edx, %edx
	int	$0x80
	movl	$2, %ebx
	testl	%eax, %eax
	js	leave
	movl	%eax, file
3:
	/* The auxiliary vector lies behind the arguments and the environment. */
	movl	(%ebp), %eax
	leal	8(%ebp, %eax, 4), %esi
4:	lodsl
	testl	%eax, %eax
	jnz	4b
5:	lodsl
	testl	%eax, %eax
	jz	6f
	cmpl	$AT_SYSINFO, %eax
	lodsl
	jne	5b
	movl	%eax, vsyscall
6:	movl	$3, %ebx
	cmpl	$0, vsyscall
	je	leave

	/* A segment for GS, whose first word is known. */
	movl	$SYS_SET_THREAD_AREA, %eax
	movl	$thread_area, %ebx
	int	$0x80
	movl	$4, %ebx
	testl	%eax, %eax
	jnz	leave
	movl	thread_area, %eax
	leal	3(, %eax, 8), %eax
	movl	%eax, selector
	movw	%ax, %gs

	movl	$SYS_TIME, %eax
	xorl	%ebx, %ebx
	int	$0x80
	addl	%eax, seconds

again:	movl	$SYS_GETPID, %eax
	int	$0x80
	movl	%eax, %edi
	movl	$SYS_GETPID, %eax
	call	*vsyscall
	movl	$5, %ebx
	cmpl	%eax, %edi
	jne	leave

	movl	file, %ebx
	testl	%ebx, %ebx
	jz	7f
	movl	$SYS_WRITE, %eax
	movl	$guest, %ecx
	movl	$guest_end - guest, %edx
	call	*vsyscall
	movl	$6, %ebx
	cmpl	$guest_end - guest, %eax
	jne	leave
7:
	movl	$7, %ebx
	xorl	%eax, %eax
	movw	%gs, %ax
	cmpl	selector, %eax
	jne	leave
	movl	$8, %ebx
	cmpl	$0x12345678, %gs:0
	jne	leave
	movl	$9, %ebx
	movw	%ds, %ax
	cmpw	$0x2b, %ax
	jne	leave
	movw	%es, %ax
	cmpw	$0x2b, %ax
	jne	leave

	incl	rounds
	movl	$SYS_TIME, %eax
	xorl	%ebx, %ebx
	int	$0x80
	cmpl	seconds, %eax
	jl	again
	movl	$10, %ebx			/* there were enough rounds to mean something */
	cmpl	$20, rounds
	jl	leave
	xorl	%ebx, %ebx
leave:	movl	$SYS_EXIT, %eax
	int	$0x80

	.data
thread_area:
	.long	-1				/* any entry */
	.long	known
	.long	0xfffff				/* limit, in pages */
	.long	0x51				/* 32-bit, limit in pages, useable */
known:	.long	0x12345678
vsyscall: .long	0
selector: .long	0
seconds: .long	0
rounds:	.long	0
file:	.long	0
guest:	cpuid
	hlt
	.org	guest + 510			/* a boot image, too */
	.byte	0x55, 0xaa
guest_end:
