// SPDX-License-Identifier: GPL-2.0-only
// What a guest can read by the BIOS: its disk, by INT 13h, and where its memory is, by INT 15h.
#include "bios_caller.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <vector>

using namespace vtx;

namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

struct BiosDisk : Bios {
    /// INT 13h, AH = 02h.
    Action read(std::uint8_t count, unsigned cylinder, std::uint8_t side, std::uint8_t sector) {
        registers.rcx = ones | (cylinder & 0xff) << 8 | (cylinder >> 8 & 3) << 6 | sector;
        registers.rdx = ones | static_cast<std::uint64_t>(side) << 8 | boot_drive;
        registers.rbx = ones | 0x20;
        es = 0x8000;
        return call(0x13, static_cast<std::uint16_t>(0x0200 | count));
    }

    /// INT 13h, AH = 42h, with a packet at DS:SI = 5000h:0010h.
    Action read_numbered(
        std::uint64_t first, std::uint16_t count, std::uint8_t size = 16,
        std::uint16_t segment = 0x800, std::uint16_t offset = 0x20) {
        std::byte packet[16]{std::byte{size}};
        std::memcpy(packet + 2, &count, 2);
        std::memcpy(packet + 4, &offset, 2);
        std::memcpy(packet + 6, &segment, 2);
        std::memcpy(packet + 8, &first, 8);
        EXPECT_TRUE(vm->memory.write(0x50010, packet, sizeof packet));
        registers.rsi = ones | 0x10;
        registers.rdx = ones | boot_drive;
        ds = 0x50000;
        return call(0x13, 0x42ff);
    }

    /// A call failed with this status in AH, and nothing was read.
    void expect_refused(Action action, std::uint16_t status) {
        EXPECT_EQ(action, Action::resume);
        EXPECT_TRUE(failed());
        EXPECT_EQ(registers.rax, ones | status << 8);
        EXPECT_EQ(in_ram<std::uint64_t>(0x8020), 0u);
    }

    /// Sectors from this one on were read to 08020h.
    void expect_read(Action action, std::uint32_t first, std::uint8_t count) {
        EXPECT_EQ(action, Action::leave) << "Linux gets the processor after a long copy";
        EXPECT_FALSE(failed());
        EXPECT_EQ(registers.rax, ones | count) << "AH: good, AL: how many";
        for (std::uint32_t i = 0; i < count; i++)
            EXPECT_EQ(in_ram<std::uint32_t>(0x8020 + 512 * i), first + i);
        EXPECT_EQ(in_ram<std::uint32_t>(0x8020 + 512 * count), 0u);
    }
};

struct BiosMap : Bios {
    explicit BiosMap(unsigned megabytes = 1) : Bios(megabytes) {}

    /// What one call writes to ES:DI.
    struct Piece {
        std::uint64_t base, size;
        std::uint32_t type;
        bool operator==(const Piece &) const = default;
    };

    Action
    ask(std::uint32_t number, std::uint32_t smap = 0x534d4150, std::uint32_t size = 20,
        std::uint64_t to = 0x6000) {
        registers.rbx = number;
        registers.rcx = 0xffffffff'00000000 | size; // ECX counts, not RCX
        registers.rdx = 0xffffffff'00000000 | smap;
        registers.rdi = ones | 4;
        es = to - 4;
        return call(0x15, 0xe820);
    }

    /// The whole map, as a guest collects it.
    std::vector<Piece> map() {
        std::vector<Piece> pieces;
        std::uint32_t next = 0;
        do {
            EXPECT_EQ(ask(next), Action::resume);
            EXPECT_FALSE(failed());
            EXPECT_EQ(registers.rax, 0x534d4150u);
            EXPECT_EQ(registers.rcx, 20u);
            pieces.push_back(
                {in_ram<std::uint64_t>(0x6000), in_ram<std::uint64_t>(0x6008),
                 in_ram<std::uint32_t>(0x6010)});
            next = static_cast<std::uint32_t>(registers.rbx);
        } while (next != 0 && pieces.size() < 9);
        EXPECT_EQ(in_ram<std::uint32_t>(0x6014), 0u) << "an entry has 20 bytes";
        return pieces;
    }
};

struct BiosMap16 : BiosMap {
    BiosMap16() : BiosMap(16) {}
};

} // namespace

// ---- INT 13h ------------------------------------------------------------------------------------

TEST_F(BiosDisk, ReadsByPlace) {
    insert_disk(Disk::limit);
    expect_read(read(1, 0, 0, 1), 0, 1);
    expect_read(read(1, 0, 0, 18), 17, 1);
    expect_read(read(1, 0, 1, 1), 18, 1);
    expect_read(read(1, 1, 0, 1), 36, 1);
    expect_read(read(1, 79, 1, 18), 2879, 1);
}

TEST_F(BiosDisk, ReadsOverTheEndOfATrack) {
    insert_disk(Disk::limit);
    expect_read(read(127, 40, 1, 18), 40 * 36 + 35, 127);
}

TEST_F(BiosDisk, ACylinderHasTenBits) {
    insert_disk(std::size_t{0x3ff} * 36 * 512 + 512);
    expect_read(read(1, 0x100, 0, 1), 0x100 * 36, 1);
    expect_read(read(1, 0x3ff, 0, 1), 0x3ff * 36, 1);
}

TEST_F(BiosDisk, RefusesAPlaceThatNoDiskHas) {
    insert_disk(Disk::limit);
    expect_refused(read(1, 0, 0, 0), 0x01);
    expect_refused(read(1, 0, 0, 19), 0x01);
    expect_refused(read(1, 0, 0, 63), 0x01);
    expect_refused(read(1, 0, 2, 1), 0x01);
    expect_refused(read(1, 0, 255, 1), 0x01);
}

