/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest that comes with this step: a flat binary that runs at address
 * 0x1000, in 64-bit mode at privilege level 0. It is position independent, and
 * it lies among the module's read-only data until it is copied.
 *
 * It does what a small kernel does at its start, and does it alone: tables of
 * its own, a handler for page faults, vector registers.
 */
#define EXIT 0
#define PRINT 1

#define PML4 0x80000
#define PDPT 0x81000
#define DIRECTORY 0x82000
#define WINDOW_DIRECTORY 0x83000
#define WINDOW_TABLE 0x84000
#define IDT 0x60000
#define WINDOW 0x40000000		/* 1 GiB: entry 1 of the PDPT */
#define PAGES 16

	.section .rodata
	.globl	owner_guest, owner_guest_end

owner_guest:
	leaq	owner_gdt(%rip), %rax
	movq	%rax, owner_gdtr+2(%rip)
	lgdt	owner_gdtr(%rip)

	/* An IDT with one entry, for #PF (14). */
	leaq	owner_page_fault(%rip), %rax
	movl	$(IDT + 14 * 16), %edi
	movw	%ax, (%rdi)		/* offset 15:0 */
	movw	$0x08, 2(%rdi)		/* selector */
	movw	$0x8e00, 4(%rdi)	/* present, interrupt gate */
	shrq	$16, %rax
	movw	%ax, 6(%rdi)		/* offset 31:16 */
	lidt	owner_idtr(%rip)

	/* New tables: the first 2 MiB one to one, and at 1 GiB a window whose
	 * page table is still empty. 3: present and writable. 0x80: 2 MiB. */
	movq	$(PDPT | 3), PML4
	movq	$(DIRECTORY | 3), PDPT
	movq	$(WINDOW_DIRECTORY | 3), PDPT+8
	movq	$(0 | 0x83), DIRECTORY
	movq	$(WINDOW_TABLE | 3), WINDOW_DIRECTORY
	movl	$PML4, %eax
	movq	%rax, %cr3		/* step 05: exit reason 28, and #GP */
	incl	owner_count(%rip)

	/* Each page of the window faults once. The handler maps it. */
	movl	$WINDOW, %ebx
	movl	$PAGES, %ecx
1:	movl	(%rbx), %eax		/* step 05: exit reason 0 */
	addl	$4096, %ebx
	decl	%ecx
	jnz	1b

	/* Through the window the guest sees its own first instruction. */
	movl	$(WINDOW + 0x1000), %ebx
	movq	(%rbx), %rax
	cmpq	0x1000, %rax
	movl	$1, %edi
	jne	owner_end

	movl	owner_count(%rip), %eax
	leaq	owner_faults(%rip), %rdi
	call	owner_decimal
	leaq	owner_faults(%rip), %rdi
	movl	$(owner_faults_end - owner_faults), %esi
	movl	$PRINT, %eax
	vmcall				/* VM exit, reason 18 */

	movl	$1, %eax
	cpuid				/* VM exit, reason 10 */
	xorl	%edi, %edi
	testl	$(1 << 28), %ecx	/* AVX */
	jz	owner_end

	/* CR4.OSXSAVE is the guest's own. XCR0: x87, SSE and AVX. */
	movq	%cr4, %rax
	orl	$(1 << 18), %eax
	movq	%rax, %cr4
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	movl	$7, %eax
	xsetbv				/* VM exit, reason 55 */

	vmovups	owner_numbers(%rip), %ymm0
	vmulps	%ymm0, %ymm0, %ymm0
	vextractf128 $1, %ymm0, %xmm1
	vaddps	%xmm1, %xmm0, %xmm0
	vhaddps	%xmm0, %xmm0, %xmm0
	vhaddps	%xmm0, %xmm0, %xmm0
	vcvttss2si %xmm0, %eax
	leaq	owner_sum(%rip), %rdi
	call	owner_decimal
	leaq	owner_sum(%rip), %rdi
	movl	$(owner_sum_end - owner_sum), %esi
	movl	$PRINT, %eax
	vmcall				/* VM exit, reason 18 */
	xorl	%edi, %edi
owner_end:
	movl	$EXIT, %eax
	vmcall				/* VM exit, reason 18: the end */

	/* #PF: maps the page of the window to the same page of RAM. */
owner_page_fault:
	pushq	%rax
	pushq	%rdx
	incl	owner_count(%rip)
	movq	%cr2, %rax
	andl	$0x1ff000, %eax		/* the page of RAM */
	movl	%eax, %edx
	shrl	$9, %edx		/* its entry: 8 bytes a page */
	orl	$3, %eax
	movq	%rax, WINDOW_TABLE(%rdx)
	popq	%rdx
	popq	%rax
	addq	$8, %rsp		/* the error code */
	iretq

	/* EAX as three decimal digits at RDI. */
owner_decimal:
	movl	$10, %esi
	movl	$2, %ecx
1:	xorl	%edx, %edx
	divl	%esi
	addl	$'0', %edx
	movb	%dl, (%rdi, %rcx)
	decl	%ecx
	jns	1b
	ret

owner_faults:
	.ascii	"??? times I loaded CR3 or handled a page fault, and did not exit for it\n"
owner_faults_end:
owner_sum:
	.ascii	"??? is the sum of the squares from 1 to 8, by AVX\n"
owner_sum_end:
	.balign	8
owner_gdt:
	.quad	0
	.quad	0x00af9b000000ffff	/* 0x08: 64-bit code */
owner_gdtr:
	.word	15
	.quad	0
owner_idtr:
	.word	15 * 16 - 1
	.quad	IDT
	.balign	4
owner_numbers:
	.float	1, 2, 3, 4, 5, 6, 7, 8
owner_count:
	.long	0
owner_guest_end:
