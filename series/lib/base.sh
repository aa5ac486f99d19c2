# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # variables for the other files
#
# The base: any 6.12.y tree, kept as one commit in build/linux.

# Sets KSRC to the absolute path of the tarball or directory to use.
find_source()
{
	if [ -z "${KSRC-}" ]; then
		"$ROOT/series/need" "for the kernel that the series applies to" \
			"linux-source-$KERNEL:$TARBALL"
		KSRC=$TARBALL
	fi
	KSRC=$(realpath -e -- "$KSRC" 2>/dev/null) || die "KSRC: no such file or directory"
	case $KSRC/ in
	"$(realpath -m "$LINUX")"/*)
		die "KSRC is build/linux itself; give a tarball or another tree"
		;;
	esac
}

# Every file of directory $1 that is source: what git tracks there; else all,
# but for what .gitignore names where something has been built in the tree.
source_files()
{
	if [ -e "$1/.git" ]; then
		env -u GIT_INDEX_FILE git -C "$1" -c safe.directory="$1" ls-files -z \
			--cached --deduplicate |
			(cd "$1" && while IFS= read -r -d '' f; do
				if [ -f "$f" ] || [ -L "$f" ]; then printf '%s\0' "$f"; fi
			done)
	elif [ -e "$1/.config" ] || [ -e "$1/include/generated" ]; then
		list_unignored "$1" -x '!/*/' -x '!/.*' -x /.config -x '/.config.*' \
			-x '/.tmp_*' -x '/.vmlinux*' -x '/.Module*' -x '/.modules*' \
			-x '/.missing*' -x '/.version' -x '/.git' -x '/.*.cmd' -x '/.*.d'
		(cd "$1" && find . -maxdepth 1 -type f \( -name COPYING -o -name CREDITS -o \
			-name Kbuild -o -name Kconfig -o -name MAINTAINERS -o \
			-name Makefile -o -name README \) -printf '%P\0')
	else
		all_files "$1"
	fi
}

all_files()
{
	(cd "$1" && find . -path ./.git -prune -o \( -type f -o -type l \) -printf '%P\0')
}

# The files under $1 that no .gitignore there hides, NUL-ended.  Patterns given
# with -x go first.  Dot files that carry settings are source.
list_unignored()
{
	local dir=$1
	shift
	(cd "$dir" && GIT_INDEX_FILE=$TMP/no-index git --git-dir="$GITDIR" --work-tree=. \
		ls-files -z -o "$@" -x '!.gitignore' -x '!.kunitconfig' \
		--exclude-per-directory=.gitignore)
}

# Passes NUL-ended names on and tells on standard error how many went by.
count_files()
{
	awk -v what="$1" 'BEGIN { RS = ORS = "\0" } { print }
		NR % 10000 == 0 { printf "  %s: %d files\n", what, NR >"/dev/stderr" }'
}

# Puts the files of directory $1 that function $2 names into the index and object
# store of $GITDIR.  What follows are options for git.
index_files()
{
	"$2" "$1" | count_files "into git" |
		git --git-dir="$GITDIR" --work-tree="$1" "${@:3}" \
			update-index -z --add --remove --stdin
}

# Debian's .gitignore hides the whole tree; without these lines "git status" and
# "git add" can be used in build/linux.
unhide()
{
	local blob mode=100644
	git --git-dir="$GITDIR" cat-file -e :.gitignore 2>/dev/null || return 0
	git --git-dir="$GITDIR" cat-file blob :.gitignore | sed -e '/^\/\*$/d' \
		-e '/^!\/debian\/$/d' >"$TMP/gitignore"
	blob=$(git --git-dir="$GITDIR" hash-object -w "$TMP/gitignore")
	git --git-dir="$GITDIR" update-index --cacheinfo "$mode,$blob,.gitignore"
}

version_of()
{
	awk -F' *= *' '$1 == "VERSION" { v = $2 } $1 == "PATCHLEVEL" { p = $2 }
		$1 == "SUBLEVEL" { print v "." p "." $2; exit }' "$1/Makefile" 2>/dev/null
}

# Prints the version of the tree in $1, which has to be one of ours.
check_version()
{
	local version
	version=$(version_of "$1") || die "$KSRC holds no kernel source"
	case $version in
	$KERNEL.*)
		say "$version"
		;;
	*)
		die "$KSRC is Linux ${version:-?}; the series is for $KERNEL.y"
		;;
	esac
}

