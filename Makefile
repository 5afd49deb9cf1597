# SPDX-License-Identifier: MIT
#
# Heddle's one Makefile. `make help` lists the targets and the variables.
#
# Everything made stands under build/. Sources are found by wildcard: a new file needs no edit here. Every output
# depends on a stamp of its flags and of its list of inputs, so that a changed flag or a deleted source rebuilds
# exactly what it should.

MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all
SHELL := /bin/sh
PYTHON ?= python3

B := build

# What is being made is said, except under `make -s`.
SAY := $(if $(findstring s,$(firstword -$(MAKEFLAGS))),:,echo)

# ---- Toolchain ------------------------------------------------------------------------------------------------------
# The kernel's compiler goes by prefix; programs that run inside are built by the distribution's own compilers.

TOOLCHAIN_BIN := $(CURDIR)/$(B)/toolchain/bin
export PATH := $(TOOLCHAIN_BIN):$(PATH)
ifeq ($(origin CROSS_COMPILE),undefined)
CROSS_COMPILE := $(if $(shell PATH="$(PATH)" sh -c 'command -v x86_64-elf-g++'),x86_64-elf-,x86_64-linux-gnu-)
endif
KERNEL_CXX := $(CROSS_COMPILE)g++
KERNEL_NM := $(CROSS_COMPILE)nm
HOST_CXX ?= g++
BOOST_HEADERS ?= /usr/include/boost

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wimplicit-fallthrough -Werror
CXX_WARNINGS := $(WARNINGS) -Wold-style-cast -Wmissing-declarations -Wsuggest-override

# ---- Kernel ---------------------------------------------------------------------------------------------------------

find_sources = $(sort $(shell find $(wildcard $(1)) -type f \( $(2) \) 2>/dev/null))

VDSO_SOURCE := arch/x86_64/vdso/functions.cpp
KERNEL_SOURCES := $(filter-out $(VDSO_SOURCE),$(call find_sources,kernel arch/x86_64 boot,-name '*.cpp' -o -name '*.S'))
KTEST_SOURCES := $(call find_sources,tests/kernel,-name '*.cpp')

include kernel/drivers/font.mk

KERNEL_INCLUDES := -I. -Iarch/x86_64 -isystem $(B)/include
KERNEL_FLAGS := $(KERNEL_INCLUDES) -O2 -g -ffreestanding -mno-red-zone -mgeneral-regs-only -mcmodel=kernel \
	-fno-omit-frame-pointer -fno-pic -fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables \
	-fcf-protection=none -fno-common -ffunction-sections
KERNEL_CXXFLAGS := -std=gnu++23 $(KERNEL_FLAGS) -fno-exceptions -fno-rtti -fno-threadsafe-statics \
	-Wframe-larger-than=1024 -fstack-usage $(CXX_WARNINGS)
KERNEL_ASFLAGS := $(KERNEL_FLAGS) -Wa,--noexecstack
KERNEL_LDFLAGS := -nostdlib -static -no-pie -Wl,-T,linker.ld -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack \
	-Wl,--gc-sections -Wl,--build-id=none -Wl,--fatal-warnings

object_of = $(patsubst %,$(B)/obj/%.o,$(1))
KERNEL_OBJECTS := $(call object_of,$(KERNEL_SOURCES))
KTEST_OBJECTS := $(call object_of,$(KTEST_SOURCES))

# KTEST=1 chooses the kernel with the in-kernel tests linked in. Its objects are the same: tests register themselves
# through a linker section.
KTEST ?= 0
KERNEL_ELF := $(if $(filter 1,$(KTEST)),$(B)/ktest/heddle.elf,$(B)/heddle.elf)

.PHONY: all kernel
all: kernel $(B)/initramfs.cpio
kernel: $(KERNEL_ELF)

# $(call stamp,NAME,TEXT): a file that changes only when TEXT does.
define stamp
$(B)/stamps/$(1): FORCE
	@mkdir -p $$(@D); printf '%s\n' '$(2)' | cmp -s - $$@ || printf '%s\n' '$(2)' >$$@
