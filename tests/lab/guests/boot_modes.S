/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 08: a guest that changes its modes, in each direction, and what a processor refuses then.
 *
 * long-file: some fifty programs of a few lines each, best found in one place.
 */
#include "boot.h"

#define CPUID	xorl %eax, %eax; cpuid

/* ---- Real and protected mode ---- */

/* Real, protected, real, three times, with exits in each. */
boot_with_handlers modes_protected
	movl	$3, SCRATCH
1:	CPUID
	movl	%cr0, %eax
	EXPECT_L($0x10, %eax)
	to_protected modes_protected
	movl	%cr0, %eax
	EXPECT_L($0x11, %eax)
	CPUID
	pushl	%esp				/* 32-bit code still */
	popl	%eax
	EXPECT_L($BOOT, %eax)
	FAULTS(VECTOR_UD, 0, ud2)
	FAULTS(VECTOR_GP, 0, movw %ax, %cs:SCRATCH)	/* code is not written to */
	to_real modes_protected
	CPUID
	FAULTS16(VECTOR_UD, ud2)
	movw	$0x0e2e, %ax
	int	$0x10
	decl	SCRATCH
	jnz	1b
	PASS

/* 16-bit protected mode: the sizes of operands and of the stack are those of the descriptors. */
boot_with_handlers modes_protected_16
	lgdtl	.Lgdtr_modes_protected_16
	lidtl	.Lidtr32_modes_protected_16
	SET_CR0(CR0_PE)
	ljmpw	$CODE16, $1f
1:	movw	$DATA16, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movl	$0x12340000 + BOOT, %esp
	CPUID
	pushw	%ax
	EXPECT_L($0x12340000 + BOOT - 2, %esp)
	popw	%ax
	movl	$0x10000, %ebx			/* beyond 64 KiB */
	FAULTS(VECTOR_GP, 0, movb (%ebx), %al)
	CLEAR_CR0(CR0_PE)
	ljmpw	$0, $1f
1:	CPUID
	PASS

/* Unreal mode: limits of protected mode stay behind in real mode, also through exits. */
boot_with_handlers modes_unreal
	movl	$0x50000, %ebx
	FAULTS16(VECTOR_GP, movl $1, (%ebx))
	lgdtl	.Lgdtr_modes_unreal
	SET_CR0(CR0_PE)
	movw	$DATA32, %ax
	movw	%ax, %ds
	movw	%ax, %gs
	CLEAR_CR0(CR0_PE)
	movl	$0x55667788, (%ebx)
	CPUID
	movl	$0x50000, %ebx			/* CPUID uses it */
	EXPECT_L($0x55667788, (%ebx))
	xorw	%ax, %ax
	movw	%ax, %ds			/* base 0 again; the limit stays */
	THROUGH_EXIT
	movl	$0x50000, %ebx
	EXPECT_L($0x55667788, (%ebx))
	movw	$0x0e75, %ax			/* and through the BIOS */
	int	$0x10
	EXPECT_L($0x55667788, (%ebx))
	movl	$0x4fff0, %ebx
	movw	$1, %ax
	movw	%ax, %gs
	EXPECT_L($0x55667788, %gs:(%ebx))
	PASS

/* Real mode with a 32-bit code segment and stack left behind, which is what CS still says. */
boot_with_handlers modes_real_32_bit_code
	to_protected modes_real_32_bit_code
	movl	%cr0, %eax
	andl	$~CR0_PE, %eax
	movl	%eax, %cr0
	CPUID					/* an exit with CS.D = 1 in real mode */
	pushl	$0x12345678
	popl	%eax
	EXPECT_L($0x12345678, %eax)
	movl	%cr0, %eax
	EXPECT_L($0x10, %eax)
	SET_CR0(CR0_PE)
	to_real modes_real_32_bit_code
	PASS

/* Descriptors are loaded with a selector, and not again when they change in memory. */
boot_with_handlers modes_stale_descriptors
	to_protected modes_stale_descriptors
	movw	$DATA16, %dx
	movw	%dx, %fs
	movb	$0x13, .Lgdt_modes_stale_descriptors + DATA16 + 5	/* P = 0 */
	movb	$0x1b, .Lgdt_modes_stale_descriptors + CODE32 + 5
	movl	$0x12345678, SCRATCH
	CPUID
	EXPECT_L($0x12345678, %fs:SCRATCH)
	movb	$0x9b, .Lgdt_modes_stale_descriptors + CODE32 + 5	/* handlers need it */
	movw	$DATA16, %dx			/* CPUID uses it */
	FAULTS(VECTOR_NP, DATA16, movw %dx, %fs)
	FAULTS(VECTOR_SS, DATA16, movw %dx, %ss)
	EXPECT_L($0x12345678, %fs:SCRATCH)
	CPUID
	EXPECT_L($0x12345678, %fs:SCRATCH)
	PASS

/* Far jumps to what is no code: null, data, not present, beyond the table, system segments. */
boot_with_handlers modes_wrong_segments
	to_protected modes_wrong_segments
	FAULTS(VECTOR_GP, 0, ljmp $0, $0)
	FAULTS(VECTOR_GP, DATA32, ljmp $DATA32, $0)
	FAULTS(VECTOR_GP, 0x7f8, ljmp $0x7f8, $0)
	FAULTS(VECTOR_GP, USER_CODE32 & ~3, ljmp $USER_CODE32, $0)
	movb	$0x1b, .Lgdt_modes_wrong_segments + CODE16 + 5
	FAULTS(VECTOR_NP, CODE16, ljmp $CODE16, $0)
	movw	$CODE32, %dx
	FAULTS(VECTOR_GP, CODE32, movw %dx, %ss)
	movw	$0, %dx
	FAULTS(VECTOR_GP, 0, movw %dx, %ss)
	movw	$TSS32, %dx
	FAULTS(VECTOR_GP, TSS32, movw %dx, %ds)
	movw	$CODE64, %dx			/* L counts in long mode only */
	movw	%dx, %fs
	FAULTS(VECTOR_GP, CODE64, lldt %dx)
	FAULTS(VECTOR_GP, CODE64, ltr %dx)
	PASS

/* LMSW sets PE, and cannot clear it. */
boot_with_handlers modes_lmsw
	lgdtl	.Lgdtr_modes_lmsw
	movw	$0x000e, %ax			/* MP, EM, TS: the guest's, too */
	lmsw	%ax
	movl	%cr0, %eax
	EXPECT_L($0x1e, %eax)
	movw	$0xfff1, %ax			/* only the lower four bits count */
	lmsw	%ax
	movl	%cr0, %eax
	EXPECT_L($0x11, %eax)
	CPUID
	ljmpl	$CODE32, $1f
	.code32
1:	movw	$DATA32, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	xorl	%eax, %eax
	lmsw	%ax
	smsw	%ax
	EXPECT_W($0x11, %ax)
	CPUID
	movl	%cr0, %eax
	EXPECT_L($0x11, %eax)
	PASS

/* ---- Paging ---- */

/* Fills TABLE with 1024 entries: the first 4 MiB one to one, with these bits. ECX, EDI, EAX. */
.macro fill_table bits
	movl	$TABLE, %edi
	movl	$\bits, %eax
	movl	$1024, %ecx
99:	movl	%eax, (%edi)
	addl	$4, %edi
	addl	$0x1000, %eax
	loop	99b
.endm

/* 32-bit paging. TABLE takes 4 KiB up to NOTES, and the directory is where the PML4 would be. */
boot_with_handlers modes_paging_32
	to_protected modes_paging_32
	fill_table 3
	movl	$(TABLE + 3), PML4
	movl	$(TABLE + 3), PML4 + 4		/* the same once more at 4 MiB */
	LOAD_CR3(PML4)
	SET_CR0(CR0_PG)
	jmp	1f
