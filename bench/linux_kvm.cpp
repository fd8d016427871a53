// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Boots Linux in KVM, by /dev/kvm: linux-kvm KERNEL INITRD COMMAND-LINE [no-fifo].
///
/// The guest has the memory map of step 10, step 10's UART and its clock with the date: the same
/// code, here in user space. Interrupt controllers and timers are KVM's own, and so is the
/// processor, which shows the guest all that KVM has for a Linux guest. With no-fifo the UART is
/// one without FIFOs, as PCs had it before the 16550A.
///
/// Ends behind the guest's line "@end". Prints as linux_marks.hpp says.
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "cmos.hpp"
#include "linux_image.hpp"
#include "linux_marks.hpp"
#include "uart.hpp"

namespace {

using vtx::SetupHeader;
using ull = unsigned long long;

constexpr std::uint64_t memory_size = 128 << 20, large_page = 2 << 20;
constexpr std::uint64_t for_kvm = 0xfffbd000; // three pages where no guest has memory
// Where things lie in the guest's memory: as in step 10's LowMemory.
constexpr std::uint64_t gdt = 0x6000, boot_params = 0x7000, command_line = 0x20000;
constexpr std::uint16_t fifo_control = vtx::Uart::base + 2;

/// A file in memory, as linux_image.hpp wants it.
struct File {
    const std::uint8_t *bytes;
    std::size_t length;

    std::size_t size() const { return length; }
    bool read(std::size_t offset, void *to, std::size_t size) const {
        if (offset > length || size > length - offset)
            return false;
        memcpy(to, bytes + offset, size);
        return true;
    }
};

File open_file(const char *path) {
    struct stat about;
    const int file = must(open(path, O_RDONLY), path);
    must(fstat(file, &about), path);
    const auto size = static_cast<std::size_t>(about.st_size);
    void *const bytes = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
    if (bytes == MAP_FAILED)
        err(1, "%s", path);
    return {static_cast<const std::uint8_t *>(bytes), size};
}

/// The guest's RAM, aligned so that the host can make it of pages of 2 MiB, as step 10 does. With
/// small pages the guest would leave for each of them once.
std::uint8_t *make_memory(int vm) {
    void *const space = mmap(
        nullptr, memory_size + large_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
        0);
    if (space == MAP_FAILED)
        err(1, "mmap");
    const auto begin = reinterpret_cast<std::uintptr_t>(space);
    const std::uintptr_t aligned = (begin + large_page - 1) & ~(large_page - 1);
    auto *const memory = reinterpret_cast<std::uint8_t *>(aligned);
    madvise(memory, memory_size, MADV_HUGEPAGE);
    kvm_userspace_memory_region region{};
    region.memory_size = memory_size;
    region.userspace_addr = aligned;
    must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
    return memory;
}

template <typename T> void put(std::uint8_t *memory, std::uint64_t address, T value) {
    memcpy(memory + address, &value, sizeof value);
}

/// Puts Linux into memory as step 10's load_linux.hpp does. Returns its 32-bit entry.
std::uint64_t
load(std::uint8_t *memory, const File &kernel, const File &initrd, const char *words) {
    static constexpr struct {
        std::uint64_t begin, end;
        std::uint32_t type;
    } map[] = {
        {0, 0x9fc00, 1}, {0x9fc00, 0xa0000, 2}, {0xf0000, 0x100000, 2}, {0x100000, memory_size, 1}};
    vtx::LinuxImage image;
    if (const char *const refusal = vtx::read_linux_image(kernel, image))
        errx(1, "the kernel cannot be loaded: %s", refusal);
    const std::uint64_t initrd_at = (memory_size - initrd.length) & ~std::uint64_t{4095};
    if (image.header_end == 0 || image.end > initrd_at || strlen(words) > image.command_line_limit)
        errx(1, "the kernel cannot be loaded: no bzImage, or too large");

    const vtx::ImagePart &part = image.parts[0];
    kernel.read(part.offset, memory + part.address, part.size);
    initrd.read(0, memory + initrd_at, initrd.length);
    memcpy(memory + command_line, words, strlen(words) + 1);
    kernel.read(
        SetupHeader::begin, memory + boot_params + SetupHeader::begin,
        image.header_end - SetupHeader::begin);
    put(memory, boot_params + SetupHeader::type_of_loader, std::uint8_t{0xff});
    put(memory, boot_params + SetupHeader::cmd_line_ptr, std::uint32_t{command_line});
    put(memory, boot_params + SetupHeader::ramdisk_image, static_cast<std::uint32_t>(initrd_at));
    put(memory, boot_params + SetupHeader::ramdisk_size, static_cast<std::uint32_t>(initrd.length));
    std::uint64_t at = boot_params + 0x2d0; // the memory map, and at 0x1e8 how many rows it has
    for (const auto &row : map) {
        put(memory, at, row.begin);
        put(memory, at + 8, row.end - row.begin);
        put(memory, at + 16, row.type);
        at += 20;
        memory[boot_params + 0x1e8]++;
    }
    put(memory, gdt + 0x10, std::uint64_t{0x00cf9b000000ffff}); // code, 4 GiB
    put(memory, gdt + 0x18, std::uint64_t{0x00cf93000000ffff}); // data, 4 GiB
    return image.entry_32;
}

/// CPUID as KVM takes and gives it: struct kvm_cpuid2, of which C++ makes another layout where its
/// last member is declared for C.
struct Cpuid {
    static constexpr unsigned most = 256;
    static constexpr unsigned long get_supported = _IOWR(KVMIO, 0x05, std::uint64_t);
    static constexpr unsigned long set = _IOW(KVMIO, 0x90, std::uint64_t);

