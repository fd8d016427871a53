// SPDX-License-Identifier: GPL-2.0-only
// The BIOS in the guest's memory, and its services, each asked for as a guest may ask, rightly and
// wrongly. Those that read the disk or the memory map are in test_bios_disk.cpp.
#include "bios_caller.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <set>
#include <string>

using namespace vtx;

TEST_F(Bios, LiesInMemoryAndVectorsPointToIt) {
    vm->memory.byte_at(0xb8000) = std::byte{'x'};
    load_bios(vm->memory);
    for (std::uint32_t n = 0; n < 256; n++) {
        EXPECT_EQ(in_ram<std::uint32_t>(4 * n), 0xf0000000u | 4 * n) << "F000:4n, n = " << n;
        EXPECT_EQ(in_ram<std::uint32_t>(0xf0000 + 4 * n), 0xcfc1010fu) << "VMCALL, IRET";
    }
    EXPECT_EQ(in_ram<std::uint32_t>(0x400), 0u) << "256 vectors and no more";
    EXPECT_EQ(in_ram<std::uint32_t>(0xf0400), 0u) << "256 entries and no more";
    EXPECT_EQ(in_ram<std::uint16_t>(0xb8000), 0x0720) << "the screen is blank";
    EXPECT_EQ(in_ram<std::uint16_t>(0x450), 0) << "with the cursor at its top left";
}

TEST_F(Bios, OnlyTheLowHalfOfARegisterIsAnswered) {
    registers.rax = registers.rcx = registers.rdx = ones;
    vm->clock = {.start = __builtin_ia32_rdtsc(), .khz = 0xffffffff};
    registers.rcx |= 0x5555;
    EXPECT_EQ(call(0x1a, 0x0033), Action::resume);
    EXPECT_EQ(registers.rax, ones);
    EXPECT_EQ(registers.rcx, ones);
}

// ---- INT 10h ------------------------------------------------------------------------------------

TEST_F(Bios, Int10PrintsToTheScreenAndToTheLog) {
    for (const char c : std::string{"hi\r\n\x80"})
        EXPECT_EQ(
            call(0x10, static_cast<std::uint16_t>(0x0e00 | static_cast<std::uint8_t>(c))),
            Action::resume);
    EXPECT_EQ(printed(), "hi\n\x80") << "the log has no use for \\r";
    EXPECT_EQ(in_ram<std::uint8_t>(0xb8000), 'h');
    EXPECT_EQ(in_ram<std::uint8_t>(0xb8000 + 160), 0x80);
    EXPECT_EQ(registers.rax, ones | 0x0e80) << "no register changes";
    EXPECT_FALSE(failed());
}

TEST_F(Bios, Int10LetsLinuxRunWhenTheScreenScrolls) {
    for (unsigned line = 1; line < 25; line++)
        EXPECT_EQ(call(0x10, 0x0e0a), Action::resume);
    EXPECT_EQ(call(0x10, 0x0e0a), Action::leave);
}

TEST_F(Bios, Int10KnowsNothingElse) {
    EXPECT_EQ(call(0x10, 0x0003), Action::resume);
    EXPECT_TRUE(failed());
    EXPECT_EQ(unknown(0x10, 0x00), 1u);
    EXPECT_EQ(registers.rax, ones | 3);
    EXPECT_EQ(printed(), "");
}

// ---- INT 16h ------------------------------------------------------------------------------------

TEST_F(Bios, Int16LooksAndTakes) {
    vm->keyboard.type("a\\r");
    flags = sf | zf | cf;
    for (unsigned i = 0; i < 2; i++) {
        EXPECT_EQ(call(0x16, 0x0100), Action::resume);
        EXPECT_EQ(flags & zf, 0) << "a key is there";
        EXPECT_EQ(registers.rax, ones | 0x1e61) << "and stays there";
    }
    EXPECT_EQ(call(0x16, 0x0000), Action::resume);
    EXPECT_EQ(registers.rax, ones | 0x1e61);
    EXPECT_EQ(call(0x16, 0x0000), Action::resume);
    EXPECT_EQ(registers.rax, ones | 0x1c0d);
    EXPECT_EQ(call(0x16, 0x0100), Action::resume);
    EXPECT_EQ(flags & zf, zf) << "no key is there";
    EXPECT_EQ(registers.rax, ones | 0x0100);
    EXPECT_EQ(flags & cf, cf) << "INT 16h does not speak by the carry flag";
}