1:	CPUID
	movl	%cr0, %eax
	EXPECT_L($0x80000011, %eax)
	movl	$0xabcdef01, 0x400000 + SCRATCH
	EXPECT_L($0xabcdef01, SCRATCH)
	FAULTS(VECTOR_PF, 0, movb 0x800123, %al)
	movl	%cr2, %eax
	EXPECT_L($0x800123, %eax)
	FAULTS(VECTOR_PF, 2, movb %al, 0xc00000)
	CPUID
	movl	%cr2, %eax			/* no exit changes it */
	EXPECT_L($0xc00000, %eax)
	movl	$(TABLE + 1), PML4 + 8		/* from absent to present needs no flush */
	EXPECT_L($0xabcdef01, 0x800000 + SCRATCH)
	SET_CR0(1 << 16)			/* WP */
	movl	$(TABLE + 1), PML4 + 12
	FAULTS(VECTOR_PF, 3, movb %al, 0xc0c000)
	CLEAR_CR0(1 << 16)
	movb	%al, 0xc0c000
	SET_CR4(CR4_PSE)
	movl	$0x83, PML4 + 16		/* 4 MiB in one piece */
	CPUID
	EXPECT_L($0xabcdef01, 0x1000000 + SCRATCH)
	/* A page that goes, with INVLPG. */
	movb	0x40c000, %al
	movl	$0, TABLE + 4 * 12
	invlpg	0x40c000
	FAULTS(VECTOR_PF, 0, movb 0x40c000, %al)
	CLEAR_CR0(CR0_PG)
	CPUID
	EXPECT_L($0xabcdef01, SCRATCH)
	to_real modes_paging_32
	EXPECT_L($0xabcdef01, SCRATCH)
	PASS

/* The next GiB, too, by the same directory. */
#define GIB 0x40000000

/* PAE: four PDPTEs, which MOV CR3 and switching paging on load. */
boot_with_handlers modes_paging_pae
	to_protected modes_paging_pae
	movl	$(DIRECTORY + 1), PAE_PDPT + 8
	SET_CR4(CR4_PAE)
	LOAD_CR3(PAE_PDPT)
	SET_CR0(CR0_PG)
	CPUID
	movl	%cr4, %eax
	EXPECT_L($CR4_PAE, %eax)
	movl	$0x13572468, GIB + SCRATCH
	EXPECT_L($0x13572468, SCRATCH)
	FAULTS(VECTOR_PF, 0, movb 2 * GIB + 0x123, %al)
	movl	%cr2, %eax
	EXPECT_L($0x80000123, %eax)
	FAULTS(VECTOR_PF, 0, movb 0x200000, %al)
	/* Bit 63 of an entry: without EFER.NXE it is reserved. */
	movl	$0x83, DIRECTORY + 8
	movl	$0x80000000, DIRECTORY + 12
	FAULTS(VECTOR_PF, 9, movb 0x200000, %al)
	SET_EFER(1 << 11)
	CPUID
	movb	0x20c000, %al
	movl	$1f, RESUME
	movl	$0x20c000, %eax
	jmp	*%eax
1:	EXPECT_L($VECTOR_PF, SEEN_VECTOR)
	EXPECT_L($0x11, SEEN_ERROR)
	EXPECT_L($0x20c000, SEEN_IP)
	PASS

/* PDPTEs are registers: what changes in memory counts after the next MOV CR3. Exits keep them. */
boot_with_handlers modes_pdptes_are_registers
	to_protected modes_pdptes_are_registers
	movl	$(DIRECTORY + 1), PAE_PDPT + 8
	SET_CR4(CR4_PAE)
	LOAD_CR3(PAE_PDPT)
	SET_CR0(CR0_PG)
	movb	GIB, %al
	movl	$0, PAE_PDPT + 8
	movl	$(DIRECTORY + 1), PAE_PDPT + 24
	invlpg	GIB
	movb	GIB, %al
	CPUID
	invlpg	GIB + 0x1000
	movb	GIB + 0x1000, %al
	movl	$99, %eax
	vmcall
	movb	GIB + 0x2000, %al
	FAULTS(VECTOR_PF, 0, movb 3 * GIB, %al)
	CPUID
	FAULTS(VECTOR_PF, 0, movb 3 * GIB, %al)
	movl	%cr3, %eax
	movl	%eax, %cr3
	FAULTS(VECTOR_PF, 0, movb GIB, %al)
	movb	3 * GIB, %al
	CPUID
	movb	3 * GIB + 0x3000, %al
	/* MOV to CR4 that changes PSE or PGE loads them, too. */
	movl	$0, PAE_PDPT + 24
	SET_CR4(CR4_PGE)
	FAULTS(VECTOR_PF, 0, movb 3 * GIB, %al)
	PASS

