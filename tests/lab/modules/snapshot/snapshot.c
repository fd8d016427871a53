// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shows the registers of a CPU that a hypervisor could spoil, one "name value" a line, in
 * /sys/kernel/debug/snapshot/cpuN. For the lab's tests: two snapshots around guests must be equal
 * to the byte.
 *
 * The values are those of the task that reads the file, if it runs on that CPU, else of whatever
 * task an interrupt found there.
 *
 * What no instruction can read is not here: the limit that TR holds (LSL below reads the one in
 * the GDT), and with it whether ioperm() still works; a program must try that.
 */
#include <linux/cpu.h>
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/smp.h>
#include <asm/desc.h>
#include <asm/msr.h>

#define SNAPSHOT_MAX 80

struct snapshot {
	struct {
		const char *name;
		u64 value;
	} entries[SNAPSHOT_MAX];
	unsigned int count;
};

static const struct {
	const char *name;
	u32 number;
} msrs[] = {
	{ "IA32_EFER", 0xc0000080 },
	{ "IA32_STAR", 0xc0000081 },
	{ "IA32_LSTAR", 0xc0000082 },
	{ "IA32_CSTAR", 0xc0000083 },
	{ "IA32_FMASK", 0xc0000084 },
	{ "IA32_FS_BASE", 0xc0000100 },
	{ "IA32_GS_BASE", 0xc0000101 },
	{ "IA32_KERNEL_GS_BASE", 0xc0000102 },
	{ "IA32_TSC_AUX", 0xc0000103 },
	{ "IA32_APIC_BASE", 0x1b },
	{ "IA32_FEATURE_CONTROL", 0x3a },
	{ "IA32_SPEC_CTRL", 0x48 },
	{ "IA32_SYSENTER_CS", 0x174 },
	{ "IA32_SYSENTER_ESP", 0x175 },
	{ "IA32_SYSENTER_EIP", 0x176 },
	{ "IA32_MISC_ENABLE", 0x1a0 },
	{ "IA32_DEBUGCTL", 0x1d9 },
	{ "IA32_PAT", 0x277 },
	{ "IA32_MTRR_DEF_TYPE", 0x2ff },
	{ "IA32_PERF_GLOBAL_CTRL", 0x38f },
	{ "IA32_U_CET", 0x6a0 },
	{ "IA32_S_CET", 0x6a2 },
	{ "IA32_XSS", 0xda0 },
};

static void add(struct snapshot *snapshot, const char *name, u64 value)
{
	snapshot->entries[snapshot->count].name = name;
	snapshot->entries[snapshot->count++].value = value;
}

#define ADD_MOV(snapshot, name, from) do { \
	u64 value; \
	asm volatile("mov %%" from ", %0" : "=r"(value)); \
	add(snapshot, name, value); \
} while (0)

static void add_segments(struct snapshot *snapshot)
{
	struct desc_ptr gdtr = {}, idtr = {};
	u16 ldtr, tr;
	u64 ss = 0, limit = 0;
	const u64 *gdt;

	ADD_MOV(snapshot, "CS", "cs");
	/* Linux runs with either: SYSCALL loads __KERNEL_DS, an interrupt from user space a null
	 * selector, and a switch from one task to another leaves SS alone. */
	asm volatile("mov %%ss, %0" : "=r"(ss));
	add(snapshot, "SS, if neither null nor __KERNEL_DS", ss == __KERNEL_DS ? 0 : ss);
	ADD_MOV(snapshot, "DS", "ds");
	ADD_MOV(snapshot, "ES", "es");
	ADD_MOV(snapshot, "FS", "fs");
	ADD_MOV(snapshot, "GS", "gs");
	asm volatile("sgdt %0" : "=m"(gdtr));
	asm volatile("sidt %0" : "=m"(idtr));
	asm volatile("sldt %0" : "=r"(ldtr));
	asm volatile("str %0" : "=r"(tr));
	asm volatile("lsl %1, %0" : "+r"(limit) : "r"((u64)tr));
	add(snapshot, "GDTR.base", gdtr.address);
	add(snapshot, "GDTR.limit", gdtr.size);
	add(snapshot, "IDTR.base", idtr.address);
	add(snapshot, "IDTR.limit", idtr.size);
	add(snapshot, "LDTR", ldtr);
	add(snapshot, "TR", tr);
	add(snapshot, "TR.limit in the GDT", limit);
	gdt = (const u64 *)gdtr.address;
	add(snapshot, "TSS descriptor, low", gdt[tr >> 3]);
	add(snapshot, "TSS descriptor, high", gdt[(tr >> 3) + 1]);
}

static void add_control_and_debug(struct snapshot *snapshot)
{
	ADD_MOV(snapshot, "CR0", "cr0");
	ADD_MOV(snapshot, "CR2", "cr2");
	ADD_MOV(snapshot, "CR3", "cr3");
	ADD_MOV(snapshot, "CR4", "cr4");
	ADD_MOV(snapshot, "CR8", "cr8");
	ADD_MOV(snapshot, "DR0", "db0");
	ADD_MOV(snapshot, "DR1", "db1");
	ADD_MOV(snapshot, "DR2", "db2");
	ADD_MOV(snapshot, "DR3", "db3");
	ADD_MOV(snapshot, "DR6", "db6");
	ADD_MOV(snapshot, "DR7", "db7");
	if (native_read_cr4() & X86_CR4_OSXSAVE) {
		u32 low, high;

		asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
		add(snapshot, "XCR0", (u64)high << 32 | low);
	}
}

/* Runs with interrupts off, on the CPU that is asked for. */
static void take(void *context)
{
	struct snapshot *snapshot = context;
	unsigned int i;

	add_segments(snapshot);
	add_control_and_debug(snapshot);
	for (i = 0; i < ARRAY_SIZE(msrs); i++) {
		u32 low, high;

		if (!rdmsr_safe(msrs[i].number, &low, &high))
			add(snapshot, msrs[i].name, (u64)high << 32 | low);
	}
}

static int show(struct seq_file *file, void *unused)
{
	unsigned int cpu = (unsigned long)file->private, i;
	unsigned int preempt = preempt_count();
	bool interrupts = !irqs_disabled();
	struct snapshot *snapshot = kzalloc(sizeof(*snapshot), GFP_KERNEL);
	int error;

	if (!snapshot)
		return -ENOMEM;
	error = smp_call_function_single(cpu, take, snapshot, true);
	for (i = 0; i < snapshot->count && !error; i++)
		seq_printf(file, "%s %#llx\n", snapshot->entries[i].name,
			   snapshot->entries[i].value);
	seq_printf(file, "preempt_count %#x\ninterrupts %s\n", preempt, interrupts ? "on" : "off");
	kfree(snapshot);
	return error;
}

static int open(struct inode *inode, struct file *file)
{
	return single_open(file, show, inode->i_private);
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = single_release,
};

static struct dentry *folder;

static int __init snapshot_init(void)
{
	unsigned int cpu;
	char name[16];

	folder = debugfs_create_dir("snapshot", NULL);
	for_each_possible_cpu(cpu) {
		snprintf(name, sizeof(name), "cpu%u", cpu);
		debugfs_create_file(name, 0400, folder, (void *)(unsigned long)cpu, &operations);
	}
	return 0;
}

static void __exit snapshot_exit(void)
{
	debugfs_remove(folder);
}

module_init(snapshot_init);
module_exit(snapshot_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Registers of a CPU, for VtxTutorial's tests");
