// SPDX-License-Identifier: MIT
// POSIX message queues (mq_overview(7)): named queues of messages with priorities. A queue's descriptor is an open file, which poll(2)
// and epoll(7) take. The names are in a space of their own, as on Linux where nobody has mounted it.
//
// Locking: a queue's lock_ (rank OpenFile); messages are copied from and to user memory without it. The names: g_names_lock (rank
// SysvTable).
#pragma once
#include <boost/intrusive/list.hpp>
#include <string_view>

#include "kernel/abi/mqueue.hpp"
#include "kernel/fs/vfs/file.hpp"
#include "kernel/task/process.hpp"

namespace hd::ipc {

// The text stands behind it.
struct QueuedMessage : boost::intrusive::list_base_hook<> {
    u32 priority = 0;
    u64 size = 0;
    u8* text() { return reinterpret_cast<u8*>(this + 1); }
};

class PosixQueue final : public fs::Inode {
public:
    PosixQueue(fs::FileSystem& owner, u32 mode_in, u64 number_in, u64 most, u64 size)
        : Inode(owner, fs::InodeKind::Regular, mode_in, number_in), most_messages(most), message_size(size) {}
    ~PosixQueue() override;

    const u64 most_messages, message_size;

    // mq_timedsend(3), mq_timedreceive(3). EAGAIN, EMSGSIZE, ETIMEDOUT, EFAULT, ENOMEM, kERESTARTSYS.
    Result<> send(u64 text, u64 size, u32 priority, bool nonblocking, Nanoseconds deadline);
    Result<u64> receive(u64 text, u64 size, u32& priority, bool nonblocking, Nanoseconds deadline);
    u64 count();
    void describe(TextSink& sink);
    u32 poll(fs::PollTable* table);

    // mq_notify(3), for the current process. EBUSY: somebody has asked before. The second: if it was this one.
    Result<> ask(const abi::Sigevent& event);
    void take_back();

private:
    struct Notification {
        RefPtr<task::Process> process;  // null: nobody has asked
        abi::Sigevent event{};
    };

    core::Spinlock lock_{core::Rank::OpenFile};
    boost::intrusive::list<QueuedMessage> messages_ GUARDED_BY(lock_);  // the next one to be received first
    Notification notification_ GUARDED_BY(lock_);
    sync::WaitQueue senders_, receivers_, poll_queue_;
};

class QueueFile final : public fs::File {
public:
    static constexpr char kTag = 0;

    QueueFile(RefPtr<PosixQueue> of, u32 flags_in) : File(of, nullptr, flags_in), queue(*of) {}
    void on_close() override { queue.take_back(); }  // mq_close(3), whichever descriptor of the queue it is

    PosixQueue& queue;  // kept by File::inode

    bool can_be_waited_for() const override { return true; }
    const void* type_tag() const override { return &kTag; }
    // The queue's state, as a line of text (mq_overview(7), "Mounting the message queue filesystem").
    Result<u64> read_at(fs::IoBuffer& buffer, u64 from) override;
    Result<u64> write_at(fs::IoBuffer&, u64, bool) override { return fail(Errno::kEINVAL); }
    u32 poll(fs::PollTable* table) override { return queue.poll(table); }
};

// mq_open(3). ENOENT, EEXIST, EACCES, ENOSPC, ENOMEM.
Result<fs::FileRef> open_queue(std::string_view name, u32 flags, u32 mode, u64 most_messages, u64 message_size);
Result<> unlink_queue(std::string_view name);  // ENOENT, EACCES

void init_posix_queues();  // boot

}  // namespace hd::ipc