endef
.PHONY: FORCE
FORCE:

$(eval $(call stamp,kernel_flags,$(KERNEL_CXX) $(KERNEL_CXXFLAGS) $(KERNEL_ASFLAGS)))
$(eval $(call stamp,kernel_link,$(KERNEL_CXX) $(KERNEL_LDFLAGS) $(KERNEL_OBJECTS)))
$(eval $(call stamp,ktest_link,$(KERNEL_CXX) $(KERNEL_LDFLAGS) $(KERNEL_OBJECTS) $(KTEST_OBJECTS)))

# Boost's headers and nothing else of the host's /usr/include, for compilers that do not look there.
$(B)/include/boost: | $(B)/have/build
	@mkdir -p $(@D); ln -sfn $(BOOST_HEADERS) $@

$(B)/obj/%.cpp.o: %.cpp $(B)/stamps/kernel_flags | $(B)/include/boost
	@mkdir -p $(@D); $(SAY) "  CXX     $<"
	@$(KERNEL_CXX) $(KERNEL_CXXFLAGS) -MMD -MP -c $< -o $@

$(B)/obj/%.S.o: %.S $(B)/stamps/kernel_flags | $(B)/include/boost
	@mkdir -p $(@D); $(SAY) "  AS      $<"
	@$(KERNEL_CXX) -x assembler-with-cpp $(KERNEL_ASFLAGS) -MMD -MP -c $< -o $@

# The vDSO: user-mode code, linked by itself and carried in the kernel's image.
VDSO := $(B)/vdso.so
VDSO_FLAGS := -std=gnu++23 -I. -O2 -g -ffreestanding -fPIC -mno-mmx -mno-sse -fno-exceptions -fno-rtti -fno-stack-protector \
	-fcf-protection=none $(CXX_WARNINGS) -nostdlib -shared -Wl,-T,arch/x86_64/vdso/vdso.ld -Wl,-soname,linux-vdso.so.1 \
	-Wl,--hash-style=both -Wl,--eh-frame-hdr -Wl,--build-id=none -Wl,-z,noexecstack -s -Wl,--fatal-warnings
$(eval $(call stamp,vdso_flags,$(KERNEL_CXX) $(VDSO_FLAGS)))
$(VDSO): $(VDSO_SOURCE) arch/x86_64/vdso/vdso.ld $(B)/stamps/vdso_flags | $(B)/have/build
	@mkdir -p $(@D); $(SAY) "  VDSO    $@"
	@$(KERNEL_CXX) $(VDSO_FLAGS) -MMD -MP -MT $@ -MF $@.d $< -o $@
$(call object_of,arch/x86_64/vdso/image.S): $(VDSO)
$(call object_of,arch/x86_64/vdso/image.S): KERNEL_ASFLAGS += -DVDSO_FILE='"$(VDSO)"'

# The kernel is linked twice: first with an empty symbol table for in-kernel backtraces, then with the one read from
# the first link. The table holds text symbols only and stands behind the text, so it does not move what it names;
# symbols.py checks that.
define link_kernel
$(1): $(2) linker.ld tools/symbols.py $(B)/stamps/$(3)
	@mkdir -p $$(@D); $(SAY) "  LD      $$@"
	@$(PYTHON) tools/symbols.py --empty >$(1).symbols0.S
	@$(KERNEL_CXX) $(KERNEL_ASFLAGS) -c $(1).symbols0.S -o $(1).symbols0.o
	@$(KERNEL_CXX) $(KERNEL_LDFLAGS) $(2) $(1).symbols0.o -lgcc -o $(1).pass1
	@$(KERNEL_NM) -C $(1).pass1 | $(PYTHON) tools/symbols.py >$(1).symbols1.S
	@$(KERNEL_CXX) $(KERNEL_ASFLAGS) -c $(1).symbols1.S -o $(1).symbols1.o
	@$(KERNEL_CXX) $(KERNEL_LDFLAGS) $(2) $(1).symbols1.o -lgcc -Wl,-Map,$(1).map -o $(1)
	@$(KERNEL_NM) -C $(1) | $(PYTHON) tools/symbols.py | cmp -s - $(1).symbols1.S || \
		{ echo "$(1): the symbol table moved the text it names" >&2; exit 1; }
