/* SPDX-License-Identifier: GPL-2.0-only */
/* In the book beside step 04. Not run: the VMCS lacks most of its fields. */
	.text
	/* [fields] */
	movl	$0x681e, %eax		/* RAX: the number of the field "guest RIP" */
	movl	$0x1000, %ecx		/* RCX: what is written */
	vmwrite	%rcx, %rax

	movl	$0x6c16, %eax		/* HOST_RIP: where a VM exit continues */
	leaq	back(%rip), %rcx
	vmwrite	%rcx, %rax

	movl	$0x6c14, %eax		/* HOST_RSP: and on which stack */
	vmwrite	%rsp, %rax
	/* [fields] */

	/* [launch] */
	vmlaunch
	jc	no_vmcs			/* still here? Then it failed: CF = 1, */
	jz	error			/* or ZF = 1, and a field says why */

back:	/* a VM exit arrives here, and not behind VMLAUNCH */
	movl	$0x4402, %eax		/* the field "exit reason" */
	vmread	%rax, %rcx		/* RCX = 18: the guest executed VMCALL */
	/* [launch] */

	/* [which] */
	btl	$31, %ecx		/* bit 31: this entry failed, no guest ran */
	jc	not_entered
	movzwl	%cx, %ecx		/* bits 15:0: why the guest left */
	/* [which] */

no_vmcs:
error:
not_entered:
	ud2
