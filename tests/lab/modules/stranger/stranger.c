// SPDX-License-Identifier: GPL-2.0-only
/*
 * A stranger to the steps, for their tests: says what CR4 is on each CPU, and can set CR4.VMXE on
 * one of them, as another hypervisor would.
 *
 *   cat /sys/module/stranger/parameters/cr4       "0:0x3706f0 1:0x3706f0", without TSD and PCE,
 *                                                 which Linux changes from task to task
 *   echo 1 >/sys/module/stranger/parameters/hold  sets VMXE on CPU 1; -1 clears it again
 */
#include <linux/cpu.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/smp.h>
#include <asm/processor-flags.h>

static int holder = -1;

static unsigned long read_cr4(void)
{
	unsigned long cr4;

	asm volatile("movq %%cr4, %0" : "=r"(cr4));
	return cr4;
}

/*
 * Not by cr4_set_bits(), which newer kernels keep for KVM. So Linux's own copy of CR4 lacks the bit:
 * it stays set until Linux next changes a bit of CR4, which none of the tests makes it do.
 */
static void write_cr4(unsigned long cr4)
{
	asm volatile("movq %0, %%cr4" : : "r"(cr4) : "memory");
}

/* Both run with interrupts off. */
static void take(void *unused)
{
	write_cr4(read_cr4() | X86_CR4_VMXE);
}

static void give(void *unused)
{
	write_cr4(read_cr4() & ~X86_CR4_VMXE);
}

static void let_go(void)
{
	if (holder >= 0)
		smp_call_function_single(holder, give, NULL, true);
	holder = -1;
}

static int set_hold(const char *value, const struct kernel_param *parameter)
{
	int cpu;

	if (kstrtoint(value, 0, &cpu) || cpu < -1 || cpu >= (int)nr_cpu_ids)
		return -EINVAL;
	let_go();
	if (cpu >= 0 && smp_call_function_single(cpu, take, NULL, true))
		return -ENXIO;
	holder = cpu;
	return 0;
}

static int get_hold(char *buffer, const struct kernel_param *parameter)
{
	return sysfs_emit(buffer, "%d\n", holder);
}

static void read_here(void *value)
{
	*(unsigned long *)value = read_cr4() & ~(X86_CR4_TSD | X86_CR4_PCE);
}

static int get_cr4(char *buffer, const struct kernel_param *parameter)
{
	unsigned long value;
	int length = 0;
	int cpu;

	cpus_read_lock();
	for_each_online_cpu(cpu) {
		smp_call_function_single(cpu, read_here, &value, true);
		length += sysfs_emit_at(buffer, length, "%s%d:%#lx", length ? " " : "", cpu, value);
	}
	cpus_read_unlock();
	return length + sysfs_emit_at(buffer, length, "\n");
}

static const struct kernel_param_ops hold_operations = { .set = set_hold, .get = get_hold };
static const struct kernel_param_ops cr4_operations = { .get = get_cr4 };
module_param_cb(hold, &hold_operations, NULL, 0600);
module_param_cb(cr4, &cr4_operations, NULL, 0400);

static int __init start(void)
{
	return 0;
}

static void __exit stop(void)
{
	let_go();
}

module_init(start);
module_exit(stop);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VtxTutorial's tests: CR4 of each CPU, and CR4.VMXE set by somebody else");
