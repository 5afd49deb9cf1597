// SPDX-License-Identifier: MIT
// Slab caches and kmalloc, against a model that fills every object with a pattern of its own.
#include <catch2/catch.hpp>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <random>
#include <string_view>
#include <thread>
#include <vector>

#include "kernel/mm/slab/object_cache.hpp"
#include "kernel/mm/slab/slab_cache.hpp"
#include "tests/unit/mm_machine.hpp"

using namespace hd;
using namespace hd::mm;

namespace {

SlabStatistics statistics_of(std::string_view name) {
    struct Search {
        std::string_view name;
        SlabStatistics found{};
    } search{name};
    for_each_slab(
        [](const SlabStatistics& line, void* argument) {
            auto& wanted = *static_cast<Search*>(argument);
            if (wanted.name == line.name) wanted.found = line;
        },
        &search);
    return search.found;
}

struct Object {
    u8* bytes;
    usize size;
    u8 pattern;
    void fill() const { std::memset(bytes, pattern, size); }
    bool intact() const {
        for (usize i = 0; i < size; ++i)
            if (bytes[i] != pattern) return false;
        return true;
    }
};

struct Cached : CachedBy<Cached> {
    static constexpr const char* kCacheName = "test_object";
    explicit Cached(u64 with) : value(with) {}
    virtual ~Cached() = default;
    u64 value;
    u64 more[9] = {};
};
struct Larger : Cached {
    Larger() : Cached(2) {}
    u64 even_more[100] = {};
};

constinit SlabCache g_odd{"test_odd", 1000, 8};
constinit SlabCache g_huge{"test_huge", SlabCache::kMaxSize, 64};

}  // namespace

TEST_CASE("slab: any size up to 64 KiB, aligned, and as large as asked", "[mm][slab]") {
    test::MmMachine machine;
    for (usize size = 0; size <= 65536; size += size < 5000 ? 7 : 997) {
        void* object = kmalloc(size);
        REQUIRE(object != nullptr);
        REQUIRE(virt_of(object).is_aligned(16));
        std::memset(object, 0x5a, size);
        kfree(object);
    }
    for (usize size = 16; size <= 65536; size *= 2) {
        void* first = kmalloc(size);
        void* second = kmalloc(size);
        REQUIRE(virt_of(first).is_aligned(std::min<usize>(size, kPageSize)));
        REQUIRE(virt_of(second).is_aligned(std::min<usize>(size, kPageSize)));
        kfree(first);
        kfree(second);
    }
    REQUIRE(kmalloc(65537) == nullptr);
    kfree(nullptr);
    REQUIRE(machine.frames_lost() == 0);
}

TEST_CASE("slab: random allocations never overlap and nothing is lost", "[mm][slab]") {
    test::MmMachine machine;
    std::mt19937 random(GENERATE(11u, 12u));
    std::vector<Object> held;
    for (int step = 0; step < 30000; ++step) {
        const bool grow = random() % 100 < (step / 5000 % 2 == 0 ? 60u : 40u);
        if (grow || held.empty()) {
            const usize size = random() % 16 == 0 ? 1 + random() % 20000 : 1 + random() % 700;
            auto* bytes = static_cast<u8*>(kmalloc(size));
            if (bytes == nullptr) continue;
            held.push_back({bytes, size, static_cast<u8>(random())});
            held.back().fill();
        } else {
            std::swap(held[random() % held.size()], held.back());
            if (!held.back().intact()) FAIL("somebody wrote to an object that is in use");
            kfree(held.back().bytes);
            held.pop_back();
        }
    }
    for (const Object& object : held) {
        REQUIRE(object.intact());
        kfree(object.bytes);
    }
    REQUIRE(machine.frames_lost() == 0);
    REQUIRE(slab_frames() == 0);
}

TEST_CASE("slab: out of memory is nullptr, and passes", "[mm][slab]") {
    test::MmMachine machine;
    for (SlabCache* cache : {&g_odd, &g_huge}) {
        std::vector<void*> all;
        while (void* object = cache->allocate()) all.push_back(object);
        REQUIRE(all.size() > 1000);
        REQUIRE(cache->statistics().active_objects == all.size());
        REQUIRE(cache->allocate() == nullptr);
        std::shuffle(all.begin(), all.end(), std::mt19937(5));
        for (void* object : all) kfree(object);
        void* again = cache->allocate();
        REQUIRE(again != nullptr);
        kfree(again);
        REQUIRE(machine.frames_lost() == 0);
    }
}

TEST_CASE("slab: statistics count what is in use", "[mm][slab]") {
    test::MmMachine machine;
    std::vector<void*> objects;
    for (int i = 0; i < 100; ++i) objects.push_back(kmalloc(128));
    SlabStatistics line = statistics_of("kmalloc-128");
    REQUIRE(line.active_objects == 100);
    REQUIRE(line.object_size == 128);
    REQUIRE(line.objects_per_slab == 32);
    REQUIRE(line.frames_per_slab == 1);
    REQUIRE(line.slabs == 4);
    REQUIRE(line.total_objects == 128);
    REQUIRE(slab_frames() == 4);
    for (void* object : objects) kfree(object);
    REQUIRE(statistics_of("kmalloc-128").active_objects == 0);
    drain_slabs();
    REQUIRE(statistics_of("kmalloc-128").slabs == 0);
}