/* A reserved bit in a PDPTE that is present: #GP from what would load it, and nothing changes. */
boot_with_handlers modes_pdpte_reserved
	to_protected modes_pdpte_reserved
	SET_CR4(CR4_PAE)
	LOAD_CR3(PAE_PDPT)
	.irp	bits, 2, 4, 0x20, 0x40, 0x80, 0x100
	movl	$(DIRECTORY + 1 + \bits), PAE_PDPT + 16
	movl	%cr0, %eax
	orl	$CR0_PG, %eax
	FAULTS(VECTOR_GP, 0, movl %eax, %cr0)
	CPUID
	.endr
	movl	$(DIRECTORY + 1), PAE_PDPT + 16
	movl	$0x80000000, PAE_PDPT + 20		/* bit 63 */
	movl	%cr0, %eax
	orl	$CR0_PG, %eax
	FAULTS(VECTOR_GP, 0, movl %eax, %cr0)
	movl	%cr0, %eax
	EXPECT_L($0x11, %eax)
	movl	$0, PAE_PDPT + 20
	movl	$0x1e6, PAE_PDPT + 24		/* not present: nothing is reserved */
	SET_CR0(CR0_PG)
	movb	2 * GIB, %al
	movl	$(DIRECTORY + 3), PAE_PDPT + 8
	movl	%cr3, %eax
	FAULTS(VECTOR_GP, 0, movl %eax, %cr3)
	movl	%cr4, %eax
	orl	$CR4_PGE, %eax
	FAULTS(VECTOR_GP, 0, movl %eax, %cr4)
	movl	%cr4, %eax
	EXPECT_L($CR4_PAE, %eax)
	movb	2 * GIB, %al			/* the old ones */
	PASS

/* From 32-bit paging to PAE and back. */
boot_with_handlers modes_paging_kinds
	to_protected modes_paging_kinds
	fill_table 3
	movl	$(TABLE + 3), PML4
	LOAD_CR3(PML4)
	SET_CR0(CR0_PG)
	movl	$0x24681357, SCRATCH
	CPUID
	CLEAR_CR0(CR0_PG)
	SET_CR4(CR4_PAE)
	LOAD_CR3(PAE_PDPT)
	SET_CR0(CR0_PG)
	CPUID
	EXPECT_L($0x24681357, SCRATCH)
	CLEAR_CR0(CR0_PG)
	CLEAR_CR4(CR4_PAE)
	movl	$(TABLE + 3), PML4
	LOAD_CR3(PML4)
	SET_CR0(CR0_PG)
	CPUID
	EXPECT_L($0x24681357, SCRATCH)
	CLEAR_CR0(CR0_PG)
	to_real modes_paging_kinds
	PASS

/* Paging may go on and off while real-mode segments are loaded: PE and PG at once. */
boot_with_handlers modes_protection_and_paging_at_once
	lgdtl	.Lgdtr_modes_protection_and_paging_at_once
	SET_CR4(CR4_PAE)
	LOAD_CR3(PAE_PDPT)
	SET_CR0(CR0_PE + CR0_PG)
	CPUID
	ljmpl	$CODE32, $1f
	.code32
1:	movw	$DATA32, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movl	%cr0, %eax
	EXPECT_L($0x80000011, %eax)
	ljmp	$CODE16, $1f
	.code16
