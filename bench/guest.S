/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest of the benchmark: loops of instructions that leave it, timed by its own time-stamp
 * counter. The same bytes run under each hypervisor that is measured.
 *
 * It is a flat binary that runs at address 0x1000, in 64-bit mode at privilege level 0, with a
 * stack that ends at 0x10000. What it finds it prints by port e9h:
 *
 *   bench NAME TICKS TICKS …	ticks of one batch each, in hexadecimal; several lines a name
 *
 * A batch is ROUNDS times a loop that executes one such instruction; the batches `empty` and
 * `empty-cpuid` are what the loop itself takes.
 */
#define ROUNDS 100
#define BATCHES 24
#define BATCHES_A_LINE 8

#define IDT 0x8000
#define RESULTS 0x9000
#define PRINT_PORT 0xe9
#define OTHER_PORT 0x80			/* nothing listens there */

/* Time-stamp counter to a register; changes RDX, and leaves in RAX the number of no hypercall. */
#define TICKS(register) \
	rdtsc; shlq $32, %rdx; orq %rax, %rdx; movq %rdx, register; movl $0x7fffffff, %eax

/* Runs BATCHES batches of some instructions, which may change RAX to RDX only, and prints them. */
#define MEASURE(name, ...) \
	movl $RESULTS, %edi; movl $BATCHES, %r15d; \
	2: TICKS(%r12); movl $ROUNDS, %r13d; \
	1: __VA_ARGS__; decl %r13d; jnz 1b; \
	TICKS(%r14); subq %r12, %r14; movl %r14d, (%rdi); addq $4, %rdi; decl %r15d; jnz 2b; \
	leaq 3f(%rip), %rsi; call print_results; jmp 4f; 3: .asciz name; 4:

/* An entry of the IDT: an interrupt gate. */
#define GATE(vector, handler) \
	leaq handler(%rip), %rax; movl $(IDT + (vector) * 16), %edi; \
	movw %ax, (%rdi); movw $0x08, 2(%rdi); movw $0x8e00, 4(%rdi); \
	shrq $16, %rax; movw %ax, 6(%rdi)

	.section .guest, "awx", @progbits
	lgdt	gdtr(%rip)
	GATE(6, invalid_opcode)
	GATE(13, general_protection)
	lidt	idtr(%rip)

	MEASURE("empty", )
	MEASURE("empty-cpuid", xorl %eax, %eax)

	/* A hypercall that does nothing: nobody knows its number, nor the answer that says so. */
	MEASURE("vmcall", vmcall)

	MEASURE("cpuid", xorl %eax, %eax; cpuid)

	movl	$0x1b, %ecx			/* IA32_APIC_BASE */
	MEASURE("rdmsr", rdmsr)

	MEASURE("out", outb %al, $OTHER_PORT)

	/* The guest's processor has no VMX, so this is an exit and then #GP. */
	movq	%cr4, %rbx
	orq	$0x2000, %rbx			/* VMXE */
	MEASURE("cr4", movq %rbx, %cr4)

	MEASURE("ud", ud2)
	hlt

invalid_opcode:
	addq	$2, (%rsp)			/* behind UD2 */
	iretq

general_protection:
	addq	$8, %rsp			/* the error code */
	addq	$3, (%rsp)			/* behind MOV to CR4 */
	iretq

/* Prints the results with the name at RSI in front. Keeps nothing but RBX. */
print_results:
	movq	%rsi, %r14
	movl	$RESULTS, %r12d
	movl	$BATCHES, %r13d
1:	leaq	word_bench(%rip), %rsi
	call	print
	movq	%r14, %rsi
	call	print
	movl	$BATCHES_A_LINE, %r15d
2:	movb	$' ', %al
	outb	%al, $PRINT_PORT
	movl	(%r12), %edi
	movl	$8, %ecx
3:	roll	$4, %edi			/* one digit after the other */
	movl	%edi, %eax
	andl	$15, %eax
	leaq	digits(%rip), %rdx
	movb	(%rdx,%rax), %al
	outb	%al, $PRINT_PORT
	decl	%ecx
	jnz	3b
	addq	$4, %r12
	decl	%r13d
	decl	%r15d
	jnz	2b
	movb	$'\n', %al
	outb	%al, $PRINT_PORT
	testl	%r13d, %r13d
	jnz	1b
	ret

/* Prints the text at RSI up to its zero. */
print:
1:	lodsb
	testb	%al, %al
	jz	2f
	outb	%al, $PRINT_PORT
	jmp	1b
2:	ret

word_bench:
	.asciz	"bench "
digits:
	.ascii	"0123456789abcdef"
	.balign	8
gdt:
	.quad	0
	.quad	0x00af9b000000ffff		/* 0x08: 64-bit code */
gdtr:
	.word	15
	.quad	gdt
idtr:
	.word	14 * 16 - 1
	.quad	IDT
