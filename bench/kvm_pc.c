// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs a boot sector in KVM, by /dev/kvm, with KVM's own interrupt controllers and timer:
 * kvm-pc SECTOR. What it prints by port e9h goes to standard output; an OUT to port f4h ends it.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define SECTOR 0x7c00
#define MEMORY 0x100000
#define FOR_KVM 0xfffbd000		/* three pages where no guest has memory */

static int must(int result, const char *what)
{
	if (result < 0)
		err(1, "%s", what);
	return result;
}

int main(int count, char **words)
{
	int kvm, vm, vcpu, size, file;
	struct kvm_pit_config timer = { .flags = 0 };
	struct kvm_userspace_memory_region region = { .memory_size = MEMORY };
	struct kvm_regs general = { .rip = SECTOR, .rsp = SECTOR, .rflags = 2 };
	struct kvm_sregs special;
	struct kvm_run *run;
	uint8_t *memory;

	if (count != 2)
		errx(2, "usage: kvm-pc SECTOR");
	kvm = must(open("/dev/kvm", O_RDWR), "/dev/kvm");
	vm = must(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	must(ioctl(vm, KVM_SET_TSS_ADDR, FOR_KVM), "KVM_SET_TSS_ADDR");
	must(ioctl(vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
	must(ioctl(vm, KVM_CREATE_PIT2, &timer), "KVM_CREATE_PIT2");
	memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	file = must(open(words[1], O_RDONLY), words[1]);
	must(read(file, memory + SECTOR, 512), words[1]);
	region.userspace_addr = (uintptr_t)memory;
	must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");

	vcpu = must(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	must(ioctl(vcpu, KVM_GET_SREGS, &special), "KVM_GET_SREGS");
	special.cs.selector = 0;
	special.cs.base = 0;
	must(ioctl(vcpu, KVM_SET_SREGS, &special), "KVM_SET_SREGS");
	must(ioctl(vcpu, KVM_SET_REGS, &general), "KVM_SET_REGS");
	size = must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
	run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		err(1, "mmap");

	for (;;) {
		must(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
		if (run->exit_reason != KVM_EXIT_IO)
			errx(1, "KVM_EXIT %u, which nothing here handles", run->exit_reason);
		if (run->io.port == 0xf4)
			return 0;
		if (run->io.port == 0xe9)
			putchar(*((char *)run + run->io.data_offset));
	}
}
