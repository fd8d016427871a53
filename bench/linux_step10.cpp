// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Boots Linux under step 10, by the files of its module: linux-step10 KERNEL INITRD COMMAND-LINE.
///
/// Ends behind the guest's line "@end", by stopping the guest. Prints as linux_marks.hpp says, and
/// then what the file `exits` has: how often each device's ports were used, how often the guest
/// left for which reason, and from the last thousand exits the least ticks from one exit for a
/// device to the exit that came next. That is the way out, what the device does, the way back, and
/// an instruction or two of the guest's.
#include "cmos.hpp"
#include "linux_marks.hpp"
#include "pic.hpp"
#include "pit.hpp"
#include "uart.hpp"

namespace {

#define FOLDER "/sys/kernel/debug/step10_linux/"

/// Writes all of it, in as many writes as the file wants.
void write_all(int file, const char *bytes, std::size_t size, const char *path) {
    while (size > 0) {
        const int done = must(static_cast<int>(write(file, bytes, size)), path);
        bytes += done, size -= static_cast<std::size_t>(done);
    }
}

void write_word(const char *path, const char *word) {
    const int file = must(open(path, O_WRONLY | O_TRUNC), path);
    write_all(file, word, strlen(word), path);
    close(file);
}

/// As cat does it.
void copy(const char *from, const char *to) {
    static char bytes[128 * 1024];
    const int in = must(open(from, O_RDONLY), from), out = must(open(to, O_WRONLY | O_TRUNC), to);
    while (const int size = must(static_cast<int>(read(in, bytes, sizeof bytes)), from))
        write_all(out, bytes, static_cast<std::size_t>(size), to);
    close(in);
    close(out);
}

/// Ports of which the exits are counted together.
struct Device {
    const char *name;
    bool (*has)(std::uint16_t port);
    unsigned long long least = ~0ull;
};

/// Prints what the file `exits` has.
void show_exits() {
    using namespace vtx;
    Device devices[] = {
        {"uart", [](std::uint16_t port) { return Uart::has(port); }},
        {"pic", [](std::uint16_t port) { return PicPair::has(port); }},
        {"pit", [](std::uint16_t port) { return Pit::has(port); }},
        {"cmos", [](std::uint16_t port) { return Cmos::has(port); }},
        {"others", [](std::uint16_t) { return true; }}};
    static char line[256];
    unsigned long long before = 0, qualification = 0;
    bool is_io = false;

    FILE *const file = fopen(FOLDER "exits", "r");
    if (file == nullptr)
        err(1, "exits");
    while (fgets(line, sizeof line, file) != nullptr) {
        if (strncmp(line, "total ", 6) == 0 || strncmp(line, "ports ", 6) == 0)
            printf("@@ %s", line);
        if (line[0] < '0' || line[0] > '9')
            continue;
        const unsigned long long now = strtoull(strrchr(line, ' '), nullptr, 10);
        for (Device &device : devices)
            if (is_io && device.has(static_cast<std::uint16_t>(qualification >> 16))) {
                device.least = now - before < device.least ? now - before : device.least;
                break;
            }
        is_io = sscanf(line, "%*u 30 I/O instruction %llx", &qualification) == 1;
        before = now;
    }
    fclose(file);
    printf("@@ least");
    for (const Device &device : devices)
        if (device.least != ~0ull)
            printf(" %s %llu", device.name, device.least);
    putchar('\n');
}

void report() {
    const std::uint64_t exits = number_in(FOLDER "status", "exits=");
    printf("exits=%llu", static_cast<unsigned long long>(exits));
}

} // namespace

int main(int count, char **words) {
    static char bytes[4096];
    if (count != 4)
        errx(2, "usage: linux-step10 KERNEL INITRD COMMAND-LINE");
    Marks marks;
    copy(words[1], FOLDER "kernel");
    copy(words[2], FOLDER "initrd");
    write_word(FOLDER "cmdline", words[3]);
    write_word(FOLDER "run", "1");
    const int console = must(open(FOLDER "console", O_RDONLY), "console");
    while (!marks.is_over()) {
        const int size = must(static_cast<int>(read(console, bytes, sizeof bytes)), "console");
        if (size == 0)
            errx(1, "the guest has ended too soon");
        for (int i = 0; i < size; i++)
            marks.take(bytes[i], report);
    }
    write_word(FOLDER "run", "0");
    show_exits();
}
