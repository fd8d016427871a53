// SPDX-License-Identifier: GPL-2.0-only
// long-file: what lies where is told byte by byte.
// Linux in the guest's memory: where everything lies, the boot parameters, and what does not fit.
#include "load_linux.hpp"
#include "made_up_image.hpp"

#include "fakes.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

using namespace vtx;
using namespace made_up;

namespace {

constexpr std::uint64_t params = 0x7000, mib = 0x100000;

/// RAM of a few MiB, and files that a test fills.
struct Loader : testing::Test {
    Loader() {
        fake::memory = {};
        fill(*kernel, bzimage());
        allocate(4);
    }
    ~Loader() override {
        memory.reset();
        kernel.reset();
        initrd.reset();
        EXPECT_EQ(fake::memory.in_use, 0u);
    }
    Loader(const Loader &) = delete;
    Loader &operator=(const Loader &) = delete;

    void allocate(unsigned megabytes) {
        memory = std::make_unique<GuestMemory>();
        ASSERT_TRUE(memory->allocate(megabytes));
    }
    Loaded load(bool wants_64 = false) {
        return load_linux(*memory, {*kernel, *initrd, command_line.c_str()}, wants_64);
    }
    /// Loads, and expects that all is well.
    Loaded loaded(bool wants_64 = false) {
        const Loaded result = load(wants_64);
        EXPECT_EQ(result.refusal, nullptr) << result.refusal;
        return result;
    }
    template <typename T> void change(std::size_t field, T value) {
        Bytes bytes = bzimage();
        put(bytes, field, value);
        fill(*kernel, bytes);
    }
    template <typename T> T at(std::uint64_t address) const {
        T value{};
        EXPECT_TRUE(memory->read(address, &value, sizeof value));
        return value;
    }
    /// An initrd of this size, whose bytes tell where they are.
    void make_initrd(std::size_t size) {
        Bytes bytes(size);
        for (std::size_t i = 0; i < size; i++)
            bytes[i] = static_cast<std::uint8_t>(i * 11 + i / 256 + 1);
        fill(*initrd, bytes);
    }
    std::uint64_t initrd_at() const { return at<std::uint32_t>(params + Field::ramdisk_image); }
    /// All that is not zero lies in these.
    void expect_zeroes_outside(
        std::initializer_list<std::pair<std::uint64_t, std::uint64_t>> used) const {
        std::vector<std::uint8_t> all(memory->size());
        ASSERT_TRUE(memory->read(0, all.data(), all.size()));
        for (const auto &[begin, end] : used)
            std::fill(all.begin() + long(begin), all.begin() + long(end), std::uint8_t{0});
        for (std::size_t i = 0; i < all.size(); i++)
            ASSERT_EQ(all[i], 0u) << std::hex << i;
    }

    std::unique_ptr<GuestMemory> memory;
    std::unique_ptr<Blob> kernel = std::make_unique<Blob>(), initrd = std::make_unique<Blob>();
    std::string command_line = "console=ttyS0";
};

} // namespace

// ---- Where things lie ---------------------------------------------------------------------------

TEST_F(Loader, TheKernelIsWhereItWantsToBe) {
    const Loaded result = loaded();
    const Bytes bytes = bzimage();
    for (std::size_t i = 0; i < 0x1000; i++)
        ASSERT_EQ(at<std::uint8_t>(0x200000 + i), bytes[0x400 + i]) << i;
    EXPECT_EQ(result.needed, 0u);
    EXPECT_EQ(result.start.rip, 0x200000u);
    EXPECT_FALSE(result.start.in_64_bit);
    EXPECT_EQ(result.start.boot_params, params);
    EXPECT_EQ(result.start.gdt, 0x6000u);
    EXPECT_EQ(result.start.page_tables, 0x8000u);
}

TEST_F(Loader, NothingElseIsWritten) {
    make_initrd(5000);
    loaded();
    expect_zeroes_outside(
        {{0x6000, 0x6020},
         {0x7000, 0x8000},
         {0x8000, 0xb000},
         {0x20000, 0x20000 + command_line.size()},
         {0x200000, 0x201000},
         {4 * mib - 0x2000, 4 * mib}});
}

TEST_F(Loader, The64BitEntryIsTakenWhereThereIsOne) {
    EXPECT_EQ(loaded(true).start.rip, 0x200200u);
    EXPECT_TRUE(loaded(true).start.in_64_bit);
    change(Field::xloadflags, std::uint16_t{0});
    EXPECT_EQ(loaded(true).start.rip, 0x200000u);
    EXPECT_FALSE(loaded(true).start.in_64_bit);
}

TEST_F(Loader, AVmlinuxHasPartsAndOne64BitEntry) {
    const Bytes bytes = elf();
    fill(*kernel, bytes);
    const Loaded result = loaded();
    EXPECT_EQ(result.start.rip, 0x100040u);
    EXPECT_TRUE(result.start.in_64_bit) << "though 32 bits were asked for";
    for (std::size_t i = 0; i < 0x100; i++)
        EXPECT_EQ(at<std::uint8_t>(0x100000 + i), bytes[0x200 + i]);
    for (std::size_t i = 0; i < 0x80; i++)
        EXPECT_EQ(at<std::uint8_t>(0x102000 + i), bytes[0x300 + i]);
    EXPECT_EQ(at<std::uint64_t>(0x102080), 0u) << "zeroes behind what the file has";
}

TEST_F(Loader, FlatSegments) {
    loaded();
    EXPECT_EQ(at<std::uint64_t>(0x6000), 0u);
    EXPECT_EQ(at<std::uint64_t>(0x6008), 0u);
    EXPECT_EQ(at<std::uint64_t>(0x6010), 0x00cf9b000000ffffu) << "code, at selector 10h";
    EXPECT_EQ(at<std::uint64_t>(0x6018), 0x00cf93000000ffffu) << "data, at selector 18h";
}

TEST_F(Loader, TablesThatMapOneGibibyteOneToOne) {
    loaded(true);
    EXPECT_EQ(at<std::uint64_t>(0x8000), 0x9003u);
    EXPECT_EQ(at<std::uint64_t>(0x8008), 0u);
    EXPECT_EQ(at<std::uint64_t>(0x9000), 0xa003u);
    EXPECT_EQ(at<std::uint64_t>(0x9008), 0u);
    for (std::uint64_t i = 0; i < 512; i++)
        EXPECT_EQ(at<std::uint64_t>(0xa000 + 8 * i), i << 21 | 0x83);
}

// ---- The boot parameters ------------------------------------------------------------------------

TEST_F(Loader, TheHeaderIsCopiedAndFilledIn) {
    change(Field::kernel_alignment, std::uint32_t{0x200000});
    make_initrd(0x1234);
    loaded();
    Bytes wanted = bzimage();
    put(wanted, Field::type_of_loader, std::uint8_t{0xff});
    put(wanted, Field::code32_start, std::uint32_t{0x200000});
    put(wanted, Field::ramdisk_image, std::uint32_t{4 * mib - 0x2000});
    put(wanted, Field::ramdisk_size, std::uint32_t{0x1234});
    put(wanted, Field::cmd_line_ptr, std::uint32_t{0x20000});
    for (std::uint64_t i = 0; i < 4096; i++) {
        if (i == 0x1e8 || (i >= 0x2d0 && i < 0x2d0 + 4 * 20))
            continue; // the memory map
        const unsigned byte = i >= 0x1f1 && i < 0x26c ? wanted[i] : 0;
        EXPECT_EQ(at<std::uint8_t>(params + i), byte) << std::hex << i;
    }
}

TEST_F(Loader, OfALongHeaderNoMoreIsCopiedThanTheProtocolHas) {
    Bytes bytes = bzimage();
    std::fill(bytes.begin() + 0x264, bytes.begin() + 0x400, std::uint8_t{0xee});
    put(bytes, Field::length, std::uint8_t{0x8e});
    fill(*kernel, bytes);
    loaded();
    EXPECT_EQ(at<std::uint8_t>(params + 0x28f), 0xee);
    EXPECT_EQ(at<std::uint8_t>(params + 0x290), 0x00);
}

