/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guests that try to break out, to break something, or to hold on to the processor for ever.
 * test_hostile_guests.py says how each must end.
 *
 * long-file: nearly a hundred programs of a few lines each, best found in one place.
 */
#include "guest.h"

/* ---- Time without end ---- */

guest loop_endless
	jmp	loop_endless

guest loop_interrupts_off
	cli
1:	jmp	1b

guest loop_cli
1:	cli
	jmp	1b

guest loop_sti_cli
1:	sti
	cli
	jmp	1b

guest loop_pause
1:	pause
	jmp	1b

guest loop_pause_interrupts_off
	cli
1:	pause
	jmp	1b

guest loop_cpuid
1:	cpuid
	jmp	1b

guest loop_cpuid_interrupts_off
1:	cli
	cpuid
	jmp	1b

guest loop_vmcall
1:	movl	$HYPERCALL_TIME, %eax
	vmcall
	jmp	1b

guest loop_vmcall_unknown
	cli
1:	movq	$-1, %rax
	vmcall
	jmp	1b

guest loop_in
1:	inb	$0x60, %al
	jmp	1b

guest loop_wbinvd
1:	wbinvd
	invd
	jmp	1b

guest loop_popf_interrupts_off
1:	pushq	$2
	popfq
	jmp	1b

guest loop_mov_ss				/* no interrupt between MOV SS and what follows */
	xorl	%eax, %eax
1:	movw	%ax, %ss
	jmp	1b

guest loop_sti_shadow
1:	cli
	sti
	cli
	sti
	jmp	1b

guest loop_rep_movsb				/* one long instruction after the other */
	cld
1:	movl	$0x2000, %esi
	movl	$0x8000, %edi
	movl	$0x6000, %ecx
	rep movsb
	jmp	1b

guest loop_print_empty
1:	movl	$0x1000, %edi
	xorl	%esi, %esi
	movl	$HYPERCALL_PRINT, %eax
	vmcall
	jmp	1b

guest loop_print_full				/* goes on when there is no more room */
1:	movl	$0x1000, %edi
	movl	$4096, %esi
	movl	$HYPERCALL_PRINT, %eax
	vmcall
	jmp	1b

guest_with_handlers loop_faults
	movq	$1f, RESUME
1:	ud2

guest_with_handlers loop_int3
	movq	$1f, RESUME
1:	int3

guest_with_handlers loop_msr_faults
	movq	$1f, RESUME
1:	movl	$0xc0000082, %ecx
	rdmsr

guest_with_handlers loop_single_step
	movq	$1f, RESUME
1:	pushfq
	orq	$0x100, (%rsp)
	popfq
	nop
	jmp	1b

guest loop_swapgs
1:	swapgs
	jmp	1b

guest loop_kernel_gs_base
	movl	$0xc0000102, %ecx
1:	rdtsc
	movl	$0x1234, %edx
	wrmsr
	swapgs
	jmp	1b

/* 16 KiB of empty lines: 16384 lines of log. */
guest print_empty_lines
	movl	$0x4000, %edi
	movl	$4096, %ecx
	movb	$'\n', %al
	rep stosb
	.rept	4
	PRINT($0x4000, $4096)
	.endr
	hlt

/* ---- Exceptions without end ---- */

/* The handler faults itself, on a stack of its own each time: no memory is used up. */
guest_with_handlers recursion_on_ist
	movb	$1, IDT + VECTOR_UD * 16 + 4
	movq	$0x9000, TSS + 0x24
	movl	$0x20, %eax
	ltr	%ax
	movl	$1f, %eax
	movw	%ax, IDT + VECTOR_UD * 16
1:	ud2

/* The handler faults itself, and the stack grows down until nothing is mapped. */
guest_with_handlers recursion_on_the_stack
	movl	$1f, %eax
	movw	%ax, IDT + VECTOR_UD * 16
1:	ud2

/* The handler of #PF is in no memory: #PF, and again at its first byte. */
guest_with_handlers recursion_of_page_faults
	movw	$0x0f00, IDT + VECTOR_PF * 16
	movb	0, %al

/* The stack is the IDT: each frame overwrites gates. */
guest_with_handlers stack_in_the_idt
	movl	$1f, %eax
	movw	%ax, IDT + VECTOR_UD * 16
	movl	$(IDT + 0x200), %esp
1:	ud2

/* The stack is the code. */
guest_with_handlers stack_in_the_code
	movq	$1f, RESUME
	movl	$0x1400, %esp
1:	ud2
	jmp	1b

/* A gate that leads to a data segment, one to a null selector, one to 32-bit code. */
guest_with_handlers gate_to_data
	movw	$0x10, IDT + VECTOR_UD * 16 + 2
	FAULTS_SOMEHOW(VECTOR_GP, ud2)
	hlt

guest_with_handlers gate_to_null
	movw	$0, IDT + VECTOR_UD * 16 + 2
	FAULTS_SOMEHOW(VECTOR_GP, ud2)
	hlt

guest_with_handlers gate_to_32_bit_code
	movw	$0x18, IDT + VECTOR_UD * 16 + 2
	FAULTS_SOMEHOW(VECTOR_GP, ud2)
	hlt

guest_with_handlers gate_of_no_type
	movb	$0x85, IDT + VECTOR_UD * 16 + 5		/* a task gate, which 64-bit mode lacks */
	FAULTS_SOMEHOW(VECTOR_GP, ud2)
	hlt

guest_with_handlers gate_not_canonical
	movl	$0x8000, IDT + VECTOR_UD * 16 + 8
	FAULTS_SOMEHOW(VECTOR_GP, ud2)
	hlt

guest_with_handlers ist_not_canonical
	movb	$1, IDT + VECTOR_UD * 16 + 4
	movabsq	$0x800000000000, %rax
	movq	%rax, TSS + 0x24
	movl	$0x20, %eax
	ltr	%ax
	FAULTS_SOMEHOW(VECTOR_SS, ud2)
	hlt

guest_with_handlers ist_in_no_memory
	movb	$1, IDT + VECTOR_UD * 16 + 4
	movq	$0, TSS + 0x24
	movl	$0x20, %eax
	ltr	%ax
	FAULTS_SOMEHOW(VECTOR_PF, ud2)
	hlt

guest_with_handlers int_n_all
	movq	$1f, RESUME
	.set	number, 0
	.rept	256
	movq	$1f, RESUME
	int	$number
1:	nop
	.set	number, number + 1
	.endr
	hlt

/* ---- Stacks and jumps ---- */

guest stack_at_zero
	xorl	%esp, %esp
	pushq	%rax

guest stack_not_canonical
	movabsq	$0x800000000008, %rsp
	pushq	%rax

guest jump_to_zero
	xorl	%eax, %eax
	jmp	*%rax

guest jump_not_canonical
	movabsq	$0x800000000000, %rax
	jmp	*%rax

guest return_not_canonical
	movabsq	$0xdead000000000000, %rax
	pushq	%rax
	ret

guest jump_to_the_kernel
	movabsq	$0xffffffff81000000, %rax
	jmp	*%rax

guest call_recursive
	call	call_recursive

guest self_modifying
	movb	$0xf4, 1f(%rip)			/* HLT */
	jmp	1f
1:	ud2

guest self_erasing
	movl	$0x1000, %edi
	movl	$0xf000, %ecx
	xorl	%eax, %eax
	rep stosb

guest all_ones
	movl	$0x1000 + 64, %edi
	movl	$0xf000 - 64, %ecx
	movb	$0xff, %al
	rep stosb

/* ---- Descriptor tables ---- */

guest_with_handlers lgdt_nonsense
	movw	$0xffff, SCRATCH
	movabsq	$0xffff888000000000, %rax
	movq	%rax, SCRATCH + 2
	WORKS(lgdt SCRATCH)
	movl	$0x10, %eax
	movw	%ax, %ds			/* reads the GDT: #PF, whose gate needs the GDT too */
	FAIL

guest_with_handlers lgdt_not_canonical
	movabsq	$0x800000000000, %rax
	movq	%rax, SCRATCH + 2
	FAULTS(VECTOR_GP, 0, lgdt SCRATCH)
	FAULTS(VECTOR_GP, 0, lidt SCRATCH)
	hlt

guest lidt_in_the_kernel
	movw	$0xffff, SCRATCH
	movabsq	$0xfffffe0000000000, %rax	/* where Linux has its IDT */
	movq	%rax, SCRATCH + 2
	lidt	SCRATCH
	ud2

guest lidt_in_the_kernel_int
	movw	$0xffff, SCRATCH
	movabsq	$0xfffffe0000000000, %rax
	movq	%rax, SCRATCH + 2
	lidt	SCRATCH
	int	$0x80

guest lidt_all_memory				/* vectors' gates are whatever the code is */
	movw	$0xffff, SCRATCH
	movq	$0x1000, SCRATCH + 2
	lidt	SCRATCH
1:	int	$0x21
	jmp	1b

