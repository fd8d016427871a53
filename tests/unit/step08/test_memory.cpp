// SPDX-License-Identifier: GPL-2.0-only
// The guest's RAM, read and written over the borders of pages and of blocks; its disk; its screen.
#include "disk.hpp"
#include "guest_memory.hpp"
#include "machine.hpp"
#include "text_screen.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

using namespace vtx;

namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

/// RAM of 5 MiB. The first block is one piece, the second is single pages, the third is half.
struct GuestRam : Machine {
    GuestRam() : Machine(5, 2) {}

    /// Writes bytes that all differ from their neighbours, and looks for each of them.
    void write_and_read(std::uint64_t address, std::size_t size) const {
        std::vector<std::byte> bytes(size), back(size);
        for (std::size_t i = 0; i < size; i++)
            bytes[i] = static_cast<std::byte>(1 + i % 251);
        ASSERT_TRUE(vm->memory.write(address, bytes.data(), size)) << address;
        for (std::size_t i = 0; i < size; i++)
            ASSERT_EQ(vm->memory.byte_at(address + i), bytes[i]) << address + i;
        ASSERT_TRUE(vm->memory.read(address, back.data(), size)) << address;
        EXPECT_EQ(back, bytes) << address;
    }
};

struct DiskInMachine : Machine {};
struct Screen : Machine {
    Screen() : screen(vm->memory) { screen.clear(); }

    /// Prints, and says how often the screen scrolled.
    unsigned print(const std::string &text) {
        unsigned scrolled = 0;
        for (const char c : text)
            scrolled += screen.put(static_cast<std::byte>(c)) ? 1 : 0;
        return scrolled;
    }

    /// A line without the blanks at its end.
    std::string line(unsigned number) const {
        std::string text;
        for (unsigned column = 0; column < 80; column++)
            text += in_ram<char>(0xb8000 + 160 * number + 2 * column);
        return text.substr(0, text.find_last_not_of(' ') + 1);
    }

    unsigned column() const { return in_ram<std::uint8_t>(0x450); }
    unsigned row() const { return in_ram<std::uint8_t>(0x451); }
    void set_cursor(std::uint8_t column, std::uint8_t row) const {
        vm->memory.byte_at(0x450) = std::byte{column};
        vm->memory.byte_at(0x451) = std::byte{row};
    }

    TextScreen screen;
};

} // namespace

TEST_F(GuestRam, IsWrittenAndReadOverTheBordersOfPages) {
    write_and_read(0, 1);
    write_and_read(0, 3 * page_size);
    write_and_read(2 * mib + page_size - 1, 2); // single pages lie anywhere
    write_and_read(2 * mib + 5, 4 * page_size);
    write_and_read(3 * mib - 100, 2 * page_size);
}

TEST_F(GuestRam, IsWrittenAndReadOverTheBordersOfBlocks) {
    write_and_read(2 * mib - 1, 2);
    write_and_read(2 * mib - page_size - 7, 2 * page_size + 14);
    write_and_read(4 * mib - 3, 6);
    write_and_read(0, 5 * mib);
}

TEST_F(GuestRam, EndsWhereItEnds) {
    write_and_read(5 * mib - 1, 1);
    write_and_read(5 * mib - page_size - 1, page_size + 1);
    const std::uint64_t wrong[][2] = {
        {5 * mib - 1, 2},
        {5 * mib, 1},
        {0, 5 * mib + 1},
        {5 * mib + 1, 0},
        {~0ull, 1},
        {~0ull, 2},
        {5 * mib - 1, ~0ull},
        {1, ~0ull},
        {~0ull - page_size + 1, page_size},
        {0x8000000000000000, 16},
        {~0ull - 1, ~0ull - 1}};
    vm->memory.byte_at(5 * mib - 1) = std::byte{0x77};
    std::byte bytes[16]{};
    for (const auto &[address, size] : wrong) {
        EXPECT_FALSE(vm->memory.write(address, bytes, size)) << address << ", " << size;
        EXPECT_FALSE(vm->memory.read(address, bytes, size)) << address << ", " << size;
    }
    EXPECT_EQ(vm->memory.byte_at(5 * mib - 1), std::byte{0x77}) << "nothing of it is written";
    EXPECT_EQ(bytes[0], std::byte{0}) << "nothing of it is read";
    EXPECT_TRUE(vm->memory.write(5 * mib, bytes, 0)) << "nothing fits everywhere up to the end";
}

TEST(Disk, BootsIfItsFirstSectorSaysSo) {
    std::vector<std::byte> image(600);
    image[510] = std::byte{0x55};
    image[511] = std::byte{0xaa};
    EXPECT_TRUE((Disk{image.data(), 512}.can_boot()));
    EXPECT_TRUE((Disk{image.data(), 600}.can_boot()));
    EXPECT_FALSE((Disk{image.data(), 511}.can_boot()));
    EXPECT_FALSE((Disk{nullptr, 0}.can_boot()));
    std::swap(image[510], image[511]);
    EXPECT_FALSE((Disk{image.data(), 600}.can_boot())) << "AA55h is the word, 55h comes first";
}

TEST(Disk, HasTheSectorsThatItsSizeGives) {
    const auto sectors = [](std::size_t size) { return Disk{nullptr, size}.sectors(); };
    EXPECT_EQ(sectors(512), 1u);
    EXPECT_EQ(sectors(513), 2u);
    EXPECT_EQ(sectors(1024), 2u);
    EXPECT_EQ(sectors(Disk::limit), 2880u);

    const Disk disk{nullptr, 9 * 512 + 1};
    EXPECT_TRUE(disk.contains(0, 1));
    EXPECT_TRUE(disk.contains(0, 10));
    EXPECT_TRUE(disk.contains(9, 1));
    const std::uint64_t wrong[][2] = {{0, 0},        {9, 0},     {0, 11},         {9, 2},
                                      {10, 1},       {10, 0},    {1, ~0ull},      {9, ~0ull - 8},
                                      {~0ull, 1},    {~0ull, 2}, {1ull << 63, 1}, {1ull << 55, 1},
                                      {~0ull, ~0ull}};
    for (const auto &[first, count] : wrong)
        EXPECT_FALSE(disk.contains(first, count)) << first << ", " << count;
}

TEST_F(DiskInMachine, SectorsAreCopiedAndNothingBesideThem) {
    insert_disk(10 * 512);
    for (std::uint64_t at = 0; at < 0x2000; at++)
        vm->memory.byte_at(at) = std::byte{0x11};
    EXPECT_TRUE(vm->disk.read(vm->memory, 3, 4, 0xffb));
    EXPECT_EQ(in_ram<std::uint8_t>(0xffa), 0x11);
    for (std::uint32_t i = 0; i < 4; i++)
        EXPECT_EQ(in_ram<std::uint32_t>(0xffb + 512 * i), 3 + i);
    EXPECT_EQ(in_ram<std::uint8_t>(0xffb + 4 * 512 - 1), 0xee);
    EXPECT_EQ(in_ram<std::uint8_t>(0xffb + 4 * 512), 0x11);
}

TEST_F(DiskInMachine, AShortLastSectorIsCopiedAsFarAsItGoes) {
    insert_disk(2 * 512 + 100);
    for (std::uint64_t at = 0; at < 0x2000; at++)
        vm->memory.byte_at(at) = std::byte{0x11};
    EXPECT_TRUE(vm->disk.read(vm->memory, 1, 2, 0x1000));
    EXPECT_EQ(in_ram<std::uint32_t>(0x1000), 1u);
    EXPECT_EQ(in_ram<std::uint32_t>(0x1200), 2u);
    EXPECT_EQ(in_ram<std::uint8_t>(0x1200 + 99), 0xee);
    EXPECT_EQ(in_ram<std::uint8_t>(0x1200 + 100), 0x11);
    // All of the sector has to have room, the part that is not copied as well.
    EXPECT_FALSE(vm->disk.read(vm->memory, 2, 1, mib - 100));
    EXPECT_TRUE(vm->disk.read(vm->memory, 2, 1, mib - 512));
    EXPECT_EQ(in_ram<std::uint32_t>(mib - 512), 2u);
}

TEST_F(DiskInMachine, WhatDoesNotFitIntoRamIsNotCopied) {
    insert_disk(4 * 512);
    vm->memory.byte_at(mib - 1) = std::byte{0x11};
    EXPECT_FALSE(vm->disk.read(vm->memory, 0, 1, mib - 511));
    EXPECT_FALSE(vm->disk.read(vm->memory, 0, 4, mib - 3 * 512));
    EXPECT_FALSE(vm->disk.read(vm->memory, 0, 1, mib));
    EXPECT_FALSE(vm->disk.read(vm->memory, 0, 1, ~0ull - 255));
    EXPECT_EQ(in_ram<std::uint8_t>(mib - 1), 0x11);
}

