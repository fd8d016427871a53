/* SPDX-License-Identifier: GPL-2.0-only */
	.globl	_start
_start:
	movl	$text, %edi		/* address */
	movl	$(end - text), %esi	/* length */
	movl	$1, %eax		/* hypercall "print" */
	vmcall
	hlt				/* the end, with status 0 */

text:	.ascii	"Hello, this is my own guest\n"
end:
