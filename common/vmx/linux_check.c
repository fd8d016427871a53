// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compares our tables with Linux's. It makes no code: each row of a .def file that Linux knows as
 * well becomes a _Static_assert, so that a wrong digit stops the build of every step.
 *
 * A row whose macro ends in _NEW has no name in Linux 6.1. Those that later kernels, or Debian's
 * back-ports, do name are compared at the end, where the name exists.
 */
#include <linux/types.h>
#include <linux/version.h>

#include <asm/extable_fixup_types.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <asm/vmx.h>
#include <asm/vmxfeatures.h>

#define VTX_SAME(what, ours, linux_value)                                                          \
	_Static_assert((linux_value) == (ours), what ": our table differs from Linux's");
#define VTX_NOT_IN_LINUX(...)

/* VMCS fields: enumerators of asm/vmx.h. */
#define VTX_FIELD16(name, linux_name, encoding, sdm_name) VTX_SAME(#name, encoding, linux_name)
#define VTX_FIELD32(name, linux_name, encoding, sdm_name) VTX_SAME(#name, encoding, linux_name)
#define VTX_FIELD64(name, linux_name, encoding, sdm_name) VTX_SAME(#name, encoding, linux_name)
#define VTX_FIELD_NATURAL(name, linux_name, encoding, sdm_name)                                    \
	VTX_SAME(#name, encoding, linux_name)
#define VTX_FIELD16_NEW VTX_NOT_IN_LINUX
#define VTX_FIELD32_NEW VTX_NOT_IN_LINUX
#define VTX_FIELD64_NEW VTX_NOT_IN_LINUX
#define VTX_FIELD_NATURAL_NEW VTX_NOT_IN_LINUX
#include "vmx/fields.def"

/* Execution controls: feature numbers of asm/vmxfeatures.h, 32 * word + bit. */
#define VTX_FEATURE(what, word, bit, feature) VTX_SAME(what, 32 * (word) + (bit), feature)
#define VTX_PIN_CONTROL(name, bit, linux_name, sdm_name) VTX_FEATURE(#name, 0, bit, linux_name)
#define VTX_PRIMARY_CONTROL(name, bit, linux_name, sdm_name) VTX_FEATURE(#name, 1, bit, linux_name)
#define VTX_SECONDARY_CONTROL(name, bit, linux_name, sdm_name)                                     \
	VTX_FEATURE(#name, 2, bit, linux_name)
#define VTX_TERTIARY_CONTROL(name, bit, linux_name, sdm_name) VTX_FEATURE(#name, 3, bit, linux_name)
#define VTX_SECONDARY_CONTROL_NEW VTX_NOT_IN_LINUX
#define VTX_TERTIARY_CONTROL_NEW VTX_NOT_IN_LINUX

/* VM-exit and VM-entry controls, VM functions, EPT and VPID capabilities: masks of asm/vmx.h. */
#define VTX_EXIT_CONTROL(name, bit, linux_name, sdm_name) VTX_SAME(#name, 1ULL << (bit), linux_name)
#define VTX_ENTRY_CONTROL(name, bit, linux_name, sdm_name)                                         \
	VTX_SAME(#name, 1ULL << (bit), linux_name)
#define VTX_VM_FUNCTION(name, bit, linux_name, sdm_name) VTX_SAME(#name, 1ULL << (bit), linux_name)
#define VTX_EPT_VPID_CAPABILITY(name, bit, linux_name, sdm_name)                                   \
	VTX_SAME(#name, 1ULL << (bit), linux_name)
#define VTX_EXIT_CONTROL_NEW VTX_NOT_IN_LINUX
#define VTX_SECONDARY_EXIT_CONTROL_NEW VTX_NOT_IN_LINUX
#define VTX_ENTRY_CONTROL_NEW VTX_NOT_IN_LINUX
#define VTX_EPT_VPID_CAPABILITY_NEW VTX_NOT_IN_LINUX
#include "vmx/controls.def"

/* Exit reasons: uapi/asm/vmx.h. VM-instruction errors: asm/vmx.h. */
#define VTX_EXIT_REASON(name, number, linux_name, sdm_name) VTX_SAME(#name, number, linux_name)
#define VTX_EXIT_REASON_NEW VTX_NOT_IN_LINUX
#include "vmx/exit_reasons.def"

#define VTX_INSTRUCTION_ERROR(name, number, linux_name, sdm_text)                                  \
	VTX_SAME(#name, number, linux_name)
#include "vmx/instruction_errors.def"

/* MSRs: asm/msr-index.h. */
#define VTX_MSR(name, number, linux_name, sdm_name) VTX_SAME(#name, number, linux_name)
#define VTX_MSR_NEW VTX_NOT_IN_LINUX
#include "x86/msr.def"

/* Control registers and RFLAGS: uapi/asm/processor-flags.h. EFER: asm/msr-index.h. */
#define VTX_CR0(name, bit, linux_name, text) VTX_SAME(#name, 1ULL << (bit), linux_name)
#define VTX_CR4(name, bit, linux_name, text) VTX_SAME(#name, 1ULL << (bit), linux_name)
#define VTX_CR4_NEW VTX_NOT_IN_LINUX
#define VTX_EFER(name, bit, linux_name, text) VTX_SAME(#name, 1ULL << (bit), linux_name)
#define VTX_RFLAGS(name, bit, linux_name, text) VTX_SAME(#name, 1ULL << (bit), linux_name)
#include "x86/control_registers.def"

/* Constants of the headers that are not in a table. */
VTX_SAME("FEAT_CTL_LOCKED", 1 << 0, FEAT_CTL_LOCKED)
VTX_SAME("FEAT_CTL_VMX_ENABLED_INSIDE_SMX", 1 << 1, FEAT_CTL_VMX_ENABLED_INSIDE_SMX)
VTX_SAME("FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX", 1 << 2, FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX)
VTX_SAME("VMX_EXIT_REASONS_FAILED_VMENTRY", 1U << 31, VMX_EXIT_REASONS_FAILED_VMENTRY)
VTX_SAME("VMX_EXIT_REASONS_SGX_ENCLAVE_MODE", 1U << 27, VMX_EXIT_REASONS_SGX_ENCLAVE_MODE)
VTX_SAME("INTR_INFO_DELIVER_CODE_MASK", 1U << 11, INTR_INFO_DELIVER_CODE_MASK)
VTX_SAME("INTR_INFO_UNBLOCK_NMI", 1U << 12, INTR_INFO_UNBLOCK_NMI)
VTX_SAME("INTR_INFO_VALID_MASK", 1U << 31, INTR_INFO_VALID_MASK)
VTX_SAME("VMX_AR_UNUSABLE_MASK", 1U << 16, VMX_AR_UNUSABLE_MASK)
VTX_SAME("VMX_AR_RESERVD_MASK", 0xfffe0f00U, VMX_AR_RESERVD_MASK)
VTX_SAME("ENTRY_FAIL_DEFAULT", 0, ENTRY_FAIL_DEFAULT)
VTX_SAME("ENTRY_FAIL_PDPTE", 2, ENTRY_FAIL_PDPTE)
VTX_SAME("ENTRY_FAIL_NMI", 3, ENTRY_FAIL_NMI)
VTX_SAME("ENTRY_FAIL_VMCS_LINK_PTR", 4, ENTRY_FAIL_VMCS_LINK_PTR)

/* instructions.hpp writes entries of the kernel's exception table by hand. */
VTX_SAME("EX_TYPE_DEFAULT", 1, EX_TYPE_DEFAULT)

/* Names that Linux 6.1 lacks. */
#ifdef X86_CR4_LAM_SUP
VTX_SAME("X86_CR4_LAM_SUP", 1ULL << 28, X86_CR4_LAM_SUP)
#endif
#ifdef X86_CR4_FRED
VTX_SAME("X86_CR4_FRED", 1ULL << 32, X86_CR4_FRED)
#endif
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
VTX_SAME("VE_INFORMATION_ADDRESS", 0x202a, VE_INFORMATION_ADDRESS)
#endif
