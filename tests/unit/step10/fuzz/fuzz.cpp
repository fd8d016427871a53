// SPDX-License-Identifier: GPL-2.0-only
// What libFuzzer calls: a kernel whose headers lie is loaded into a guest's memory. It is loaded,
// or refused in words. Nothing outside the guest's memory is read or written, or a sanitizer says
// so.
//
// An input is a kind (a file of its own, or changes to the made-up bzImage or vmlinux), the size of
// an initrd, and then the file, or the changes: 5 bytes each.
#include "load_linux.hpp"
#include "tests/unit/step10/made_up_image.hpp"

#include "kernel.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

namespace {

using made_up::Bytes;
using vtx::SetupHeader;

/// A byte of memory that nobody has written. The guest's is filled with it: the loader needs zeroes
/// only for the guest's sake.
constexpr std::uint8_t untouched = 0xa5;
constexpr unsigned megabytes = 4; // one more than the made-up kernels take
const Bytes ramdisk(0x80000, 0x17);
const char *const command_line = "console=ttyS0";

/// What all runs share.
struct World {
    World() {
        if (!memory.allocate(megabytes))
            std::abort();
        fill();
    }
    void fill() const {
        const std::vector<std::uint8_t> page(4096, untouched);
        for (std::uint64_t at = 0; at < memory.size(); at += page.size())
            memory.write(at, page.data(), page.size());
    }
    bool is_untouched() const {
        static const std::vector<std::uint8_t> page(4096, untouched);
        for (std::uint64_t at = 0; at < memory.size(); at += page.size())
            if (std::memcmp(&memory.byte_at(at), page.data(), page.size()) != 0)
                return false;
        return true;
    }
    vtx::GuestMemory memory;
    vtx::Blob kernel, initrd;
};

template <typename T> T take(const std::uint8_t *&data, std::size_t &size) {
    T value{};
    const std::size_t here = size < sizeof value ? size : sizeof value;
    std::memcpy(&value, data, here);
    data += here, size -= here;
    return value;
}

/// Where the headers have their fields: a change is a change of one of them, most of the time.
constexpr std::size_t program(std::size_t number, std::size_t field) {
    return made_up::program_header(number, field);
}
const std::size_t elf_fields[] = {
    0,
    4,
    18,
    24,
    32,
    54,
    56,
    program(0, 0),
    program(0, 8),
    program(0, 24),
    program(0, 32),
    program(0, 40),
    program(1, 0),
    program(2, 8),
    program(2, 24),
    program(2, 32),
    program(2, 40)};
const std::size_t bzimage_fields[] = {
    SetupHeader::begin,      SetupHeader::syssize,         SetupHeader::boot_flag,
    SetupHeader::length,     SetupHeader::magic,           SetupHeader::version,
    SetupHeader::loadflags,  SetupHeader::initrd_addr_max, SetupHeader::kernel_alignment,
    SetupHeader::xloadflags, SetupHeader::cmdline_size,    SetupHeader::pref_address,
    SetupHeader::init_size};

/// Makes the changes: which field, how much of it (or where the file ends), and a value with few
/// bits, perhaps less 1.
template <std::size_t Count>
void change(
    Bytes &bytes, const std::size_t (&fields)[Count], const std::uint8_t *data, std::size_t size) {
    while (size > 0) {
        const auto which = take<std::uint8_t>(data, size), how = take<std::uint8_t>(data, size),
                   shift = take<std::uint8_t>(data, size);
        const auto digits = take<std::uint16_t>(data, size);
        const std::size_t anywhere = digits * 7u,
                          at = which < 0xe0 ? fields[which % Count] : anywhere,
                          widths[] = {1, 2, 4, 8}, width = widths[how % 4];
        const std::uint64_t value = (std::uint64_t{digits} << shift % 64) - (how >> 7);
        if ((how & 0x70) == 0x70)
            bytes.resize(anywhere < bytes.size() ? anywhere : bytes.size());
        else if (at < bytes.size())
            std::memcpy(&bytes[at], &value, std::min(width, bytes.size() - at));
    }
}

/// The kernel that an input stands for.
Bytes kernel_of(std::uint8_t kind, const std::uint8_t *data, std::size_t size) {
    if (kind % 4 == 0)
        return {data, data + size};
    Bytes bytes = kind % 4 == 1 ? made_up::elf() : made_up::bzimage();
    if (kind % 4 == 1)
        change(bytes, elf_fields, data, size);
    else
        change(bytes, bzimage_fields, data, size);
    return bytes;
}

void require(bool condition) {
    if (!condition)
        std::abort();
}

/// What must be true of a guest that was loaded.
void check(const World &world, const vtx::Loaded &loaded) {
    const auto field = [&](std::size_t offset) {
        std::uint32_t value = 0;
        require(world.memory.read(0x7000 + offset, &value, sizeof value));
        return value;
    };
    const std::uint64_t size = field(SetupHeader::ramdisk_size),
                        initrd = field(SetupHeader::ramdisk_image);
    require(size == world.initrd.size() && world.memory.contains(initrd, size));
    vtx::LinuxImage image;
    require(vtx::read_linux_image(world.kernel, image) == nullptr);
    require(image.end <= world.memory.size());
    for (std::size_t i = 0; i < image.count; i++)
        require(image.parts[i].address + image.parts[i].memory <= image.end);
    if (size != 0)
        require(initrd % 4096 == 0 && initrd >= image.end && initrd + size - 1 <= image.initrd_max);
    char there[4096], line[32]{};
    for (std::uint64_t at = 0; at < size; at += sizeof there)
        require(
            world.memory.read(
                initrd + at, there, std::min<std::uint64_t>(sizeof there, size - at)) &&
            std::memcmp(there, ramdisk.data(), std::min(sizeof there, size - at)) == 0);
    require(world.memory.read(0x20000, line, std::strlen(command_line) + 1));
    require(std::strcmp(line, command_line) == 0);
    require(loaded.needed == 0 && world.memory.contains(loaded.start.rip, 0));
}

/// Pieces of 1 MiB that were given back: to have them anew from the kernel below costs more than
/// all the rest of a run. (Never destroyed, so that nothing in it is taken for lost.)
std::vector<void *> &spare = *new std::vector<void *>;
constexpr std::size_t piece = vtx::Blob::piece;

} // namespace

extern "C" {

void *vtx_memory_allocate(size_t size) {
    if (size != piece || spare.empty())
        return std::calloc(1, size);
    void *const memory = spare.back();
    spare.pop_back();
    return memory;
}

// Only blobs give memory back here.
void vtx_memory_free(void *memory) {
    if (memory != nullptr)
        spare.push_back(memory);
}

void *vtx_page_allocate() { return std::memset(std::aligned_alloc(4096, 4096), 0, 4096); }
void vtx_page_free(void *) { std::abort(); }
void vtx_page_keep(const void *) { std::abort(); }
uint64_t vtx_page_physical(const void *page) { return reinterpret_cast<std::uintptr_t>(page); }

/// None: with single pages the sanitizer knows the borders of each.
void *vtx_large_page_allocate() { return nullptr; }
void vtx_large_page_free(void *) {}
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    static World &world = *new World;
    const auto kind = take<std::uint8_t>(data, size);
    const auto initrd_size = take<std::uint16_t>(data, size);
    made_up::fill(world.kernel, kernel_of(kind, data, size));
    world.initrd.clear();
    require(world.initrd.append(ramdisk.data(), initrd_size * 8u) == 0);

    const vtx::Loaded loaded = vtx::load_linux(
        world.memory, {world.kernel, world.initrd, command_line}, (kind & 0x80) != 0);
    if (loaded.refusal != nullptr) {
        require(*loaded.refusal != '\0' && world.is_untouched());
        require(loaded.needed == 0 || loaded.needed > world.memory.size());
    } else {
        check(world, loaded);
        world.fill();
    }
    return 0;
}
