// SPDX-License-Identifier: GPL-2.0-only
// The headers of a kernel: what is read out of them, and every way in which they are refused.
#include "made_up_image.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>

using namespace vtx;
using namespace made_up;

namespace {

/// A file, as the reader of headers wants one.
struct File {
    std::size_t size() const { return bytes.size(); }
    bool read(std::size_t offset, void *to, std::size_t count) const {
        if (offset > bytes.size() || count > bytes.size() - offset)
            return false;
        std::memcpy(to, bytes.data() + offset, count);
        return true;
    }
    Bytes bytes;
};

struct Image : testing::Test {
    /// Reads the file. What is wrong with it; empty if nothing is.
    std::string read(const Bytes &bytes) {
        const char *const refusal = read_linux_image(File{bytes}, image);
        return refusal != nullptr ? refusal : "";
    }
    /// Reads a bzImage in which one field has another value.
    template <typename T> std::string with(std::size_t field, T value) {
        Bytes bytes = bzimage();
        put(bytes, field, value);
        return read(bytes);
    }
    /// The same of the ELF file.
    template <typename T> std::string elf_with(std::size_t field, T value) {
        Bytes bytes = elf();
        put(bytes, field, value);
        return read(bytes);
    }

    static constexpr const char *cut = "it is shorter than its header says: the file was cut",
                                *ends = "it ends within its header",
                                *place = "its header gives an impossible place in memory",
                                *alignment = "its header gives an impossible alignment",
                                *length = "its header has an impossible length",
                                *nothing = "it is neither a bzImage (\"HdrS\" at offset 0x202) "
                                           "nor an ELF file",
                                *elf_cut = "it is shorter than its headers say: the file was cut",
                                *elf_place = "its headers give an impossible place in memory",
                                *elf_other = "it is an ELF file, but not for x86-64",
                                *elf_headers = "its ELF headers are impossible",
                                *elf_entry = "its first instruction is in no part of it";
    LinuxImage image;
};

} // namespace

// ---- bzImage ------------------------------------------------------------------------------------

TEST_F(Image, ABzimage) {
    ASSERT_EQ(read(bzimage()), "");
    EXPECT_EQ(image.count, 1u);
    EXPECT_EQ(image.parts[0].offset, 0x400u);
    EXPECT_EQ(image.parts[0].size, 0x1000u);
    EXPECT_EQ(image.parts[0].address, 0x200000u);
    EXPECT_EQ(image.entry_32, 0x200000u);
    EXPECT_EQ(image.entry_64, 0x200200u);
    EXPECT_EQ(image.end, 0x300000u);
    EXPECT_EQ(image.header_end, 0x26cu);
    EXPECT_EQ(image.initrd_max, 0x7fffffffu);
    EXPECT_EQ(image.command_line_limit, 2047u);
}

TEST_F(Image, SectorsOfRealModeCode) {
    Bytes bytes = bzimage();
    bytes.insert(bytes.begin() + 0x400, 2 * 512, 0);
    put(bytes, Field::begin, std::uint8_t{3});
    ASSERT_EQ(read(bytes), "");
    EXPECT_EQ(image.parts[0].offset, 0x800u);
    bytes.insert(bytes.begin() + 0x400, 512, 0);
    put(bytes, Field::begin, std::uint8_t{0});
    ASSERT_EQ(read(bytes), "");
    EXPECT_EQ(image.parts[0].offset, 0xa00u) << "0 means 4, for the sake of old kernels";
    EXPECT_EQ(with(Field::begin, std::uint8_t{2}), cut);
    EXPECT_EQ(with(Field::begin, std::uint8_t{255}), cut);
}

TEST_F(Image, TheVersionOfTheProtocol) {
    EXPECT_EQ(with(Field::version, std::uint16_t{0x20c}), "");
    const char *const old = "its boot protocol is older than 2.12 (Linux 3.8)";
    EXPECT_EQ(with(Field::version, std::uint16_t{0x20b}), old);
    EXPECT_EQ(with(Field::version, std::uint16_t{0}), old);
    EXPECT_EQ(with(Field::version, std::uint16_t{0xffff}), "");
}

TEST_F(Image, OtherThingsThatItIsNot) {
    EXPECT_EQ(
        with(Field::loadflags, std::uint8_t{0x80}), "it is a zImage, which is loaded below 1 MiB");
    EXPECT_EQ(with(Field::loadflags, std::uint8_t{0x81}), "");
    EXPECT_EQ(with(Field::magic, std::uint32_t{0x53726449}), nothing);
    EXPECT_NE(with(Field::boot_flag, std::uint16_t{0x55aa}), "");
    EXPECT_EQ(read({}), nothing);
    EXPECT_EQ(read(Bytes(0x10000)), nothing);
}

TEST_F(Image, TheLengthOfTheHeader) {
    EXPECT_EQ(with(Field::length, std::uint8_t{0x62}), "");
    EXPECT_EQ(image.header_end, 0x264u);
    EXPECT_EQ(with(Field::length, std::uint8_t{0x61}), length) << "init_size is not in it";
    EXPECT_EQ(with(Field::length, std::uint8_t{0x8e}), "");
    EXPECT_EQ(image.header_end, 0x290u);
    EXPECT_EQ(with(Field::length, std::uint8_t{0x8f}), length) << "it would cover other fields";
    EXPECT_EQ(with(Field::length, std::uint8_t{0xff}), length);
    EXPECT_EQ(with(Field::length, std::uint8_t{0}), length);
}

TEST_F(Image, TheSizeOfTheKernel) {
    EXPECT_EQ(with(Field::syssize, std::uint32_t{0}), cut);
    EXPECT_EQ(with(Field::syssize, std::uint32_t{0xff}), "");
    EXPECT_EQ(image.parts[0].size, 0xff0u);
    EXPECT_EQ(with(Field::syssize, std::uint32_t{0x101}), cut);
    EXPECT_EQ(with(Field::syssize, std::uint32_t{0x10000000}), cut) << "4 GiB: not 0 by 32 bits";
    EXPECT_EQ(with(Field::syssize, std::uint32_t{0xffffffff}), cut);
}

TEST_F(Image, TheAlignment) {
    EXPECT_EQ(with(Field::kernel_alignment, std::uint32_t{0x1000}), "");
    for (const std::uint32_t value : {0u, 1u, 0x800u, 0x1001u, 0x3000u, 0x400000u, 0xffffffffu})
        EXPECT_EQ(with(Field::kernel_alignment, value), alignment) << value;
    EXPECT_EQ(with(Field::pref_address, std::uint64_t{0x300000}), alignment);
}

TEST_F(Image, ThePlaceInMemory) {
    EXPECT_EQ(with(Field::init_size, std::uint32_t{0x1000}), "");
    EXPECT_EQ(with(Field::init_size, std::uint32_t{0xfff}), place) << "smaller than the kernel";
    EXPECT_EQ(with(Field::init_size, std::uint32_t{0}), place);
    EXPECT_EQ(with(Field::init_size, std::uint32_t{0xffe00000}), "");
    EXPECT_EQ(image.end, 0x100000000u);
    EXPECT_EQ(with(Field::init_size, std::uint32_t{0xffe00001}), place) << "it ends above 4 GiB";
    EXPECT_EQ(with(Field::pref_address, std::uint64_t{0}), place) << "where the parameters are";
    EXPECT_EQ(with(Field::pref_address, std::uint64_t{0x100000000}), place);
    EXPECT_EQ(with(Field::pref_address, std::uint64_t{0xffffffffffe00000}), place);
    EXPECT_EQ(with(Field::pref_address, std::uint64_t{0xffe00000}), "");

    Bytes bytes = bzimage();
    put(bytes, Field::kernel_alignment, std::uint32_t{0x1000});
    put(bytes, Field::pref_address, std::uint64_t{0xff000});
    EXPECT_EQ(read(bytes), place) << "below 1 MiB";
    put(bytes, Field::pref_address, std::uint64_t{0x100000});
    EXPECT_EQ(read(bytes), "");
}

TEST_F(Image, AKernelWithoutA64BitEntry) {
    EXPECT_EQ(with(Field::xloadflags, std::uint16_t{0xfffe}), "");
    EXPECT_EQ(image.entry_64, 0u);
    EXPECT_EQ(image.entry_32, 0x200000u);
}

TEST_F(Image, FieldsForTheLoader) {
    EXPECT_EQ(with(Field::initrd_addr_max, std::uint32_t{0x37ffffff}), "");
    EXPECT_EQ(image.initrd_max, 0x37ffffffu);
    EXPECT_EQ(with(Field::cmdline_size, std::uint32_t{255}), "");
    EXPECT_EQ(image.command_line_limit, 255u);
}

TEST_F(Image, IsForgottenWhenTheNextOneIsRead) {
    ASSERT_EQ(read(elf()), "");
    ASSERT_EQ(read(bzimage()), "");
    EXPECT_EQ(image.count, 1u);
    ASSERT_EQ(read(elf()), "");
    EXPECT_EQ(image.count, 2u);
    EXPECT_EQ(image.header_end, 0u);
    EXPECT_EQ(image.entry_32, 0u);
}

TEST_F(Image, CutAtEachByte) {
    for (const Bytes &whole : {bzimage(), elf()})
        for (std::size_t size = 0; size < whole.size(); size++) {
            const std::string words = read(Bytes(whole.begin(), whole.begin() + long(size)));
            if (whole.size() == bzimage().size()) {
                EXPECT_EQ(words, size < 0x206 ? nothing : size < 0x264 ? ends : cut) << size;
            } else if (size < 0x380) {
                EXPECT_NE(words, "") << size;
            } else {
                EXPECT_EQ(words, "") << "behind its last part is nothing that is needed";
            }
        }
}

