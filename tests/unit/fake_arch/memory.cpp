// SPDX-License-Identifier: MIT
// The simulated machine's memory: a file in memory mapped at kDirectMap; vmap pages are further mappings of it. The MMU walks
// page tables that lie in it, through a direct-mapped TLB that forgets nothing by itself.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "arch/boot.hpp"
#include "arch/user.hpp"
#include "tests/unit/fake_arch/cpus.hpp"

namespace hd::fake {

namespace detail {
extern std::atomic<u64> g_page_table_loads;
}

namespace {

constexpr PhysAddr kKernelRoot{0x1000};  // in the reserved first megabyte

struct Memory {
    int file = -1;
    Memory() {
        file = memfd_create("heddle", MFD_CLOEXEC);
        map(arch::kDirectMap, PhysAddr{0}, arch::kDirectMapSize);
    }
    ~Memory() { close(file); }

    void map(VirtAddr at, PhysAddr to, u64 size) const {
        void* wanted = reinterpret_cast<void*>(at.raw);
        if (ftruncate(file, arch::kDirectMapSize) != 0 ||
            mmap(wanted, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, static_cast<off_t>(to.raw)) !=
                wanted) {
            std::perror("fake arch: cannot map the simulated memory");
            std::abort();
        }
    }
};
[[gnu::init_priority(150)]] Memory g_memory;

template <class T> T* at(PhysAddr address) { return reinterpret_cast<T*>((arch::kDirectMap + address.raw).raw); }

TlbEntry& tlb_slot(Cpu& cpu, u64 page) { return cpu.tlb[page % Cpu::kTlbEntries]; }

void set_bits(arch::Entry& entry, u64 bits) {
    std::atomic_ref(entry.raw).fetch_or(bits, std::memory_order_relaxed);  // the hardware's own locked update
}

arch::Entry load(const arch::Entry& entry) {
    return arch::Entry{std::atomic_ref(const_cast<u64&>(entry.raw)).load(std::memory_order_relaxed)};
}

// Walks; fills the TLB when the page is present.
TlbEntry* walk(Cpu& cpu, VirtAddr address) {
    arch::Entry* table = at<arch::Entry>(cpu.page_table);
    bool writable = true;
    for (u32 level = arch::kPageTableLevels; level-- > 0;) {
        arch::Entry& entry = table[arch::table_index(address, level)];
        const arch::Entry seen = load(entry);
        if (!seen.present()) return nullptr;
        writable = writable && seen.writable();
        set_bits(entry, arch::Entry::kAccessed);
        if (level != 0) {
            table = at<arch::Entry>(seen.address());
            continue;
        }
        TlbEntry& slot = tlb_slot(cpu, address.raw / arch::kPageSize);
        slot = {true, address.raw / arch::kPageSize, seen, writable};
        return &slot;
    }
    return nullptr;
}

arch::Entry* last_level_entry(Cpu& cpu, VirtAddr address) {
    arch::Entry* table = at<arch::Entry>(cpu.page_table);
    for (u32 level = arch::kPageTableLevels - 1; level > 0; --level) {
        const arch::Entry seen = load(table[arch::table_index(address, level)]);
        if (!seen.present()) return nullptr;
        table = at<arch::Entry>(seen.address());
    }
    return &table[arch::table_index(address, 0)];
}

// A user access with its faults: gives the byte's place, or nullptr when the fault hook cannot help.
u8* user_byte(VirtAddr address, bool write) {
    if (g_hooks.user_memory != nullptr) return g_hooks.user_memory(address.raw);
    for (;;) {
        const auto result = translate(address, write);
        if (result) return at<u8>(*result);
        if (g_hooks.page_fault == nullptr || !g_hooks.page_fault(result.error())) return nullptr;
    }
}

}  // namespace

void clear_memory() { std::memset(at<void>(PhysAddr{0}), 0, arch::kDirectMapSize); }

std::expected<PhysAddr, upcall::PageFault> translate(VirtAddr address, bool write, bool execute) {
    Cpu& cpu = this_cpu();
    const u64 page = address.raw / arch::kPageSize;
    TlbEntry* hit = &tlb_slot(cpu, page);
    if (!hit->valid || hit->page != page) hit = walk(cpu, address);
    upcall::PageFault fault{address, write, execute, true, hit != nullptr, false};
    if (hit == nullptr) return std::unexpected(fault);
    if (!hit->entry.user() || (write && !hit->writable) || (execute && !hit->entry.executable())) {
        // As on x86 the fault itself drops the entry (SDM 3A, 4.10.4.1).
        hit->valid = false;
        return std::unexpected(fault);
    }
    if (write && !hit->entry.dirty()) {
        if (arch::Entry* entry = last_level_entry(cpu, address)) set_bits(*entry, arch::Entry::kDirty);
        hit->entry.raw |= arch::Entry::kDirty;
    }
    return hit->entry.address() + address.raw % arch::kPageSize;
}

u8 user_read(VirtAddr address) {
    u8* byte = user_byte(address, false);
    if (byte == nullptr) throw std::runtime_error("segmentation fault");
    return *byte;
}

void user_write(VirtAddr address, u8 value) {
    u8* byte = user_byte(address, true);
    if (byte == nullptr) throw std::runtime_error("segmentation fault");
    *byte = value;
}

bool tlb_holds(CpuId cpu, VirtAddr address) {
    const TlbEntry& slot = tlb_slot(g_cpus[cpu.raw], address.raw / arch::kPageSize);
    return slot.valid && slot.page == address.raw / arch::kPageSize;
}

PhysAddr page_table_of(CpuId cpu) { return g_cpus[cpu.raw].page_table; }

}  // namespace hd::fake