1:	CLEAR_CR0(CR0_PE + CR0_PG)
	CPUID
	ljmpw	$0, $1f
1:	PASS

/* ---- Long mode ---- */

/* All the way and back, three times. LME and LMA read as they are. */
boot_with_handlers modes_long
	movl	$3, SCRATCH
1:	to_protected modes_long
	CPUID
	SET_EFER(EFER_LME)
	movl	$IA32_EFER, %ecx
	rdmsr
	EXPECT_L($EFER_LME, %eax)
	CPUID
	to_long modes_long
	movl	$IA32_EFER, %ecx
	rdmsr
	EXPECT_L($(EFER_LME + EFER_LMA), %eax)
	CPUID
	movl	$IA32_EFER, %ecx
	rdmsr
	EXPECT_L($(EFER_LME + EFER_LMA), %eax)
	movabsq	$0x1122334455667788, %r9
	pushq	%r9
	CPUID
	popq	%rax
	EXPECT_Q(%r9, %rax)
	FAULTS(VECTOR_UD, 0, ud2)
	FAULTS(VECTOR_PF, 0, movb 0x300000, %al)
	movq	%cr0, %rax
	EXPECT_L($0x80000011, %eax)
	from_long modes_long
	movl	$IA32_EFER, %ecx
	rdmsr
	EXPECT_L($0, %eax)
	CPUID
	FAULTS(VECTOR_UD, 0, ud2)
	to_real modes_long
	CPUID
	FAULTS16(VECTOR_UD, ud2)
	movw	$0x0e2e, %ax
	int	$0x10
	decl	SCRATCH
	jnz	1b
	PASS

/* Compatibility mode: 32-bit and 16-bit code in long mode, with exits and hypercalls. */
boot_with_handlers modes_compatibility
	to_protected modes_compatibility
	to_long modes_compatibility
	pushq	$CODE32
	pushq	$1f
	lretq
	.code32
1:	movw	$DATA32, %ax
	movw	%ax, %ss
	movw	%ax, %ds
	CPUID
	.byte	0x48				/* DEC EAX here, and a prefix in 64-bit code */
	nop
	movl	$99, %eax
	vmcall
	EXPECT_L($-38, %eax)
	movl	$0, %ecx
	decl	%ecx
	CPUID
	ljmp	$CODE16, $1f
	.code16
1:	CPUID
	movl	$99, %eax
	vmcall
	EXPECT_L($-38, %eax)
	pushl	$CODE64
	pushl	$1f
	lretl
	.code64
1:	CPUID
	PASS

/* Paging off in compatibility mode leaves long mode, also with LME on; on again enters it. */
boot_with_handlers modes_long_by_paging_alone
	to_protected modes_long_by_paging_alone
	to_long modes_long_by_paging_alone
	pushq	$CODE32
	pushq	$1f
	lretq
	.code32
1:	movw	$DATA32, %ax
	movw	%ax, %ss
	movw	%ax, %ds
	movl	$100, SCRATCH
1:	CLEAR_CR0(CR0_PG)
	movl	$IA32_EFER, %ecx
	rdmsr
	EXPECT_L($EFER_LME, %eax)
	CPUID
	SET_CR0(CR0_PG)
	movl	$IA32_EFER, %ecx
	rdmsr
	EXPECT_L($(EFER_LME + EFER_LMA), %eax)
	CPUID
	decl	SCRATCH
	jnz	1b
	ljmp	$CODE64, $1f
	.code64
1:	CPUID
	PASS

/* From real mode to long mode by one MOV to CR0, as small boot sectors do. */
boot_with_handlers modes_long_at_once
	lgdtl	.Lgdtr_modes_long_at_once
	SET_CR4(CR4_PAE)
	LOAD_CR3(PML4)
	SET_EFER(EFER_LME)
	SET_CR0(CR0_PE + CR0_PG)
	CPUID					/* 16-bit code in compatibility mode */
	ljmpl	$CODE64, $1f
	.code64
1:	CPUID
	movl	$DATA32, %eax
	movl	%eax, %ss
	PASS

