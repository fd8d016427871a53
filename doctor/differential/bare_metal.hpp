// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What a program without an operating system needs: its settings, output, an end, and pages. For
/// one translation unit.
#pragma once

#include "vmx/result.hpp"
#include "x86/paging.hpp"

#include <cstddef>
#include <cstdint>

extern "C" {
int enter();
void entered();
void guest_code();
extern std::uint8_t gdt[], tss[], idt[];
void differential();
[[noreturn]] void unexpected_exception(unsigned vector, const std::uint64_t *frame);
// What a C library would have: the compiler calls these for structures, and for strings.
void *memcpy(void *to, const void *from, std::size_t size);
void *memset(void *to, int value, std::size_t size);
int strcmp(const char *left, const char *right);
}

namespace vtx::testing {

/// The runner writes these five words into the image, behind the eight letters.
struct Settings {
    char magic[8];         ///< VTXDIFF1
    std::uint32_t version; ///< one bit of Version
    std::uint32_t model;   ///< one bit of Model
    std::uint32_t seed;    ///< of the random pairs
    std::uint32_t pairs;   ///< how many, for each known-good VMCS
    std::uint32_t stride;  ///< of what is not essential, take every n-th; 1 is all
};
inline void out_byte(std::uint16_t port, std::uint8_t value) {
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

/// The first printer port: data, then the strobe. Bochs appends the byte to a file.
inline void print(char c) {
    out_byte(0x378, static_cast<std::uint8_t>(c));
    out_byte(0x37a, 0x0d);
    out_byte(0x37a, 0x0c);
}

inline void print(const char *text) {
    while (*text != 0) {
        print(*text++);
    }
}

inline void print_hex(std::uint64_t value) {
    int shift = 60;
    while (shift > 0 && (value >> shift) == 0) {
        shift -= 4;
    }
    for (; shift >= 0; shift -= 4) {
        print("0123456789abcdef"[(value >> shift) & 0xf]);
    }
}

inline void print_value(const char *name, std::uint64_t value) {
    print(name);
    print(" = 0x");
    print_hex(value);
    print('\n');
}

[[noreturn]] inline void finish(const char *word) {
    print(word);
    print('\n');
    for (const char *c = "Shutdown"; *c != 0; ++c) {
        out_byte(0x8900, static_cast<std::uint8_t>(*c)); // Bochs ends
    }
    for (;;) {
        asm volatile("hlt");
    }
}

[[noreturn]] inline void give_up(const char *what, std::uint64_t value) {
    print("FAILED ");
    print(what);
    print(' ');
    print_hex(value);
    print('\n');
    finish("END");
}

inline constexpr std::uint64_t ram_end = std::uint64_t{32} << 20;

/// Pages, from 16 MByte on.
inline std::uint64_t next_page = std::uint64_t{16} << 20;

inline std::uint64_t new_page() {
    const std::uint64_t page = next_page;
    next_page += page_size;
    return page;
}

inline volatile std::uint64_t *words_at(std::uint64_t address) {
    return reinterpret_cast<volatile std::uint64_t *>(address);
}

inline void check(Result result, const char *what) {
    if (!result.ok()) {
        give_up(what, result.error);
    }
}

/// Physical memory as the rules see it; what is not there reads as ones on this machine.
inline bool read_memory(const void *, std::uint64_t address, std::uint64_t &value) {
    value = address + 8 <= ram_end ? *words_at(address) : ~std::uint64_t{0};
    return true;
}

} // namespace vtx::testing
