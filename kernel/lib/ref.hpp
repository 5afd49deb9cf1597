// SPDX-License-Identifier: MIT
// Shared ownership by an intrusive count. RefPtr<T> holds one reference; the last one to go calls T::last_reference(),
// which by default deletes the object. Any context in which T may be destroyed.
#pragma once
#include <atomic>
#include <utility>

#include "kernel/lib/types.hpp"

namespace hd {

template <class T> class RefCounted {
public:
    RefCounted() = default;

    // relaxed: whoever takes a new reference holds one already, so the object cannot go away meanwhile.
    void ref() const { references_.fetch_add(1, std::memory_order_relaxed); }

    void unref() const {
        if (drop_reference()) static_cast<T*>(const_cast<RefCounted*>(this))->last_reference();
    }
    // unref() without the end: true if the reference was the last, and the caller destroys the object.
    [[nodiscard]] bool drop_reference() const {
        // acq_rel: pairs with the other holders' drops, so that all they wrote is seen by the one who destroys.
        return references_.fetch_sub(1, std::memory_order_acq_rel) == 1;
    }

    u32 reference_count(std::memory_order order = std::memory_order_relaxed) const { return references_.load(order); }

    void last_reference() { delete static_cast<T*>(this); }

protected:
    ~RefCounted() = default;

private:
    mutable std::atomic<u32> references_{1};
};

struct AdoptRef {};
inline constexpr AdoptRef kAdoptRef{};

template <class T> class RefPtr {
public:
    constexpr RefPtr() = default;
    constexpr RefPtr(std::nullptr_t) {}
    explicit RefPtr(T* object) : object_(object) {
        if (object_ != nullptr) object_->ref();
    }
    RefPtr(AdoptRef, T* object) : object_(object) {}  // takes over the caller's reference
    RefPtr(const RefPtr& other) : RefPtr(other.object_) {}
    RefPtr(RefPtr&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    template <class U>
    requires std::is_convertible_v<U*, T*>
    RefPtr(RefPtr<U> other) : object_(other.release()) {}
    ~RefPtr() {
        if (object_ != nullptr) object_->unref();
    }
    RefPtr& operator=(RefPtr other) noexcept {
        std::swap(object_, other.object_);
        return *this;
    }

    T* get() const { return object_; }
    T* operator->() const { return object_; }
    T& operator*() const { return *object_; }
    explicit operator bool() const { return object_ != nullptr; }
    friend bool operator==(const RefPtr& a, const RefPtr& b) { return a.object_ == b.object_; }
    friend bool operator==(const RefPtr& a, const T* b) { return a.object_ == b; }

    // Gives the reference to the caller.
    [[nodiscard]] T* release() { return std::exchange(object_, nullptr); }

private:
    T* object_ = nullptr;
};

}  // namespace hd
