// SPDX-License-Identifier: GPL-2.0-only
#include <cstdint>
#include <cstdio>

/// What CPUID gives for a leaf. In this order EBX, ECX and EDX hold a hypervisor's name.
struct Leaf {
    std::uint32_t eax, ebx, ecx, edx;
};

Leaf cpuid(std::uint32_t number) {
    Leaf leaf{number, 0, 0, 0};
    asm("cpuid" : "+a"(leaf.eax), "=b"(leaf.ebx), "+c"(leaf.ecx), "=d"(leaf.edx));
    return leaf;
}

int main() {
    const std::uint32_t ecx = cpuid(1).ecx;
    std::printf("hypervisor: %u, VMX: %u", ecx >> 31, ecx >> 5 & 1);
    if (ecx >> 31) {
        const Leaf name = cpuid(0x40000000);
        std::printf(", name: %.12s", reinterpret_cast<const char *>(&name.ebx));
    }
    std::puts("");
}
