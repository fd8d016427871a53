// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the guest of the benchmark in KVM, by /dev/kvm: kvm-client GUEST.
 *
 * The guest finds what step 05 gives it: its program at 0x1000, 64-bit mode at privilege level 0,
 * a stack that ends at 0x10000, no descriptor tables. What it prints by port e9h goes to standard
 * output. The measured exits are answered in the kernel: port 0x80 belongs to an eventfd.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PROGRAM 0x1000
#define END 0x10000			/* the guest's 64 KiB, and its page tables behind them */
#define TABLES END
#define MEMORY (TABLES + 4 * 0x1000)
#define PRESENT_WRITABLE 3
#define MOST_LEAVES 256

static int must(int result, const char *what)
{
	if (result < 0)
		err(1, "%s", what);
	return result;
}

/* Memory with the program and with page tables that map it, as far as END, as it lies. */
static void make_memory(int vm, const char *program)
{
	uint8_t *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region region = {
		.memory_size = MEMORY,
		.userspace_addr = (uintptr_t)memory,
	};
	int file = must(open(program, O_RDONLY), program);
	uint64_t *tables = (uint64_t *)(memory + TABLES);
	int level;
	uint64_t page;

	if (memory == MAP_FAILED)
		err(1, "mmap");
	must(read(file, memory + PROGRAM, END - PROGRAM), program);
	close(file);
	for (level = 0; level < 3; level++)
		tables[level * 512] = (TABLES + (level + 1) * 0x1000) | PRESENT_WRITABLE;
	for (page = PROGRAM; page < END; page += 0x1000)
		tables[3 * 512 + page / 0x1000] = page | PRESENT_WRITABLE;
	must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
}

/* The processor that KVM would like to give, but for VMX: as step 05's guest has none. */
static void set_cpuid(int kvm, int vcpu)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[MOST_LEAVES];
	} cpuid = { .head.nent = MOST_LEAVES };
	unsigned int i;

	must(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid), "KVM_GET_SUPPORTED_CPUID");
	for (i = 0; i < cpuid.head.nent; i++)
		if (cpuid.entries[i].function == 1)
			cpuid.entries[i].ecx &= ~(1u << 5);
	must(ioctl(vcpu, KVM_SET_CPUID2, &cpuid), "KVM_SET_CPUID2");
}

static void set_registers(int vcpu)
{
	struct kvm_sregs special;
	struct kvm_regs general = { .rip = PROGRAM, .rsp = END, .rflags = 0x202 };
	const struct kvm_segment code = {
		.limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1,
	};
	const struct kvm_segment none = { .unusable = 1 };

	must(ioctl(vcpu, KVM_GET_SREGS, &special), "KVM_GET_SREGS");
	special.cs = code;
	special.ss = special.ds = special.es = special.fs = special.gs = none;
	special.cr3 = TABLES;
	special.cr0 = 0x80010033;		/* PG, WP, NE, ET, MP, PE */
	special.cr4 = 0x220;			/* OSFXSR, PAE */
	special.efer = 0x500;			/* LMA, LME */
	must(ioctl(vcpu, KVM_SET_SREGS, &special), "KVM_SET_SREGS");
	must(ioctl(vcpu, KVM_SET_REGS, &general), "KVM_SET_REGS");
}

int main(int count, char **words)
{
	int kvm, vm, vcpu, size;
	struct kvm_ioeventfd port = { .addr = 0x80, .len = 1, .flags = KVM_IOEVENTFD_FLAG_PIO };
	struct kvm_run *run;

	if (count != 2)
		errx(2, "usage: kvm-client GUEST");
	kvm = must(open("/dev/kvm", O_RDWR), "/dev/kvm");
	vm = must(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	make_memory(vm, words[1]);
	port.fd = must(eventfd(0, 0), "eventfd");
	must(ioctl(vm, KVM_IOEVENTFD, &port), "KVM_IOEVENTFD");
	vcpu = must(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	set_cpuid(kvm, vcpu);
	set_registers(vcpu);
	size = must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
	run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		err(1, "mmap");

	for (;;) {
		must(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
		if (run->exit_reason == KVM_EXIT_HLT)
			return 0;
		if (run->exit_reason != KVM_EXIT_IO || run->io.port != 0xe9)
			errx(1, "KVM_EXIT %u, which nothing here handles", run->exit_reason);
		putchar(*((char *)run + run->io.data_offset));
	}
}
