// SPDX-License-Identifier: MIT
// What boot loaders look for in the image: the Multiboot2 header (GRUB) and the PVH note (qemu -kernel).

#define MULTIBOOT2_HEADER_MAGIC 0xe85250d6
#define TAG_ENTRY_ADDRESS 3
#define TAG_CONSOLE_FLAGS 4
#define TAG_FRAMEBUFFER 5
#define TAG_MODULE_ALIGNMENT 6
#define TAG_OPTIONAL 1

    // Multiboot2 specification 3.1: a list of tags, each aligned to 8 bytes: type, flags, size in bytes.
    .section .boot.multiboot2, "a"
    .balign 8
multiboot2_header:
    .long MULTIBOOT2_HEADER_MAGIC
    .long 0                         // architecture: i386 protected mode
    .long multiboot2_header_end - multiboot2_header
    .long -(MULTIBOOT2_HEADER_MAGIC + (multiboot2_header_end - multiboot2_header))

    .short TAG_ENTRY_ADDRESS, 0     // not e_entry, which PVH loaders and debuggers read
    .long 12
    .long boot_multiboot2
    .balign 8

    .short TAG_CONSOLE_FLAGS, 0     // bit 1: text mode will do; bit 0 clear: no console will do as well
    .long 12
    .long 2
    .balign 8

    .short TAG_FRAMEBUFFER, TAG_OPTIONAL
    .long 20
    .long 1024, 768, 32             // a wish; what there is stands in the boot information
    .balign 8

    .short TAG_MODULE_ALIGNMENT, 0  // modules (the initramfs) begin on a page
    .long 8

    .short 0, 0                     // end
    .long 8
    .global multiboot2_header_end
multiboot2_header_end:

    // Xen's note 18, XEN_ELFNOTE_PHYS32_ENTRY: the entry in 32-bit protected mode (Xen: docs/misc/pvh.pandoc). QEMU
    // reads the address as 8 bytes, right behind the name: the note, and with it its segment, must be aligned to 4.
    .section .note.pvh, "a", @note
    .balign 4
    .long 4                         // length of the name
    .long 8                         // length of the value
    .long 18
    .asciz "Xen"
    .quad boot_pvh