guest_with_handlers ltr_nonsense
	xorl	%eax, %eax
	FAULTS(VECTOR_GP, 0, ltr %ax)
	movl	$0x10, %eax
	FAULTS(VECTOR_GP, 0x10, ltr %ax)	/* a data segment */
	movl	$0x14, %eax
	FAULTS(VECTOR_GP, 0x14, ltr %ax)	/* in the LDT */
	movl	$0xfff8, %eax
	FAULTS(VECTOR_GP, 0xfff8, ltr %ax)
	movl	$0x20, %eax
	WORKS(ltr %ax)
	FAULTS(VECTOR_GP, 0x20, ltr %ax)	/* busy now */
	movl	$0x20, %eax
	movl	$0xffffffff, GDT + 0x20		/* limit and base of nonsense */
	movl	$0xffff89ff, GDT + 0x24
	movl	$0xffff8880, GDT + 0x28
	WORKS(ltr %ax)
	str	%eax
	EXPECT_EQ($0x20, %rax)
	movl	$100000, %ecx			/* this TSS through some VM entries */
1:	loop	1b
	cpuid
	movl	$0x8000, GDT + 0x28		/* a base that is not canonical */
	movl	$0x0000897f, GDT + 0x24
	movl	$0x20, %eax
	FAULTS_SOMEHOW(VECTOR_GP, ltr %ax)
	cpuid
	hlt

guest_with_handlers lldt_nonsense
	xorl	%eax, %eax
	WORKS(lldt %ax)
	movl	$0x10, %eax
	FAULTS(VECTOR_GP, 0x10, lldt %ax)
	movl	$0x0000ffff, GDT + 0x20		/* an LDT of 64 KiB at address 0 */
	movl	$0x00008200, GDT + 0x24
	movl	$0, GDT + 0x28
	movl	$0x20, %eax
	WORKS(lldt %ax)
	cpuid
	movq	$9f, RESUME
	movl	$0x1004, %eax			/* a descriptor made of code */
	movw	%ax, %ds
	cpuid
	movw	%ax, %fs
	cpuid
9:	hlt

/* Segments of every kind that can be loaded, with VM entries in between. */
guest_with_handlers segment_nonsense
	movq	$9f, RESUME
	movl	$0x80, %ebx			/* access bytes: present, privilege level 0 … */
1:	movl	$0x0000ffff, GDT + 0x10
	movl	%ebx, %eax
	shll	$8, %eax
	movl	%eax, GDT + 0x14
	movl	$0x10, %eax
	.irp	segment, ds, es, fs, gs
	movq	$2f, RESUME
	movw	%ax, %\segment
2:	pushq	%rbx
	pushq	%rax
	cpuid
	popq	%rax
	popq	%rbx
	.endr
	/* the same with a large, high, expand-down or byte-granular limit */
	xorl	$0xffff00ff, GDT + 0x14
	.irp	segment, ds, es, fs, gs
	movq	$2f, RESUME
	movw	%ax, %\segment
2:	pushq	%rbx
	pushq	%rax
	cpuid
	popq	%rax
	popq	%rbx
	.endr
	incl	%ebx
	cmpl	$0x100, %ebx
	jb	1b
9:	hlt

/* ---- Other modes and privilege levels ---- */

/* To 32-bit code, still at privilege level 0, and its segments' games. */
guest_with_handlers compatibility_mode
	movl	$0x10, %eax
	movw	%ax, %ss
	movl	$0x9000, %esp
	pushq	$0x18
	pushq	$1f
	lretq
	.code32
1:	movl	$0x10, %eax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	cpuid
	movl	%cr3, %eax
	inb	$0x60, %al
	movl	$HYPERCALL_TIME, %eax
	vmcall
	pushfl
	popfl
	hlt
	.code64

/* 32-bit code whose base makes its instruction pointer wrap around at 4 GiB behind a VM exit. */
guest_with_handlers compatibility_mode_wrap
	movabsq	$0x00cf9b002002ffff, %rax	/* base 2002h */
	movq	%rax, GDT + 0x18
	movw	$0xa20f, 0x2000			/* CPUID, at EIP FFFFFFFE */
	movl	$0x10, %eax
	movw	%ax, %ss
	movw	%ax, %ds
	movb	$0xf4, 0x2002			/* HLT, at EIP 0 */
	movl	$0xfffffffe, %eax
	pushq	$0x18
	pushq	%rax
	lretq

guest_with_handlers compatibility_mode_into
	movq	$2f, RESUME
	movl	$0x10, %eax
	movw	%ax, %ss
	movl	$0x9000, %esp
	pushq	$0x18
	pushq	$1f
	lretq
	.code32
1:	movl	$0x10, %eax
	movw	%ax, %ss
	movl	$0x800, %eax
	pushl	%eax
	popfl
	into					/* #OF, a software exception of one byte */
2:	hlt					/* the handler comes back to 32-bit code */
	.code64

/* To privilege level 3: no page allows it, and there is a TSS to come back with. */
guest_with_handlers user_mode
	movq	$0x9000, TSS + 4
	movl	$0x20, %eax
	ltr	%ax
	movq	$2f, RESUME
	pushq	$0x3b
	pushq	$0x8000
	pushq	$2
	pushq	$0x33
	pushq	$1f
	iretq
1:	FAIL				/* neither this nor where the handler returns to is reached */
2:	FAIL

guest user_mode_without_tables
	pushq	$0x3b
	pushq	$0x8000
	pushq	$2
	pushq	$0x33
	pushq	$1f
	iretq
1:	hlt

guest_with_handlers user_mode_without_tss
	pushq	$0x3b
	pushq	$0x8000
	pushq	$0x3202				/* IOPL 3 */
	pushq	$0x33
	pushq	$1f
	iretq
1:	hlt

guest_with_handlers iret_nonsense
	xorl	%ebx, %ebx
	movq	$2f, RESUME
1:	movl	$0xfa00, %esp			/* five pseudo-random words as a frame */
	.rept	5
	imulq	$0x19660d, %rbx, %rbx
	addq	$0x3c6ef35f, %rbx
	pushq	%rbx
	.endr
	iretq
2:	movl	$0x9000, %esp
	cmpq	$200, COUNT
	jb	1b
	hlt

guest_with_handlers iret_to_flags
	/* Each flag in turn comes by IRET: NT, RF, VM, AC, VIF, VIP, ID and those that must be 0. */
	xorl	%ebx, %ebx
1:	movl	$2, %edx
	btsq	%rbx, %rdx
	movq	%rsp, %rbp
	movq	$2f, RESUME
	pushq	$0x10
	pushq	%rbp
	pushq	%rdx
	pushq	$0x08
	pushq	$2f
	iretq
2:	pushq	%rbx
	cpuid
	popq	%rbx
	pushq	$2
	popfq
	movq	%rbp, %rsp
	incl	%ebx
	cmpl	$64, %ebx
	jb	1b
	hlt

guest_with_handlers nested_task_flag
	pushq	$0x4002
	popfq
	movq	$1f, RESUME
	iretq					/* with NT set: #GP in 64-bit mode */
1:	EXPECT_EQ($VECTOR_GP, SEEN_VECTOR)
	hlt

guest_with_handlers far_jumps
	movl	$1f, SCRATCH
	.irp	selector, 0, 0x10, 0x18, 0x20, 0x33, 0x38, 0x40, 0xfff8
	movw	$\selector, SCRATCH + 4
	movq	$2f, RESUME
	ljmp	*SCRATCH
2:	cpuid
	.endr
	hlt
1:	.byte	0xf4				/* HLT, whatever the mode */

guest syscall_without_handlers
	syscall
	hlt

guest_with_handlers syscall_with_handlers
	movq	$1f, RESUME
	syscall
1:	cpuid
	hlt

guest_with_handlers sysret_games
	movl	$2f, %ecx
	movl	$0x202, %r11d
	movq	$1f, RESUME
	sysretq
1:	cpuid
	movq	$1f, RESUME
	sysretl
1:	cpuid
	hlt
2:	hlt

guest_with_handlers sysenter_games
	FAULTS(VECTOR_GP, 0, sysenter)
	movl	$1f, %edx
	movl	$0x9000, %ecx
	FAULTS(VECTOR_GP, 0, sysexitl)
1:	hlt

guest_with_handlers swapgs_games
	movl	$0xc0000102, %ecx
	movl	$-1, %eax
	movl	$-1, %edx
	wrmsr
	swapgs
	movq	$1f, RESUME
	movq	%gs:0, %rax
1:	xorl	%eax, %eax
	movw	%ax, %gs
	swapgs
	swapgs
	swapgs
	movl	$0x10, %eax
	movw	%ax, %gs
	swapgs
	hlt

/* ---- Registers ---- */

guest cr0_protection_off
	movq	%cr0, %rax
	andq	$~1, %rax
	movq	%rax, %cr0

guest cr0_paging_off
	movq	%cr0, %rax
	btrq	$31, %rax
	movq	%rax, %cr0

guest cr3_to_own_tables				/* tables that would map all of memory */
	movq	$0x83, 0x4000
	movl	$0x4000, %eax
	movq	%rax, %cr3

