// SPDX-License-Identifier: MIT
// What waits look like to the reader: /proc/PID/waits, and the pieces of the watch's report.
#include "kernel/ipc/deadlock/wait.hpp"
#include "kernel/task/tree.hpp"

namespace hd::ipc {

void describe_object(TextSink& sink, const ThreadWait& wait) {
    switch (wait.kind) {
    case WaitKind::None: return sink.put("nothing");
    case WaitKind::Other: return sink.put(wait.who->wait_channel);
    case WaitKind::Futex: return format_to(sink, "a futex ({:#x})", wait.object);
    case WaitKind::Mutex: return format_to(sink, "a mutex ({:#x})", wait.object);
    case WaitKind::PriorityMutex: return format_to(sink, "a mutex with priority inheritance ({:#x})", wait.object);
    case WaitKind::Join: return sink.put("a thread's end");
    case WaitKind::Semaphore: return format_to(sink, "semaphore {} of set {}", wait.part, wait.object);
    case WaitKind::RecordLock: return format_to(sink, "a record lock (descriptor {})", wait.object);
    case WaitKind::PipeInput: return format_to(sink, "a pipe's writer (descriptor {})", wait.object);
    case WaitKind::PipeRoom: return format_to(sink, "a pipe's reader (descriptor {})", wait.object);
    case WaitKind::Child: return sink.put("a child");
    }
}

namespace {

void describe_providers(TextSink& sink, const ThreadWait& wait) {
    const auto providers = wait.known_providers();
    const bool many = providers.size() > 1;
    if (providers.empty()) return sink.put("nobody known");
    sink.put(providers.front().whole_process ? (many ? "processes" : "process") : (many ? "threads" : "thread"));
    for (const Provider& provider : providers) format_to(sink, " {}", provider.id);
}

}  // namespace

void describe_wait(TextSink& sink, const ThreadWait& wait) {
    if (wait.kind == WaitKind::None) return sink.put("runs");
    sink.put("waits for ");
    describe_object(sink, wait);
    switch (wait.kind) {
    case WaitKind::None:
    case WaitKind::Other: return;
    case WaitKind::Futex:
    case WaitKind::Mutex:
    case WaitKind::PriorityMutex:
    case WaitKind::Semaphore:
    case WaitKind::RecordLock: sink.put(", held by "); break;
    case WaitKind::Join:
    case WaitKind::PipeInput:
    case WaitKind::PipeRoom:
    case WaitKind::Child: sink.put(": "); break;
    }
    describe_providers(sink, wait);
    if (wait.may_end) sink.put(", may end otherwise");
}

void describe_waits(TextSink& sink, task::Process& process) {
    for (auto thread = thread_after(process, nullptr); thread; thread = thread_after(process, thread.get())) {
        auto wait = mm::make<ThreadWait>(*thread);
        if (!wait) return sink.put("no memory\n");
        WaitList alone;
        alone.push_back(**wait);
        find_pipe_providers(alone);
        alone.clear();
        format_to(sink, "{} ({}) ", thread->number(), thread->name);
        describe_wait(sink, **wait);
        sink.put("\n");
    }
}

}  // namespace hd::ipc
