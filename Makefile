# SPDX-License-Identifier: GPL-2.0
#
# A notification queue for Linux, as a patch series; see README.md.

OUT := $(CURDIR)/build
LINUX := $(OUT)/linux
QEMU := OUT=$(OUT) KSRC=$(LINUX) $(LINUX)/tools/testing/selftests/watch_queue/qemu

help:
	@sed -n 's/^## //p' Makefile

## make run      build everything, boot it and show events as they come
run: tree need-build
	@$(QEMU)/run.sh run

## make check    build everything and run all tests; with TESTS="key_test ..."
##               only these programs, in one kernel
check: tree need-build need-check
	@rm -rf $(OUT)/results && mkdir -p $(OUT)/results
	@[ -n "$(TESTS)" ] || series/static-check > $(OUT)/results/series.tap || \
		echo "not ok static checks of the series" >> $(OUT)/results/series.tap
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

need-build:
	@series/need "to build the kernel" build-essential:gcc flex bison bc \
		libelf-dev:/usr/include/libelf.h \
		libssl-dev:/usr/include/openssl/ssl.h ccache cpio
	@# Not gcc-multilib, which bars other architectures' compilers.
	@series/need "for 32-bit test programs" \
		gcc-$$(gcc -dumpversion)-multilib:/usr/lib/gcc/x86_64-linux-gnu/*/32/libgcc.a
	@series/need "to run the guest" qemu-system-x86:qemu-system-x86_64 \
		busybox-static:/bin/busybox keyutils:keyctl

need-check:
	@series/need "to check the sources" sparse clang checkpolicy \
		gcc-aarch64-linux-gnu:aarch64-linux-gnu-gcc

.PHONY: help run check shell kernel tree save bench series clean need-build need-check
