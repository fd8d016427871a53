// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the tests need of user space that busybox does not have. Its exit status is an errno.
 *
 *   probe insmod FILE [PARAMETERS]   loads a module (busybox's insmod tries a second time when
 *                                    the first one fails, and so every refusal comes twice)
 *   probe insmod-unprivileged FILE [PARAMETERS]   the same as user 65534
 *   probe write FILE TARGET          gives the bytes of FILE to TARGET in one write
 *   probe kvm SECONDS                runs a virtual machine of KVM, prints "running", holds it
 *   probe kvm-fails interrupt|limit  has KVM enter a guest that the processor refuses: for an
 *                                    interrupt while the guest takes none, or a limit of DS
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int load(const char *path, const char *parameters, int unprivileged)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);

	if (file < 0)
		return errno;
	if (unprivileged && (setgroups(0, NULL) || setgid(65534) || setuid(65534)))
		return errno;
	return syscall(SYS_finit_module, file, parameters, 0) ? errno : 0;
}

static int write_at_once(const char *from, const char *to)
{
	static char bytes[1 << 17];
	int source = open(from, O_RDONLY), target = open(to, O_WRONLY);
	ssize_t size, written;

	if (source < 0 || target < 0)
		return errno;
	size = read(source, bytes, sizeof bytes);
	written = write(target, bytes, size);
	if (written < 0)
		return errno;
	return written == size ? 0 : EPROTO;
}

/* An interrupt that KVM thinks is on its way into the guest. RFLAGS.IF is 0. */
static int inject(int cpu)
{
	struct kvm_vcpu_events events;

	if (ioctl(cpu, KVM_GET_VCPU_EVENTS, &events))
		return -1;
	events.interrupt.injected = 1;
	events.interrupt.nr = 0xd1;
	return ioctl(cpu, KVM_SET_VCPU_EVENTS, &events);
}

/* A machine with one page of memory at 0x1000, in which real-mode code halts, unless it is spoilt. */
static int run_kvm(unsigned int seconds, const char *spoil)
{
	static const unsigned char halt = 0xf4;
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = 0x1000,
		.memory_size = 4096,
	};
	struct kvm_regs registers = { .rip = 0x1000, .rflags = 2 };
	struct kvm_sregs system;
	int kvm = open("/dev/kvm", O_RDWR), machine, cpu;
	struct kvm_run *run;
	void *memory;

	if (kvm < 0)
		return errno;
	machine = ioctl(kvm, KVM_CREATE_VM, 0L);
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (machine < 0 || memory == MAP_FAILED)
		return errno;
	memcpy(memory, &halt, 1);
	region.userspace_addr = (unsigned long)memory;
	if (ioctl(machine, KVM_SET_USER_MEMORY_REGION, &region))
		return errno;
	cpu = ioctl(machine, KVM_CREATE_VCPU, 0L);
	if (cpu < 0)
		return errno;
	run = mmap(NULL, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0L), PROT_READ | PROT_WRITE, MAP_SHARED,
		   cpu, 0);
	if (run == MAP_FAILED || ioctl(cpu, KVM_GET_SREGS, &system))
		return errno;
	system.cs.base = 0;
	system.cs.selector = 0;
	if (!strcmp(spoil, "limit"))
		system.ds.limit = 0x12345678;	/* a limit in bytes (G is 0) has 20 bits at most */
	if (ioctl(cpu, KVM_SET_SREGS, &system) || ioctl(cpu, KVM_SET_REGS, &registers) ||
	    (!strcmp(spoil, "interrupt") && inject(cpu)) || ioctl(cpu, KVM_RUN, 0L))
		return errno;
	if (*spoil) {
		printf("KVM's guest left with reason %u, hardware %#llx\n", run->exit_reason,
		       (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
		return run->exit_reason == KVM_EXIT_FAIL_ENTRY ? 0 : EPROTO;
	}
	if (run->exit_reason != KVM_EXIT_HLT) {
		printf("KVM's guest left with reason %u\n", run->exit_reason);
		return EPROTO;
	}
	puts("running");
	fflush(stdout);
	sleep(seconds);
	return 0;
}

int main(int count, char **words)
{
	if (count >= 3 && !strncmp(words[1], "insmod", 6))
		return load(words[2], count > 3 ? words[3] : "", words[1][6] != 0);
	if (count == 4 && !strcmp(words[1], "write"))
		return write_at_once(words[2], words[3]);
	if (count == 3 && !strcmp(words[1], "kvm"))
		return run_kvm(atoi(words[2]), "");
	if (count == 3 && !strcmp(words[1], "kvm-fails"))
		return run_kvm(0, words[2]);
	return EINVAL;
}
