// SPDX-License-Identifier: MIT
// A simulated machine with a file system: an empty tmpfs as root, one thread that is root.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kernel/fs/tmpfs/tmpfs.hpp"
#include "kernel/fs/vfs/mount.hpp"
#include "kernel/fs/vfs/path.hpp"
#include "kernel/ipc/pipe.hpp"
#include "kernel/sched/scheduler.hpp"
#include "tests/unit/mm_machine.hpp"

namespace hd::test {

inline const fs::Credentials kRootUser{};

// A fresh tree; nothing of it is mounted, so that each test has its own.
inline fs::DentryRef make_tree(const char* options = "mode=755") {
    auto system = fs::TmpfsSystem::make(options).value();
    return fs::Dentry::make(system->root().value()).value();
}

struct FsMachine : MmMachine {
    explicit FsMachine(u32 cpus = 1) : MmMachine(cpus) {
        enter();
        root = make_tree();
        ipc::pipe_init();
    }
    ~FsMachine() {
        enter();
        root = nullptr;
        fs::DentryCache::drop_unused();
    }
    // After a simulation: its CPUs are gone, and the host thread is `thread` again.
    void settle() {
        fake::reset(1);
        enter();
    }
    void enter() {
        thread.state = sched::State::Running;
        arch::local_store<&arch::CpuLocal::current>(static_cast<void*>(&thread));
    }

    fs::WalkStart start() const { return {root, root, &kRootUser}; }

    sched::Entity thread;
    fs::DentryRef root;
};

// ---- calls that give an errno, 0 for success

template <class T> int error_of(const Result<T>& result) { return result ? 0 : static_cast<int>(result.error()); }

inline Result<u64> write_text(fs::File& file, std::string_view text) {
    auto buffer = fs::IoBuffer::kernel(const_cast<char*>(text.data()), text.size());
    return file.write(buffer);
}

inline Result<std::string> read_text(fs::File& file, usize size) {
    std::string text(size, '?');
    auto buffer = fs::IoBuffer::kernel(text.data(), size);
    text.resize(TRY(file.read(buffer)));
    return text;
}

inline std::string read_whole(const fs::WalkStart& start, std::string_view path) {
    auto file = fs::open(start, path, abi::kO_RDONLY, 0).value();
    std::string all;
    for (;;) {
        const std::string piece = read_text(*file, 1000).value();
        if (piece.empty()) return all;
        all += piece;
    }
}

inline void write_whole(const fs::WalkStart& start, std::string_view path, std::string_view text) {
    auto file = fs::open(start, path, abi::kO_WRONLY | abi::kO_CREAT | abi::kO_TRUNC, 0644).value();
    if (write_text(*file, text).value() != text.size()) throw std::runtime_error("a short write");
}

// What getdents64(2) gives: names in order, "." and ".." included; `bytes` a call.
inline std::vector<std::string> read_names(fs::File& directory, usize bytes) {
    std::vector<std::string> names;
    for (;;) {
        std::string records(bytes, '\0');
        auto buffer = fs::IoBuffer::kernel(records.data(), bytes);
        const u64 got = directory.read_entries(buffer).value();
        if (got == 0) return names;
        for (u64 at = 0; at < got;) {
            u16 length;
            std::memcpy(&length, records.data() + at + 16, sizeof length);
            names.emplace_back(records.data() + at + 19);
            at += length;
        }
    }
}

}  // namespace hd::test
