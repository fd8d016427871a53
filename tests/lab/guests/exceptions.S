/* SPDX-License-Identifier: GPL-2.0-only */
/* Exceptions: to the guest's own IDT, or else its end. */
#include "guest.h"

guest_with_handlers faults
	xorl	%edx, %edx
	movl	$1, %eax
	xorl	%ecx, %ecx
	FAULTS(VECTOR_DE, 0, divl %ecx)
	FAULTS(VECTOR_UD, 0, ud2)
	movl	$0x48, %eax			/* behind the end of the GDT */
	FAULTS(VECTOR_GP, 0x48, movw %ax, %ds)
	movl	$0x44, %eax			/* no LDT */
	FAULTS(VECTOR_GP, 0x44, movw %ax, %es)
	movl	$0x28, %eax
	movabsq	$0x00cf13000000ffff, %rbx	/* a data segment that is not present */
	movq	%rbx, GDT + 0x28
	FAULTS(VECTOR_NP, 0x28, movw %ax, %ds)
	FAULTS(VECTOR_SS, 0x28, movw %ax, %ss)
	movabsq	$0x800000000000, %rbp
	FAULTS(VECTOR_SS, 0, movq (%rbp), %rax)
	PASS

guest_with_handlers page_faults
	FAULTS(VECTOR_PF, 0, movq 0x10, %rax)
	EXPECT_EQ($0x10, SEEN_CR2)
	movl	$0x20000, %ebx
	FAULTS(VECTOR_PF, 2, movq %rax, 8(%rbx))
	EXPECT_EQ($0x20008, SEEN_CR2)
	/* A jump to nowhere: RIP is the target. The fetch bit shows only where NX is on. */
	movq	$2f, RESUME
	movl	$0x30000, %eax
	jmp	*%rax
2:	EXPECT_EQ($VECTOR_PF, SEEN_VECTOR)
	EXPECT_EQ($0x30000, SEEN_RIP)
	EXPECT_EQ($0x30000, SEEN_CR2)
	andq	$~0x10, SEEN_ERROR
	EXPECT_EQ($0, SEEN_ERROR)
	PASS

/* INT3, INT1 and INT n push the address behind them. */
guest_with_handlers software_interrupts
	movq	$2f, RESUME
	int3
1:	FAIL
2:	EXPECT_EQ($VECTOR_BP, SEEN_VECTOR)
	EXPECT_EQ($1b, SEEN_RIP)
	EXPECT_EQ($0, SEEN_ERROR)
	movq	$2f, RESUME
	.byte	0xcd, 0x03			/* INT 3 in two bytes */
1:	FAIL
2:	EXPECT_EQ($VECTOR_BP, SEEN_VECTOR)
	EXPECT_EQ($1b, SEEN_RIP)
	movq	$2f, RESUME
	.byte	0xf1				/* INT1 */
1:	FAIL
2:	EXPECT_EQ($VECTOR_DB, SEEN_VECTOR)
	EXPECT_EQ($1b, SEEN_RIP)
	movq	$2f, RESUME
	int	$0x1f
1:	FAIL
2:	EXPECT_EQ($0x1f, SEEN_VECTOR)
	EXPECT_EQ($1b, SEEN_RIP)
	FAULTS(VECTOR_GP, 0x20 * 8 + 2, int $0x20)	/* behind the end of the IDT */
	FAULTS(VECTOR_GP, 0xff * 8 + 2, int $0xff)
	PASS

/* The trap flag: #DB behind each instruction, with the flags as they were. */
guest_with_handlers single_step
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
	PASS

/* Flags in the frame, and back by IRET. */
guest_with_handlers frame
	movq	$2f, RESUME
	std
	stc
	ud2
2:	pushfq
	cld
	popq	%rbx
	testl	$0x400, %ebx			/* DF came back */
	EXPECT(nz)
	testl	$1, %ebx
	EXPECT(nz)
	movq	SEEN_RFLAGS, %rax
	andl	$0x401, %eax			/* RF would be set on hardware; Bochs 2.7 forgets it */
	EXPECT_EQ($0x401, %rax)
	PASS

/* The smallest IDT limit that has an entry for #UD, and one byte less. */
guest_with_handlers idt_limit_exact
	movw	$(VECTOR_UD * 16 + 15), SCRATCH
	movq	$IDT, SCRATCH + 2
	lidt	SCRATCH
	FAULTS(VECTOR_UD, 0, ud2)
	PASS

guest_with_handlers idt_limit_one_less
	movw	$(VECTOR_UD * 16 + 14), SCRATCH
	movq	$IDT, SCRATCH + 2
	lidt	SCRATCH
	ud2
	PASS

guest no_idt_ud
	ud2

guest no_idt_pf
	movl	$0x12340, %eax
	movb	(%rax), %al

guest no_idt_gp
	movl	$0x1d9, %ecx
	rdmsr

guest no_idt_bp
	nop
	int3

guest no_idt_de
	xorl	%ecx, %ecx
	divl	%ecx

guest no_idt_nm
	fninit

guest no_idt_int_n
	int	$0x80				/* gives #GP, for which there is no entry either */

/* A benign first fault: the second one is delivered, in its own right. */
guest_with_handlers fault_in_delivery
	andb	$0x7f, IDT + VECTOR_UD * 16 + 5		/* the gate for #UD is not present */
	movq	$2f, RESUME
1:	ud2
2:	EXPECT_EQ($VECTOR_NP, SEEN_VECTOR)
	EXPECT_EQ($1b, SEEN_RIP)
	andq	$~1, SEEN_ERROR				/* EXT */
	EXPECT_EQ($(VECTOR_UD * 8 + 2), SEEN_ERROR)
	/* INT n through a gate that is not present. */
	andb	$0x7f, IDT + 0x1f * 16 + 5
	FAULTS(VECTOR_NP, 0x1f * 8 + 2, int $0x1f)
	PASS

/* Two contributory faults, and a page fault with another: #DF, with error code 0. */
guest_with_handlers double_fault
	andb	$0x7f, IDT + VECTOR_GP * 16 + 5
	movl	$0x1d9, %ecx
	movq	$2f, RESUME
	movq	$-1, SEEN_ERROR
	rdmsr
2:	EXPECT_EQ($VECTOR_DF, SEEN_VECTOR)
	EXPECT_EQ($0, SEEN_ERROR)
	andb	$0x7f, IDT + VECTOR_PF * 16 + 5
	movq	$2f, RESUME
	movq	$-1, SEEN_VECTOR
	movb	0, %al
2:	EXPECT_EQ($VECTOR_DF, SEEN_VECTOR)
	EXPECT_EQ($0, SEEN_ERROR)
	/* The stack is gone: #PF while #PF is delivered. #DF's handler has a stack of its own. */
	orb	$0x80, IDT + VECTOR_PF * 16 + 5
	movb	$1, IDT + VECTOR_DF * 16 + 4		/* IST 1 */
	movq	$0x9000, TSS + 0x24
	movl	$0x20, %eax
	ltr	%ax
	movq	$2f, RESUME
	movq	$-1, SEEN_VECTOR
	movq	%rsp, %rbx
	xorl	%esp, %esp
	movb	0, %al
2:	movq	%rbx, %rsp
	EXPECT_EQ($VECTOR_DF, SEEN_VECTOR)
	EXPECT_EQ($0, SEEN_ERROR)
	EXPECT_EQ($-8, SEEN_CR2)
	PASS

guest_with_handlers triple_fault_by_gates
	andb	$0x7f, IDT + VECTOR_GP * 16 + 5
	andb	$0x7f, IDT + VECTOR_DF * 16 + 5
	movl	$0x1d9, %ecx
	rdmsr
	PASS

guest_with_handlers triple_fault_by_stack
	xorl	%esp, %esp
	ud2
	PASS

/* An IDT that lies in no memory. */
guest_with_handlers triple_fault_by_idt
	movw	$0xfff, SCRATCH
	movq	$0x40000, SCRATCH + 2
	lidt	SCRATCH
	ud2
	PASS

guest_with_handlers double_fault_without_entry
	movw	$(VECTOR_UD * 16 + 15), SCRATCH
	movq	$IDT, SCRATCH + 2
	lidt	SCRATCH
	xorl	%esp, %esp
	ud2					/* #UD, #PF (no entry at all) */
	PASS

/* RIP advances over an instruction in the shadow of MOV SS and STI, and the shadow ends: with it
 * still there and TF set, the next VM entry would fail. */
guest_with_handlers mov_ss_shadow
	movl	$0x10, %ebp
	movw	%bp, %ss
	cpuid
	nop
	movq	$4f, RESUME
	pushfq
	orq	$0x100, (%rsp)
	popfq
	movw	%bp, %ss
	cpuid
1:	nop
2:	nop
3:	FAIL
4:	EXPECT_EQ($VECTOR_DB, SEEN_VECTOR)
	cmpq	$1b, SEEN_RIP
	je	5f
	EXPECT_EQ($2b, SEEN_RIP)
5:	PASS

guest_with_handlers sti_shadow
	cli
	sti
	cpuid
	nop
	movq	$4f, RESUME
	cli
	pushfq
	orq	$0x100, (%rsp)
	popfq
	sti
	cpuid
1:	nop
2:	nop
3:	FAIL
4:	EXPECT_EQ($VECTOR_DB, SEEN_VECTOR)
	PASS

/* An exception in the shadow goes to its handler. */
guest_with_handlers exception_in_shadow
	movl	$0x10, %ebp
	movq	$2f, RESUME
	movw	%bp, %ss
1:	ud2
2:	EXPECT_EQ($VECTOR_UD, SEEN_VECTOR)
	EXPECT_EQ($1b, SEEN_RIP)
	cli
	movq	$2f, RESUME
	sti
1:	ud2
2:	EXPECT_EQ($VECTOR_UD, SEEN_VECTOR)
	EXPECT_EQ($1b, SEEN_RIP)
	PASS