/// Each byte of the header with each value: words, or an image whose parts lie in the file.
TEST_F(Image, AnyByteMayLie) {
    for (const Bytes &whole : {bzimage(), elf()})
        for (std::size_t at = 0; at < 0x290; at++)
            for (const unsigned value : {0x00u, 0x01u, 0x7fu, 0x80u, 0xfeu, 0xffu}) {
                Bytes bytes = whole;
                bytes[at] = static_cast<std::uint8_t>(value);
                if (!read(bytes).empty())
                    continue;
                ASSERT_NE(image.count, 0u);
                for (std::size_t i = 0; i < image.count; i++) {
                    const ImagePart &part = image.parts[i];
                    EXPECT_LE(part.offset + part.size, bytes.size()) << at;
                    EXPECT_LE(part.size, part.memory) << at;
                    EXPECT_GE(part.address, 0x100000u) << at;
                    EXPECT_LE(part.address + part.memory, image.end) << at;
                }
                EXPECT_LE(image.end, std::uint64_t{1} << 32) << at;
            }
}

// ---- ELF ----------------------------------------------------------------------------------------

TEST_F(Image, AnElfFile) {
    ASSERT_EQ(read(elf()), "");
    ASSERT_EQ(image.count, 2u) << "a note is not loaded";
    EXPECT_EQ(image.parts[0].offset, 0x200u);
    EXPECT_EQ(image.parts[0].size, 0x100u);
    EXPECT_EQ(image.parts[0].address, 0x100000u) << "the physical address";
    EXPECT_EQ(image.parts[0].memory, 0x1000u);
    EXPECT_EQ(image.parts[1].offset, 0x300u);
    EXPECT_EQ(image.parts[1].address, 0x102000u);
    EXPECT_EQ(image.end, 0x102800u);
    EXPECT_EQ(image.entry_64, 0x100040u);
    EXPECT_EQ(image.entry_32, 0u);
    EXPECT_EQ(image.header_end, 0u);
}

TEST_F(Image, ElfForOtherMachines) {
    EXPECT_EQ(elf_with(4, std::uint16_t{0x101}), elf_other) << "32 bits";
    EXPECT_EQ(elf_with(4, std::uint16_t{0x202}), elf_other) << "the upper byte first";
    EXPECT_EQ(elf_with(18, std::uint16_t{183}), elf_other) << "Arm";
}

TEST_F(Image, ElfHeaders) {
    EXPECT_EQ(elf_with(54, std::uint16_t{32}), elf_headers);
    EXPECT_EQ(elf_with(32, std::uint64_t{0x401}), elf_headers);
    EXPECT_EQ(elf_with(32, std::numeric_limits<std::uint64_t>::max()), elf_headers);
    EXPECT_EQ(elf_with(32, std::uint64_t{0x400}), "it ends within its headers");
    EXPECT_EQ(elf_with(56, std::uint16_t{0}), elf_entry);
    EXPECT_EQ(elf_with(56, std::uint16_t{0xffff}), "it ends within its headers");
    EXPECT_EQ(elf_with(24, std::uint64_t{0x100100}), elf_entry) << "behind its first part";
    EXPECT_EQ(elf_with(24, std::uint64_t{0xfffff}), elf_entry);
    EXPECT_EQ(elf_with(24, std::uint64_t{0x10207f}), "");
}

TEST_F(Image, ElfParts) {
    const std::size_t offset = program_header(2, 8), address = program_header(2, 24),
                      size = program_header(2, 32), memory = program_header(2, 40);
    EXPECT_EQ(elf_with(offset, std::uint64_t{0x380}), "");
    EXPECT_EQ(elf_with(offset, std::uint64_t{0x381}), elf_cut);
    EXPECT_EQ(elf_with(offset, std::numeric_limits<std::uint64_t>::max()), elf_cut);
    EXPECT_EQ(elf_with(size, std::numeric_limits<std::uint64_t>::max() - 0x2ff), elf_cut);
    EXPECT_EQ(elf_with(memory, std::uint64_t{0x80}), "");
    EXPECT_EQ(elf_with(memory, std::uint64_t{0x7f}), elf_place);
    EXPECT_EQ(elf_with(memory, std::numeric_limits<std::uint64_t>::max()), elf_place);
    EXPECT_EQ(elf_with(address, std::uint64_t{0xfffff}), elf_place);
    EXPECT_EQ(elf_with(address, std::uint64_t{0x100000000}), elf_place);
    EXPECT_EQ(elf_with(address, std::uint64_t{0xfffff800}), "");
    EXPECT_EQ(image.end, 0x100000000u);
    EXPECT_EQ(elf_with(address, std::uint64_t{0xfffff801}), elf_place);
}

TEST_F(Image, ElfHasAtMostEightParts) {
    for (const std::size_t count : {8u, 9u}) {
        Bytes bytes = elf();
        bytes.resize(0x1000);
        put(bytes, 56, static_cast<std::uint16_t>(count));
        put(bytes, 32, std::uint64_t{0x400});
        for (std::size_t i = 0; i < count; i++)
            std::memcpy(bytes.data() + 0x400 + i * 56, bytes.data() + 64, 56);
        EXPECT_EQ(read(bytes), count == 8 ? "" : "it has too many parts to load");
        EXPECT_EQ(image.count, 8u);
    }
}
