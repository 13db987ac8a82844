.code16
.globl _start
_start:
  xor %ax,%ax
  mov %ax,%ds
  mov %ax,%es
  mov %ax,%ss
  mov $0x7c00,%sp
  sti
  mov 0x46c,%ax
1: cmp 0x46c,%ax
  je 1b
  cli
  cld
  mov $0x1000,%di
  mov $0x1800,%cx
  xor %ax,%ax
  rep stosw
  movw $0x2003,0x1000
  movw $0x3003,0x2000
  movw $0x0083,0x3000
  mov %cr4,%eax
  or $0x20,%al
  mov %eax,%cr4
  mov $0x1000,%eax
  mov %eax,%cr3
  mov $0xC0000080,%ecx
  rdmsr
  or $0x100,%eax
  wrmsr
  lgdt gdtr
  mov %cr0,%eax
  or $0x80000001,%eax
  mov %eax,%cr0
  ljmp $8,$long
.code64
long:
  mov $1000000,%ecx
2: incq 0x5000
  loop 2b
  mov $0x501,%dx
  mov $0x2a,%al
  out %al,%dx
3: hlt
  jmp 3b
.balign 8
gdt: .quad 0
  .quad 0x00209A0000000000
gdtr: .word 15
  .long gdt
