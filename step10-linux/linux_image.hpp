// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A Linux kernel as a file: what its header says, and whether that can be true.
///
/// Source: Linux's Documentation/arch/x86/boot.rst (bzImage), and elf(5).
#pragma once

#include <cstddef>
#include <cstdint>

namespace vtx {

/// Where the boot protocol has its fields: offsets in a bzImage and, the same, in the boot
/// parameters that the kernel finds in memory.
struct SetupHeader {
    static constexpr std::size_t begin = 0x1f1;            ///< u8 setup_sects: the first field
    static constexpr std::size_t syssize = 0x1f4;          ///< u32: the kernel, in 16 bytes
    static constexpr std::size_t boot_flag = 0x1fe;        ///< u16: 0xAA55
    static constexpr std::size_t length = 0x201;           ///< u8: bytes from 0x202 to its end
    static constexpr std::size_t magic = 0x202;            ///< u32: "HdrS"
    static constexpr std::size_t version = 0x206;          ///< u16: of the protocol
    static constexpr std::size_t type_of_loader = 0x210;   ///< u8: for us to fill in
    static constexpr std::size_t loadflags = 0x211;        ///< u8: bit 0, loaded at 1 MiB or above
    static constexpr std::size_t code32_start = 0x214;     ///< u32: where it was loaded
    static constexpr std::size_t ramdisk_image = 0x218;    ///< u32: where the initrd is
    static constexpr std::size_t ramdisk_size = 0x21c;     ///< u32: bytes of it
    static constexpr std::size_t cmd_line_ptr = 0x228;     ///< u32: where the command line is
    static constexpr std::size_t initrd_addr_max = 0x22c;  ///< u32: last byte that it may have
    static constexpr std::size_t kernel_alignment = 0x230; ///< u32: a power of two
    static constexpr std::size_t xloadflags = 0x236;       ///< u16: bit 0, it has a 64-bit entry
    static constexpr std::size_t cmdline_size = 0x238;     ///< u32: longest command line
    static constexpr std::size_t pref_address = 0x258;     ///< u64: where it wants to be
    static constexpr std::size_t init_size = 0x260;        ///< u32: memory that it takes there
    static constexpr std::size_t end = 0x264;              ///< Of what this step asks for.
    static constexpr std::size_t most = 0x290;             ///< What comes behind is no header.
    static constexpr std::uint32_t magic_value = 0x53726448; ///< "HdrS"
};

/// A stretch of the file, and where it goes in memory. What memory has more is filled with zeroes.
struct ImagePart {
    std::uint64_t offset, size, address, memory;
};

/// What loading a kernel takes.
struct LinuxImage {
    static constexpr std::size_t most_parts = 8;

