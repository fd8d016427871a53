/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest whose one VM exit is followed instruction by instruction (./lab bench --where): Bochs's
 * debugger stops at each XCHG BX,BX. The exits before it bring everything into its usual state.
 */
#define WARMING_UP 20

	.section .guest, "awx", @progbits
	movl	$WARMING_UP, %ecx
1:	movl	$0x7fffffff, %eax	/* the number of no hypercall */
	vmcall
	decl	%ecx
	jnz	1b

	xchgw	%bx, %bx
	vmcall
	xchgw	%bx, %bx
	hlt
