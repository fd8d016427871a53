// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Linux in the guest's memory, as a boot loader puts it there: the kernel, the initrd, the command
/// line, and the boot parameters, in which it finds the rest.
///
/// Source: Linux's Documentation/arch/x86/boot.rst and zero-page.rst.
#pragma once

#include <cstddef>
#include <cstdint>

#include "blob.hpp"
#include "guest_memory.hpp"
#include "guest_state.hpp"
#include "linux_image.hpp"
#include "x86/paging.hpp"
#include "x86/segments.hpp"

namespace vtx {

/// Where things lie below 640 KiB: guest-physical addresses.
struct LowMemory {
    static constexpr std::uint64_t gdt = 0x6000;         ///< 4 descriptors.
    static constexpr std::uint64_t boot_params = 0x7000; ///< 4 KiB.
    static constexpr std::uint64_t page_tables = 0x8000; ///< 3 tables, for the 64-bit entry.
    static constexpr std::uint64_t command_line = 0x20000;
    static constexpr std::uint64_t end = 0x9fc00; ///< Where a PC has data of its BIOS.
};

/// The boot parameters that are no part of the setup header.
struct BootParams {
    static constexpr std::size_t size = 4096;
    static constexpr std::size_t e820_entries = 0x1e8; ///< u8: entries of the memory map
    static constexpr std::size_t e820_table = 0x2d0;   ///< the map, 20 bytes an entry
};

/// What is to be loaded.
struct LinuxFiles {
    const Blob &kernel, &initrd;
    const char *command_line; ///< Ends with a zero.
};

/// Why it was not loaded, and where it begins if it was.
struct Loaded {
    const char *refusal = nullptr; ///< In words, behind "the kernel cannot be loaded: ".
    std::uint64_t needed = 0;      ///< With a refusal for lack of memory: bytes needed, else 0.
    GuestStart start{};
};

/// An address, rounded up to a multiple of a page.
constexpr std::uint64_t up_to_page(std::uint64_t address) {
    return (address + page_size - 1) & ~(std::uint64_t{page_size} - 1);
}

/// The same, rounded down.
constexpr std::uint64_t down_to_page(std::uint64_t address) {
    return address & ~(std::uint64_t{page_size} - 1);
}

/// Writes a value into the guest's memory.
template <typename T> void put(const GuestMemory &memory, std::uint64_t address, T value) {
    memory.write(address, &value, sizeof value);
}

// [map]
/// The memory map, in the form in which a BIOS tells it (INT 15h, AX = E820h): what is RAM, and
/// what is not.
inline void write_memory_map(const GuestMemory &memory) {
    static constexpr std::uint32_t ram = 1, reserved = 2;
    const struct {
        std::uint64_t begin, end;
        std::uint32_t type;
    } rows[] = {
        {0, LowMemory::end, ram},
        {LowMemory::end, 0xa0000, reserved},
        {0xf0000, 0x100000, reserved}, // where a PC has its BIOS
        {0x100000, memory.size(), ram}};
    std::uint64_t at = LowMemory::boot_params + BootParams::e820_table;
    std::uint8_t count = 0;
    for (const auto &row : rows) {
        put(memory, at, row.begin);
        put(memory, at + 8, row.end - row.begin);
        put(memory, at + 16, row.type);
        at += 20;
        count++;
    }
    put(memory, LowMemory::boot_params + BootParams::e820_entries, count);
}
// [map]

// [params]
/// The boot parameters: a page of zeroes, a copy of the kernel's own header, and what only the
/// loader knows.
inline void write_boot_params(
    const GuestMemory &memory, const LinuxFiles &files, const LinuxImage &image,
    std::uint64_t initrd) {
    using Field = SetupHeader;
    static constexpr std::uint64_t params = LowMemory::boot_params;
    std::byte header[Field::most - Field::begin];

    if (image.header_end != 0) {
        const std::size_t size = image.header_end - Field::begin;
        files.kernel.read(Field::begin, header, size);
        memory.write(params + Field::begin, header, size);
    } else { // a vmlinux has none, so we say what it looks for
        put(memory, params + Field::boot_flag, std::uint16_t{0xaa55});
        put(memory, params + Field::magic, Field::magic_value);
        put(memory, params + Field::version, std::uint16_t{0x20c});
        put(memory, params + Field::loadflags, std::uint8_t{1});
    }
    put(memory, params + Field::type_of_loader, std::uint8_t{0xff}); // one without a number
    put(memory, params + Field::code32_start, static_cast<std::uint32_t>(image.parts[0].address));
    put(memory, params + Field::cmd_line_ptr, std::uint32_t{LowMemory::command_line});
    put(memory, params + Field::ramdisk_image, static_cast<std::uint32_t>(initrd));
    put(memory, params + Field::ramdisk_size, static_cast<std::uint32_t>(files.initrd.size()));
    write_memory_map(memory);
}
// [params]

// [tables]
/// What the two entries expect besides: for both a GDT with flat segments, for the 64-bit one page
/// tables that map the first GiB one to one.
inline void write_tables(const GuestMemory &memory) {
    using Entry = PageTableEntry;
    static constexpr std::uint64_t table = Entry::present | Entry::writable,
                                   tables = LowMemory::page_tables;

    put(memory, LowMemory::gdt + 0x10, std::uint64_t{0x00cf9b000000ffff}); // code, 4 GiB
    put(memory, LowMemory::gdt + 0x18, std::uint64_t{0x00cf93000000ffff}); // data, 4 GiB
    put(memory, tables, tables + page_size + table);
    put(memory, tables + page_size, tables + 2 * page_size + table);
    for (std::uint64_t i = 0; i < page_table_entries; i++)
        put(memory, tables + 2 * page_size + 8 * i, i << 21 | table | Entry::large);
}
// [tables]

/// Copies bytes of a file into the guest's memory.
inline void copy(
    const Blob &from, std::uint64_t offset, std::uint64_t size, const GuestMemory &memory,
    std::uint64_t to) {
    from.give(offset, size, [&](const std::byte *bytes, std::size_t here) {
        memory.write(to, bytes, here);
        to += here;
    });
}

// [load]
/// Puts Linux into the guest's memory, which is all zeroes. Nothing in a header is believed before
/// it was compared with the file and with the memory.
/// \param wants_64 begin in 64-bit code, where the kernel offers both
inline Loaded load_linux(const GuestMemory &memory, const LinuxFiles &files, bool wants_64) {
    static constexpr std::uint64_t most_command_line = LowMemory::end - LowMemory::command_line - 1;
    LinuxImage image;
    if (const char *const refusal = read_linux_image(files.kernel, image))
        return {.refusal = refusal};

    const std::uint64_t length = __builtin_strlen(files.command_line);
    if (length > image.command_line_limit || length > most_command_line)
        return {.refusal = "it takes no command line of this length"};

    // [exercise 10-3]
    // The initrd goes as high as it may: what lies behind the kernel is the kernel's as it grows.
    const std::uint64_t size = files.initrd.size(), limit = std::uint64_t{image.initrd_max} + 1;
    const std::uint64_t kernel_end = up_to_page(image.end), needed = kernel_end + up_to_page(size);
    if (needed > memory.size())
        return {.refusal = "it and its initrd need more memory", .needed = needed};
    if (size != 0 && needed > limit)
        return {.refusal = "its header leaves no room for this initrd"};
    const std::uint64_t top = memory.size() < limit ? memory.size() : limit;
    const std::uint64_t initrd = size == 0 ? 0 : down_to_page(top) - up_to_page(size);
    // [exercise 10-3]

    for (std::size_t i = 0; i < image.count; i++) {
        const ImagePart &part = image.parts[i];
        copy(files.kernel, part.offset, part.size, memory, part.address);
    }
    copy(files.initrd, 0, size, memory, initrd);
    memory.write(LowMemory::command_line, files.command_line, length + 1);
    write_boot_params(memory, files, image, initrd);
    write_tables(memory);

    const bool in_64_bit = image.entry_64 != 0 && (wants_64 || image.entry_32 == 0);
    return {
        .start = {
            .rip = in_64_bit ? image.entry_64 : image.entry_32,
            .boot_params = LowMemory::boot_params,
            .gdt = LowMemory::gdt,
            .page_tables = LowMemory::page_tables,
            .in_64_bit = in_64_bit}};
}
// [load]

} // namespace vtx