    ImagePart parts[most_parts];
    std::size_t count = 0;      ///< Parts in use: of a bzImage one.
    std::uint64_t entry_32 = 0; ///< Where its 32-bit code begins; 0 if it has none.
    std::uint64_t entry_64 = 0; ///< Likewise for 64-bit code.
    std::uint64_t end = 0;      ///< First byte behind the memory that it takes.
    std::size_t header_end = 0; ///< Of a bzImage: where its header ends in the file, else 0.
    std::uint32_t initrd_max = 0x7fffffff;   ///< Last byte that the initrd may have.
    std::uint32_t command_line_limit = 2047; ///< Characters of the command line.
};

/// Reads fields of a file. One that is not there reads as 0, and `ok` becomes false.
template <typename File> struct FieldReader {
    const File &file;
    bool ok = true;

    template <typename T> T get(std::uint64_t offset) {
        T value{};
        ok &= file.read(offset, &value, sizeof value);
        return value;
    }
};

// [bzimage]
/// Reads the header of a bzImage. Returns null, or what is wrong with it, in words.
template <typename File> const char *read_bzimage(const File &file, LinuxImage &image) {
    using Field = SetupHeader;
    static constexpr std::uint64_t four_gib = std::uint64_t{1} << 32;
    static constexpr std::uint32_t page = 4096;
    FieldReader<File> in{file};

    const std::uint64_t sectors = in.template get<std::uint8_t>(Field::begin);
    const auto version = in.template get<std::uint16_t>(Field::version);
    const auto length = in.template get<std::uint8_t>(Field::length);
    const auto flags = in.template get<std::uint8_t>(Field::loadflags);
    const auto xflags = in.template get<std::uint16_t>(Field::xloadflags);
    const auto alignment = in.template get<std::uint32_t>(Field::kernel_alignment);
    const auto address = in.template get<std::uint64_t>(Field::pref_address);
    const std::uint64_t memory = in.template get<std::uint32_t>(Field::init_size);
    const std::uint64_t size = std::uint64_t{in.template get<std::uint32_t>(Field::syssize)} * 16;
    // In front of the kernel are the boot sector and code for real mode, of which we use nothing.
    const std::uint64_t offset = ((sectors == 0 ? 4 : sectors) + 1) * 512;

    if (!in.ok || in.template get<std::uint16_t>(Field::boot_flag) != 0xaa55)
        return "it ends within its header";
    if (version < 0x20c)
        return "its boot protocol is older than 2.12 (Linux 3.8)";
    if ((flags & 1) == 0)
        return "it is a zImage, which is loaded below 1 MiB";
    if (length < Field::end - Field::magic || Field::magic + length > Field::most)
        return "its header has an impossible length";
    if (size == 0 || offset > file.size() || size > file.size() - offset)
        return "it is shorter than its header says: the file was cut";
    if (alignment < page || (alignment & (alignment - 1)) != 0 || address % alignment != 0)
        return "its header gives an impossible alignment";
    if (address < 0x100000 || address >= four_gib || memory < size || memory > four_gib - address)
        return "its header gives an impossible place in memory";

    image.parts[0] = {offset, size, address, size};
    image.count = 1;
    image.entry_32 = address;
    image.entry_64 = (xflags & 1) != 0 ? address + 0x200 : 0;
    image.end = address + memory;
    image.header_end = Field::magic + length;
    image.initrd_max = in.template get<std::uint32_t>(Field::initrd_addr_max);
    image.command_line_limit = in.template get<std::uint32_t>(Field::cmdline_size);
    return nullptr;
}
// [bzimage]

// [elf]
/// Reads the headers of an ELF file: a vmlinux, which is a kernel that nothing has to unpack.
/// Returns null, or what is wrong with it, in words.
template <typename File> const char *read_elf(const File &file, LinuxImage &image) {
    static constexpr std::uint32_t load = 1; // p_type PT_LOAD
    static constexpr std::uint64_t header_size = 56, four_gib = std::uint64_t{1} << 32;
    FieldReader<File> in{file};

    // Bytes 4 and 5: 64 bits, the lower byte first. e_machine 62: x86-64.
    if (in.template get<std::uint16_t>(4) != 0x102 || in.template get<std::uint16_t>(18) != 62)
        return "it is an ELF file, but not for x86-64";
    const auto entry = in.template get<std::uint64_t>(24);
    const auto first = in.template get<std::uint64_t>(32);
    const auto count = in.template get<std::uint16_t>(56);
    if (in.template get<std::uint16_t>(54) != header_size || first > file.size())
        return "its ELF headers are impossible";

    bool entry_is_loaded = false;
    for (std::uint64_t i = 0, at = first; i < count && in.ok; i++, at += header_size) {
        if (in.template get<std::uint32_t>(at) != load)
            continue;
        if (image.count == LinuxImage::most_parts)
            return "it has too many parts to load";
        const ImagePart part{
            in.template get<std::uint64_t>(at + 8), in.template get<std::uint64_t>(at + 32),
            in.template get<std::uint64_t>(at + 24), in.template get<std::uint64_t>(at + 40)};
        if (part.offset > file.size() || part.size > file.size() - part.offset)
            return "it is shorter than its headers say: the file was cut";
        if (part.size > part.memory || part.address < 0x100000 || part.address >= four_gib ||
            part.memory > four_gib - part.address)
            return "its headers give an impossible place in memory";
        image.parts[image.count++] = part;
        entry_is_loaded |= entry >= part.address && entry < part.address + part.size;
        if (part.address + part.memory > image.end)
            image.end = part.address + part.memory;
    }
    if (!in.ok)
        return "it ends within its headers";
    if (!entry_is_loaded)
        return "its first instruction is in no part of it";
    image.entry_64 = entry;
    return nullptr;
}
// [elf]

/// Finds out what kind of kernel a file is, and reads its headers. Returns null, or why it cannot
/// be loaded, in words behind "the kernel cannot be loaded: ". `file` has size() and read().
template <typename File> const char *read_linux_image(const File &file, LinuxImage &image) {
    FieldReader<File> in{file};
    image = {};
    if (in.template get<std::uint32_t>(0) == 0x464c457f) // 7F "ELF"
        return read_elf(file, image);
    if (in.template get<std::uint32_t>(SetupHeader::magic) == SetupHeader::magic_value)
        return read_bzimage(file, image);
    return "it is neither a bzImage (\"HdrS\" at offset 0x202) nor an ELF file";
}

} // namespace vtx