# Commits the index of $GITDIR as Linux version $1 and prints the commit.
commit_base()
{
	local tree
	tree=$(git --git-dir="$GITDIR" write-tree)
	say "Linux $1" | GIT_AUTHOR_NAME=base GIT_AUTHOR_EMAIL=base@localhost \
		GIT_COMMITTER_NAME=base GIT_COMMITTER_EMAIL=base@localhost \
		GIT_AUTHOR_DATE="@$EPOCH +0000" GIT_COMMITTER_DATE="@$EPOCH +0000" \
		git --git-dir="$GITDIR" commit-tree "$tree"
}

# Unpacks the tarball into $1.  New times: objects of another base are older.
unpack()
{
	mkdir -p "$1"
	say "unpacking ${KSRC##*/}"
	tar -xf "$KSRC" -m --no-same-owner --strip-components=1 -C "$1" \
		--checkpoint=25000 --checkpoint-action=echo='  unpacking: %{}T' ||
		die "cannot unpack $KSRC"
}

# A name for the source as it stands now: changes when the source does.
source_key()
{
	if [ -d "$KSRC" ]; then
		(say "$KSRC" && cd "$KSRC" && find . -name .git -prune -o \
			\( -type f -o -type l \) -printf '%P %s %T@\n' | sort)
	else
		stat -L -c '%n %s %.Y' "$KSRC"
	fi | sha256sum | cut -c1-20
}

init_repository()
{
	git init -q --template= -b watch_queue "$1"
	git -C "$1" config gc.auto 0
	git -C "$1" config core.abbrev 12
	git -C "$1" config core.autocrlf false
	git -C "$1" config core.logAllRefUpdates true
}

# The first base makes build/linux; it appears under that name when complete.  The
# threshold has git stream all files into one pack.
first_base()
{
	local new=$OUT/linux.new version commit
	local -a stream=(-c core.bigFileThreshold=1 -c core.compression=1)
	say "making build/linux from ${KSRC##*/}"
	rm -rf "$new"
	if [ ! -d "$KSRC" ]; then
		unpack "$new"
		version=$(check_version "$new")
	else
		mkdir -p "$new"
		version=$(check_version "$KSRC")
	fi
	init_repository "$new"
	GITDIR=$new/.git
	if [ -d "$KSRC" ]; then
		index_files "$KSRC" source_files "${stream[@]}"
		unhide
		say "copying the files"
		git -C "$new" checkout-index -a -q
		git -C "$new" update-index -q --refresh || :
	else
		index_files "$new" all_files "${stream[@]}"
		unhide
		git -C "$new" checkout-index -f -q .gitignore
		git -C "$new" update-index -q --refresh || :
	fi
	commit=$(commit_base "$version")
	git -C "$new" update-ref "$BRANCH" "$commit"
	git -C "$new" update-ref "$COMPOSED" "$commit"
	git -C "$new" update-ref "refs/overlay/bases/$1" "$commit"
	git -C "$new" update-ref refs/tags/base "$commit"
	mv "$new" "$LINUX"
	GITDIR=$LINUX/.git
}

# A further base becomes one more commit; the work tree moves to it later.
further_base()
{
	local dir=$KSRC version commit
	say "taking ${KSRC##*/} in as another base"
	if [ ! -d "$KSRC" ]; then
		dir=$TMP/base
		unpack "$dir"
	fi
	version=$(check_version "$dir")
	export GIT_INDEX_FILE=$TMP/base-index
	index_files "$dir" source_files
	unhide
	commit=$(commit_base "$version")
	unset GIT_INDEX_FILE
	kgit update-ref "refs/overlay/bases/$1" "$commit"
	[ "$dir" = "$KSRC" ] || rm -rf "$dir"
}

# Sets BASE to the commit of the base that is asked for.
prepare_base()
{
	local key
	EPOCH=${SOURCE_DATE_EPOCH:-1735689600}
	GITDIR=$LINUX/.git
	find_source
	key=$(source_key)
	[ -d "$LINUX/.git" ] || first_base "$key"
	kgit rev-parse -q --verify "refs/overlay/bases/$key" >/dev/null || further_base "$key"
	BASE=$(kgit rev-parse "refs/overlay/bases/$key")
}
