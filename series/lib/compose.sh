# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# From overlay files to commits, without touching the work tree.

declare -a NAMES=()		# the patches, in order
declare -a PATTERN=() PATTERN_OWNER=()
declare -a FILES=()		# the overlay's files
declare -A TARGET=() KIND=() NUMBER=()	# by file: kernel path, what it does, N
declare -A OWNER=()		# by file: index into NAMES, or empty
declare -A PARTS=()		# by kernel path: its files, in order
declare -A RESULT=()		# by file: "mode blob", or "gone"
declare -A WHOLE=()		# by file that is whole: its blob
declare -A BASE_ENTRY=()	# by kernel path: "mode blob" in the base

read_series()
{
	local name line i=0 below
	NAMES=() PATTERN=() PATTERN_OWNER=()
	while read -r name; do
		case $name in
		''|'#'*)
			continue
			;;
		esac
		[ -f "$ROOT/series/$name.msg" ] ||
			die "series/order names $name, but there is no series/$name.msg"
		NAMES+=("$name")
		below=
		while IFS= read -r line; do
			if [ "$line" = --- ]; then
				below=1
				continue
			fi
			[ -n "$below" ] || continue
			line=${line%%#*}
			read -r line <<<"$line"
			case $line in
			''|checkpatch:*)
				continue
				;;
			esac
			PATTERN+=("${line%/}")
			PATTERN_OWNER+=("$i")
		done <"$ROOT/series/$name.msg"
		i=$((i + 1))
	done <"$ROOT/series/order"
	for line in "$ROOT"/series/*.msg; do
		name=${line##*/}
		[[ " ${NAMES[*]} " = *" ${name%.msg} "* ]] ||
			die "series/$name is not in series/order"
	done
}

# Prints the message of patch $1, up to the line "---".
message_of()
{
	sed '/^---$/,$d' "$ROOT/series/$1.msg" | git stripspace
}

