// SPDX-License-Identifier: GPL-2.0-only
//
// From the BIOS to 64-bit mode, the VM entry, and the handlers of exceptions that should not come.
// The BIOS has loaded the first 2 KByte of the image from the CD to 7C00H and jumps there in real
// mode; the rest is read here.

    .section .start, "ax"
    .code16
    .globl _start
_start:
    jmp 0f
    .balign 8
    .long 0                     // what xorriso's -boot-info-table fills in: the volume descriptor,
boot_file:
    .long 0                     // the CD sector of this file,
boot_length:
    .long 0                     // its length in bytes, and a checksum
    .skip 44
0:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    ljmp $0, $1f
1:
    movl boot_file, %eax
    movl %eax, packet_sector
    movl boot_length, %ebx
8:                              // one CD sector of 2 KByte after the other
    incl packet_sector
    addw $0x80, packet_segment
    subl $0x800, %ebx
    jbe 9f
    pushl %ebx
    pushw %dx
    movw $packet, %si
    movb $0x42, %ah
    int $0x13
    popw %dx
    popl %ebx
    jnc 8b
    hlt                         // the CD cannot be read
9:
    movw $0x2401, %ax           // A20, by the BIOS
    int $0x15
    inb $0x92, %al
    orb $2, %al
    andb $0xfe, %al
    outb %al, $0x92
    movb $0xff, %al             // no interrupt from the 8259s
    outb %al, $0x21
    outb %al, $0xa1

    // Page tables at 1000H: a PML4, a PDPT, four page directories of 2-MByte pages, 4 GByte in all.
    movw $0x1000, %di
    movw $0x3000, %cx
    xorw %ax, %ax
    rep stosw
    movl $0x2003, 0x1000
    movl $0x3003, 0x2000
    movl $0x4003, 0x2008
    movl $0x5003, 0x2010
    movl $0x6003, 0x2018
    movw $0x3000, %di
    movl $0x83, %eax
2:
    movl %eax, (%di)
    addl $0x200000, %eax
    addw $8, %di
    cmpw $0x7000, %di
    jne 2b

    movl $0x1000, %eax
    movl %eax, %cr3
    movl $0x20, %eax            // PAE
    movl %eax, %cr4
    movl $0xc0000080, %ecx      // EFER.LME
    rdmsr
    orl $0x100, %eax
    wrmsr
    lgdtl early_gdt_pointer
    movl $0x80000031, %eax      // PG, NE, ET, PE
    movl %eax, %cr0
    ljmp $0x10, $start64

    .balign 4
packet:                         // of INT 13H, AH = 42H
    .byte 16, 0
    .word 1                     // sectors
    .word 0x7c00                // offset
packet_segment:
    .word 0
packet_sector:
    .long 0, 0
early_gdt_pointer:              // real mode reaches only what lies below 64 KByte
    .word gdt_end - gdt - 1
    .long gdt

    .code64
start64:
    movw $0x18, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movw %ax, %ss
    movq $stack_top, %rsp
    movq $bss_start, %rdi
    movq $bss_end, %rcx
    subq %rdi, %rcx
    xorl %eax, %eax
    rep stosb
    call make_tables
    lidt idt_pointer
    movw $0x40, %ax
    ltr %ax
    call differential
3:
    hlt
    jmp 3b

// The TSS descriptor and the IDT hold addresses in pieces that no relocation can make.
make_tables:
    movq $tss, %rax
    movw %ax, gdt + 0x42
    shrq $16, %rax
    movb %al, gdt + 0x44
    movb %ah, gdt + 0x47
    movq $idt, %rdi
    movq $stubs, %rax
    movl $32, %ecx
4:
    movq %rax, %rdx
    movw %dx, (%rdi)
    movw $0x10, 2(%rdi)
    movw $0x8e00, 4(%rdi)
    shrq $16, %rdx
    movw %dx, 6(%rdi)
    addq $16, %rdi
    addq $8, %rax
    loop 4b
    ret

// One stub of eight bytes for each vector: the number goes to the common part.
    .balign 8
stubs:
    .set vector, 0
    .rept 32
    .balign 8
    movb $vector, %al
    jmp unexpected
    .set vector, vector + 1
    .endr
unexpected:
    movzbl %al, %edi
    movq %rsp, %rsi
    call unexpected_exception   // does not return
    hlt

// int enter(void): VMLAUNCH with everything in the current VMCS. The host state there says that a
// VM exit goes to entered. 0: VM exit (or failed entry, with bit 31), 1: VMfailInvalid,
// 2: VMfailValid.
    .globl enter, entered
enter:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, saved_rsp
    movq %cr4, %rax
    movq %rax, saved_cr4
    vmlaunch
    jc 5f
    movl $2, %eax
    jmp 6f
5:
    movl $1, %eax
    jmp 6f
entered:
    endbr64                     // host IA32_S_CET may demand it
    movq saved_cr4, %rax        // and may have switched shadow stacks on
    movq %rax, %cr4
    movq saved_rsp, %rsp
    lgdt gdt_pointer            // a VM exit makes both limits 0xFFFF
    lidt idt_pointer
    xorl %eax, %eax
6:
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

// What the guests run.
    .globl guest_code
guest_code:
    vmcall
7:
    jmp 7b

    .data
    .balign 16
    .globl gdt, tss, idt
gdt:
    .quad 0, 0
    .quad 0x00af9b000000ffff    // 10H: 64-bit code
    .quad 0x00cf93000000ffff    // 18H: data
    .quad 0, 0, 0, 0
    .quad 0x0000890000000067    // 40H: TSS; its base is filled in
    .quad 0
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .quad gdt
idt_pointer:
    .word 32 * 16 - 1
    .quad idt
    .balign 8
saved_rsp:
    .quad 0
saved_cr4:
    .quad 0

    .bss
    .balign 16
idt:
    .skip 32 * 16
tss:
    .skip 104
    .balign 16
    .skip 65536
stack_top:

    .section .note.GNU-stack, "", @progbits