namespace hd::arch {

namespace {
BootInfo simulated_boot() {
    BootInfo info;
    info.regions[0] = {{PhysAddr{0}, PhysAddr{1 << 20}}, MemoryKind::Reserved};
    info.regions[1] = {{PhysAddr{1 << 20}, PhysAddr{kDirectMapSize}}, MemoryKind::Usable};
    info.region_count = 2;
    info.protocol = "simulation";
    return info;
}
}  // namespace

[[gnu::init_priority(150)]] BootInfo g_boot_info = simulated_boot();

PhysRange kernel_image() { return {PhysAddr{1 << 20}, PhysAddr{2 << 20}}; }
PhysAddr kernel_page_table() { return fake::kKernelRoot; }

void local_tlb_flush_page(VirtAddr page) {
    fake::TlbEntry& slot = fake::tlb_slot(fake::this_cpu(), page.raw / kPageSize);
    if (slot.page == page.raw / kPageSize) slot.valid = false;
}

void local_tlb_flush_user() {
    for (fake::TlbEntry& slot : fake::this_cpu().tlb) slot.valid = false;
}

void local_tlb_flush_all() { local_tlb_flush_user(); }

void set_page_table(PhysAddr root) {
    ++fake::detail::g_page_table_loads;
    fake::this_cpu().page_table = root;
    local_tlb_flush_user();
}

// The host's own page tables do the kernel half: a page of the arena appears at a second address.
Result<> map_kernel_page(VirtAddr address, PhysAddr to, Access, FrameSource) {
    if (address < kVmapBase || address >= kVmapEnd) std::abort();
    fake::g_memory.map(address, to, kPageSize);
    return {};
}

// Which page of the file lies there is in /proc/self/maps.
Result<PhysAddr> translate_kernel(VirtAddr address) {
    std::FILE* maps = std::fopen("/proc/self/maps", "re");
    Result<PhysAddr> result = fail(Errno::kEFAULT);
    char line[512];
    while (maps != nullptr && std::fgets(line, sizeof line, maps) != nullptr) {
        unsigned long begin = 0, end = 0, offset = 0;
        if (std::sscanf(line, "%lx-%lx %*s %lx", &begin, &end, &offset) != 3) continue;
        if (address.raw < begin || address.raw >= end || std::strstr(line, "memfd:heddle") == nullptr) continue;
        result = PhysAddr{offset + (address.raw - begin)};
    }
    if (maps != nullptr) std::fclose(maps);
    return result;
}

void init_user_root(Entry*) {}  // the walker knows the user half only

usize copy_from_user_raw(void* to, u64 from, usize size) {
    for (usize i = 0; i < size; ++i) {
        const u8* byte = fake::user_byte(VirtAddr{from + i}, false);
        if (byte == nullptr) return size - i;
        static_cast<u8*>(to)[i] = *byte;
    }
    return 0;
}

usize copy_to_user_raw(u64 to, const void* from, usize size) {
    for (usize i = 0; i < size; ++i) {
        u8* byte = fake::user_byte(VirtAddr{to + i}, true);
        if (byte == nullptr) return size - i;
        *byte = static_cast<const u8*>(from)[i];
    }
    return 0;
}

usize clear_user_raw(u64 to, usize size) {
    for (usize i = 0; i < size; ++i) {
        u8* byte = fake::user_byte(VirtAddr{to + i}, true);
        if (byte == nullptr) return size - i;
        *byte = 0;
    }
    return 0;
}

i64 copy_string_from_user_raw(char* to, u64 from, usize capacity) {
    for (usize i = 0; i < capacity; ++i) {
        const u8* byte = fake::user_byte(VirtAddr{from + i}, false);
        if (byte == nullptr) return -1;
        to[i] = static_cast<char>(*byte);
        if (to[i] == 0) return static_cast<i64>(i);
    }
    return static_cast<i64>(capacity);
}

namespace {
// One of a word that other CPUs look at, too: whatever they do may come before it and after it.
struct UserAccess {
    UserAccess() { step(); }
    ~UserAccess() { step(); }
    static void step() {
        if (fake::g_hooks.user_memory != nullptr) detail::simulation_point();
    }
};
}  // namespace

bool user_compare_exchange(u64 address, u32& expected, u32 desired) {
    const UserAccess access;
    u8* byte = fake::user_byte(VirtAddr{address}, true);
    if (byte == nullptr) return false;
    std::atomic_ref(*reinterpret_cast<u32*>(byte)).compare_exchange_strong(expected, desired);
    return true;
}

bool user_load_u32(u64 address, u32& value) {
    const UserAccess access;
    const u8* byte = fake::user_byte(VirtAddr{address}, false);
    if (byte == nullptr) return false;
    value = std::atomic_ref(*reinterpret_cast<u32*>(const_cast<u8*>(byte))).load();
    return true;
}

TrapFrame& user_frame(VirtAddr kernel_stack_top) {
    return *reinterpret_cast<TrapFrame*>(kernel_stack_top.raw - sizeof(TrapFrame));
}

void init_user_frame(TrapFrame& frame, VirtAddr entry, VirtAddr stack) {
    frame = {};
    frame.rip = entry.raw;
    frame.rsp = stack.raw;
    frame.cs = 3;
}

ElfPlatform elf_platform() { return {62, 0, 0, "x86_64", 2048}; }

}  // namespace hd::arch