# Sets FILES.  What stands at the top of this repository and is neither ours nor
# a directory of the kernel is a slip.
list_overlay()
{
	local f top tops
	tops=" $(kgit ls-tree --name-only "$BASE" | tr '\n' ' ')"
	FILES=()
	while IFS= read -r -d '' f; do
		top=${f%%/*}
		case $top in
		.*|Makefile|README.md|series|build)
			continue
			;;
		esac
		[[ $f != *[[:space:]]* ]] || die "$f: white space in a name"
		if [ "$top" = "$f" ]; then	# a file at the top
			split_name "$f"
			[[ $tops = *" $SPLIT_TARGET "* ]] || continue
		elif [[ $tops != *" $top "* ]]; then
			die "$f: the kernel has no directory $top"
		fi
		FILES+=("$f")
	done < <(list_unignored "$ROOT" -x /build/ -x '/.*' -x /series/)
}

# Splits the name of overlay file $1 into kernel path, kind and number.
split_name()
{
	SPLIT_NUMBER=0
	case $1 in
	*.delete)
		SPLIT_TARGET=${1%.delete}
		SPLIT_KIND=delete
		;;
	*.patch)
		SPLIT_TARGET=${1%.patch}
		SPLIT_KIND='patch'
		if [[ $SPLIT_TARGET =~ ^(.+)\.([1-9][0-9]?)$ ]]; then
			SPLIT_TARGET=${BASH_REMATCH[1]}
			SPLIT_NUMBER=${BASH_REMATCH[2]}
		fi
		;;
	*)
		SPLIT_TARGET=$1
		SPLIT_KIND=whole
		;;
	esac
}

# Appends patch $2 to the list in variable $1, once.  They come in order.
add_owner()
{
	local -n list=$1
	[ "${list##* }" = "$2" ] || list+=" $2"
}

# Sets FOUND to the patches that overlay file $1 belongs to.
# shellcheck disable=SC2053 # the right side of "=" is a pattern
find_owner()
{
	local f=$1 x=${TARGET[$1]} i p exact='' loose='' o
	for i in "${!PATTERN[@]}"; do
		p=${PATTERN[i]}
		o=${PATTERN_OWNER[i]}
		if [ "$p" = "$f" ]; then
			add_owner exact "$o"
		elif [ "$p" = "$x" ] && [ "${NUMBER[$f]}" = 0 ]; then
			add_owner exact "$o"
		elif [[ $x = "$p"/* || $x = $p ]]; then
			add_owner loose "$o"
		fi
	done
	FOUND=${exact:-$loose}
	FOUND=${FOUND# }
}

# Sets everything that can be said of the overlay's files by their names.
scan_overlay()
{
	local f
	list_overlay
	TARGET=() KIND=() NUMBER=() OWNER=() PARTS=()
	while IFS= read -r f; do
		split_name "$f"
		TARGET[$f]=$SPLIT_TARGET
		KIND[$f]=$SPLIT_KIND
		NUMBER[$f]=$SPLIT_NUMBER
		PARTS[$SPLIT_TARGET]+="${PARTS[$SPLIT_TARGET]+ }$f"
		find_owner "$f"
		OWNER[$f]=$FOUND
	done < <(printf '%s\n' "${FILES[@]}" | sort -V)
}

# Complains of files that do not belong to exactly one patch, and of paths that
# several files lay claim to.
check_overlay()
{
	local f x bad=0 last owner i
	for f in "${FILES[@]}"; do
		owner=${OWNER[$f]}
		if [ -z "$owner" ]; then
			say "$f: belongs to no patch; add its path to one of series/*.msg" >&2
			bad=1
		elif [[ $owner = *' '* ]]; then
			say "$f: belongs to several patches:$(for i in $owner; do
				printf ' %s' "${NAMES[i]}"; done)" >&2
			bad=1
		fi
	done
	for x in "${!PARTS[@]}"; do
		last=-1
		[[ ${PARTS[$x]} = *' '* ]] || continue
		for f in ${PARTS[$x]}; do
			if [ "${NUMBER[$f]}" = 0 ]; then
				say "$x: more than one of ${PARTS[$x]} lays claim to it" >&2
				bad=1
				break
			elif [[ ${OWNER[$f]} =~ ^[0-9]+$ ]]; then
				if [ "${OWNER[$f]}" -le "$last" ]; then
					say "$f: its patch has to come later than the one before it" >&2
					bad=1
				fi
				last=${OWNER[$f]}
			fi
		done
	done
	[ "$bad" = 0 ] || die "the overlay does not agree with series/"
}

# Reads what the base holds of the paths that the overlay touches, and of $@.
# shellcheck disable=SC2120 # save.sh names further ones
read_base_entries()
{
	local mode type blob x
	BASE_ENTRY=()
	[ "${#PARTS[@]}" != 0 ] || return 0
	while IFS=$' \t' read -r -d '' mode type blob x; do
		[ "$type" = blob ] && BASE_ENTRY[$x]="$mode $blob"
	done < <(kgit ls-tree -z "$BASE" -- "${!PARTS[@]}" "$@")
}

# Puts all whole files into the object store, with a single git.
store_whole_files()
{
	local f blob
	local -a whole=()
	WHOLE=()
	for f in "${FILES[@]}"; do
		[ "${KIND[$f]}" != whole ] || [ -L "$ROOT/$f" ] || whole+=("$f")
	done
	[ "${#whole[@]}" != 0 ] || return 0
	while IFS=$'\t' read -r f blob; do
		WHOLE[$f]=$blob
	done < <(paste <(printf '%s\n' "${whole[@]}") <(printf "$ROOT/%s\n" "${whole[@]}" |
		kgit hash-object -w --no-filters --stdin-paths))
}

# Sets ENTRY to "mode blob" of the whole file $1.
whole_entry()
{
	local mode=100644
	if [ -L "$ROOT/$1" ]; then
		ENTRY="120000 $(readlink -n -- "$ROOT/$1" | kgit hash-object -w --stdin)"
		return
	fi
	[ ! -x "$ROOT/$1" ] || mode=100755
	ENTRY="$mode ${WHOLE[$1]}"
}

# Sets ENTRY to entry $2 changed by patch file $1.
apply_patch()
{
	local f=$1 mode=${2% *} blob=${2#* } names
	rm -f "$TMP/in" "$TMP/out" "$TMP/rejected"
	names=$(awk '/^@@ /{ exit } /^\+\+\+ /{ sub(/\t.*/, ""); print $2 }' "$ROOT/$f")
	if [ "${names#*/}" != "${TARGET[$f]}" ]; then
		say "$f: its line '+++' has to name b/${TARGET[$f]}" >&2
		return 1
	fi
	kgit cat-file blob "$blob" >"$TMP/in"
	if ! patch -u -f --no-backup-if-mismatch -r "$TMP/rejected" -o "$TMP/out" \
	     "$TMP/in" <"$ROOT/$f" >"$TMP/log" 2>&1; then
		say "$f does not fit $(base_name); rejected:" >&2
		if [ -s "$TMP/rejected" ]; then
			cat "$TMP/rejected" >&2
		else
			cat "$TMP/log" >&2
		fi
		return 1
	fi
	! grep -q 'with fuzz' "$TMP/log" || say "$f: fits $(base_name) with fuzz"
	ENTRY="$mode $(kgit hash-object -w --no-filters -- "$TMP/out")"
}