TEST_F(Loader, AVmlinuxGetsAHeaderOfOurs) {
    fill(*kernel, elf());
    loaded();
    EXPECT_EQ(at<std::uint16_t>(params + 0x1fe), 0xaa55u);
    EXPECT_EQ(at<std::uint32_t>(params + 0x202), 0x53726448u);
    EXPECT_EQ(at<std::uint16_t>(params + 0x206), 0x020cu);
    EXPECT_EQ(at<std::uint8_t>(params + 0x210), 0xffu);
    EXPECT_EQ(at<std::uint8_t>(params + 0x211), 0x01u);
    EXPECT_EQ(at<std::uint32_t>(params + 0x214), 0x100000u);
    EXPECT_EQ(at<std::uint32_t>(params + 0x228), 0x20000u);
}

TEST_F(Loader, TheMemoryMap) {
    for (const unsigned megabytes : {4u, 5u, 512u}) {
        allocate(megabytes);
        loaded();
        const struct {
            std::uint64_t begin, end;
            std::uint32_t type;
        } rows[] = {
            {0, 0x9fc00, 1}, {0x9fc00, 0xa0000, 2}, {0xf0000, mib, 2}, {mib, megabytes * mib, 1}};
        EXPECT_EQ(at<std::uint8_t>(params + 0x1e8), 4u);
        for (std::uint64_t i = 0; i < 4; i++) {
            EXPECT_EQ(at<std::uint64_t>(params + 0x2d0 + 20 * i), rows[i].begin) << i;
            EXPECT_EQ(at<std::uint64_t>(params + 0x2d8 + 20 * i), rows[i].end - rows[i].begin);
            EXPECT_EQ(at<std::uint32_t>(params + 0x2e0 + 20 * i), rows[i].type) << i;
        }
        EXPECT_EQ(at<std::uint64_t>(params + 0x2d0 + 20 * 4), 0u);
    }
}

// ---- The initrd ---------------------------------------------------------------------------------

TEST_F(Loader, TheInitrdEndsWhereMemoryEnds) {
    for (const std::size_t size : {1u, 4095u, 4096u, 4097u, 0x100000u}) {
        make_initrd(size);
        allocate(4);
        loaded();
        const std::uint64_t wanted = 4 * mib - (size + 4095) / 4096 * 4096;
        EXPECT_EQ(initrd_at(), wanted);
        EXPECT_EQ(at<std::uint32_t>(params + Field::ramdisk_size), size);
        for (std::size_t i = 0; i < size; i += 17)
            ASSERT_EQ(
                at<std::uint8_t>(wanted + i), static_cast<std::uint8_t>(i * 11 + i / 256 + 1));
    }
}

TEST_F(Loader, OrWhereTheHeaderLetsItEnd) {
    make_initrd(0x1800);
    change(Field::initrd_addr_max, std::uint32_t{0x37ffff});
    loaded();
    EXPECT_EQ(initrd_at(), 0x37e000u);
    change(Field::initrd_addr_max, std::uint32_t{0xffffffff});
    loaded();
    EXPECT_EQ(initrd_at(), 0x3fe000u);
}

TEST_F(Loader, ItBeginsOnAPage) {
    make_initrd(0x1800);
    for (const std::uint32_t last : {0x380000u, 0x380001u, 0x380800u, 0x380ffeu}) {
        change(Field::initrd_addr_max, last);
        loaded();
        EXPECT_EQ(initrd_at(), 0x37e000u) << std::hex << last;
    }
}

TEST_F(Loader, WithoutAnInitrdNobodyLooksForOne) {
    change(Field::initrd_addr_max, std::uint32_t{0});
    loaded();
    EXPECT_EQ(initrd_at(), 0u);
    EXPECT_EQ(at<std::uint32_t>(params + Field::ramdisk_size), 0u);
}

TEST_F(Loader, AnInitrdThatFitsToTheByte) {
    make_initrd(mib); // the kernel's memory ends at 3 MiB
    loaded();
    EXPECT_EQ(initrd_at(), 3 * mib);
    make_initrd(mib + 1);
    EXPECT_EQ(load().needed, 4 * mib + 0x1000);
}

TEST_F(Loader, AHeaderThatLeavesNoRoomForIt) {
    make_initrd(0x1000);
    for (const std::uint32_t last : {0u, 0x2fffffu, 0x300ffeu}) {
        change(Field::initrd_addr_max, last);
        const Loaded result = load();
        EXPECT_STREQ(result.refusal, "its header leaves no room for this initrd");
        EXPECT_EQ(result.needed, 0u) << "more memory would not help";
    }
    change(Field::initrd_addr_max, std::uint32_t{0x300fff});
    loaded();
    EXPECT_EQ(initrd_at(), 0x300000u);
    expect_zeroes_outside(
        {{0x6000, 0xb000}, {0x20000, 0x20010}, {0x200000, 0x201000}, {0x300000, 0x301000}});
}

// ---- Too little, too long -----------------------------------------------------------------------

TEST_F(Loader, TooLittleMemoryIsToldWithTheNumberNeeded) {
    allocate(2);
    EXPECT_STREQ(load().refusal, "it and its initrd need more memory");
    EXPECT_EQ(load().needed, 3 * mib);
    make_initrd(100);
    EXPECT_EQ(load().needed, 3 * mib + 0x1000);
    change(Field::init_size, std::uint32_t{0x100001});
    EXPECT_EQ(load().needed, 3 * mib + 0x2000);
    change(Field::init_size, std::uint32_t{0xffe00000});
    EXPECT_EQ(load().needed, 0x100001000u);
    expect_zeroes_outside({});
    allocate(3);
    change(Field::init_size, std::uint32_t{0xfeff1}); // the last page is free
    loaded();
    EXPECT_EQ(initrd_at(), 0x2ff000u);
}

TEST_F(Loader, TheCommandLine) {
    loaded();
    std::string there(command_line.size() + 1, 'x');
    ASSERT_TRUE(memory->read(0x20000, there.data(), there.size()));
    EXPECT_EQ(there, command_line + '\0');
    command_line.clear();
    allocate(4);
    loaded();
    EXPECT_EQ(at<std::uint8_t>(0x20000), 0u);
}

TEST_F(Loader, TheLengthOfTheCommandLine) {
    const char *const words = "it takes no command line of this length";
    command_line.assign(2047, 'x');
    loaded();
    EXPECT_EQ(at<std::uint8_t>(0x20000 + 2046), 'x');
    EXPECT_EQ(at<std::uint8_t>(0x20000 + 2047), 0u);
    command_line += 'x';
    EXPECT_STREQ(load().refusal, words);

    change(Field::cmdline_size, std::uint32_t{0xffffffff}); // a header that lies
    command_line.assign(0x9fc00 - 0x20000 - 1, 'x');
    loaded();
    EXPECT_EQ(at<std::uint16_t>(0x9fbfe), 'x');
    EXPECT_EQ(at<std::uint8_t>(0x9fc00), 0u);
    command_line += 'x';
    EXPECT_STREQ(load().refusal, words);

    change(Field::cmdline_size, std::uint32_t{0});
    command_line = "x";
    EXPECT_STREQ(load().refusal, words);
    fill(*kernel, elf());
    command_line.assign(2048, 'x');
    EXPECT_STREQ(load().refusal, words);
}

/// A file that was cut: at each byte of the header, and at each field behind it.
TEST_F(Loader, WhatIsRefusedChangesNothing) {
    make_initrd(0x1000);
    for (const Bytes &whole : {bzimage(), elf()}) {
        kernel->clear();
        const std::size_t enough = whole == elf() ? 0x380 : whole.size();
        for (std::size_t size = 0; size < enough; size += size < 0x290 ? 1 : 16) {
            const std::size_t more = size - kernel->size(); // it grows, up to a whole one
            ASSERT_EQ(kernel->append(whole.data() + kernel->size(), more), 0);
            const Loaded result = load();
            ASSERT_NE(result.refusal, nullptr) << size;
            EXPECT_NE(*result.refusal, '\0') << size;
            EXPECT_EQ(result.needed, 0u) << size;
        }
    }
    expect_zeroes_outside({});
}