    std::uint32_t count, padding;
    kvm_cpuid_entry2 entries[most];
};

/// The processor that KVM would like to give, and that it is one of a hypervisor's: so Linux takes
/// KVM's clock and the timer in KVM's APIC, and need not calibrate anything.
void set_cpuid(int kvm, int vcpu) {
    static Cpuid cpuid{.count = Cpuid::most, .padding = 0, .entries = {}};
    must(ioctl(kvm, Cpuid::get_supported, &cpuid), "KVM_GET_SUPPORTED_CPUID");
    for (unsigned i = 0; i < cpuid.count; i++)
        if (cpuid.entries[i].function == 1)
            cpuid.entries[i].ecx |= 1u << 24 | 1u << 31; // TSC deadline, hypervisor
    must(ioctl(vcpu, Cpuid::set, &cpuid), "KVM_SET_CPUID2");
}

/// The 32-bit entry of Linux's boot protocol.
void set_registers(int vcpu, std::uint64_t entry) {
    kvm_sregs special;
    kvm_regs general{};
    kvm_segment code{}, data{};
    code.limit = data.limit = 0xffffffff;
    code.selector = 0x10, data.selector = 0x18;
    code.type = 11, data.type = 3;
    code.present = code.db = code.s = code.g = data.present = data.db = data.s = data.g = 1;
    general.rip = entry, general.rsi = boot_params, general.rflags = 2;

    must(ioctl(vcpu, KVM_GET_SREGS, &special), "KVM_GET_SREGS");
    special.cs = code;
    special.ds = special.es = special.ss = data;
    special.gdt.base = gdt;
    special.gdt.limit = 4 * 8 - 1;
    special.cr0 = 0x11; // ET, PE
    must(ioctl(vcpu, KVM_SET_SREGS, &special), "KVM_SET_SREGS");
    must(ioctl(vcpu, KVM_SET_REGS, &general), "KVM_SET_REGS");
}

/// The virtual machine, and what it prints.
struct Machine {
    int vm;
    bool has_fifo;
    Marks marks{};
    vtx::Uart uart{};
    vtx::Cmos cmos{};
    bool line = false; ///< What KVM knows of the UART's interrupt line.
    std::uint64_t uart_uses = 0, other_uses = 0;

