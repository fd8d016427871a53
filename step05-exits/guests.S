/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guests that come with this step. Each is a flat binary that runs at address 0x1000, in
 * 64-bit mode at privilege level 0, with a stack that begins at 0x10000. They are position
 * independent, and they lie among the module's read-only data until they are copied.
 */
#define EXIT 0
#define PRINT 1
#define TIME 2

	.section .rodata
	.globl	hello_guest, hello_guest_end, tour_guest, tour_guest_end

/* A guest with three kinds of exits: it asks (CPUID), prints (VMCALL) and stops (HLT). */
hello_guest:
	/* Who is below? The name comes in EBX, ECX, EDX: put it behind "I run on ". */
	movl	$0x40000000, %eax
	cpuid				/* VM exit, reason 10 */
	leaq	hello_name(%rip), %rdi
	movl	%ebx, (%rdi)
	movl	%ecx, 4(%rdi)
	movw	%dx, 8(%rdi)		/* the last three letters; the zero stays out */
	shrl	$16, %edx
	movb	%dl, 10(%rdi)

	leaq	hello_text(%rip), %rdi
	movl	$(hello_text_end - hello_text), %esi
	movl	$PRINT, %eax
	vmcall				/* VM exit, reason 18 */
	hlt				/* VM exit, reason 12: the end */
hello_text:
	.ascii	"Hello from VMX non-root operation. I run on "
hello_name:
	.ascii	"???????????\n"
hello_text_end:
hello_guest_end:

/* A tour of the other exits, with an exception that the guest handles itself. */
tour_guest:
	/* A GDT of the guest's own, because an interrupt gate names a code segment in it. */
	leaq	tour_gdt(%rip), %rax
	movq	%rax, tour_gdtr+2(%rip)
	lgdt	tour_gdtr(%rip)

	/* An IDT with one entry, for #GP (13), at 0x8000, where the RAM is still zero. */
	leaq	tour_handler(%rip), %rax
	movl	$(0x8000 + 13 * 16), %edi
	movw	%ax, (%rdi)		/* offset 15:0 */
	movw	$0x08, 2(%rdi)		/* selector */
	movw	$0x8e00, 4(%rdi)	/* present, interrupt gate */
	shrq	$16, %rax
	movw	%ax, 6(%rdi)		/* offset 31:16 */
	movq	$0x8000, tour_idtr+2(%rip)
	lidt	tour_idtr(%rip)

	movl	$0xc0000080, %ecx
	rdmsr				/* reason 31: IA32_EFER has a model */
	movl	$0x10, %ecx
	rdmsr				/* reason 31: the time-stamp counter, too */
	movl	$0x1d9, %ecx
	rdmsr				/* reason 31: IA32_DEBUGCTL has none, so #GP */
	movq	%cr3, %rax		/* reason 28 */
	movq	%cr4, %rax
	orq	$0x80, %rax
	movq	%rax, %cr4		/* reason 28: would change CR4, so #GP */
	movq	%db7, %rax		/* reason 29 */
	inb	$0x60, %al		/* reason 30: nothing there */
	pause				/* reason 40 */
	wbinvd				/* reason 54, where the CPU can */
	clts				/* reason 28: would change CR0, so #GP */

	/* Print what the handler counted, one character by the port that prints. */
	movl	tour_count(%rip), %eax
	addl	$'0', %eax
	outb	%al, $0xe9		/* reason 30 */
	leaq	tour_text(%rip), %rdi
	movl	$(tour_text_end - tour_text), %esi
	movl	$PRINT, %eax
	vmcall
	xorl	%edi, %edi
	movl	$EXIT, %eax
	vmcall				/* ends with status 0 */

tour_handler:				/* #GP: count it and go on behind the instruction */
	incl	tour_count(%rip)
	pushq	%rax
	movq	16(%rsp), %rax		/* above RAX and the error code: RIP */
	cmpb	$0x0f, (%rax)		/* all three instructions begin with 0F */
	jne	1f
	addq	$2, 16(%rsp)		/* RDMSR, CLTS: two bytes */
	cmpb	$0x22, 1(%rax)		/* MOV to CR: three */
	jne	1f
	incq	16(%rsp)
1:	popq	%rax
	addq	$8, %rsp		/* the error code */
	iretq

tour_text:
	.ascii	" times #GP came to my own handler, and I went on\n"
tour_text_end:
	.balign	8
tour_gdt:
	.quad	0
	.quad	0x00af9b000000ffff	/* 0x08: 64-bit code */
tour_gdtr:
	.word	15
	.quad	0
tour_idtr:
	.word	14 * 16 - 1
	.quad	0
tour_count:
	.long	0
tour_guest_end:
