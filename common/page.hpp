// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Memory as objects: it is given back when its owner goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "kernel.h"
#include "x86/physical.hpp"

namespace vtx {

/// A zeroed page of 4096 bytes. The processor may be given its physical address.
/// Empty until allocate() succeeded. Not copied, not moved: the processor may know its address.
class Page {
public:
    constexpr Page() = default;
    ~Page() { kept_ ? vtx_page_keep(memory_) : vtx_page_free(memory_); }
    Page(const Page &) = delete;
    Page &operator=(const Page &) = delete;

    /// Takes a page from the kernel. False if there is none. May sleep. Called once.
    [[nodiscard]] bool allocate() {
        memory_ = static_cast<std::byte *>(vtx_page_allocate());
        return memory_ != nullptr;
    }

    /// The processor may go on writing to the page: it is not given back, and that is logged when
    /// this object goes. Allowed in a scope.
    void keep() const { kept_ = true; }

    /// The page's bytes. Null before allocate().
    std::byte *bytes() const { return memory_; }

    /// The page seen as an array of 64-bit entries, as page tables are.
    std::uint64_t *entries() const {
        return static_cast<std::uint64_t *>(static_cast<void *>(memory_));
    }

    /// Where the processor finds the page.
    PhysicalAddress physical() const { return PhysicalAddress{vtx_page_physical(memory_)}; }

private:
    std::byte *memory_ = nullptr;
    mutable bool kept_ = false;
};

/// 2 MiB of zeroes in one piece, aligned to 2 MiB: what one entry of a page directory can map.
/// Empty until allocate() succeeded. Not copied, not moved.
class LargePage {
public:
    static constexpr std::size_t size = std::size_t{2} << 20; ///< In bytes.

    constexpr LargePage() = default;
    ~LargePage() { vtx_large_page_free(memory_); }
    LargePage(const LargePage &) = delete;
    LargePage &operator=(const LargePage &) = delete;

    /// Takes a piece from the kernel. False if there is none, though 512 pages may be had. May
    /// sleep. Called once.
    [[nodiscard]] bool allocate() {
        memory_ = static_cast<std::byte *>(vtx_large_page_allocate());
        return memory_ != nullptr;
    }

    /// The bytes. Null before allocate() succeeded.
    std::byte *bytes() const { return memory_; }

    /// Where the processor finds them.
    PhysicalAddress physical() const { return PhysicalAddress{vtx_page_physical(memory_)}; }

private:
    std::byte *memory_ = nullptr;
};

/// The one owner of a T in memory of its own, for what is too large for a kernel stack.
/// Empty until allocate() succeeded.
template <typename T> class Box {
public:
    constexpr Box() = default;
    /// Takes over an object that release() let go.
    explicit Box(T *object) : object_(object) {}
    ~Box() { reset(); }
    Box(const Box &) = delete;
    Box &operator=(const Box &) = delete;

    /// Makes a T. False if there is no memory. May sleep. Called while empty.
    [[nodiscard]] bool allocate() {
        void *const memory = vtx_memory_allocate(sizeof(T));
        if (memory != nullptr)
            object_ = new (memory) T{};
        return memory != nullptr;
    }

    /// Destroys the T, if there is one.
    void reset() {
        if (object_ != nullptr)
            object_->~T();
        vtx_memory_free(std::exchange(object_, nullptr));
    }

    /// Lets go of the object, which then outlives this box. For what stays until the module is
    /// unloaded (a static Box would need a static destructor, which modules do not run).
    T *release() { return std::exchange(object_, nullptr); }

    /// Exchanges the objects of two boxes.
    void swap(Box &other) { std::swap(object_, other.object_); }

    T &operator*() const { return *object_; }
    T *operator->() const { return object_; }
    explicit operator bool() const { return object_ != nullptr; }

private:
    T *object_ = nullptr;
};

} // namespace vtx
