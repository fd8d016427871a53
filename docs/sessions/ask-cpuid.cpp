// SPDX-License-Identifier: GPL-2.0-only
#include <cstdint>
#include <cstdio>

int main() {
    std::uint32_t eax = 1, ebx, ecx = 0, edx;
    asm("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    std::printf("ECX is %08x, its bit 5 is %u\n", ecx, ecx >> 5 & 1);
}