endef
$(eval $(call link_kernel,$(B)/heddle.elf,$(KERNEL_OBJECTS),kernel_link))
$(eval $(call link_kernel,$(B)/ktest/heddle.elf,$(KERNEL_OBJECTS) $(KTEST_OBJECTS),ktest_link))

# ---- Unit tests on the host -----------------------------------------------------------------------------------------
# The same kernel sources over tests/unit/fake_arch. sources.mk lists which: UNIT_KERNEL_SOURCES.

include tests/unit/sources.mk
UNIT_SOURCES := $(call find_sources,tests/unit,-name '*.cpp') $(UNIT_KERNEL_SOURCES)
# GCC guesses about uninitialised values under sanitizers are mostly wrong, and the sanitizers find the real ones.
UNIT_CXXFLAGS := -std=gnu++23 -O1 -g -fno-omit-frame-pointer -Itests/unit/fake_arch -I. $(CXX_WARNINGS) \
	-Wno-maybe-uninitialized
UNIT_VARIANTS := asan tsan
UNIT_SOURCES_asan := $(UNIT_SOURCES)
# Under TSan only those that use real threads; the simulated CPUs of the others are one thread to it.
UNIT_SOURCES_tsan := $(filter kernel/% tests/unit/fake_arch/%,$(UNIT_SOURCES)) \
	tests/unit/main.cpp tests/unit/simulation.cpp $(shell grep -l '\[threads\]' tests/unit/*.cpp)
UNIT_SANITIZE_asan := -fsanitize=address,undefined -fno-sanitize-recover=all
# It does not model fences and says so; the code that has one is not what the threads tests are about.
UNIT_SANITIZE_tsan := -fsanitize=thread -Wno-tsan

# The tests themselves are slow to compile, for Catch2's sake, and not what is tested.
UNIT_TESTS := $(filter-out tests/unit/simulation.cpp,$(wildcard tests/unit/*.cpp))
$(foreach variant,$(UNIT_VARIANTS),$(UNIT_TESTS:%=$(B)/unit/$(variant)/%.o)): UNIT_CXXFLAGS += -O0

define unit_variant
$(call stamp,unit_$(1),$(HOST_CXX) $(UNIT_CXXFLAGS) $(UNIT_SANITIZE_$(1)))
$(call stamp,unit_$(1)_link,$(UNIT_SOURCES_$(1)))

$(B)/unit/$(1)/%.cpp.o: %.cpp $(B)/stamps/unit_$(1) | $(B)/have/test
	@mkdir -p $$(@D); $(SAY) "  CXX     $$< ($(1))"
	@$(HOST_CXX) $$(UNIT_CXXFLAGS) $(UNIT_SANITIZE_$(1)) -MMD -MP -c $$< -o $$@

$(B)/unit/unit_tests_$(1): $(UNIT_SOURCES_$(1):%=$(B)/unit/$(1)/%.o) $(B)/stamps/unit_$(1)_link
	@$(SAY) "  LD      $$@"
	@$(HOST_CXX) $(UNIT_SANITIZE_$(1)) $$(filter %.o,$$^) -pthread -o $$@
endef
$(foreach variant,$(UNIT_VARIANTS),$(eval $(call unit_variant,$(variant))))

$(B)/unit/unit_tests: $(B)/unit/unit_tests_asan
	@ln -sfn $(<F) $@

# Fuzz targets: tests/fuzz/NAME.cpp (libFuzzer) with its kept corpus in tests/fuzz/corpus/NAME, over the same kernel
# sources and fake arch. A short run of each belongs to the unit ring.

FUZZ_CXX ?= clang++-19
FUZZ_CXXFLAGS := -std=gnu++23 -O1 -g -Itests/unit/fake_arch -I. -Wall -Wextra -Werror \
	-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FUZZ_SUPPORT := $(filter tests/unit/fake_arch/%,$(UNIT_SOURCES)) $(UNIT_KERNEL_SOURCES)
FUZZERS := $(patsubst tests/fuzz/%.cpp,$(B)/fuzz/bin/%,$(wildcard tests/fuzz/*.cpp))
$(eval $(call stamp,fuzz,$(FUZZ_CXX) $(FUZZ_CXXFLAGS) $(FUZZ_SUPPORT)))

$(B)/fuzz/obj/%.cpp.o: %.cpp $(B)/stamps/fuzz | $(B)/have/fuzz
	@mkdir -p $(@D); $(SAY) "  FUZZCXX $<"
	@$(FUZZ_CXX) $(FUZZ_CXXFLAGS) -MMD -MP -c $< -o $@

$(B)/fuzz/bin/%: $(B)/fuzz/obj/tests/fuzz/%.cpp.o $(FUZZ_SUPPORT:%=$(B)/fuzz/obj/%.o)
	@mkdir -p $(@D); $(SAY) "  LD      $@"
	@$(FUZZ_CXX) -fsanitize=fuzzer,address,undefined $^ -o $@

.PHONY: unit fuzzers
unit: $(B)/unit/unit_tests
fuzzers: $(FUZZERS)

# ---- User programs --------------------------------------------------------------------------------------------------
# userland/programs/NAME.c is made with musl, or with glibc if its first lines say `heddle: glibc`; NAME.cpp with glibc.
# tests/guest/NAME.cpp are Catch2 programs, run on the host first and then inside. All static, for x86-64.

HOST_IS_X86_64 := $(filter x86_64,$(shell uname -m))
MUSL_CC ?= $(if $(HOST_IS_X86_64),musl-gcc,x86_64-linux-gnu-gcc)
USER_CC ?= x86_64-linux-gnu-gcc
USER_CXX ?= x86_64-linux-gnu-g++
BUSYBOX ?= /bin/busybox
USER_FLAGS := -O2 -g -static $(WARNINGS)
GUEST_FLAGS := -std=gnu++23 -O1 -g -static -I. -Wall -Wextra -Wshadow -Werror

PROGRAM_SOURCES := $(wildcard userland/programs/*.c userland/programs/*.cpp)
PROGRAMS := $(patsubst userland/programs/%,$(B)/programs/%,$(basename $(PROGRAM_SOURCES)))
BINARIES := $(PROGRAMS:$(B)/programs/%=$(B)/bin/%)
GUEST_SOURCES := $(filter-out tests/guest/main.cpp,$(wildcard tests/guest/*.cpp))
GUEST_TESTS := $(patsubst tests/guest/%.cpp,$(B)/guest/%,$(GUEST_SOURCES))

$(eval $(call stamp,user_flags,$(MUSL_CC) $(USER_CC) $(USER_CXX) $(USER_FLAGS)))
$(eval $(call stamp,guest_flags,$(USER_CXX) $(GUEST_FLAGS)))
$(eval $(call stamp,programs,$(PROGRAMS)))

$(B)/init: userland/init/init.c $(B)/stamps/user_flags | $(B)/have/run
	@mkdir -p $(@D); $(SAY) "  USERCC  $<"
	@$(MUSL_CC) -std=gnu17 $(USER_FLAGS) $< -o $@

$(B)/programs/%: userland/programs/%.c $(B)/stamps/user_flags | $(B)/have/run
	@mkdir -p $(@D); $(SAY) "  USERCC  $<"
	@$(if $(shell head -n 3 $< | grep -F 'heddle: glibc'),$(USER_CC),$(MUSL_CC)) -std=gnu17 $(USER_FLAGS) -pthread $< -o $@

$(B)/programs/%: userland/programs/%.cpp $(B)/stamps/user_flags | $(B)/have/run
	@mkdir -p $(@D); $(SAY) "  USERCXX $<"
	@$(USER_CXX) -std=gnu++23 $(USER_FLAGS) -pthread $< -o $@

$(B)/guest/main.o: tests/guest/main.cpp $(B)/stamps/guest_flags | $(B)/have/test
	@mkdir -p $(@D); $(SAY) "  USERCXX $<"
	@$(USER_CXX) $(GUEST_FLAGS) -O0 -c $< -o $@

$(B)/guest/%: tests/guest/%.cpp $(B)/guest/main.o $(B)/stamps/guest_flags | $(B)/have/test
	@$(SAY) "  USERCXX $<"
	@$(USER_CXX) $(GUEST_FLAGS) -MMD -MP -MF $@.d -pthread $< $(B)/guest/main.o -o $@

# What goes inside has no symbols: the ones for gdb stay in build/programs.
$(B)/bin/%: $(B)/programs/%
	@mkdir -p $(@D); x86_64-linux-gnu-strip -o $@ $<

# ---- The root file system -------------------------------------------------------------------------------------------
# OVERLAY's content is not tracked file by file: with one, the archive is made anew each time.

OVERLAY ?=
INITRAMFS := $(if $(OVERLAY),$(B)/overlay/initramfs.cpio,$(B)/initramfs.cpio)
INITRAMFS_INPUTS := tools/mkinitramfs.py userland/initramfs.spec $(B)/init $(BINARIES) $(B)/stamps/programs \
	$(call find_sources,userland/etc,-name '*')

define mkinitramfs
	@mkdir -p $(@D) $(B)/bin; rm -f $(filter-out $(BINARIES),$(wildcard $(B)/bin/*)); $(SAY) "  CPIO    $@"
	@$(PYTHON) tools/mkinitramfs.py --spec userland/initramfs.spec --define INIT=$(B)/init \
		--define BUSYBOX=$(BUSYBOX) --define PROGRAMS=$(B)/bin --output $@
endef

$(B)/initramfs.cpio: $(INITRAMFS_INPUTS) | $(B)/have/run
	$(mkinitramfs)

$(B)/overlay/initramfs.cpio: $(INITRAMFS_INPUTS) FORCE | $(B)/have/run
	$(mkinitramfs) --overlay "$$HEDDLE_OVERLAY"

# ---- Running --------------------------------------------------------------------------------------------------------
# RUN, CMDLINE and OVERLAY may hold anything: they travel by the environment, untouched by make and the shell.

SMP ?= 4
MEM ?= 512M
CPU ?= max
FIRMWARE ?= bios
BOOT ?= grub
DISPLAY_MODE ?=
CMDLINE ?=
RUN ?=
TIMEOUT ?=
ICOUNT ?=

unexport RUN CMDLINE OVERLAY
export HEDDLE_RUN := $(value RUN)
export HEDDLE_CMDLINE := $(value CMDLINE)
export HEDDLE_OVERLAY := $(value OVERLAY)

# Counting is for one CPU; who counts wants no boot loader in it.
ifeq ($(ICOUNT),1)
ifeq ($(origin SMP),file)
SMP := 1
endif
ifeq ($(origin BOOT),file)
BOOT := direct
endif
endif

QEMU_OPTIONS = --elf $(KERNEL_ELF) --initramfs $(INITRAMFS) --smp $(SMP) --memory $(MEM) --cpu $(CPU) \
	--firmware $(FIRMWARE) --boot $(BOOT) $(if $(DISPLAY_MODE),--display $(DISPLAY_MODE)) \
	$(if $(filter 1,$(ICOUNT)),--icount) $(if $(TIMEOUT),--timeout $(TIMEOUT))

.PHONY: run run-guest debug iso
debug: $(KERNEL_ELF) $(INITRAMFS) | $(B)/have/run $(B)/have/debug
	@$(PYTHON) tools/qemu.py $(QEMU_OPTIONS) --debug

iso: $(B)/heddle.iso
$(B)/heddle.iso: $(KERNEL_ELF) $(INITRAMFS) boot/grub.cfg tools/qemu.py FORCE | $(B)/have/run
	@$(SAY) "  ISO     $@"; $(PYTHON) tools/qemu.py $(QEMU_OPTIONS) --iso $@

# The picture in the README.
.PHONY: screenshot
screenshot: $(B)/heddle.elf $(B)/initramfs.cpio | $(B)/have/run
	@$(PYTHON) tools/screenshot.py docs/screenshot.png clear 'uname -a' nproc 'ps | tail -n 4' 'free' forkdemo

ifeq ($(and $(value RUN),$(filter load,$(.FEATURES))),)
run: $(KERNEL_ELF) $(INITRAMFS) | $(B)/have/run
	@$(PYTHON) tools/qemu.py $(QEMU_OPTIONS)
else
# make itself knows only the exit statuses 0 and 2. To end with the command's, the driver's status is kept in a file and
# a function loaded into make leaves with it. run-guest comes before, because a recipe is expanded before it starts.
RUN_STATUS := $(B)/run-status.$(shell echo $$PPID)
-load $(B)/make_exit.so
$(B)/make_exit.so: tools/make_exit.c
	@mkdir -p $(@D); gcc -O2 -Wall -Wextra -shared -fPIC $< -o $@ 2>/dev/null || true

run-guest: $(KERNEL_ELF) $(INITRAMFS) | $(B)/have/run
	@$(PYTHON) tools/qemu.py $(QEMU_OPTIONS); echo $$? >$(RUN_STATUS)

run: run-guest
	@$(exit-with-status $(RUN_STATUS))status=$$(cat $(RUN_STATUS)); rm -f $(RUN_STATUS); exit $$status
endif

# The lock-order graph of a run (docs/lock-order.md).
.PHONY: lock-order
LOCK_ORDER_RUN := forkdemo; seq 1000 | sort -rn | tail -n 1; find / -xdev | wc -l; ps >/tmp/ps; mv /tmp/ps /tmp/processes
lock-order: export HEDDLE_RUN := { $(or $(value RUN),$(LOCK_ORDER_RUN)); } >/dev/null 2>&1; cat /proc/lockdep.dot
lock-order: $(KERNEL_ELF) $(INITRAMFS) | $(B)/have/run
	@$(PYTHON) tools/qemu.py $(QEMU_OPTIONS) >$(B)/lock-order.dot
	@! command -v dot >/dev/null || dot -Tsvg $(B)/lock-order.dot -o $(B)/lock-order.svg
	@$(SAY) "  DOT     $(B)/lock-order.dot"

# ---- Tests ----------------------------------------------------------------------------------------------------------
# A ring is one command below; tests/run.py runs them, counts, and prints the closing line.

include tests/rings.mk
.PHONY: test test-unit test-unit-tsan test-kernel test-guest test-system test-tools

BUILT_FOR_unit := $(B)/unit/unit_tests $(B)/unit/unit_tests_tsan $(FUZZERS)
BUILT_FOR_kernel := $(B)/ktest/heddle.elf $(B)/initramfs.cpio
BUILT_FOR_guest := $(B)/heddle.elf $(B)/initramfs.cpio $(GUEST_TESTS)
BUILT_FOR_system := $(B)/heddle.elf $(B)/initramfs.cpio

RUN_TESTS := $(PYTHON) tests/run.py

test: $(foreach ring,$(RINGS),$(BUILT_FOR_$(ring))) | $(B)/have/test $(B)/have/run
	@$(RUN_TESTS) $(RINGS)

define ring_target
test-$(1): $(BUILT_FOR_$(1)) | $(B)/have/test $(B)/have/run
	@$(RUN_TESTS) $(1)
endef
$(foreach ring,unit kernel guest system,$(eval $(call ring_target,$(ring))))

# Parts of the unit ring by themselves.
test-unit-tsan: $(B)/unit/unit_tests_tsan
	@$<
test-tools: | $(B)/have/test
	@$(PYTHON) -m unittest discover -s tests/tools -t .

# Hundreds of boots, for what shows once in hundreds; and programs that strain one part each.
.PHONY: stress
BOOTS ?= 500
stress: $(B)/heddle.elf $(B)/initramfs.cpio | $(B)/have/run $(B)/have/test
	@$(PYTHON) tests/stress/programs.py
	@$(PYTHON) tests/stress/boots.py --boots $(BOOTS)

# The same program here and on Debian's Linux, side by side.
.PHONY: bench
bench: export HEDDLE_RUN := $(or $(value RUN),parallel 3)
bench: $(B)/heddle.elf $(B)/initramfs.cpio | $(B)/have/run
	@$(PYTHON) tools/bench.py --smp $(SMP) --memory $(MEM) $(if $(filter 1,$(ICOUNT)),--icount)

# ---- Lint -----------------------------------------------------------------------------------------------------------

.PHONY: lint format
LINT_CXX_SOURCES := $(filter-out $(B)/%,$(filter %.cpp,$(KERNEL_SOURCES))) $(VDSO_SOURCE)
FORMATTED := $(call find_sources,kernel arch boot tests userland,-name '*.cpp' -o -name '*.hpp' -o -name '*.c')
SHELL_SCRIPTS := $(call find_sources,tools,-name '*.sh') .ci/run
# Without -mgeneral-regs-only: clang has no long double then, and refuses libstdc++'s headers for it.
export LINT_FLAGS := $(KERNEL_INCLUDES) -std=gnu++23 -ffreestanding -fno-exceptions -fno-rtti -mno-red-zone \
	-mcmodel=kernel --target=x86_64-linux-gnu -Wall -Wextra

lint: $(B)/heddle.elf compile_commands.json | $(B)/have/lint $(B)/include/boost
	@$(PYTHON) tools/lint.py --format $(FORMATTED) --kernel $(LINT_CXX_SOURCES) --scripts $(SHELL_SCRIPTS)

format: | $(B)/have/lint
	clang-format-19 -i $(FORMATTED)

# For clangd and clang-tidy: how each source is compiled.
compile_commands.json: tools/compile_commands.py $(B)/stamps/kernel_flags $(B)/stamps/kernel_link \
		$(B)/stamps/unit_asan $(B)/stamps/unit_asan_link $(B)/stamps/user_flags $(B)/stamps/programs
	@$(PYTHON) tools/compile_commands.py $@ \
		--set "x86_64-linux-gnu-g++ $(KERNEL_CXXFLAGS)" $(LINT_CXX_SOURCES) $(KTEST_SOURCES) \
		--set "$(HOST_CXX) $(UNIT_CXXFLAGS)" $(filter tests/unit/%,$(UNIT_SOURCES)) \
		--set "$(USER_CXX) $(GUEST_FLAGS)" $(wildcard tests/guest/*.cpp) \
		--set "$(MUSL_CC) -std=gnu17 $(USER_FLAGS)" userland/init/init.c $(filter %.c,$(PROGRAM_SOURCES)) \
		--set "$(USER_CXX) -std=gnu++23 $(USER_FLAGS)" $(filter %.cpp,$(PROGRAM_SOURCES))

# ---- Packages, toolchain, help --------------------------------------------------------------------------------------
# tools/packages.txt is the one list. A stamp a group, as new as the list, keeps make from asking dpkg every time.

$(B)/have/%: tools/packages.txt tools/need.sh
	@tools/need.sh $*
	@mkdir -p $(@D); touch $@

.PHONY: toolchain help clean
toolchain: | $(B)/have/toolchain
	@tools/build_toolchain.sh $(B)/toolchain

help:
	@cat tools/help.txt

# The cross toolchain takes long to build and stays.
clean:
	rm -rf $(filter-out $(B)/toolchain,$(wildcard $(B)/*)) compile_commands.json

.SECONDARY:
-include $(VDSO).d $(shell find $(B)/obj $(B)/unit $(B)/fuzz $(B)/guest -name '*.d' 2>/dev/null)