    /// Tells KVM's interrupt controller of the UART's line, if it has changed.
    void update_line() {
        if (line == uart.interrupts())
            return;
        line = uart.interrupts();
        kvm_irq_level level{};
        level.irq = vtx::Uart::irq;
        level.level = line;
        must(ioctl(vm, KVM_IRQ_LINE, &level), "KVM_IRQ_LINE");
    }

    void report() const {
        printf(
            "exits=%llu io=%llu uart=%llu others=%llu",
            ull{number_in("/sys/kernel/debug/kvm/exits", "")},
            ull{number_in("/sys/kernel/debug/kvm/io_exits", "")}, ull{uart_uses}, ull{other_uses});
    }

    /// One IN or OUT of one byte that KVM has no device for.
    void access(std::uint16_t port, bool is_out, std::uint8_t &byte) {
        const bool is_uart = vtx::Uart::has(port);
        (is_uart ? uart_uses : other_uses)++;
        if (is_uart && !is_out)
            byte = uart.read(port);
        else if (is_uart && (has_fifo || port != fifo_control))
            uart.write(port, byte, [&](std::uint8_t sent) {
                marks.take(static_cast<char>(sent), [&] { report(); });
            });
        else if (vtx::Cmos::has(port) && is_out)
            cmos.write(port, byte);
        else if (vtx::Cmos::has(port))
            byte = cmos.read(port, static_cast<std::uint64_t>(time(nullptr)));
        else if (!is_out)
            byte = 0xff;
        if (is_uart)
            update_line();
    }
};

/// From exit to exit of those that KVM leaves to user space.
void run(int vcpu, kvm_run *state, Machine &machine) {
    while (!machine.marks.is_over()) {
        must(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
        if (state->exit_reason == KVM_EXIT_MMIO) {
            memset(state->mmio.data, 0xff, sizeof state->mmio.data); // nothing is there
            continue;
        }
        if (state->exit_reason != KVM_EXIT_IO)
            errx(1, "KVM_EXIT %u, which nothing here handles", state->exit_reason);
        auto *const data = reinterpret_cast<std::uint8_t *>(state) + state->io.data_offset;
        const bool is_out = state->io.direction == KVM_EXIT_IO_OUT;
        if (state->io.size != 1 && !is_out)
            memset(data, 0xff, std::size_t{state->io.count} * state->io.size);
        for (unsigned i = 0; i < state->io.count && state->io.size == 1; i++)
            machine.access(state->io.port, is_out, data[i]);
    }
}

} // namespace

int main(int count, char **words) {
    if (count < 4)
        errx(2, "usage: linux-kvm KERNEL INITRD COMMAND-LINE [no-fifo]");
    Machine machine{.vm = -1, .has_fifo = count == 4}; // from here on time counts
    const int kvm = must(open("/dev/kvm", O_RDWR), "/dev/kvm");
    const int vm = machine.vm = must(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
    kvm_pit_config timer{};
    timer.flags = KVM_PIT_SPEAKER_DUMMY; // with the port 0x61, by which Linux may calibrate
    must(ioctl(vm, KVM_SET_TSS_ADDR, for_kvm), "KVM_SET_TSS_ADDR");
    must(ioctl(vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
    must(ioctl(vm, KVM_CREATE_PIT2, &timer), "KVM_CREATE_PIT2");
    std::uint8_t *const memory = make_memory(vm);
    const std::uint64_t entry = load(memory, open_file(words[1]), open_file(words[2]), words[3]);

    const int vcpu = must(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
    set_cpuid(kvm, vcpu);
    set_registers(vcpu, entry);
    const int size = must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
    void *const state =
        mmap(nullptr, static_cast<std::size_t>(size), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (state == MAP_FAILED)
        err(1, "mmap");
    run(vcpu, static_cast<kvm_run *>(state), machine);
}
