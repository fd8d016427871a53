// SPDX-License-Identifier: GPL-2.0-only
// Bytes that come in pieces: borders, the limit, and no memory.
#include "blob.hpp"
#include "fakes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

using vtx::Blob;

namespace {

/// An empty one. It gives back all that it takes.
struct Bytes : testing::Test {
    Bytes() { fake::memory = {}; }
    ~Bytes() override {
        blob.reset();
        EXPECT_EQ(fake::memory.in_use, 0u);
    }
    Bytes(const Bytes &) = delete;
    Bytes &operator=(const Bytes &) = delete;

    /// Bytes that tell where they are.
    static std::vector<std::uint8_t> numbered(std::size_t size) {
        std::vector<std::uint8_t> bytes(size);
        for (std::size_t i = 0; i < size; i++)
            bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 256 * 13 + i / 65536 * 31);
        return bytes;
    }
    std::vector<std::uint8_t> back(std::size_t offset, std::size_t size) const {
        std::vector<std::uint8_t> bytes(size);
        EXPECT_TRUE(blob->read(offset, bytes.data(), size));
        return bytes;
    }

    std::unique_ptr<Blob> blob = std::make_unique<Blob>();
};

} // namespace

TEST_F(Bytes, BeginsEmpty) {
    std::uint8_t byte = 0x5a;
    EXPECT_EQ(blob->size(), 0u);
    EXPECT_EQ(blob->append(nullptr, 0), 0);
    EXPECT_TRUE(blob->read(0, &byte, 0));
    EXPECT_FALSE(blob->read(0, &byte, 1));
    EXPECT_FALSE(blob->read(1, &byte, 0));
    EXPECT_EQ(byte, 0x5a);
    EXPECT_EQ(fake::memory.in_use, 0u);
}

TEST_F(Bytes, GoOnWhereTheLastWriteEnded) {
    const auto all = numbered(3 * Blob::piece + 77);
    for (std::size_t at = 0, size = 1; at < all.size(); at += size, size = size * 3 % 65521) {
        size = std::min(size, all.size() - at);
        ASSERT_EQ(blob->append(all.data() + at, size), 0);
    }
    EXPECT_EQ(blob->size(), all.size());
    EXPECT_EQ(back(0, all.size()), all);
    EXPECT_EQ(fake::memory.in_use, 4u);
}

TEST_F(Bytes, AreReadAcrossPieces) {
    const auto all = numbered(2 * Blob::piece);
    ASSERT_EQ(blob->append(all.data(), all.size()), 0);
    EXPECT_EQ(fake::memory.in_use, 2u) << "the third piece is not taken before a byte needs it";
    const auto middle = back(Blob::piece - 3, 7);
    EXPECT_TRUE(std::equal(middle.begin(), middle.end(), all.begin() + Blob::piece - 3));
    EXPECT_EQ(back(all.size() - 1, 1)[0], all.back());

    std::size_t calls = 0;
    EXPECT_TRUE(blob->give(1, all.size() - 2, [&](const std::byte *, std::size_t size) {
        EXPECT_EQ(size, Blob::piece - 1);
        calls++;
    }));
    EXPECT_EQ(calls, 2u);
}

TEST_F(Bytes, NothingIsReadBehindTheEnd) {
    const auto all = numbered(100);
    ASSERT_EQ(blob->append(all.data(), all.size()), 0);
    std::uint64_t word = 5;
    EXPECT_TRUE(blob->read(92, &word, 8));
    word = 5;
    EXPECT_FALSE(blob->read(93, &word, 8));
    EXPECT_FALSE(blob->read(101, &word, 0));
    EXPECT_FALSE(blob->read(~std::size_t{0}, &word, 8));
    EXPECT_FALSE(blob->read(8, &word, ~std::size_t{0}));
    EXPECT_EQ(word, 5u) << "and nothing of it";
}

TEST_F(Bytes, ClearGivesAllBack) {
    const auto all = numbered(Blob::piece + 1);
    for (const std::size_t size : {std::size_t{1}, Blob::piece - 1, Blob::piece, Blob::piece + 1}) {
        ASSERT_EQ(blob->append(all.data(), size), 0);
        blob->clear();
        EXPECT_EQ(blob->size(), 0u);
        EXPECT_EQ(fake::memory.in_use, 0u) << size;
    }
    ASSERT_EQ(blob->append("again", 5), 0);
    EXPECT_EQ(back(0, 5), (std::vector<std::uint8_t>{'a', 'g', 'a', 'i', 'n'}));
}

TEST_F(Bytes, AFailingAllocationKeepsWhatFitted) {
    const auto all = numbered(3 * Blob::piece);
    fake::memory.pages_left = 2;
    EXPECT_EQ(blob->append(all.data(), all.size()), -VTX_ENOMEM);
    EXPECT_EQ(blob->size(), 2 * Blob::piece);
    EXPECT_EQ(blob->append("x", 1), -VTX_ENOMEM);
    fake::memory.pages_left = 1;
    EXPECT_EQ(blob->append(all.data() + 2 * Blob::piece, Blob::piece), 0);
    EXPECT_EQ(back(0, all.size()), all);
}

TEST_F(Bytes, AFailingAllocationAtTheFirstByte) {
    fake::memory.pages_left = 0;
    EXPECT_EQ(blob->append("x", 1), -VTX_ENOMEM);
    EXPECT_EQ(blob->size(), 0u);
    blob->clear();
}

TEST_F(Bytes, TheLimit) {
    const std::vector<std::uint8_t> mebibyte(Blob::piece);
    for (std::size_t i = 0; i < 511; i++)
        ASSERT_EQ(blob->append(mebibyte.data(), mebibyte.size()), 0);
    ASSERT_EQ(blob->append(mebibyte.data(), mebibyte.size() - 1), 0);
    EXPECT_EQ(blob->append("ab", 2), -VTX_EFBIG) << "one of the two fits";
    EXPECT_EQ(blob->size(), Blob::limit);
    EXPECT_EQ(blob->append("a", 1), -VTX_EFBIG);
    EXPECT_EQ(blob->append("", 0), 0);
    EXPECT_EQ(back(Blob::limit - 1, 1)[0], 'a');
}
