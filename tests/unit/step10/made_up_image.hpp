// SPDX-License-Identifier: GPL-2.0-only
// Kernels that are none: the smallest bzImage and the smallest vmlinux that the loader takes, which
// a test then changes. The fuzzer begins with them, too.
#pragma once

#include "blob.hpp"
#include "linux_image.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace made_up {

using Bytes = std::vector<std::uint8_t>;
using Field = vtx::SetupHeader;

/// Changes a field.
template <typename T> void put(Bytes &bytes, std::size_t offset, T value) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
}

/// A bzImage of 5 KiB: its kernel is 4 KiB from 0x400 on, wants to be at 2 MiB, and takes 1 MiB.
inline Bytes bzimage() {
    Bytes bytes(0x1400);
    for (std::size_t i = 0x400; i < bytes.size(); i++)
        bytes[i] = static_cast<std::uint8_t>(i * 3 + i / 256);
    put(bytes, Field::begin, std::uint8_t{1});
    put(bytes, Field::syssize, std::uint32_t{0x100});
    put(bytes, Field::boot_flag, std::uint16_t{0xaa55});
    put(bytes, Field::length, std::uint8_t{0x6a});
    put(bytes, Field::magic, std::uint32_t{0x53726448});
    put(bytes, Field::version, std::uint16_t{0x20f});
    put(bytes, Field::loadflags, std::uint8_t{1});
    put(bytes, Field::initrd_addr_max, std::uint32_t{0x7fffffff});
    put(bytes, Field::kernel_alignment, std::uint32_t{0x200000});
    put(bytes, Field::xloadflags, std::uint16_t{0x3f});
    put(bytes, Field::cmdline_size, std::uint32_t{2047});
    put(bytes, Field::pref_address, std::uint64_t{0x200000});
    put(bytes, Field::init_size, std::uint32_t{0x100000});
    return bytes;
}

/// Where an ELF file has the fields of a program header: the number-th one of elf() below.
constexpr std::size_t program_header(std::size_t number, std::size_t field) {
    return 64 + number * 56 + field;
}

/// A vmlinux of 1 KiB: 0x100 bytes at 1 MiB, a note, and 0x80 bytes at 0x102000 with zeroes behind.
inline Bytes elf() {
    Bytes bytes(0x400);
    for (std::size_t i = 0x200; i < bytes.size(); i++)
        bytes[i] = static_cast<std::uint8_t>(i * 5 + i / 256);
    put(bytes, 0, std::uint32_t{0x464c457f});
    put(bytes, 4, std::uint16_t{0x102});
    put(bytes, 16, std::uint16_t{2});        // e_type: a program
    put(bytes, 18, std::uint16_t{62});       // e_machine: x86-64
    put(bytes, 24, std::uint64_t{0x100040}); // e_entry
    put(bytes, 32, std::uint64_t{64});       // e_phoff
    put(bytes, 54, std::uint16_t{56});       // e_phentsize
    put(bytes, 56, std::uint16_t{3});        // e_phnum
    const struct {
        std::uint32_t type;
        std::uint64_t offset, address, size, memory;
    } rows[] = {
        {1, 0x200, 0x100000, 0x100, 0x1000}, {4, 0, 0, 64, 64}, {1, 0x300, 0x102000, 0x80, 0x800}};
    for (std::size_t i = 0; i < 3; i++) {
        put(bytes, program_header(i, 0), rows[i].type);
        put(bytes, program_header(i, 8), rows[i].offset);
        put(bytes, program_header(i, 16), 0xffffffff80000000 + rows[i].address);
        put(bytes, program_header(i, 24), rows[i].address);
        put(bytes, program_header(i, 32), rows[i].size);
        put(bytes, program_header(i, 40), rows[i].memory);
    }
    return bytes;
}

/// A file with these bytes.
inline void fill(vtx::Blob &blob, const Bytes &bytes) {
    blob.clear();
    if (blob.append(bytes.data(), bytes.size()) != 0)
        __builtin_trap();
}

} // namespace made_up
