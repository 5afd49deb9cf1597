// SPDX-License-Identifier: MIT
// From a file to an address space: finding out what kind of program it is, and mapping it.
#pragma once
#include "kernel/fs/vfs/path.hpp"
#include "kernel/mm/vm/address_space.hpp"
#include "kernel/task/exec/arguments.hpp"
#include "kernel/task/exec/elf.hpp"
#include "kernel/task/process.hpp"

namespace hd::task {

// What is to run, after all "#!" lines have been followed.
struct Executable {
    RefPtr<ProgramFile> file;  // the ELF file
    bool script;               // the caller named a script, not the file (its set-id bits do not count)
    ElfImage image;
    u64 bias;  // what is added to the image's addresses
};

// `arguments` changes as scripts demand. ENOENT, EACCES, ENOEXEC, ETXTBSY, ELOOP (more than five scripts) and what walking the path
// and reading the file give. May sleep.
Result<std::unique_ptr<Executable>> find_executable(const fs::WalkStart& start, std::string_view path,
                                                    StringBlock& arguments);

// A new space with the image's segments and the heap's start; layout is filled in.
Result<RefPtr<mm::AddressSpace>> map_executable(const Executable& executable);

}  // namespace hd::task
