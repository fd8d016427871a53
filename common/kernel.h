/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The only door to Linux.
 *
 * Linux's headers cannot be included from C++, so what the steps need of the kernel is declared
 * here with plain C types, and defined in common/kernel/, one file per subject. A step's Kbuild
 * names the files that it needs, so that each module links to as few kernel symbols as possible.
 *
 * Nothing here may be called with interrupts off unless its comment says so.
 */
#pragma once

#ifdef __cplusplus
#include <cstddef>
#include <cstdint>
extern "C" {
#else
#include <linux/types.h>
#endif

/** Linux's error numbers, as far as the steps return them (negated, as Linux does). */
enum vtx_errno {
	VTX_EINTR = 4,
	VTX_EIO = 5,
	VTX_ENOEXEC = 8,
	VTX_ENOMEM = 12,
	VTX_EACCES = 13,
	VTX_EFAULT = 14,
	VTX_EBUSY = 16,
	VTX_ENODEV = 19,
	VTX_EINVAL = 22,
	VTX_EFBIG = 27,
	VTX_ENOSPC = 28,
	VTX_ENOSYS = 38,
	VTX_ETIME = 62,
	VTX_EOPNOTSUPP = 95,
};

/* ---- common/kernel/log.c ---------------------------------------------------------------- */

/** Writes one line to the kernel log, prefixed with the module's name. `format` is printk's. */
__attribute__((format(printf, 1, 2))) void vtx_log(const char *format, ...);

/** The same at error level: a refusal or a failure, in one sentence that says what to do. */
__attribute__((format(printf, 1, 2))) void vtx_log_error(const char *format, ...);

/* ---- common/kernel/memory.c ------------------------------------------------------------- */

/** One page of 4096 bytes, filled with zeroes. The processor may be given its physical address.
 *  Null if there is no memory. May sleep. Counts as a point that can fail (`fail_at`). */
void *vtx_page_allocate(void);

/** Gives a page back. Null is allowed and does nothing. */
void vtx_page_free(void *page);

/** Keeps a page for ever, because the processor may still write to it. Says so in the log, with the
 *  number of such pages since the module was loaded. */
void vtx_page_keep(const void *page);

/** The physical address of a page from vtx_page_allocate(). Allowed with interrupts off. */
uint64_t vtx_page_physical(const void *page);

/** `size` bytes filled with zeroes, for software only: they need not lie together physically.
 *  Null if there is no memory. May sleep. Counts as a point that can fail (`fail_at`). */
void *vtx_memory_allocate(size_t size);

/** Gives memory of vtx_memory_allocate() back. Null is allowed and does nothing. */
void vtx_memory_free(void *memory);

/** True if this point, the next one in order, is the one that parameter `fail_at` chose: the
 *  caller then behaves as if there were no memory. */
bool vtx_fails_here(void);

/** The load is done: if `fail_at` was given and lay past the last point, says how many points
 *  there were. From now on nothing fails on purpose. */
void vtx_log_fault_points(void);

/* ---- common/kernel/large_page.c ---------------------------------------------------------- */

/** 2 MiB of zeroes in one piece, at a physical address that 2 MiB divide. Null if there is no such
 *  piece, which is common on a machine that has run for long. May sleep. Counts as a point that can
 *  fail (`fail_at`). */
void *vtx_large_page_allocate(void);

/** Gives such a piece back. Null is allowed and does nothing. */
void vtx_large_page_free(void *page);

/* ---- common/kernel/msr.c ---------------------------------------------------------------- */

/** Reads a model-specific register that may not exist. Returns 0, or -EIO if RDMSR faulted.
 *  Allowed with interrupts off. */
int vtx_read_msr_safe(uint32_t msr, uint64_t *value);

/* ---- common/kernel/fpu.c ----------------------------------------------------------------- */

/** From here to vtx_fpu_end() the x87, SSE, AVX and AVX-512 registers are the caller's: Linux has
 *  saved what a program had in them. With interrupts off, and in a task's context. */
void vtx_fpu_begin(void);

/** The program's registers come back before it runs again. With interrupts off. */
void vtx_fpu_end(void);

/* ---- common/kernel/cpus.c --------------------------------------------------------------- */

/** The logical processor that runs the caller, as Linux numbers them. With interrupts on it may
 *  be another one a moment later. Allowed with interrupts off. */
unsigned int vtx_current_cpu(void);

/** The number of logical processors that this machine can ever have: numbers are below it. */
unsigned int vtx_cpu_limit(void);

/** True if the logical processor is online now. */
bool vtx_cpu_online(unsigned int cpu);

/** Runs `work(context)` on every online logical processor in turn, with interrupts off, and
 *  after each one `then(cpu, context)` in the caller's own context, where printing is allowed.
 *  Stops at the first `then` that returns non-zero, and returns that; otherwise 0.
 *  No processor goes on- or offline meanwhile. */
int vtx_visit_cpus(void (*work)(void *context), int (*then)(unsigned int cpu, void *context),
		   void *context);

/* ---- common/kernel/hotplug.c ------------------------------------------------------------ */

/** Calls `join(cpu)` on every online logical processor, and on each one that comes online later;
 *  `part(cpu)` on each one that goes offline, and on all of them before the machine sleeps (after
 *  which they join again) or restarts. Both run in a thread of that processor, with interrupts on,
 *  and may sleep; except that after a panic `part` is called where the panic is.
 *  If one `join` returns an error, those before it part again, and that is returned; if it comes
 *  online later, it stays offline. Counts as a point that can fail (`fail_at`). */
int vtx_cpus_join(int (*join)(unsigned int cpu), void (*part)(unsigned int cpu));

/** Ends that: all processors part. */
void vtx_cpus_part(void);

/* ---- common/kernel/call_soon.c ----------------------------------------------------------- */

/** Has `function()` called in an interrupt of this processor, as soon as it takes interrupts: it may
 *  print. Itself it takes no lock, so it is allowed everywhere, as in an NMI handler. Always with
 *  the same function. A processor that asks again before it was called is interrupted once. */
void vtx_call_soon(void (*function)(void));

/** Returns when no such call is waiting or running. */
void vtx_call_soon_wait(void);

/* ---- common/kernel/module_loaded.c ------------------------------------------------------- */

/** True if a module is loaded, or is part of the kernel: its name as lsmod prints it, at most 50
 *  letters. May sleep. Always false where /sys is not mounted. */
bool vtx_module_loaded(const char *name);

/* ---- common/kernel/page_tables.c --------------------------------------------------------- */

/** Fills a page with the upper half of the page-table level that CR3 points to at the moment: the
 *  kernel's part, which is the same in each process. The lower half becomes empty. Allowed with
 *  interrupts off. */
void vtx_copy_kernel_half(void *page);

/** True if programs run with page tables that lack the kernel (page-table isolation). */
bool vtx_page_tables_isolated(void);

/* ---- common/kernel/time.c --------------------------------------------------------------- */

/** Milliseconds of wall time since some moment in the past. */
uint64_t vtx_milliseconds(void);

/** What time it is: seconds from the beginning of 1970, in UTC. */
uint64_t vtx_wall_seconds(void);

/** The frequency of the time-stamp counter, in kHz: its ticks in one millisecond. */
uint32_t vtx_tsc_khz(void);

/** Lets others run if they wait for this processor. */
void vtx_give_way(void);

/** True if the calling task has a signal pending: it should stop what it does and return. */
bool vtx_interrupted(void);

/* ---- common/kernel/lock.c --------------------------------------------------------------- */

/** Takes this module's one lock: waits until nobody else holds it. May sleep. */
void vtx_lock(void);

/** Gives the lock back. */
void vtx_unlock(void);

/* ---- common/kernel/files.c -------------------------------------------------------------- */

/** A file being read: what it shows is printed into it. */
struct vtx_table;

/** Prints into a file that is being read. `format` is printk's. */
__attribute__((format(printf, 2, 3))) void vtx_print(struct vtx_table *table,
						     const char *format, ...);

/** Makes /sys/kernel/debug/<module>/<name>, mode 0400. Each time somebody reads it, `show` is
 *  called to print what it holds; it may be called again if the text proved long. If the kernel
 *  runs without debugfs there is no file, and nothing else changes. */
void vtx_file_create(const char *name, void (*show)(struct vtx_table *table));

/** Removes all files of this module, after the last reader or writer has left. */
void vtx_files_remove(void);

/* ---- common/kernel/program_file.c -------------------------------------------------------- */

/** Makes /sys/kernel/debug/<module>/<name>, mode 0200. One write of 1 to `limit` bytes calls
 *  `run(bytes, size)` and returns what that returns (0 becomes the full size). An offset or an
 *  empty write gives EINVAL, more than `limit` bytes EFBIG. A second writer waits for the first,
 *  and can be killed while it waits (EINTR). */
void vtx_program_file_create(const char *name, size_t limit,
			     int (*run)(const void *bytes, size_t size));

/* ---- common/kernel/command_file.c -------------------------------------------------------- */

/** Makes /sys/kernel/debug/<module>/<name>, mode 0200. Writing a number calls `command(number)`,
 *  and the write returns what that returns (0 becomes the size). No number gives EINVAL. */
void vtx_command_file_create(const char *name, int (*command)(unsigned int number));

/* ---- common/kernel/append_file.c --------------------------------------------------------- */

/** What becomes of a file that takes bytes of any number. Each function returns 0 or a negative
 *  errno, which the program that opened or wrote the file gets. */
struct vtx_append_file {
	int (*empty)(void); /**< Somebody opens it for writing. */
	int (*append)(const void *bytes, size_t size); /**< And writes. At most 64 KiB a call. */
	void (*show)(struct vtx_table *table); /**< Somebody reads it. May be null. */
};

/** Makes /sys/kernel/debug/<module>/<name>, mode 0200, or 0600 with `show`. `file` must last until
 *  the files are removed. */
void vtx_append_file_create(const char *name, const struct vtx_append_file *file);

/* ---- common/kernel/console_file.c -------------------------------------------------------- */

/** Makes /sys/kernel/debug/<module>/<name>, mode 0600: the console of a guest. Reading gives what
 *  the guest has sent, and waits for more, also for a first guest; with O_NONBLOCK it gives EAGAIN.
 *  When the guest that ran at the first read has ended and all is read, it gives 0. 256 KiB are
 *  kept; then the oldest are dropped, and a line says how many. Writing is typing; it waits until
 *  there is room, and gives EIO while no guest runs. It can be polled. */
void vtx_console_file_create(const char *name);

/** A guest begins: forgets what was sent and typed before. May sleep. */
void vtx_console_begin(void);

/** The guest has ended: readers get what is left, and then 0. */
void vtx_console_end(void);

/** The guest has sent bytes. Waits for no reader. */
void vtx_console_put(const void *bytes, size_t size);

/** Takes the next byte that was typed. False if there is none. */
bool vtx_console_take(uint8_t *byte);

/* ---- common/kernel/one_thread.c ---------------------------------------------------------- */

/** Starts the module's one kernel thread, which calls `work()` and ends after it. The thread before
 *  is stopped first. Returns 0 as soon as the new one runs, -ENOMEM, or what Linux says. Counts as
 *  a point that can fail (`fail_at`). */
int vtx_thread_start(void (*work)(void));

/** Asks the thread to stop, wakes it, and returns when it is gone. Does nothing if there is none. */
void vtx_thread_stop(void);

/** True from vtx_thread_stop() on, until another thread starts. */
bool vtx_stop_requested(void);

/** Sleeps so many nanoseconds, or until the thread is asked to stop or woken, or the caller gets a
 *  signal. */
void vtx_wait(uint64_t nanoseconds);

/** Ends the vtx_wait() that the thread is in, or else the next one. */
void vtx_wake(void);

/* ---- common/kernel/threads.c ------------------------------------------------------------ */

/** Starts one kernel thread on each online logical processor, and on each one that comes online
 *  later. A thread first calls `begin(cpu)`, then `work(cpu)` again and again while
 *  `has_work(cpu)` is true (which is called with preemption off); both only ever on that
 *  processor. While the processor is offline its thread is parked.
 *  Returns 0, -ENOMEM, or what Linux says. Counts as a point that can fail (`fail_at`). */
int vtx_threads_start(void (*begin)(unsigned int cpu), bool (*has_work)(unsigned int cpu),
		      void (*work)(unsigned int cpu));

/** Stops all of them, each between two calls of `work`, and returns when they are gone. */
void vtx_threads_stop(void);

/** Sleeps for at least so many milliseconds. */
void vtx_sleep(unsigned int milliseconds);

#ifdef __cplusplus
}
#endif
