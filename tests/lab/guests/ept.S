/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 07: what a guest finds when it begins, the edges of its RAM, and page tables of its own.
 * test_ept_guests.py gives it 3 MiB, so that one block of 2 MiB and single pages are mapped.
 *
 * long-file: some fifty programs of a few lines each, best found in one place.
 */
#include "ept.h"

#define EFAULT -14

/* ---- What it finds ---- */

guest ept_entry_registers
	/* The first instructions compare: no register has been touched. */
	cmpq	$0x70000, %rsp
	jne	1f
	cmpq	$RAM, %rdi
	jne	2f
	orq	%rbx, %rax
	orq	%rcx, %rax
	orq	%rdx, %rax
	orq	%rsi, %rax
	orq	%rbp, %rax
	orq	%r8, %rax
	orq	%r9, %rax
	orq	%r10, %rax
	orq	%r11, %rax
	orq	%r12, %rax
	orq	%r13, %rax
	orq	%r14, %rax
	orq	%r15, %rax
	jnz	3f
	movq	%cr2, %rax
	EXPECT_EQ($0, %rax)
	movq	%cr3, %rax
	EXPECT_EQ($0x70000, %rax)
	movq	%cr8, %rax
	EXPECT_EQ($0, %rax)
	leaq	ept_entry_registers(%rip), %rax
	EXPECT_EQ($0x1000, %rax)
	PASS
1:	FAIL
2:	FAIL
3:	FAIL

guest ept_entry_flags
	pushfq
	popq	%rax
	EXPECT_EQ($2, %rax)			/* IF, too, is 0 */
	PASS

/* The tables map what RAM there is in whole 2 MiB, and nothing else. */
guest ept_entry_tables
	movl	$0x70000, %ebx
	xorl	%ecx, %ecx
1:	movq	(%rbx), %rax
	andq	$~0x60, %rax			/* accessed and dirty: the processor sets them */
	leaq	0x1003(%rbx), %rdx
	cmpl	$0x72000, %ebx
	jb	2f
	movl	$0x83, %edx
2:	EXPECT_EQ(%rdx, %rax)			/* the first entry of each table */
	movl	$1, %ecx
	cmpl	$0x72000, %ebx
	jb	3f
	movq	8(%rbx), %rax
	andq	$~0x60, %rax
	EXPECT_EQ($0x200083, %rax)
	movl	$2, %ecx
3:	EXPECT_EQ($0, (%rbx, %rcx, 8))
	incl	%ecx
	cmpl	$512, %ecx
	jb	3b
	addl	$0x1000, %ebx
	cmpl	$0x73000, %ebx
	jb	1b
	PASS

/* Each word of RAM begins as zero and keeps what is written. The stack is not used. */
guest ept_all_ram
	xorl	%ebx, %ebx
1:	cmpl	$0x1000, %ebx			/* the program, and below the tables */
	jne	2f
	movl	$0x2000, %ebx
2:	cmpl	$0x70000, %ebx
	jne	3f
	movl	$0x73000, %ebx
3:	EXPECT_EQ($0, (%rbx))
	movq	%rbx, (%rbx)
	addl	$8, %ebx
	cmpl	$RAM, %ebx
	jb	1b
4:	subl	$8, %ebx
	EXPECT_EQ(%rbx, (%rbx))
	cmpl	$0x73000, %ebx
	ja	4b
	PASS

guest ept_hypercall_print_edges
	movl	$0x7473616c, RAM - 5		/* "last" */
	movb	$'\n', RAM - 1
	PRINT($(RAM - 5), $5)
	EXPECT_EQ($0, %rax)
	movl	$0x0a64696d, 0x1ffffe		/* "mid\n", across two pieces of the machine's memory */
	PRINT($0x1ffffe, $4)
	EXPECT_EQ($0, %rax)
	PRINT($RAM, $0)
	EXPECT_EQ($0, %rax)
	PRINT($RAM, $1)
	EXPECT_EQ($EFAULT, %rax)
	PRINT($(RAM + 1), $0)
	EXPECT_EQ($EFAULT, %rax)
	PRINT($(RAM - 1), $2)
	EXPECT_EQ($EFAULT, %rax)
	PRINT($(RAM - 4095), $4096)
	EXPECT_EQ($EFAULT, %rax)
	PRINT($-1, $1)
	EXPECT_EQ($EFAULT, %rax)
	PRINT($-1, $2)				/* wraps around */
	EXPECT_EQ($EFAULT, %rax)
	PRINT($0x1000, $4097)
	EXPECT_EQ($EFAULT, %rax)
	movabsq	$0x10000000001000, %rdi		/* right but for bit 52 */
	movl	$1, %esi
	HYPERCALL(HYPERCALL_PRINT)
	EXPECT_EQ($EFAULT, %rax)
	PASS

/* The address is a guest-physical one, whatever the guest's tables say. */
guest ept_hypercall_print_is_physical
	WITH_WINDOW
	movq	$(0x90000 | 3), WINDOW_TABLE
	movb	$'w', 0x90000
	movl	$WINDOW, %ebx
	cmpb	$'w', (%rbx)
	EXPECT(e)
	PRINT($WINDOW, $1)
	EXPECT_EQ($EFAULT, %rax)
	PASS

/* ---- The edges of RAM ---- */

guest ept_last_byte
	movb	$0xc3, RAM - 1			/* RET */
	cmpb	$0xc3, RAM - 1
	EXPECT(e)
	movl	$(RAM - 1), %eax
	call	*%rax
	PASS

/* Data and code across the border of a block, and of two single pages. */
guest ept_borders
	movabsq	$0x1122334455667788, %rax
	movq	%rax, 0x1ffffc
	EXPECT_EQ(%rax, 0x1ffffc)
	movl	$0x11223344, %ecx
	movl	0x200000, %edx
	EXPECT_EQ(%rcx, %rdx)
	movq	%rax, 0x200ffd
	EXPECT_EQ(%rax, 0x200ffd)
	movl	$0x1ffffe, %ebx			/* MOV EAX, 12345678h; RET */
	movb	$0xb8, (%rbx)
	movl	$0x12345678, 1(%rbx)
	movb	$0xc3, 5(%rbx)
	call	*%rbx
	EXPECT_EQ($0x12345678, %rax)
	movl	$0x1000, %esi			/* a string that ends beyond the border */
	movl	$0x1fff00, %edi
	movl	$0x400, %ecx
	rep movsb
	movl	$0x1000, %esi
	movl	$0x1fff00, %edi
	movl	$0x400, %ecx
	repe cmpsb
	EXPECT(e)
	PASS

guest ept_read_beyond
	movl	$RAM, %ebx
	movb	(%rbx), %al

guest ept_write_beyond
	movl	$RAM, %ebx
	movb	%al, (%rbx)

guest ept_modify_beyond
	movl	$RAM, %ebx
	incb	(%rbx)

guest ept_read_across
	movl	$(RAM - 1), %ebx
	movw	(%rbx), %ax

guest ept_write_across
	movl	$(RAM - 7), %ebx
	movq	%rax, (%rbx)

guest ept_read_last_mapped
	movl	$0x3fffff, %ebx			/* of what the tables map */
	movb	(%rbx), %al

guest ept_fetch_beyond
	movl	$RAM, %eax
	jmp	*%rax

guest ept_fetch_across
	movb	$0xb8, RAM - 1			/* MOV EAX, and four bytes more */
	movl	$(RAM - 1), %eax
	jmp	*%rax

guest ept_push_beyond
	movl	$(RAM + 8), %esp
	pushq	%rax

guest ept_string_beyond
	movl	$(RAM - 16), %edi
	movl	$32, %ecx
	rep stosb

guest ept_apic
	WITH_WINDOW
	movl	$(0xfee00000 | 3), %eax
	movq	%rax, WINDOW_TABLE
	movl	$(WINDOW + 0x20), %ebx
	movl	(%rbx), %eax

guest ept_host_memory
	WITH_WINDOW
	movq	$(0x1000000 | 3), WINDOW_TABLE	/* where the host's kernel may lie */
	movl	$WINDOW, %ebx
	movl	(%rbx), %eax

/* The highest bit that a physical address of this CPU can have. */
guest ept_highest_address
	WITH_WINDOW
	movl	$0x80000008, %eax
	cpuid
	movzbl	%al, %ecx
	decl	%ecx
	movl	$3, %eax
	btsq	%rcx, %rax
	movq	%rax, WINDOW_TABLE
	movl	$WINDOW, %ebx
	movb	(%rbx), %al

/* Bits above it, up to 51, are reserved in an entry; 52 to 62 mean nothing; 63 wants EFER.NXE. */
guest_with_handlers ept_reserved_bits
	WITH_WINDOW
	movl	$0x80000008, %eax
	cpuid
	movzbl	%al, %r12d
	movl	$WINDOW, %ebp
1:	cmpl	$52, %r12d
	jae	2f
	movl	$(0x1000 | 3), %eax
	btsq	%r12, %rax
	movq	%rax, WINDOW_TABLE
	invlpg	(%rbp)
	FAULTS(VECTOR_PF, 9, movq (%rbp), %rax)
	EXPECT_EQ(%rbp, SEEN_CR2)
	FAULTS(VECTOR_PF, 11, movq %rax, (%rbp))
	btrq	%r12, WINDOW_TABLE
	incl	%r12d
	jmp	1b
2:	movl	$(0x1000 | 3), %eax
	btsq	%r12, %rax
	movq	%rax, WINDOW_TABLE
	invlpg	(%rbp)
	WORKS(movq (%rbp), %rax)
	EXPECT_EQ(%rax, 0x1000)
	incl	%r12d
	cmpl	$63, %r12d
	jb	2b
	movl	$(0x1000 | 3), %eax
	btsq	$63, %rax
	movq	%rax, WINDOW_TABLE
	invlpg	(%rbp)
	FAULTS(VECTOR_PF, 9, movq (%rbp), %rax)
	PASS

/* ---- Walks of page tables that lead outside ---- */

guest ept_walk_of_cr3
	movl	$RAM, %eax
	movq	%rax, %cr3

guest ept_walk_of_highest_cr3
	movl	$0x80000008, %eax
	cpuid
	movzbl	%al, %ecx
	decl	%ecx
	xorl	%eax, %eax
	btsq	%rcx, %rax
	movq	%rax, %cr3

guest ept_walk_of_pml4_entry
	movq	$(RAM | 3), 0x70008
	movabsq	$0x8040001000, %rbx
	movb	(%rbx), %al

guest ept_walk_of_pdpt_entry
	movq	$(RAM | 3), 0x71008
	movl	$0x40601000, %ebx
	movb	%al, (%rbx)

guest ept_walk_of_directory_entry
	WITH_WINDOW
	movq	$((RAM + 0x1000) | 3), WINDOW_DIRECTORY
	movl	$(WINDOW + 0x5000), %ebx
	jmp	*%rbx

guest ept_idt_beyond
	movw	$0xfff, SCRATCH
	movq	$RAM, SCRATCH + 2
	lidt	SCRATCH
	ud2

guest ept_gdt_beyond
	movw	$0xff, SCRATCH
	movq	$RAM, SCRATCH + 2
	lgdt	SCRATCH
	movl	$0x10, %eax
	movw	%ax, %ds

guest_with_handlers ept_stack_beyond
	movl	$(RAM + 0x100), %esp
	ud2

guest_with_handlers ept_tss_beyond
	movb	$1, IDT + VECTOR_UD * 16 + 4
	movl	$0x67, GDT + 0x20
	movl	$(0x8900 + (RAM >> 16)), GDT + 0x24	/* its base is RAM's end */
	movl	$0x20, %eax
	ltr	%ax
	ud2

/* ---- Tables of its own ---- */

/* Tables that map all 2^48 linear addresses, each GiB to the first one of guest-physical ones.
 * In the halves that an operating system would use lies the same RAM, and behind it nothing. */
guest_with_handlers ept_all_linear_addresses
	movl	$0x80000, %edi
	movl	$0x81003, %eax
	movl	$512, %ecx
	rep stosq
	movl	$0x82003, %eax
	movl	$512, %ecx
	rep stosq
	movl	$0x83, %eax
1:	movq	%rax, (%rdi)
	addl	$0x200000, %eax
	addl	$8, %edi
	cmpl	$0x83000, %edi
	jb	1b
	movl	$0x80000, %eax
	movq	%rax, %cr3
	movl	$3f, %esi
2:	movq	(%rsi), %rbx
	movq	(%rbx), %rax
	EXPECT_EQ(%rax, 0x1000)
	addl	$8, %esi
	cmpl	$4f, %esi
	jb	2b
	movabsq	$0xffffffff80000000, %rax	/* and code runs there */
	addq	$5f, %rax
	jmp	*%rax
5:	leaq	5b(%rip), %rbx
	cmpq	%rax, %rbx
	EXPECT(e)
	movabsq	$0xffffffff81000000, %rbx	/* Linux's code, if this were the host */
	movq	(%rbx), %rax
	FAIL
	.balign	8
3:	.quad	0x1000, 0x40001000, 0x8000001000, 0x7fffc0001000, 0xffff800000001000
	.quad	0xffff888000001000, 0xffffea0000001000, 0xfffffe0000001000, 0xffffffff80001000
	.quad	0xffffffffc0001000
4:

/* Entries of 1 GiB that map 512 GiB one to one: RAM is there, and where the APIC would be nothing
 * is. On a CPU without such entries one of 2 MiB maps that. */
guest_with_handlers ept_all_physical_addresses
	movl	$0x80000001, %eax
	cpuid
	movl	%edx, %r12d
	movq	$0x81003, 0x80000
	movl	$0x81000, %edi
	movl	$0x83, %eax
1:	movq	%rax, (%rdi)
	addq	$0x40000000, %rax
	addl	$8, %edi
	cmpl	$0x82000, %edi
	jb	1b
	btl	$26, %r12d
	jc	2f
	movq	$0x72003, 0x81000
	movq	$0x82003, 0x81018
	movl	$0xfee00083, %eax
	movq	%rax, 0x82000 + 0x1f7 * 8
2:	movl	$0x80000, %eax
	movq	%rax, %cr3
	movl	$0xfee00030, %ebx
	movl	(%rbx), %eax
	FAIL

/* A table that is its own entry: the guest reads and changes its tables through itself. */
guest ept_recursive_tables
	movq	$0x70003, 0x70ff8
	movabsq	$0xfffffffffffff000, %rbx	/* the PML4 */
	movq	0xff8(%rbx), %rax
	andq	$~0x60, %rax
	EXPECT_EQ($0x70003, %rax)
	movabsq	$0xffffffffffe00000, %rbx	/* the PDPT of entry 0 */
	movq	$0x72003, 8(%rbx)
	EXPECT_EQ($0x72003, 0x71008)
	movl	$0x40001000, %ebx		/* so the second GiB is the first once more */
	movq	(%rbx), %rax
	EXPECT_EQ(%rax, 0x1000)
	PASS

/* What INVLPG, MOV to CR3, CR4.PGE and INVPCID make the processor forget. */
guest ept_forgets
	WITH_WINDOW
	movl	$WINDOW, %ebp
	movq	$1, 0x90000
	movq	$2, 0x91000
	movq	$3, 0x92000
	movq	$4, 0x93000
	movq	$(0x90000 | 3), WINDOW_TABLE
	EXPECT_EQ($1, (%rbp))
	movq	$(0x91000 | 3), WINDOW_TABLE
	invlpg	(%rbp)
	EXPECT_EQ($2, (%rbp))
	movq	$(0x92000 | 0x103), WINDOW_TABLE
	movq	%cr3, %rax
	movq	%rax, %cr3
	EXPECT_EQ($3, (%rbp))
	movq	%cr4, %rax			/* a global page outlives MOV to CR3, not this */
	xorl	$0x80, %eax
	movq	%rax, %cr4
	EXPECT_EQ($3, (%rbp))
	movq	$(0x93000 | 3), WINDOW_TABLE
	xorl	$0x80, %eax
	movq	%rax, %cr4
	EXPECT_EQ($4, (%rbp))
	PASS

guest_with_handlers ept_invpcid
	WITH_WINDOW
	movl	$7, %eax
	xorl	%ecx, %ecx
	cpuid
	movl	$2, %eax			/* all contexts */
	btl	$10, %ebx
	jc	1f
	FAULTS(VECTOR_UD, 0, invpcid SCRATCH, %rax)
	PASS
1:	movl	$WINDOW, %ebp
	movq	$1, 0x90000
	movq	$2, 0x91000
	movq	$(0x90000 | 3), WINDOW_TABLE
	EXPECT_EQ($1, (%rbp))
	movq	$(0x91000 | 3), WINDOW_TABLE
	movl	$2, %eax
	WORKS(invpcid SCRATCH, %rax)
	EXPECT_EQ($2, (%rbp))
	movl	$4, %eax
	FAULTS(VECTOR_GP, 0, invpcid SCRATCH, %rax)	/* no such type */
	PASS

/* A page fault for each of 256 pages, which the guest itself handles, and nobody else. */
guest_with_handlers ept_page_faults
	WITH_WINDOW
	movl	$WINDOW, %ebp
	xorl	%ebx, %ebx
1:	FAULTS(VECTOR_PF, 0, movb (%rbp), %al)
	EXPECT_EQ(%rbp, SEEN_CR2)
	movq	%rbx, %rax
	shlq	$12, %rax
	orq	$3, %rax
	movq	%rax, WINDOW_TABLE(, %rbx, 8)
	WORKS(movb (%rbp), %al)
	testb	$0x20, WINDOW_TABLE(, %rbx, 8)	/* accessed */
	EXPECT(nz)
	testb	$0x40, WINDOW_TABLE(, %rbx, 8)	/* not dirty */
	EXPECT(z)
	addl	$4096, %ebp
	incl	%ebx
	cmpl	$256, %ebx
	jb	1b
	movl	$(WINDOW + 0x90000), %ebp
	movb	$1, (%rbp)
	testb	$0x40, WINDOW_TABLE + 0x90 * 8	/* dirty now */
	EXPECT(nz)
	EXPECT_EQ($256, COUNT)
	PASS