guest cr4_vmxe
	movq	%cr4, %rax
	btcq	$13, %rax
	movq	%rax, %cr4

guest cr4_pae_off
	xorl	%eax, %eax
	movq	%rax, %cr4

guest cr8_mask_interrupts
	movl	$15, %eax
	movq	%rax, %cr8

guest dr7_breakpoints
	movl	$0x403, %eax
	movq	%rax, %db7

guest dr0_breakpoint
	movabsq	$0xffffffff81000000, %rax
	movq	%rax, %db0

guest efer_syscall
	movl	$0xc0000080, %ecx
	movl	$0x501, %eax
	xorl	%edx, %edx
	wrmsr

guest lstar
	movl	$0xc0000082, %ecx
	movl	$0x1000, %eax
	xorl	%edx, %edx
	wrmsr

guest sysenter_eip
	movl	$0x176, %ecx
	movl	$0x1000, %eax
	xorl	%edx, %edx
	wrmsr

guest apic_base_off
	movl	$0x1b, %ecx
	xorl	%eax, %eax
	xorl	%edx, %edx
	wrmsr

guest microcode
	movl	$0x79, %ecx
	xorl	%eax, %eax
	xorl	%edx, %edx
	wrmsr

guest debugctl
	movl	$0x1d9, %ecx
	movl	$3, %eax
	xorl	%edx, %edx
	wrmsr

guest x2apic_self_ipi
	movl	$0x83f, %ecx
	movl	$2, %eax
	xorl	%edx, %edx
	wrmsr

guest xcr0_avx
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	movl	$7, %eax
	xsetbv

/* ---- Ports and hypercalls ---- */

guest reset_by_keyboard
	movb	$0xfe, %al
	outb	%al, $0x64
	hlt

guest reset_by_cf9
	movl	$0xcf9, %edx
	movb	$6, %al
	outb	%al, %dx
	hlt

guest rep_outsl_flood
	movl	$0x1000, %esi
	movl	$-1, %ecx
	movl	$0x3f8, %edx
	rep outsl

guest print_the_kernel
	movabsq	$0xffffffff81000000, %rdi
	movl	$4096, %esi
	movl	$HYPERCALL_PRINT, %eax
	vmcall
	movq	%rax, %rdi
	movl	$HYPERCALL_EXIT, %eax
	vmcall

guest print_wild_pointers
	movl	$2000, %ebp
	movq	$1, %rbx
1:	imulq	$0x19660d, %rbx, %rbx
	addq	$0x3c6ef35f, %rbx
	movq	%rbx, %rdi
	movq	%rbx, %rsi
	rorq	$17, %rsi
	movl	$HYPERCALL_PRINT, %eax
	vmcall
	decl	%ebp
	jnz	1b
	hlt

guest invalid_opcodes
	.byte	0x0f, 0xff

guest vmx_in_vmx
	movl	$0x2b, 0x4000			/* the revision identifier */
	movq	$0x4000, 0x3000
	vmxon	0x3000

guest vmlaunch_here
	vmlaunch

guest rsm_here
	rsm

guest icebp
	.byte	0xf1

guest lock_prefix
	.byte	0xf0, 0x90

guest too_long_an_instruction
	.fill	15, 1, 0x66
	nop

guest zeroes					/* ADD %AL, (%RAX) with RAX 0 */
	.quad	0

guest cache_lines
	clflush	0x1000
	movabsq	$0xffff888000000000, %rax
	clflush	(%rax)

guest prefetch_everything			/* never faults */
	movabsq	$0xffffffff81000000, %rax
	movl	$10000, %ecx
1:	prefetcht0 (%rax)
	addq	$4096, %rax
	loop	1b
	hlt

guest page_table_walk				/* reads all that can be reached */
	movl	$0x1000, %ebx
1:	movb	(%rbx), %al
	incl	%ebx
	jmp	1b

/* ---- The random guests' frame ---- */

/* What the runner appends is run from the end of this: a fault skips a byte and goes on, on a
 * fresh stack. */
guest_with_handlers survivor
	movl	$1f, %eax			/* all gates to one handler … */
	movl	$IDT, %edi
2:	movw	%ax, (%rdi)
	movb	$1, 4(%rdi)			/* … on one stack */
	addl	$16, %edi
	cmpl	$(IDT + 32 * 16), %edi
	jb	2b
	movq	$0xe000, TSS + 0x24
	movl	$0x20, %eax
	ltr	%ax
	movq	$3f, RESUME
	jmp	3f
1:	incq	RESUME				/* the handler: whatever came, go on a byte further */
	movl	$0xf800, %esp
	jmp	*RESUME
3:
