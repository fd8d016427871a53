// SPDX-License-Identifier: GPL-2.0-only
#include "fakes.hpp"

#include "kernel.h"

#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

fake::Memory fake::memory;

namespace {

constexpr std::size_t page = 4096, large_page = std::size_t{2} << 20;

} // namespace

extern "C" {

void *vtx_page_allocate() {
    if (fake::memory.pages_left == 0)
        return nullptr;
    fake::memory.pages_left--;
    fake::memory.in_use++;
    return std::memset(std::aligned_alloc(page, page), 0, page);
}

void vtx_page_free(void *memory) { vtx_memory_free(memory); }

void vtx_page_keep(const void *) { std::abort(); }

uint64_t vtx_page_physical(const void *memory) {
    return reinterpret_cast<std::uintptr_t>(memory) | fake::physical_bit;
}

void *vtx_large_page_allocate() {
    fake::Memory &left = fake::memory;
    if (left.large_every == 0 || ++left.large_requests % left.large_every != 0)
        return nullptr;
    // The kernel below us gives memory for a page only when it is touched: a guest of 512 MiB is
    // cheap. What is taken is twice the size, and what is not aligned goes back.
    left.in_use++;
    void *const both =
        mmap(nullptr, 2 * large_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (both == MAP_FAILED)
        std::abort();
    const auto begin = reinterpret_cast<std::uintptr_t>(both);
    const std::uintptr_t aligned = (begin + large_page - 1) & ~(large_page - 1);
    if (aligned != begin)
        munmap(both, aligned - begin);
    munmap(reinterpret_cast<void *>(aligned + large_page), begin + large_page - aligned);
    return reinterpret_cast<void *>(aligned);
}

void vtx_large_page_free(void *memory) {
    if (memory == nullptr)
        return;
    fake::memory.in_use--;
    munmap(memory, large_page);
}

void *vtx_memory_allocate(size_t size) {
    if (fake::memory.pages_left == 0)
        return nullptr;
    fake::memory.pages_left--;
    fake::memory.in_use++;
    return std::calloc(1, size);
}

void vtx_memory_free(void *memory) {
    if (memory != nullptr)
        fake::memory.in_use--;
    std::free(memory);
}
}