/* Read-only pages, by CR0.WP. */
guest_with_handlers ept_write_protection
	WITH_WINDOW
	movl	$WINDOW, %ebp
	movq	$(0x90000 | 1), WINDOW_TABLE
	FAULTS(VECTOR_PF, 3, movb %al, (%rbp))
	movq	%cr0, %rax
	btrq	$16, %rax
	WORKS(movq %rax, %cr0)
	WORKS(movb $7, (%rbp))
	btsq	$16, %rax
	movq	%rax, %cr0
	FAULTS(VECTOR_PF, 3, movb %al, (%rbp))
	EXPECT_EQ($7, 0x90000)
	PASS

/* No-execute pages, by EFER.NXE. */
guest_with_handlers ept_no_execute
	WITH_WINDOW
	movl	$0xc0000080, %ecx
	movl	$0xd00, %eax
	xorl	%edx, %edx
	WORKS(wrmsr)
	rdmsr
	EXPECT_EQ($0xd00, %rax)
	movb	$0xc3, 0x90000			/* RET */
	movabsq	$0x8000000000090003, %rax
	movq	%rax, WINDOW_TABLE
	movl	$WINDOW, %ebp
	cmpb	$0xc3, (%rbp)			/* it can be read */
	EXPECT(e)
	movq	$2f, RESUME
	call	*%rbp
	FAIL
2:	EXPECT_EQ($VECTOR_PF, SEEN_VECTOR)
	EXPECT_EQ($0x11, SEEN_ERROR)		/* present, and a fetch */
	EXPECT_EQ(%rbp, SEEN_RIP)
	EXPECT_EQ(%rbp, SEEN_CR2)
	movl	$0xc0000080, %ecx
	movl	$0x500, %eax
	xorl	%edx, %edx
	WORKS(wrmsr)
	invlpg	(%rbp)
	FAULTS(VECTOR_PF, 9, movb (%rbp), %al)	/* now the bit is reserved */
	PASS

/* A page of the user's that a kernel must not execute, by CR4.SMEP. */
guest_with_handlers ept_smep
	movl	$7, %eax
	xorl	%ecx, %ecx
	cpuid
	btl	$7, %ebx
	jnc	1f
	WITH_WINDOW
	orb	$4, 0x70000
	orb	$4, 0x71008
	orb	$4, WINDOW_DIRECTORY
	movb	$0xc3, 0x90000
	movq	$(0x90000 | 7), WINDOW_TABLE
	movl	$WINDOW, %ebp
	call	*%rbp
	movq	%cr4, %rax
	btsq	$20, %rax
	WORKS(movq %rax, %cr4)
	movq	$2f, RESUME
	movq	$-1, SEEN_VECTOR
	call	*%rbp
	FAIL
2:	EXPECT_EQ($VECTOR_PF, SEEN_VECTOR)
	EXPECT_EQ($0x11, SEEN_ERROR)
1:	PASS

/* Code that is changed through another address, again and again. */
guest ept_self_modifying
	WITH_WINDOW
	movq	$(0x1000 | 3), WINDOW_TABLE
	movl	$(WINDOW + 2f - 0x1000 + 1), %ebp	/* the constant in MOV */
	xorl	%ebx, %ebx
1:	movl	%ebx, (%rbp)
2:	movl	$-1, %eax
	cmpl	%eax, %ebx
	EXPECT(e)
	incl	%ebx
	cmpl	$2000, %ebx
	jb	1b
	PASS

/* The same page is code, a stack and a page table. */
guest ept_one_page_for_all
	movq	$(WINDOW_DIRECTORY | 3), 0x71008
	movq	$(0x1000 | 3), WINDOW_DIRECTORY	/* the program's page as a page table */
	movq	$(0x90000 | 3), 0x1ff8
	movl	$(WINDOW + 0x1ff000), %ebp
	movq	$5, (%rbp)
	EXPECT_EQ($5, 0x90000)
	movl	$0x1ff0, %esp
	call	1f
1:	popq	%rax
	EXPECT_EQ($1b, %rax)
	PASS