base_name()
{
	kgit log -1 --format=%s "$BASE"
}

# Sets RESULT of every file that makes kernel path $1.  Says what does not fit.
compose_path()
{
	local x=$1 f entry=${BASE_ENTRY[$1]-} ENTRY
	for f in ${PARTS[$x]}; do
		if [ "${KIND[$f]}" != whole ] && [ -z "$entry" ]; then
			say "$f does not fit $(base_name), which has no $x" >&2
			return 1
		fi
		case ${KIND[$f]} in
		whole)
			whole_entry "$f"
			if [ "$ENTRY" = "$entry" ]; then
				say "$f is a copy of the file in $(base_name)" >&2
				return 1
			fi
			;;
		delete)
			ENTRY=gone
			;;
		patch)
			apply_patch "$f" "$entry" || return 1
			;;
		esac
		RESULT[$f]=$ENTRY
		entry=$ENTRY
	done
}

# Sets RESULT of all files, or ends when some do not fit.
compose_files()
{
	local x bad=0
	RESULT=()
	store_whole_files
	# shellcheck disable=SC2119 # no further paths
	read_base_entries
	while IFS= read -r x; do
		[ -z "$x" ] || compose_path "$x" || bad=1
	done < <(printf '%s\n' "${!PARTS[@]}" | sort)
	[ "$bad" = 0 ] || die "the overlay does not fit; build/linux is as it was"
}

# Sets AUTHOR_NAME and AUTHOR_EMAIL for message file $1: who signed it off first.
# A message without that line gets one of whoever works here.
find_author()
{
	local line
	AUTHOR_NAME=$IDENT_NAME
	AUTHOR_EMAIL=$IDENT_EMAIL
	line=$(sed -n '/^Signed-off-by: /{s///p;q}' "$1")
	if [[ $line =~ ^(.+)\ \<([^\>]+)\>$ ]]; then
		AUTHOR_NAME=${BASH_REMATCH[1]}
		AUTHOR_EMAIL=${BASH_REMATCH[2]}
	else
		git interpret-trailers --in-place \
			--trailer "Signed-off-by: $IDENT_NAME <$IDENT_EMAIL>" "$1"
	fi
}

# Commits the temporary index on top of $2 as patch $1, dated $3; sets COMMIT.
commit_patch()
{
	local tree
	tree=$(tgit write-tree)
	message_of "$1" >"$TMP/message"
	[ -s "$TMP/message" ] || die "series/$1.msg has no message"
	find_author "$TMP/message"
	COMMIT=$(GIT_AUTHOR_NAME=$AUTHOR_NAME GIT_AUTHOR_EMAIL=$AUTHOR_EMAIL \
		GIT_COMMITTER_NAME=$AUTHOR_NAME GIT_COMMITTER_EMAIL=$AUTHOR_EMAIL \
		GIT_AUTHOR_DATE="@$3 +0000" GIT_COMMITTER_DATE="@$3 +0000" \
		kgit commit-tree "$tree" -p "$2" -F "$TMP/message")
}

# Sets NEW to the last of the commits that the overlay gives on $BASE.
compose_commits()
{
	local i f when=$EPOCH
	NEW=$BASE
	tgit read-tree "$BASE"
	for i in "${!NAMES[@]}"; do
		when=$((when + 60))
		for f in "${FILES[@]}"; do
			[ "${OWNER[$f]}" = "$i" ] || continue
			case ${RESULT[$f]} in
			gone)
				printf '0 %040d\t%s\n' 0 "${TARGET[$f]}"
				;;
			*)
				printf '%s\t%s\n' "${RESULT[$f]}" "${TARGET[$f]}"
				;;
			esac
		done >"$TMP/changes"
		if [ ! -s "$TMP/changes" ]; then
			say "${NAMES[i]}: no files yet, left out"
			continue
		fi
		tgit update-index --index-info <"$TMP/changes"
		commit_patch "${NAMES[i]}" "$NEW" "$when"
		NEW=$COMMIT
	done
}
