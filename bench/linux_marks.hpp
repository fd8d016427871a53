// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// How far a Linux guest has come: the lines with an @ in front on its console, each told with the
/// time and the number of VM exits until then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <err.h>
#include <fcntl.h>
#include <unistd.h>

/// Fails with a sentence if a system call has failed; else returns its result.
inline int must(int result, const char *what) {
    if (result < 0)
        err(1, "%s", what);
    return result;
}

/// The number behind `word` in a small file of debugfs, of which the first 4 KiB count.
inline std::uint64_t number_in(const char *path, const char *word) {
    static char text[4096];
    const int file = must(open(path, O_RDONLY), path);
    const ssize_t size = must(static_cast<int>(read(file, text, sizeof text - 1)), path);
    text[size] = '\0';
    close(file);
    const char *const at = strstr(text, word);
    if (at == nullptr)
        errx(1, "there is no %s in %s", word, path);
    return strtoull(at + strlen(word), nullptr, 10);
}

/// What a guest sends, byte by byte. All of it goes to standard output, and behind each line with
/// an @ in front goes a line of ours: "@@ " and the guest's words, the ticks of the TSC since the
/// measurement began, and what `report()` prints.
class Marks {
public:
    /// The measurement begins.
    Marks() : start_{__builtin_ia32_rdtsc()} {
        setvbuf(stdout, nullptr, _IOLBF, 0); // so that a boot that does not end is seen
    }

    /// True behind the line "@end": there is nothing more to measure.
    bool is_over() const { return over_; }

    /// The next byte.
    template <typename Report> void take(char byte, Report report) {
        putchar(byte);
        if (byte != '\n') {
            if (byte != '\r' && size_ < sizeof line_ - 1)
                line_[size_++] = byte;
            return;
        }
        line_[size_] = '\0';
        size_ = 0;
        if (line_[0] != '@')
            return;
        const std::uint64_t ticks = __builtin_ia32_rdtsc() - start_;
        printf("@@ %s ticks=%llu ", line_ + 1, static_cast<unsigned long long>(ticks));
        report();
        putchar('\n');
        over_ = strcmp(line_, "@end") == 0;
    }

private:
    std::uint64_t start_;
    char line_[256];
    std::size_t size_ = 0;
    bool over_ = false;
};
