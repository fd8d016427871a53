// SPDX-License-Identifier: GPL-2.0-only
// What several tests of this folder need: a machine, and a disk whose sectors tell their numbers.
#pragma once

#include "fakes.hpp"
#include "vm.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

/// A machine with some RAM. It gives all of it back.
struct Machine : testing::Test {
    explicit Machine(unsigned megabytes = 1, unsigned large_every = 1) {
        fake::memory = {};
        fake::memory.large_every = large_every;
        EXPECT_TRUE(vm->memory.allocate(megabytes));
    }
    ~Machine() override {
        vm.reset();
        EXPECT_EQ(fake::memory.in_use, 0u);
    }
    Machine(const Machine &) = delete;
    Machine &operator=(const Machine &) = delete;

    /// Inserts a disk of so many bytes. Each sector begins with its number.
    void insert_disk(std::size_t size) {
        image.assign(size, std::byte{0xee});
        for (std::size_t at = 0; at + sizeof(std::uint32_t) <= size; at += vtx::Disk::sector) {
            const auto number = static_cast<std::uint32_t>(at / vtx::Disk::sector);
            std::memcpy(&image[at], &number, sizeof number);
        }
        vm->disk = {image.data(), image.size()};
    }

    /// The number in RAM, little-endian.
    template <typename T> T in_ram(std::uint64_t address) const {
        T value{};
        EXPECT_TRUE(vm->memory.read(address, &value, sizeof value)) << address;
        return value;
    }

    /// All that was printed.
    std::string printed() const {
        std::string text;
        for (std::size_t i = 0; i < vm->output.size; i++)
            text += static_cast<char>(vm->output.bytes[i]);
        return text;
    }

    std::unique_ptr<vtx::Vm> vm = std::make_unique<vtx::Vm>();
    std::vector<std::byte> image;
};
