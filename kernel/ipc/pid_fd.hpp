// SPDX-License-Identifier: MIT
// pidfd_open(2): a process, held by a descriptor, so that its number cannot come to mean another. Readable once it has ended.
#pragma once
#include "kernel/ipc/anonymous_file.hpp"
#include "kernel/task/process.hpp"

namespace hd::ipc {

class PidFd final : public AnonymousFile {
public:
    static constexpr char kTag = 0;

    PidFd(RefPtr<task::Process> target, u32 flags_in)
        : AnonymousFile(AnonymousKind::PidFd, abi::kO_RDWR | flags_in), process(std::move(target)) {}

    RefPtr<task::Process> process;  // constant once the file has a descriptor

    u32 poll(fs::PollTable* table) override {
        if (table != nullptr) table->add(process->ended);
        return process->has_ended() ? abi::kPOLLIN : 0;
    }
    const void* type_tag() const override { return &kTag; }
};

}  // namespace hd::ipc