/* ---- What a processor refuses ---- */

boot_with_handlers refused_in_real_mode
	movl	%cr0, %eax
	orl	$CR0_PG, %eax
	FAULTS16(VECTOR_GP, movl %eax, %cr0)		/* PG without PE */
	movl	%cr0, %eax
	orl	$CR0_NW, %eax
	FAULTS16(VECTOR_GP, movl %eax, %cr0)		/* NW without CD */
	movl	%cr0, %eax
	EXPECT_L($0x10, %eax)
	.irp	bit, 12, 13, 14, 15, 17, 19, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	movl	%cr4, %eax
	orl	$(1 << \bit), %eax
	FAULTS16(VECTOR_GP, movl %eax, %cr4)
	.endr
	movl	%cr4, %eax
	EXPECT_L($0, %eax)
	movl	$IA32_EFER, %ecx
	rdmsr
	orl	$(1 << 12), %eax			/* AMD's SVME */
	FAULTS16(VECTOR_GP, wrmsr)
	rdmsr
	orl	$2, %eax
	FAULTS16(VECTOR_GP, wrmsr)
	rdmsr
	orl	$1, %edx
	FAULTS16(VECTOR_GP, wrmsr)
	EXPECT_L($(2 + 16 + 3), COUNT)
	PASS

/* Long mode without PAE, or with a wrong CS or TR. */
boot_with_handlers refused_on_the_way_to_long_mode
	to_protected refused_on_the_way_to_long_mode
	LOAD_CR3(PML4)
	SET_EFER(EFER_LME)
	movl	%cr0, %eax
	orl	$CR0_PG, %eax
	FAULTS(VECTOR_GP, 0, movl %eax, %cr0)		/* without PAE */
	movl	%cr0, %eax
	EXPECT_L($0x11, %eax)
	CPUID
	SET_CR4(CR4_PAE)
	ljmp	$CODE64, $1f				/* L = 1, and D = 0: 16-bit code yet */
	.code16
1:	movl	%cr0, %eax
	orl	$CR0_PG, %eax
	FAULTS(VECTOR_GP, 0, movl %eax, %cr0)
	CPUID
	ljmpl	$CODE32, $1f
	.code32
1:	movw	$TSS16, %ax
	ltr	%ax
	movl	%cr0, %eax
	orl	$CR0_PG, %eax
	FAULTS(VECTOR_GP, 0, movl %eax, %cr0)
	CPUID
	movl	$IA32_EFER, %ecx
	rdmsr
	EXPECT_L($EFER_LME, %eax)
	movw	$TSS32, %ax
	ltr	%ax
	SET_CR0(CR0_PG)
	movl	$IA32_EFER, %ecx
	rdmsr
	EXPECT_L($(EFER_LME + EFER_LMA), %eax)
	PASS

/* In long mode: PAE must stay, LME must stay, and paging too in 64-bit code. */
boot_with_handlers refused_in_long_mode
	to_protected refused_in_long_mode
	to_long refused_in_long_mode
	movq	%cr4, %rax
	andl	$~CR4_PAE, %eax
	FAULTS(VECTOR_GP, 0, movq %rax, %cr4)
	movq	%cr0, %rax
	andl	$~CR0_PG, %eax
	FAULTS(VECTOR_GP, 0, movq %rax, %cr0)
	andl	$~CR0_PE, %eax
	FAULTS(VECTOR_GP, 0, movq %rax, %cr0)
	movl	$IA32_EFER, %ecx
	rdmsr
	andl	$~EFER_LME, %eax
	FAULTS(VECTOR_GP, 0, wrmsr)
	CPUID
	movabsq	$0x180000011, %rax			/* bits 63:32 of CR0 */
	FAULTS(VECTOR_GP, 0, movq %rax, %cr0)
	movabsq	$0x100000020, %rax
	FAULTS(VECTOR_GP, 0, movq %rax, %cr4)
	movl	$16, %eax
	FAULTS(VECTOR_GP, 0, movq %rax, %cr8)
	movw	$CODE16, %ax
	FAULTS(VECTOR_GP, CODE16, movw %ax, %ss)
	/* Compatibility mode: the same without 64-bit code. */
	pushq	$CODE32
	pushq	$1f
	lretq
	.code32
1:	movw	$DATA32, %ax
	movw	%ax, %ss
	movw	%ax, %ds
	movl	%cr4, %eax
	andl	$~CR4_PAE, %eax
	FAULTS(VECTOR_GP, 0, movl %eax, %cr4)
	movl	$IA32_EFER, %ecx
	rdmsr
	andl	$~EFER_LME, %eax
	FAULTS(VECTOR_GP, 0, wrmsr)
	CPUID
	PASS

/* LME while 32-bit paging is on. And PE cannot go while PG is on. */
boot_with_handlers refused_with_paging
	to_protected refused_with_paging
	SET_CR4(CR4_PAE)
	LOAD_CR3(PAE_PDPT)
	SET_CR0(CR0_PG)
	movl	$IA32_EFER, %ecx
	rdmsr
	orl	$EFER_LME, %eax
	FAULTS(VECTOR_GP, 0, wrmsr)
	movl	%cr0, %eax
	andl	$~CR0_PE, %eax
	FAULTS(VECTOR_GP, 0, movl %eax, %cr0)
	movl	%cr0, %eax
	EXPECT_L($0x80000011, %eax)
	CPUID
	PASS

/* CR0.CD, NW and NE are in a shadow: they read as written, in each mode, beside other bits. */
.macro cache_bits_read_as_written a=%eax
	.irp	bits, CR0_CD, CR0_CD + CR0_NW, CR0_CD + CR0_NE, CR0_NE, 0, CR0_CD + CR0_NW + CR0_NE
	mov	%cr0, \a
	andl	$~(CR0_CD + CR0_NW + CR0_NE), %eax
	orl	$(\bits), %eax
	xorl	$8, %eax			/* TS at the same time */
	movl	%eax, %esi
	mov	\a, %cr0
	mov	%cr0, \a
	EXPECT_L(%esi, %eax)
	CPUID
	mov	%cr0, \a
	EXPECT_L(%esi, %eax)
	.endr
.endm

boot_with_handlers modes_cache_bits
	cache_bits_read_as_written
	to_protected modes_cache_bits
	cache_bits_read_as_written
	movl	%cr0, %eax
	andl	$~CR0_CD, %eax			/* NW alone */
	FAULTS(VECTOR_GP, 0, movl %eax, %cr0)
	CLEAR_CR0(CR0_CD + CR0_NW)
	to_long modes_cache_bits
	cache_bits_read_as_written %rax
	smsw	%eax				/* the shadow's bits, too */
	EXPECT_L(%esi, %eax)
	from_long modes_cache_bits
	movl	%cr0, %eax
	EXPECT_L($(CR0_CD + CR0_NW + CR0_NE + 0x11), %eax)
	to_real modes_cache_bits
	PASS

/* Such a MOV may change the mode, too: it is executed again, and does it then. */
boot_with_handlers modes_cache_bits_and_mode
	lgdtl	.Lgdtr_modes_cache_bits_and_mode
	lidtl	.Lidtr32_modes_cache_bits_and_mode
	SET_CR0(CR0_PE + CR0_CD)
	ljmpl	$CODE32, $1f
	.code32
1:	movw	$DATA32, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movl	%cr0, %eax
	EXPECT_L($(CR0_CD + 0x11), %eax)
	SET_CR4(CR4_PAE)
	LOAD_CR3(PML4)
	SET_EFER(EFER_LME)
	movl	%cr0, %eax
	xorl	$(CR0_PG + CR0_CD + CR0_NE), %eax
	movl	%eax, %cr0
	CPUID
	ljmp	$CODE64, $1f
	.code64
1:	mov	%cr0, %rax
	EXPECT_L($(CR0_PG + CR0_NE + 0x11), %eax)
	lidt	.Lidtr64_modes_cache_bits_and_mode
	mov	%cr0, %rax
	xorl	$(CR0_PG + CR0_NE), %eax	/* and each check */
	FAULTS(VECTOR_GP, 0, movq %rax, %cr0)
	pushq	$CODE32
	pushq	$1f
	lretq
	.code32
1:	movw	$DATA32, %ax
	movw	%ax, %ss
	movw	%ax, %ds
	movl	%cr0, %eax
	andl	$~CR0_PG, %eax
	orl	$CR0_CD, %eax
	movl	%eax, %cr0
	movl	$IA32_EFER, %ecx
	rdmsr
	EXPECT_L($EFER_LME, %eax)
	PASS

/* A few hundred times round, with exits everywhere; what is the guest's stays the guest's. */
boot_with_handlers modes_round_and_round
	movl	$200, SCRATCH
	movl	$0xcafe, SCRATCH + 4
	movl	$0x1234, %ebp
1:	CPUID
	to_protected modes_round_and_round
	CPUID
	SET_CR4(CR4_PAE)
	LOAD_CR3(PAE_PDPT)
	SET_CR0(CR0_PG)
	CPUID
	CLEAR_CR0(CR0_PG)
	to_long modes_round_and_round
	CPUID
	pushq	$CODE16
	pushq	$2f
	lretq
	.code16
2:	CPUID
	pushl	$CODE64
	pushl	$2f
	lretl
	.code64
2:	from_long modes_round_and_round
	to_real modes_round_and_round
	EXPECT_L($0xcafe, SCRATCH + 4)
	EXPECT_L($0x1234, %ebp)
	decl	SCRATCH
	jnz	1b
	PASS

/* The same without anything that exits. */
boot_with_handlers modes_quiet
	movl	$50, SCRATCH
1:	to_protected modes_quiet
	SET_CR4(CR4_PAE)
	LOAD_CR3(PAE_PDPT)
	SET_CR0(CR0_PG)
	FAULTS(VECTOR_PF, 0, movb 0x300000, %al)
	CLEAR_CR0(CR0_PG)
	to_long modes_quiet
	FAULTS(VECTOR_UD, 0, ud2)
	from_long modes_quiet
	to_real modes_quiet
	FAULTS16(VECTOR_UD, ud2)
	decl	SCRATCH
	jnz	1b
	PASS

/* ---- Hypercalls from each mode ---- */

.macro prints text, length
	movl	$\text, %edi
	movl	$\length, %esi
	movl	$1, %eax
	vmcall
	EXPECT_L($0, %eax)
.endm

boot_with_handlers modes_hypercalls
	prints	3f, 5
	to_protected modes_hypercalls
	prints	4f, 10
	to_long modes_hypercalls
	prints	5f, 5
	from_long modes_hypercalls
	to_real modes_hypercalls
	PASS
3:	.ascii	"real\n"
4:	.ascii	"protected\n"
5:	.ascii	"long\n"

/* MOV to DR and CR with what long mode left in the upper half of a register. */
boot_with_handlers modes_stale_upper_halves
	to_protected modes_stale_upper_halves
	to_long modes_stale_upper_halves
	movabsq	$0xdeadbeef00000400, %rbx
	movabsq	$0xdeadbeef60000010, %rbp
	movabsq	$0xdeadbeef00000000, %rsi
	from_long modes_stale_upper_halves
	movl	%ebx, %dr7
	movl	%esi, %dr6
	movl	%dr6, %eax
	EXPECT_L($0xffff0ff0, %eax)
	to_real modes_stale_upper_halves
	movl	%ebx, %dr7
	movl	%esi, %dr0
	movl	%esi, %dr6
	movl	%dr7, %eax
	EXPECT_L($0x400, %eax)
	movl	%ebp, %cr0			/* CD and NW */
	movl	%cr0, %eax
	EXPECT_L($0x60000010, %eax)
	FAULTS16(VECTOR_GP, movl %ebp, %dr7)	/* breakpoints are the host's */
	PASS
