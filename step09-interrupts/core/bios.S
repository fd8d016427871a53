/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The BIOS: the code that interrupt vectors point to, until the guest changes them. It lies among
 * the module's read-only data, and is copied to F000:0000 in the guest's memory.
 *
 * Vector n points to entry n, four bytes each. There VMCALL leaves the guest, and the hypervisor
 * does what the caller wants of INT n: bios.hpp. It knows n from the guest's IP. Then the guest
 * goes on with IRET, and returns from the interrupt by itself.
 */
	.section .rodata
	.globl	bios_entries, bios_entries_end

	.code16
bios_entries:
	.rept	256
	vmcall
	iret
	.endr
bios_entries_end:
	.code64