TEST_F(BiosDisk, RefusesSectorsThatThisDiskHasNot) {
    insert_disk(10 * 512 + 1);
    expect_refused(read(1, 0, 0, 12), 0x04);
    expect_refused(read(2, 0, 0, 11), 0x04);
    expect_refused(read(0, 0, 0, 1), 0x04);
}

TEST_F(BiosDisk, ASectorThatIsNotWholeIsOne) {
    insert_disk(10 * 512 + 4);
    expect_read(read(2, 0, 0, 10), 9, 2);
}

TEST_F(BiosDisk, ReadsByNumber) {
    insert_disk(Disk::limit);
    expect_read(read_numbered(0, 1), 0, 1);
    expect_read(read_numbered(2879, 1), 2879, 1);
    expect_read(read_numbered(2753, 127), 2753, 127);
    EXPECT_EQ(registers.rsi, ones | 0x10);
}

TEST_F(BiosDisk, RefusesAPacketThatIsWrong) {
    insert_disk(Disk::limit);
    expect_refused(read_numbered(0, 1, 15), 0x01);
    expect_refused(read_numbered(0, 1, 0), 0x01);
    expect_refused(read_numbered(0, 128), 0x01);
    expect_refused(read_numbered(0, 256 + 1), 0x01);
    expect_refused(read_numbered(0, 0xffff), 0x01);
    ds = mib - 15; // with SI = 0, one byte is missing
    registers.rsi = ones;
    expect_refused(call(0x13, 0x4200), 0x01);
}

TEST_F(BiosDisk, NumbersHave64Bits) {
    insert_disk(Disk::limit);
    expect_refused(read_numbered(2880, 1), 0x04);
    expect_refused(read_numbered(2879, 2), 0x04);
    expect_refused(read_numbered(0, 0), 0x04);
    expect_refused(read_numbered(1ull << 32, 1), 0x04);
    expect_refused(read_numbered(1ull << 55, 1), 0x04); // times 512 that is 0
    expect_refused(read_numbered(~0ull, 1), 0x04);
    expect_refused(read_numbered(~0ull - 1, 127), 0x04);
}

TEST_F(BiosDisk, ReadsIntoRamOnly) {
    insert_disk(Disk::limit);
    expect_refused(read_numbered(0, 1, 16, 0xffff, 0xffff), 0x01);
    expect_refused(read_numbered(0, 2, 16, 0xffe0, 0), 0x01); // ends 512 bytes behind RAM
    es = mib;
    registers.rbx = registers.rdx = ones;
    registers.rcx = ones | 1;
    registers.rdx |= boot_drive;
    expect_refused(call(0x13, 0x0201), 0x01);
    EXPECT_EQ(read_numbered(5, 1, 16, 0xffe0, 0), Action::leave) << "up to its end";
    EXPECT_EQ(in_ram<std::uint32_t>(mib - 512), 5u);
}

TEST_F(BiosDisk, ThereIsOneDrive) {
    insert_disk(Disk::limit);
    for (const std::uint16_t ax : std::initializer_list<std::uint16_t>{0x0201, 0x4200})
        for (const std::uint8_t drive : std::initializer_list<std::uint8_t>{0x00, 0x01, 0x81}) {
            registers.rcx = ones | 1;
            registers.rdx = ones | drive;
            expect_refused(call(0x13, ax), 0x01);
        }
    EXPECT_EQ(vm->unknown_calls.size, 0u);
    EXPECT_EQ(call(0x13, 0x0300), Action::resume);
    EXPECT_TRUE(failed());
    EXPECT_EQ(unknown(0x13, 0x03), 1u) << "writing is not known";
}

// ---- INT 15h ------------------------------------------------------------------------------------

TEST_F(BiosMap, TheFirstMegabyte) {
    EXPECT_EQ(map(), (std::vector<Piece>{{0, 0xa0000, 1}, {0xa0000, 0x60000, 2}}));
}

TEST_F(BiosMap16, AndWhatIsAboveIt) {
    EXPECT_EQ(
        map(),
        (std::vector<Piece>{{0, 0xa0000, 1}, {0xa0000, 0x60000, 2}, {0x100000, 15 * mib, 1}}));
}

TEST_F(BiosMap, RefusesWhatNobodyMayAsk) {
    const auto refused = [&](Action action) {
        EXPECT_EQ(action, Action::resume);
        EXPECT_TRUE(failed());
        EXPECT_EQ(registers.rax, ones | 0xe820) << "SMAP would say that it went well";
        EXPECT_EQ(in_ram<std::uint64_t>(0x6000), 0u);
    };
    refused(ask(0, 0x534d4151));
    refused(ask(0, 0x534d4150, 19));
    refused(ask(0, 0x534d4150, 0));
    refused(ask(2));
    refused(ask(3));
    refused(ask(0xffffffff));
    refused(ask(0, 0x534d4150, 20, mib - 19));
    EXPECT_EQ(vm->unknown_calls.size, 0u);
    EXPECT_EQ(ask(0, 0x534d4150, 24, mib - 20), Action::resume);
    EXPECT_FALSE(failed()) << "up to the end of RAM";
}

TEST_F(BiosMap, Int15KnowsNothingElse) {
    EXPECT_EQ(call(0x15, 0xe801), Action::resume);
    EXPECT_TRUE(failed());
    EXPECT_EQ(call(0x15, 0x8800), Action::resume);
    EXPECT_EQ(unknown(0x15, 0xe8), 1u);
    EXPECT_EQ(unknown(0x15, 0x88), 1u);
}
