// SPDX-License-Identifier: GPL-2.0-only
//
// A firmware that finds out whether Bochs divides signed 64-bit numbers correctly (bochs.py). It
// takes the place of the BIOS, so it runs from the processor's reset on: real mode, then 64-bit
// mode, then divisions whose results are known. If all are right it writes "Shutdown" to Bochs's
// port 0x8900. If one is wrong, or raises #DE, it ends with a triple fault. Bochs's log says which.

    .set ROM, 0xf0000           // where it lies below 1 MiB, and for which it is linked

    .text
    .globl _start
    .code16
_start:                         // the jump at the end of this file leads here
    cli
    xorw %ax, %ax
    movw %ax, %ds
    // A page map with one entry at each level: the first 2 MiB, as one page.
    movl $0x2003, 0x1000
    movl $0, 0x1004
    movl $0x3003, 0x2000
    movl $0, 0x2004
    movl $0x83, 0x3000
    movl $0, 0x3004
    movl $0x1000, %eax
    movl %eax, %cr3
    movl $0x20, %eax            // PAE
    movl %eax, %cr4
    movl $0xc0000080, %ecx      // EFER.LME
    rdmsr
    orl $0x100, %eax
    wrmsr
    lgdtl %cs:gdt_pointer - ROM
    movl $0x80000011, %eax      // PG, ET, PE
    movl %eax, %cr0
    ljmpl $8, $long_mode

    .code64
long_mode:
    movw $16, %ax
    movw %ax, %ds
    leaq table(%rip), %rsi
1:
    movq (%rsi), %rax
    cqto
    movq 8(%rsi), %rcx
    idivq %rcx
    cmpq 16(%rsi), %rax
    jne wrong
    cmpq 24(%rsi), %rdx
    jne wrong
    addq $32, %rsi
    leaq table_end(%rip), %rax
    cmpq %rax, %rsi
    jne 1b
    leaq shutdown(%rip), %rsi
    movw $0x8900, %dx
    movl $8, %ecx
    rep outsb
wrong:
    ud2                         // there is no IDT, so this is a triple fault

    .balign 8
table:                          // dividend, divisor, quotient, remainder
    .quad 1000000000, 1, 1000000000, 0
    .quad 1000000000, -7, -142857142, 6
    .quad -1000000000000000000, 1000000007, -999999993, -49
    .quad -9223372036854775807, -3, 3074457345618258602, -1
    .quad 5, 9223372036854775807, 0, 5
table_end:
shutdown:
    .ascii "Shutdown"
    .balign 8
gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff  // 64-bit code, data
gdt_pointer:
    .word . - gdt - 1
    .long gdt

    .org 0xfff0                 // where the processor begins
    .code16
    ljmp $ROM >> 4, $_start - ROM
    .org 0x10000

    .section .note.GNU-stack, "", @progbits
