# SPDX-License-Identifier: GPL-2.0
#
# A notification queue for Linux, as a patch series; see README.md.

OUT := $(CURDIR)/build
LINUX := $(OUT)/linux
QEMU := OUT=$(OUT) KSRC=$(LINUX) $(LINUX)/tools/testing/selftests/watch_queue/qemu/run.sh

help:
	@sed -n 's/^## //p' Makefile

## make run      build everything, boot it and show events as they come
run: tree need-build
	@$(QEMU) run

## make check    build everything and run all tests
check: tree need-build
	@$(QEMU) check

## make shell    a shell in the guest
shell: tree need-build
	@$(QEMU) shell

## make kernel   build build/bzImage
kernel: tree need-build
	@$(QEMU) kernel

## make tree     build/linux: the base with the series on top, to work in
tree:
	@series/overlay tree

## make save     carry edits made in build/linux back to here
save:
	@series/overlay save

## make series   build/series/*.patch, for git am
series: tree
	@series/overlay mail

## make clean    remove build/
clean:
	rm -rf build

need-build:
	@series/need "to build the kernel" build-essential:gcc flex bison bc \
		libelf-dev:/usr/include/libelf.h \
		libssl-dev:/usr/include/openssl/ssl.h ccache cpio
	@series/need "for 32-bit test programs" \
		gcc-multilib:/usr/lib/gcc/x86_64-linux-gnu/*/32/libgcc.a
	@series/need "to run the guest" qemu-system-x86:qemu-system-x86_64 \
		busybox-static:/bin/busybox keyutils:keyctl

.PHONY: help run check shell kernel tree save series clean need-build
