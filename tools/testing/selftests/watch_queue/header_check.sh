#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Whether programs can be compiled with <linux/watch_queue.h>: alone, beside
# <fcntl.h> whichever comes first, in each dialect of C and C++, in 32 bits too.
# Says so as TAP.  "make header-check" runs it.
#
# The arguments are the compiler's options that find the kernel's headers; CC and
# CXX are the compilers.  With CXX empty there is no C++.

set -eu

CC=${CC:-cc}
CXX=${CXX-c++}
HDR=linux/watch_queue.h

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/linux"

# Compilers are silent about what is wrong with system headers, so ours is put
# where it is none.
for word; do
	word=${word#-isystem}
	word=${word#-I}
	if [ -n "$word" ] && [ -r "$word/$HDR" ]; then
		cp "$word/$HDR" "$dir/linux/"
		break
	fi
done
if [ ! -r "$dir/$HDR" ]; then
	echo "Bail out! No $HDR in: $*"
	exit 1
fi

# Everything in the header that a program may name.
cat >"$dir/use.h" <<-END
	struct all {
		struct watch_notification n;
		struct watch_notification_removal removal;
		struct watch_notification_loss loss;
		struct key_notification key;
		struct watch_notification_type_filter rule;
		struct watch_queue_info info;
	};

	unsigned long use(struct all *a, struct watch_notification_filter *f);
	unsigned long use(struct all *a, struct watch_notification_filter *f)
	{
		a->n.type = WATCH_TYPE_META;
		a->n.subtype = WATCH_META_LOSS_NOTIFICATION;
		a->n.info = WATCH_INFO_LENGTH | WATCH_INFO_ID | WATCH_INFO_FLAG_7;
		a->info.version = WATCH_QUEUE_ABI_VERSION;
		f->filters[0].type = WATCH_TYPE_KEY_NOTIFY;
		f->filters[0].subtype_filter[7] = NOTIFY_KEY_SETATTR;
		return IOC_WATCH_QUEUE_SET_SIZE + IOC_WATCH_QUEUE_SET_FILTER +
			IOC_WATCH_QUEUE_GET_INFO;
	}
END

cat >"$dir/alone" <<-END
	#include <linux/watch_queue.h>
	#include "use.h"
END

cat >"$dir/twice" <<-END
	#include <linux/watch_queue.h>
	#include <linux/watch_queue.h>
	#include "use.h"
END

# Each order once more without our header's names, so that it fails for nothing
# but the order.
cat >"$dir/bare_before_fcntl" <<-END
	#include <linux/watch_queue.h>
	#include <fcntl.h>
END

cat >"$dir/bare_after_fcntl" <<-END
	#include <fcntl.h>
	#include <linux/watch_queue.h>
END

cat >"$dir/before_fcntl" <<-END
	#include <linux/watch_queue.h>
	#include <fcntl.h>
	#include "use.h"
	int flag(void);
	int flag(void) { return O_NOTIFICATION_PIPE | O_NONBLOCK; }
END

cat >"$dir/after_fcntl" <<-END
	#include <fcntl.h>
	#include <linux/watch_queue.h>
	#include "use.h"
	int flag(void);
	int flag(void) { return O_NOTIFICATION_PIPE | O_NONBLOCK; }
END

# What a program that reads a queue includes.
cat >"$dir/among_others" <<-END
	#include <unistd.h>
	#include <sys/ioctl.h>
	#include <sys/stat.h>
	#include <linux/watch_queue.h>
	#include <poll.h>
	#include <signal.h>
	#include <fcntl.h>
	#include <linux/keyctl.h>
	#include "use.h"
	int flag(void);
	int flag(void) { return O_NOTIFICATION_PIPE | O_NONBLOCK; }
END

n=0
failed=0

# check NAME SOURCE COMPILER OPTION...
check()
{
	name=$1 source=$2
	shift 2
	n=$((n + 1))
	cp "$dir/$source" "$dir/$source.$suffix"
	# shellcheck disable=SC2086 # words, as they were given
	if "$@" -Wall -Wextra -Werror -I"$dir" $includes \
	   -c -o /dev/null "$dir/$source.$suffix" >"$dir/log" 2>&1; then
		echo "ok $n $name $source"
	else
		failed=1
		echo "not ok $n $name $source"
		sed 's/^/# /' "$dir/log"
	fi
}

skip()
{
	n=$((n + 1))
	echo "ok $n $1 # SKIP $2"
}

# can COMPILER OPTION...: whether it compiles anything at all
can()
{
	echo '#include <fcntl.h>' >"$dir/can.$suffix"
	"$@" -c -o /dev/null "$dir/can.$suffix" >/dev/null 2>&1
}

includes=$*
sources='alone twice bare_before_fcntl bare_after_fcntl before_fcntl after_fcntl among_others'
echo "TAP version 13"

# check_all OPTION...: all sources, if the compiler, which comes first, knows the
# option that comes last.
check_all()
{
	command=$*
	options=${command#"$compiler"}
	if ! can "$@"; then
		skip "$options" "$command does not work"
		return
	fi
	for source in $sources; do
		check "$options" "$source" "$@"
	done
}

# The kernel itself promises -std=c90; what is not in it are 64-bit types, so no
# -pedantic there.
suffix=c
compiler="$CC "
for std in c90 gnu89; do
	# shellcheck disable=SC2086 # CC may be more than one word
	check_all $CC -std=$std
done
for std in c99 c11 gnu11 gnu17; do
	# shellcheck disable=SC2086
	check_all $CC -pedantic -std=$std
done
# shellcheck disable=SC2086
check_all $CC -m32

if [ -n "$CXX" ]; then
	suffix=cc
	compiler="$CXX "
	for std in c++98 c++11 c++17 c++20; do
		# shellcheck disable=SC2086
		check_all $CXX -std=$std
	done
	# shellcheck disable=SC2086
	check_all $CXX -m32 -std=c++11
fi

echo "1..$n"
exit $failed