TEST_F(Bios, Int16EndsAGuestThatWaitsForAKey) {
    EXPECT_EQ(call(0x16, 0x0000), Action::end);
    EXPECT_EQ(vm->end.how, Ending::no_key);
}

TEST_F(Bios, Int16KnowsNothingElse) {
    EXPECT_EQ(call(0x16, 0x0200), Action::resume);
    EXPECT_TRUE(failed());
    EXPECT_EQ(unknown(0x16, 0x02), 1u);
}

// ---- INT 19h, INT 1Ah, and all others -----------------------------------------------------------

TEST_F(Bios, Int19BootsAgain) {
    insert_disk(512);
    EXPECT_EQ(call(0x19), Action::resume);
    EXPECT_EQ(std::memcmp(&vm->memory.byte_at(0x7c00), image.data(), 512), 0);
    EXPECT_EQ(cs, 0);
    EXPECT_EQ(ip, 0x7c00);
    EXPECT_EQ(registers.rdx, ones | 0x80) << "DL says which drive";
}

TEST_F(Bios, Int1aCountsTicks) {
    // A clock that counts so fast that a test takes no time: what passes here counts for nothing.
    constexpr std::uint32_t khz = 0xffffffff;
    const auto after = [&](std::uint64_t milliseconds) {
        vm->clock = {.start = __builtin_ia32_rdtsc() - milliseconds * khz, .khz = khz};
        EXPECT_EQ(call(0x1a, 0x00aa), Action::resume);
        EXPECT_FALSE(failed());
        EXPECT_EQ(registers.rax, ones) << "AL: midnight did not pass";
        return (registers.rcx & 0xffff) << 16 | (registers.rdx & 0xffff);
    };
    EXPECT_EQ(after(0), 0u);
    EXPECT_EQ(after(56), 1u) << "a tick is 54.9 ms";
    EXPECT_EQ(after(1010), 18u) << "18.2 a second";
    EXPECT_EQ(after(60 * 60 * 1000), 65543u) << "an hour has about 2^16";
    EXPECT_EQ(call(0x1a, 0x0200), Action::resume);
    EXPECT_TRUE(failed());
    EXPECT_EQ(unknown(0x1a, 0x02), 1u);
}

TEST_F(Bios, VectorsOfExceptionsEndTheGuest) {
    for (unsigned vector = 0; vector < 0x10; vector++) {
        vm->end = {};
        EXPECT_EQ(call(static_cast<std::uint8_t>(vector)), Action::end) << vector;
        EXPECT_EQ(vm->end.how, Ending::exception) << vector;
    }
}

TEST_F(Bios, EveryOtherVectorIsUnknown) {
    const std::set<unsigned> known{0x10, 0x13, 0x15, 0x16, 0x19, 0x1a};
    for (unsigned vector = 0x10; vector < 0x100; vector++)
        if (!known.contains(vector)) {
            vm->unknown_calls = {};
            EXPECT_EQ(call(static_cast<std::uint8_t>(vector), 0x4c00), Action::resume);
            EXPECT_TRUE(failed()) << vector;
            EXPECT_EQ(unknown(static_cast<std::uint8_t>(vector), 0x4c), 1u) << vector;
        }
}

TEST(UnknownCalls, AreCountedByVectorAndAh) {
    UnknownCalls calls;
    for (unsigned i = 0; i < UnknownCalls::limit + 3; i++)
        calls.count(0x13, static_cast<std::uint8_t>(i));
    calls.count(0x13, 5);
    calls.count(0x15, 5); // another one, and there is no place for it
    EXPECT_EQ(calls.size, UnknownCalls::limit);
    for (unsigned i = 0; i < UnknownCalls::limit; i++) {
        EXPECT_EQ(calls.calls[i].vector, 0x13);
        EXPECT_EQ(calls.calls[i].ah, i);
        EXPECT_EQ(calls.calls[i].count, i == 5 ? 2u : 1u);
    }
}
