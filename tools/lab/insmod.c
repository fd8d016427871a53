// SPDX-License-Identifier: GPL-2.0-only
/*
 * insmod of the emulated machine: FILE [NAME=VALUE ...]. Exits with the errno of the module.
 *
 * Busybox's insmod, when a module refuses to load, tries a second time by an older system call:
 * the module does its work twice, and says twice why it refuses.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int refuse(const char *file)
{
	int error = errno;

	printf("insmod: can't insert '%s': %s\n", file, strerror(error));
	return error;
}

int main(int count, char **words)
{
	char parameters[1024] = "";
	int file, i;

	/*
	 * A 64-bit program may have a selector in DS and ES, and few do. Here the user data segment
	 * is in both, so that a module shows what it makes of that in each boot.
	 */
	asm volatile("movl %0, %%ds; movl %0, %%es" : : "r"(0x2b));

	if (count < 2) {
		printf("usage: insmod FILE [NAME=VALUE ...]\n");
		return EINVAL;
	}
	for (i = 2; i < count; i++) {
		if (strlen(parameters) + strlen(words[i]) + 2 > sizeof(parameters)) {
			errno = E2BIG;
			return refuse(words[1]);
		}
		strcat(parameters, words[i]);
		strcat(parameters, " ");
	}
	file = open(words[1], O_RDONLY | O_CLOEXEC);
	if (file < 0 || syscall(SYS_finit_module, file, parameters, 0) != 0)
		return refuse(words[1]);
	return 0;
}
