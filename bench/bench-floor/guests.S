/* SPDX-License-Identifier: GPL-2.0-only */
/* In place of the guests that step 05 runs when it is loaded: they have nothing to do here. */
	.section .rodata
	.globl	hello_guest, hello_guest_end, tour_guest, tour_guest_end

hello_guest:
tour_guest:
	hlt
hello_guest_end:
tour_guest_end:
