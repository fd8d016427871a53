/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The boot sector that comes with this step: 512 bytes, of which the last two are 0x55 0xAA. The
 * BIOS loads it to 0000:7C00 and jumps there, in real mode. It goes through the modes of a PC:
 * real, protected, long, and back. In each it prints a line.
 */
#define PRINT 1

#define ORIGIN 0x7c00
#define AT(label) (label - modes_guest + ORIGIN)

/* Three page tables. Nothing else lies here. */
#define PML4 0x1000
#define PDPT 0x2000
#define DIRECTORY 0x3000

#define CODE32 0x08
#define DATA 0x10
#define CODE64 0x18
#define CODE16 0x20
#define DATA16 0x28

#define CR0_PE (1 << 0)
#define CR0_PG (1 << 31)
#define CR4_PAE (1 << 5)
#define IA32_EFER 0xc0000080
#define EFER_LME (1 << 8)

	.section .rodata
	.globl	modes_guest, modes_guest_end

	.code16
modes_guest:
	cli				/* from here on, nobody handles one */
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$ORIGIN, %sp

	movw	$AT(modes_real), %si
	call	modes_print16

	/* Real mode to protected mode: a GDT, CR0.PE, and a jump that loads CS. */
	lgdtl	AT(modes_gdtr)
	movl	%cr0, %eax
	orl	$CR0_PE, %eax
	movl	%eax, %cr0
	ljmpl	$CODE32, $AT(modes_code32)

	.code32
modes_code32:
	movw	$DATA, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$AT(modes_protected), %edi
	movl	$(modes_protected_end - modes_protected), %esi
	movl	$PRINT, %eax
	vmcall				/* VM exit, reason 18 */

	/* Page tables for the first 2 MiB, one to one. 3: present and writable. 0x80: 2 MiB. */
	xorl	%eax, %eax
	movl	$PML4, %edi
	movl	$(3 * 1024), %ecx
	rep stosl
	movl	$(PDPT | 3), PML4
	movl	$(DIRECTORY | 3), PDPT
	movl	$0x83, DIRECTORY

	/* [exercise 08-1] */
	/* Protected mode to long mode: CR4.PAE, CR3, EFER.LME, CR0.PG, and a jump that loads CS. */
	movl	%cr4, %eax
	orl	$CR4_PAE, %eax
	movl	%eax, %cr4
	movl	$PML4, %eax
	movl	%eax, %cr3
	movl	$IA32_EFER, %ecx
	rdmsr
	orl	$EFER_LME, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$CR0_PG, %eax
	movl	%eax, %cr0		/* the processor sets EFER.LMA */
	ljmpl	$CODE64, $AT(modes_code64)
	/* [exercise 08-1] */

	.code64
modes_code64:
	leaq	modes_long(%rip), %rdi	/* in code of 32 bits, this would be another instruction */
	movl	$(modes_long_end - modes_long), %esi
	movl	$PRINT, %eax
	vmcall				/* VM exit, reason 18 */

	/* Back. Paging cannot be switched off in 64-bit code, so first to 16-bit code, and to
	 * segments of 64 KiB: a load in real mode changes the base, and no limit. */
	pushq	$CODE16
	pushq	$AT(modes_code16)
	lretq

	.code16
modes_code16:
	movw	$DATA16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	%cr0, %eax
	andl	$~CR0_PG, %eax
	movl	%eax, %cr0		/* the processor clears EFER.LMA */
	movl	$IA32_EFER, %ecx
	rdmsr
	andl	$~EFER_LME, %eax
	wrmsr
	movl	%cr0, %eax
	andl	$~CR0_PE, %eax
	movl	%eax, %cr0
	ljmpw	$0, $AT(modes_back)
modes_back:
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$AT(modes_again), %si
	call	modes_print16
	hlt				/* VM exit, reason 12: the end */

	/* Prints the text at DS:SI, up to a zero, by the BIOS. */
modes_print16:
	lodsb
	testb	%al, %al
	jz	1f
	movb	$0x0e, %ah
	int	$0x10			/* VM exit, reason 18: bios.S */
	jmp	modes_print16
1:	ret

modes_real:
	.asciz	"real mode: printed by the BIOS\r\n"
modes_protected:
	.ascii	"protected mode: printed by a hypercall\n"
modes_protected_end:
modes_long:
	.ascii	"long mode: printed by a hypercall\n"
modes_long_end:
modes_again:
	.asciz	"real mode again\r\n"

	.balign	8
modes_gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	/* CODE32: base 0, 4 GiB, D = 1 */
	.quad	0x00cf93000000ffff	/* DATA: base 0, 4 GiB */
	.quad	0x00af9b000000ffff	/* CODE64: L = 1 */
	.quad	0x00009b000000ffff	/* CODE16: base 0, 64 KiB */
	.quad	0x000093000000ffff	/* DATA16: likewise */
modes_gdtr:
	.word	modes_gdtr - modes_gdt - 1
	.long	AT(modes_gdt)

	.org	modes_guest + 510
	.byte	0x55, 0xaa
modes_guest_end:
	.code64
