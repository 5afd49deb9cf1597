// SPDX-License-Identifier: MIT
// ELF, 64 bits (elf(5); System V ABI, chapters 4 and 5), as far as execve(2) and backtraces read it, and the auxiliary vector (getauxval(3)).
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::abi {

struct Elf64Header {
    u8 e_ident[16];
    u16 e_type;
    u16 e_machine;
    u32 e_version;
    u64 e_entry;
    u64 e_phoff;
    u64 e_shoff;
    u32 e_flags;
    u16 e_ehsize;
    u16 e_phentsize;
    u16 e_phnum;
    u16 e_shentsize;
    u16 e_shnum;
    u16 e_shstrndx;
};
static_assert(sizeof(Elf64Header) == 64);

struct Elf64ProgramHeader {
    u32 p_type;
    u32 p_flags;
    u64 p_offset;
    u64 p_vaddr;
    u64 p_paddr;
    u64 p_filesz;
    u64 p_memsz;
    u64 p_align;
};
static_assert(sizeof(Elf64ProgramHeader) == 56);

struct Elf64SectionHeader {
    u32 sh_name;
    u32 sh_type;
    u64 sh_flags;
    u64 sh_addr;
    u64 sh_offset;
    u64 sh_size;
    u32 sh_link;
    u32 sh_info;
    u64 sh_addralign;
    u64 sh_entsize;
};
static_assert(sizeof(Elf64SectionHeader) == 64);

struct Elf64Symbol {
    u32 st_name;
    u8 st_info;
    u8 st_other;
    u16 st_shndx;
    u64 st_value;
    u64 st_size;
    u8 type() const { return st_info & 15; }
};
static_assert(sizeof(Elf64Symbol) == 24);

inline constexpr u8 kELFMAG[4] = {0x7f, 'E', 'L', 'F'};
inline constexpr u8 kEI_CLASS = 4, kEI_DATA = 5, kEI_VERSION = 6;
inline constexpr u8 kELFCLASS64 = 2, kELFDATA2LSB = 1, kEV_CURRENT = 1;
inline constexpr u16 kET_EXEC = 2, kET_DYN = 3;
inline constexpr u32 kPT_LOAD = 1, kPT_INTERP = 3, kPT_GNU_STACK = 0x6474e551;
inline constexpr u32 kPF_X = 1, kPF_W = 2, kPF_R = 4;

inline constexpr u32 kSHT_SYMTAB = 2, kSHT_DYNSYM = 11;
inline constexpr u8 kSTT_FUNC = 2;

struct AuxEntry {
    u64 a_type;
    u64 a_val;
};
inline constexpr u64 kAT_NULL = 0, kAT_PHDR = 3, kAT_PHENT = 4, kAT_PHNUM = 5, kAT_PAGESZ = 6, kAT_BASE = 7,
                     kAT_FLAGS = 8, kAT_ENTRY = 9, kAT_UID = 11, kAT_EUID = 12, kAT_GID = 13, kAT_EGID = 14,
                     kAT_PLATFORM = 15, kAT_HWCAP = 16, kAT_CLKTCK = 17, kAT_SECURE = 23, kAT_RANDOM = 25,
                     kAT_HWCAP2 = 26, kAT_EXECFN = 31, kAT_SYSINFO_EHDR = 33, kAT_MINSIGSTKSZ = 51;

}  // namespace hd::abi