TEST_CASE("slab: few empty slabs are kept", "[mm][slab]") {
    test::MmMachine machine;
    std::vector<void*> objects;
    for (int i = 0; i < 2000; ++i) objects.push_back(kmalloc(256));
    for (void* object : objects) kfree(object);
    REQUIRE(statistics_of("kmalloc-256").slabs <= 4);  // the magazine's objects lie in a few, one is spare
}

TEST_CASE("slab: misuse is found", "[mm][slab]") {
    test::MmMachine machine;
    SECTION("a second free at once") {
        void* object = kmalloc(64);
        kfree(object);
        REQUIRE_THROWS_WITH(kfree(object), Catch::Contains("freed twice"));
    }
    SECTION("a second free when the object is back in its slab") {
        void* object = kmalloc(64);
        void* keeps_the_slab = kmalloc(64);
        kfree(object);
        drain_slabs();
        REQUIRE_THROWS_WITH(kfree(object), Catch::Contains("freed twice"));
        kfree(keeps_the_slab);
    }
    SECTION("a write after the free") {
        const usize word = GENERATE(0u, 1u);
        auto* object = static_cast<u64*>(kmalloc(64));
        kfree(object);
        object[word] ^= 0x10;
        REQUIRE_THROWS_WITH((void)kmalloc(64), Catch::Contains("after it had been freed"));
    }
    SECTION("a write after the object is back in its slab") {
        auto* object = static_cast<u64*>(kmalloc(64));
        (void)kmalloc(64);
        kfree(object);
        drain_slabs();
        object[0] = 1;
        REQUIRE_THROWS_WITH((void)kmalloc(64), Catch::Contains("after it had been freed"));
    }
    SECTION("the middle of an object") {
        auto* object = static_cast<u8*>(kmalloc(64));
        std::memset(object, 0, 64);
        kfree(object + 16);
        REQUIRE_THROWS_WITH(drain_slabs(), Catch::Contains("not an object"));
    }
    SECTION("a frame that is no slab's") {
        Frame& frame = *allocate_frame(Zero::No).value();
        frame.owner_data = 512;
        REQUIRE_THROWS_AS(kfree(bytes_of(frame)), fake::Panic);
    }
    SECTION("a large block, twice or from its middle") {
        auto* object = static_cast<u8*>(kmalloc(20000));
        REQUIRE_THROWS_AS(kfree(object + 16), fake::Panic);
        kfree(object);
        REQUIRE_THROWS_AS(kfree(object), fake::Panic);
    }
}

TEST_CASE("slab: an object that was never written to may be freed", "[mm][slab]") {
    test::MmMachine machine;
    for (int i = 0; i < 3; ++i) kfree(kmalloc(16));
    // Nor does a copy of a freed object's bytes look like a freed one.
    auto* first = static_cast<u64*>(kmalloc(16));
    auto* second = static_cast<u64*>(kmalloc(16));
    kfree(first);
    std::memcpy(second, first, 16);
    kfree(second);
    REQUIRE(machine.frames_lost() == 0);
}

TEST_CASE("slab: a class may have a cache of its own", "[mm][slab]") {
    test::MmMachine machine;
    auto object = make<Cached>(u64{42}).value();
    REQUIRE(object->value == 42);
    REQUIRE(statistics_of("test_object").active_objects == 1);
    REQUIRE(statistics_of("test_object").object_size == sizeof(Cached));
    std::unique_ptr<Cached> derived = make<Larger>().value();
    REQUIRE(statistics_of("test_object").active_objects == 1);
    REQUIRE(statistics_of("kmalloc-1024").active_objects == 1);
    derived = nullptr;
    REQUIRE(statistics_of("kmalloc-1024").active_objects == 0);
    object = nullptr;
    REQUIRE(statistics_of("test_object").active_objects == 0);
    REQUIRE(machine.frames_lost() == 0);
}

TEST_CASE("slab: objects freed on other CPUs than their own", "[mm][slab][threads]") {
    constexpr u32 kCpus = 4;
    test::MmMachine machine(kCpus);
    std::mutex mutex;
    std::deque<Object> in_flight;
    std::atomic<u64> wrong{0};
    std::vector<std::thread> threads;
    for (u32 cpu = 0; cpu < kCpus; ++cpu)
        threads.emplace_back([&, cpu] {
            fake::become_cpu(CpuId{cpu});
            std::mt19937 random(cpu);
            for (int step = 0; step < 3000; ++step) {
                const usize size = 16 + random() % 2000;
                if (auto* bytes = static_cast<u8*>(kmalloc(size))) {
                    const Object object{bytes, size, static_cast<u8>(random())};
                    object.fill();
                    std::lock_guard guard(mutex);
                    in_flight.push_back(object);
                }
                Object other{};
                {
                    std::lock_guard guard(mutex);
                    if (in_flight.size() > 300) {
                        other = in_flight.front();
                        in_flight.pop_front();
                    }
                }
                if (other.bytes == nullptr) continue;
                wrong += !other.intact();
                kfree(other.bytes);
            }
        });
    for (std::thread& thread : threads) thread.join();
    for (const Object& object : in_flight) kfree(object.bytes);
    REQUIRE(wrong == 0);
    REQUIRE(machine.frames_lost() == 0);
}