TEST_F(DiskInMachine, TheFirstSectorGoesToWhereItBegins) {
    insert_disk(512);
    vm->load_boot_sector();
    EXPECT_EQ(std::memcmp(&vm->memory.byte_at(0x7c00), image.data(), 512), 0);
}

TEST_F(Screen, BeginsBlank) {
    print("something");
    screen.clear();
    for (unsigned i = 0; i < 2000; i++)
        ASSERT_EQ(in_ram<std::uint16_t>(0xb8000 + 2 * i), 0x0720) << i; // a blank, grey on black
    EXPECT_EQ(in_ram<std::uint8_t>(0xb8000 + 4000), 0) << "what lies behind is not the screen";
    EXPECT_EQ(column() + row(), 0u);
}

TEST_F(Screen, PrintsAtTheCursor) {
    EXPECT_EQ(print("left\r\nline 1\n2"), 0u);
    EXPECT_EQ(line(0), "left");
    EXPECT_EQ(line(1), "line 1");
    EXPECT_EQ(line(2), "      2") << "only \\r goes to the left";
    EXPECT_EQ(column(), 7u);
    EXPECT_EQ(row(), 2u);
}

TEST_F(Screen, KeepsTheColoursThatAreThere) {
    vm->memory.byte_at(0xb8001) = std::byte{0x4e};
    print("a");
    EXPECT_EQ(in_ram<std::uint16_t>(0xb8000), 0x4e61);
}

TEST_F(Screen, KnowsBellAndBackspace) {
    EXPECT_EQ(print("ab\a\bc\r\bd"), 0u);
    EXPECT_EQ(line(0), "dc");
    EXPECT_EQ(column(), 1u);
}

TEST_F(Screen, OtherControlCharactersAreCharacters) {
    print("\x01\t\x7f\xdb");
    EXPECT_EQ(line(0), "\x01\t\x7f\xdb");
    EXPECT_EQ(column(), 4u);
}

TEST_F(Screen, ALongLineGoesOnInTheNext) {
    EXPECT_EQ(print(std::string(79, 'a')), 0u);
    EXPECT_EQ(column(), 79u);
    EXPECT_EQ(print("bc"), 0u);
    EXPECT_EQ(line(0), std::string(79, 'a') + "b");
    EXPECT_EQ(line(1), "c");
    EXPECT_EQ(column(), 1u);
    EXPECT_EQ(row(), 1u);
}

TEST_F(Screen, ScrollsBelowTheLastLine) {
    print("first\r\nsecond");
    vm->memory.byte_at(0xb8000 + 160 + 1) = std::byte{0x4e};      // colours move with their line,
    vm->memory.byte_at(0xb8000 + 24 * 160 + 1) = std::byte{0x4e}; // and a new line has none
    set_cursor(0, 24);
    EXPECT_EQ(print("last\n"), 1u);
    EXPECT_EQ(line(0), "second");
    EXPECT_EQ(in_ram<std::uint8_t>(0xb8001), 0x4e);
    EXPECT_EQ(line(23), "last");
    EXPECT_EQ(line(24), "");
    EXPECT_EQ(in_ram<std::uint8_t>(0xb8000 + 24 * 160 + 1), 0x07);
    EXPECT_EQ(in_ram<std::uint8_t>(0xb8000 + 4000), 0) << "what lies behind is not the screen";
    EXPECT_EQ(column(), 4u);
    EXPECT_EQ(row(), 24u);
    EXPECT_EQ(print(std::string(76, 'x')), 1u) << "so does a character in the last place";
    EXPECT_EQ(line(23), "    " + std::string(76, 'x'));
    EXPECT_EQ(column(), 0u);
    EXPECT_EQ(row(), 24u);
}

TEST_F(Screen, ACursorAnywhereStaysOnTheScreen) {
    for (unsigned columns = 0; columns < 256; columns++)
        for (unsigned rows = 0; rows < 256; rows++)
            for (const char c : {'x', '\n', '\b'}) {
                set_cursor(static_cast<std::uint8_t>(columns), static_cast<std::uint8_t>(rows));
                screen.put(static_cast<std::byte>(c));
                ASSERT_LT(column(), 80u) << columns << ", " << rows;
                ASSERT_LT(row(), 25u) << columns << ", " << rows;
            }
    // (The sanitizer sees a character beside the page.)
    EXPECT_EQ(in_ram<std::uint8_t>(0xb7fff), 0);
    EXPECT_EQ(in_ram<std::uint8_t>(0xb8000 + 4000), 0);
    EXPECT_EQ(in_ram<std::uint8_t>(0xb8000 + 4095), 0);
}
