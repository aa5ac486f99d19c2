# SPDX-License-Identifier: GPL-2.0
#
# A notification queue for Linux, as a patch series; see README.md.

OUT := $(CURDIR)/build
LINUX := $(OUT)/linux
# KSRC is the tree to test for those of QEMU, and where the base comes from for others.
WITH_SERIES = ALSO="env KSRC=$(KSRC) series/static-check"
EACH_STEP = series/each-step > $(OUT)/results/steps.tap || \
	echo "not ok each step of the series" >> $(OUT)/results/steps.tap
QEMU := OUT=$(OUT) KSRC=$(LINUX) README=$(CURDIR)/README.md \
	$(LINUX)/tools/testing/selftests/watch_queue/qemu

help:
	@sed -n 's/^## //p' Makefile

## make run      build everything, boot it and show events as they come
run: tree need-build
	@$(QEMU)/run.sh run

## make check    build everything and run all tests; with TESTS="key_test ..."
##               only these programs, in one kernel
check: tree need-build need-check fresh-results
ifeq ($(TESTS),)
	@$(WITH_SERIES) $(QEMU)/check.sh plain debug harness without sources
else
	@$(QEMU)/check.sh plain
endif

## make check-long    what takes hours: every patch of the series built and booted, data
##               races, another byte order, coverage, a log that is shipped, a driver
##               that is shown, and twice FUZZ_SECONDS (7200) of fuzzing
check-long: tree need-build need-check need-long fresh-results
	@$(EACH_STEP)
	@FUZZ_SECONDS=$(or $(FUZZ_SECONDS),7200) $(QEMU)/check.sh \
		kcsan big-endian coverage shipping example fuzz

## make kunit    the kernel's own tests alone; and likewise, each alone,
## make debug    all tests in a kernel with KASAN, lockdep and kmemleak
## make faults   allocations that fail, in that kernel
## make races    everything against everything, in that kernel
## make fuzz     the fuzzer in that kernel, for FUZZ_SECONDS (60) from WQ_SEED on
## make kcsan    races and the fuzzer in a kernel that reports data races
## make big-endian    the ABI on s390x
## make coverage    how many of our lines the tests run
## make shipping    what systemd, journald and rsyslog make of what wqmon tells
## make example     the driver that the documentation shows, in a kernel that has it
kunit debug faults races fuzz kcsan big-endian coverage shipping example: tree need-build need-check fresh-results
	@$(QEMU)/check.sh $@

kcsan big-endian coverage shipping: need-long

## make static   checkpatch, sparse, warnings, coccinelle, documentation and more
static: tree need-build need-check fresh-results
	@$(WITH_SERIES) $(QEMU)/check.sh kernel sources

## make steps    build and boot a kernel at each patch, options on and off
steps: tree need-build fresh-results
	@$(EACH_STEP)
	@$(QEMU)/check.sh

## make shell    a shell in the guest
shell: tree need-build
	@$(QEMU)/run.sh shell

## make kernel   build build/bzImage
kernel: tree need-build
	@$(QEMU)/run.sh kernel

## make tree     build/linux: the base with the series on top, to work in
tree:
	@series/overlay tree

## make save     carry edits made in build/linux back to here
save:
	@series/overlay save

## make bench    build the unpatched kernel as well and compare
bench: tree need-build
	@$(QEMU)/bench.sh

## make series   build/series/*.patch, for git am
series:
	@series/overlay mail

## make clean    remove build/
clean:
	rm -rf build

fresh-results:
	@rm -rf $(OUT)/results && mkdir -p $(OUT)/results

need-build:
	@series/need "to build the kernel" build-essential:gcc flex bison bc \
		libelf-dev:/usr/include/libelf.h \
		libssl-dev:/usr/include/openssl/ssl.h ccache cpio
	@# Not gcc-multilib, which bars other architectures' compilers.
	@series/need "for 32-bit test programs" \
		gcc-$$(gcc -dumpversion)-multilib:/usr/lib/gcc/x86_64-linux-gnu/*/32/libgcc.a
	@series/need "to run the guest" qemu-system-x86:qemu-system-x86_64 \
		busybox-static:/bin/busybox keyutils:keyctl python3 \
		libkeyutils-dev:/usr/include/keyutils.h

need-check:
	@series/need "to check the sources" sparse clang-19 checkpolicy \
		coccinelle:spatch libpython3-dev:/usr/lib/*/libpython3.*[0-9].so \
		mandoc jq systemd:systemd-analyze \
		python3-jsonschema:/usr/lib/python3/dist-packages/jsonschema \
		gcc-aarch64-linux-gnu:aarch64-linux-gnu-gcc \
		gcc-s390x-linux-gnu:s390x-linux-gnu-gcc \
		libc6-dev-s390x-cross:/usr/s390x-linux-gnu/lib/libc.a

need-long:
	@series/need "to test another byte order" qemu-system-misc:qemu-system-s390x
	@series/need "to ship events" rsyslog:rsyslogd systemd

.PHONY: help run check check-long kunit debug faults races fuzz kcsan big-endian coverage \
	example shipping static steps shell kernel tree save bench series clean fresh-results \
	need-build need-check need-long
