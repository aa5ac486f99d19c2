# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # variables for the other files
#
# make save: carries edits in build/linux back into the overlay.

# Sets ENTRY to what tree $1 holds at path $2, or "gone".
entry_in()
{
	ENTRY=$(kgit ls-tree "$1" -- "$2" | awk '{ print $1, $3 }')
	ENTRY=${ENTRY:-gone}
}

# Sets ENTRY to what the overlay makes of path $1 now, without the last of its
# files if $2 is given.
overlay_entry()
{
	local x=$1 f last=''
	ENTRY=${BASE_ENTRY[$x]-gone}
	[ -n "${PARTS[$x]-}" ] || return 0
	for f in ${PARTS[$x]}; do
		[ -z "${2-}" ] || [ -z "$last" ] || ENTRY=${RESULT[$last]}
		last=$f
	done
	[ -n "${2-}" ] || ENTRY=${RESULT[$last]}
}

# Writes entry $1 as file $2 of the overlay.
write_whole()
{
	local mode=${1% *} blob=${1#* } file=$ROOT/$2
	mkdir -p "$(dirname "$file")"
	if [ "$mode" = 120000 ]; then
		rm -f "$file"
		ln -s "$(kgit cat-file blob "$blob")" "$file"
		return
	fi
	[ ! -L "$file" ] || rm -f "$file"
	kgit cat-file blob "$blob" >"$TMP/whole"
	# In place, so that the owner and the permissions stay.
	cat "$TMP/whole" >"$file"
	if [ "$mode" = 100755 ]; then
		chmod +x "$file"
	else
		chmod -x "$file"
	fi
}

# Writes the change from entry $1 to entry $2 as patch file $3 for path $4.  Words
# before the patch stay.
write_patch()
{
	[ "${1% *}" = "${2% *}" ] ||
		die "$4: its mode changed, which a patch file cannot carry"
	kgit cat-file blob "${1#* }" >"$TMP/old"
	kgit cat-file blob "${2#* }" >"$TMP/new"
	{
		[ ! -e "$ROOT/$3" ] || sed '/^--- /,$d' "$ROOT/$3"
		diff -u --label "a/$4" --label "b/$4" "$TMP/old" "$TMP/new" || :
	} >"$TMP/diff"
	mkdir -p "$(dirname "$ROOT/$3")"
	cat "$TMP/diff" >"$ROOT/$3"
}

remove_parts()
{
	local f
	for f in ${PARTS[$1]-}; do
		rm -f "$ROOT/$f"
		say "removed $f"
		(cd "$ROOT" && rmdir -p --ignore-fail-on-non-empty -- "$(dirname "$f")") 2>/dev/null || :
	done
}

# Saves path $1, which is to be entry $2.
save_path()
{
	local x=$1 want=$2 base=${BASE_ENTRY[$1]-gone} parts=${PARTS[$1]-} last ENTRY
	last=${parts##* }
	if [ "$want" = "$base" ]; then		# nothing is left of the change
		remove_parts "$x"
		return
	elif [ "$want" = gone ]; then
		remove_parts "$x"
		mkdir -p "$(dirname "$ROOT/$x")"
		: >"$ROOT/$x.delete"
		SAVED=$x.delete
	elif [ "$base" = gone ] || [ "${KIND[${last:-none}]-}" = whole ]; then
		write_whole "$want" "$x"
		SAVED=$x
	elif [ "${KIND[${last:-none}]-}" = patch ]; then
		overlay_entry "$x" without-last
		[ "${NUMBER[$last]}" = 0 ] || say "$x: the edit goes into the last of its patches"
		if [ "$ENTRY" = "$want" ]; then
			rm -f "$ROOT/$last"
			say "removed $last"
			return
		fi
		write_patch "$ENTRY" "$want" "$last" "$x"
		SAVED=$last
	elif [ "${base% *}" != "${want% *}" ]; then	# a mode: the whole file
		remove_parts "$x"
		write_whole "$want" "$x"
		SAVED=$x
	else
		remove_parts "$x"
		write_patch "$base" "$want" "$x.patch" "$x"
		SAVED=$x.patch
	fi
	say "saved $SAVED"
}

# Compares what the overlay gives now with what build/linux holds.
verify_saved()
{
	local x bad=0 ENTRY want
	scan_overlay
	RESULT=()
	store_whole_files
	read_base_entries "${PATHS[@]}"
	for x in "${PATHS[@]}"; do
		entry_in "$SNAPSHOT" "$x"
		want=$ENTRY
		[ -z "${PARTS[$x]-}" ] || compose_path "$x" || bad=1
		overlay_entry "$x"
		if [ "$ENTRY" != "$want" ]; then
			say "$x: the overlay does not give what build/linux holds" >&2
			bad=1
		fi
		for f in ${PARTS[$x]-}; do
			[ -n "${OWNER[$f]}" ] ||
				say "warning: $f belongs to no patch yet; add its path to one of series/*.msg"
		done
	done
	[ "$bad" = 0 ] || die "not saved in full"
}

# Whether the overlay's entry $1 for path $2 is neither what build/linux was made from
# nor what was saved since.
overlay_changed()
{
	local tree ENTRY
	for tree in "$COMPOSED" "$SAVED_TREE"; do
		kgit rev-parse --quiet --verify "$tree" >/dev/null || continue
		entry_in "$tree" "$2"
		[ "$ENTRY" != "$1" ] || return 1
	done
}

save_edits()
{
	local x ENTRY conflict=0 SAVED
	declare -a PATHS=()
	declare -A WANT=()
	GITDIR=$LINUX/.git
	BASE=$(kgit rev-parse refs/tags/base)
	read_series
	scan_overlay
	take_snapshot
	while IFS= read -r -d '' x; do
		PATHS+=("$x")
	done < <(kgit diff-tree -z -r --no-renames --name-only "$COMPOSED" "$SNAPSHOT")
	if [ "${#PATHS[@]}" = 0 ]; then
		say "build/linux holds no edits"
		return
	fi
	RESULT=()
	store_whole_files
	read_base_entries "${PATHS[@]}"
	for x in "${PATHS[@]}"; do
		[[ $x != *[[:space:]]* ]] || die "$x: white space in a name"
		entry_in "$SNAPSHOT" "$x"
		WANT[$x]=$ENTRY
		if [ -n "${PARTS[$x]-}" ] && ! compose_path "$x"; then
			[ -n "${FORCE-}" ] || conflict=1
			continue
		fi
		overlay_entry "$x"
		if [ "$ENTRY" = "${WANT[$x]}" ]; then
			WANT[$x]=same
			continue
		fi
		if [ -z "${FORCE-}" ] && overlay_changed "$ENTRY" "$x"; then
			say "$x: changed in the overlay and in build/linux" >&2
			conflict=1
		fi
	done
	[ "$conflict" = 0 ] ||
		die "nothing saved; settle these by hand, or let build/linux win with 'make save FORCE=1'"
	for x in "${PATHS[@]}"; do
		[ "${WANT[$x]}" = same ] || save_path "$x" "${WANT[$x]}"
	done
	verify_saved
	kgit update-ref "$SAVED_TREE" "$SNAPSHOT"
}
