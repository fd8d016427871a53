// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Bytes that come in pieces: a kernel or an initrd, as somebody writes it into a file.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel.h"
#include "page.hpp"

namespace vtx {

/// Grows as bytes are appended.
class Blob {
public:
    static constexpr std::size_t piece = std::size_t{1} << 20; ///< It grows by as much: 1 MiB.
    static constexpr std::size_t limit = 512 * piece;          ///< The most that it takes.

    /// Bytes in it.
    std::size_t size() const { return size_; }

    /// Forgets all, and gives the memory back.
    void clear() {
        for (; size_ > 0; size_ = (size_ - 1) / piece * piece)
            pieces_[(size_ - 1) / piece].reset();
    }

    /// Appends bytes. Returns 0, -EFBIG, or -ENOMEM; then as many as fitted are in it.
    int append(const void *bytes, std::size_t size) {
        const auto *from = static_cast<const std::byte *>(bytes);
        while (size > 0) {
            if (size_ == limit)
                return -VTX_EFBIG;
            Box<Piece> &last = pieces_[size_ / piece];
            if (!last && !last.allocate())
                return -VTX_ENOMEM;
            const std::size_t used = size_ % piece;
            const std::size_t here = size < piece - used ? size : piece - used;
            __builtin_memcpy(last->bytes + used, from, here);
            size_ += here, from += here, size -= here;
        }
        return 0;
    }

    /// Calls `take(bytes, size)` with [offset, offset + size), piece by piece. False, without a
    /// call, if not all of that is in it.
    template <typename Take> bool give(std::size_t offset, std::size_t size, Take take) const {
        if (offset > size_ || size > size_ - offset)
            return false;
        while (size > 0) {
            const std::size_t used = offset % piece;
            const std::size_t here = size < piece - used ? size : piece - used;
            take(pieces_[offset / piece]->bytes + used, here);
            offset += here, size -= here;
        }
        return true;
    }

    /// Copies [offset, offset + size) to `to`. False, and nothing is copied, if not all is in it.
    bool read(std::size_t offset, void *to, std::size_t size) const {
        auto *at = static_cast<std::byte *>(to);
        return give(offset, size, [&](const std::byte *bytes, std::size_t here) {
            __builtin_memcpy(at, bytes, here);
            at += here;
        });
    }

private:
    struct Piece {
        std::byte bytes[piece];
    };

    Box<Piece> pieces_[limit / piece];
    std::size_t size_ = 0;
};

} // namespace vtx
