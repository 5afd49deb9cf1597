// SPDX-License-Identifier: MIT
// Clang's thread-safety attributes under their usual names (clang.llvm.org/docs/ThreadSafetyAnalysis.html). GCC builds the
// kernel and ignores them; `make lint` runs clang's analysis over the same sources.
#pragma once

#if defined(__clang__)
#define HD_TSA(x) __attribute__((x))
#else
#define HD_TSA(x)
#endif

#define CAPABILITY(name) HD_TSA(capability(name))
#define SCOPED_CAPABILITY HD_TSA(scoped_lockable)
#define GUARDED_BY(lock) HD_TSA(guarded_by(lock))
#define PT_GUARDED_BY(lock) HD_TSA(pt_guarded_by(lock))
#define REQUIRES(...) HD_TSA(requires_capability(__VA_ARGS__))
#define REQUIRES_SHARED(...) HD_TSA(requires_shared_capability(__VA_ARGS__))
#define ACQUIRE(...) HD_TSA(acquire_capability(__VA_ARGS__))
#define ACQUIRE_SHARED(...) HD_TSA(acquire_shared_capability(__VA_ARGS__))
#define RELEASE(...) HD_TSA(release_capability(__VA_ARGS__))
#define RELEASE_SHARED(...) HD_TSA(release_shared_capability(__VA_ARGS__))
#define RELEASE_GENERIC(...) HD_TSA(release_generic_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) HD_TSA(try_acquire_capability(__VA_ARGS__))
#define EXCLUDES(...) HD_TSA(locks_excluded(__VA_ARGS__))
#define RETURN_CAPABILITY(x) HD_TSA(lock_returned(x))
#define NO_THREAD_SAFETY_ANALYSIS HD_TSA(no_thread_safety_analysis)
