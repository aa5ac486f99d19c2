# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# make tree: moves build/linux to what the overlay gives.

# Names the state of everything that the commits depend on.
fingerprint()
{
	local f
	{
		say "$BASE $EPOCH $IDENT_NAME $IDENT_EMAIL"
		printf '%s\n' "${FILES[@]}"
		for f in "${FILES[@]}"; do
			if [ -L "$ROOT/$f" ]; then
				say "link $f $(readlink "$ROOT/$f")"
			elif [ -x "$ROOT/$f" ]; then
				say "run $f"
			fi
		done
		(cd "$ROOT" && find series -name '*.msg' -print0 | sort -z | xargs -0 sha1sum \
			series/order series/overlay series/lib/*.sh)
		(cd "$ROOT" && printf '%s\0' "${FILES[@]}" | xargs -0r sha1sum)
	} 2>/dev/null | sha256sum | cut -d' ' -f1
}

# Sets SNAPSHOT to the tree that the work tree of build/linux holds, leaving out
# what .gitignore hides.
take_snapshot()
{
	rm -f "$TMP/index"
	cp "$LINUX/.git/index" "$TMP/index"
	tgit add -u
	(cd "$LINUX" && GIT_INDEX_FILE=$TMP/index git ls-files -z -o -x '!.gitignore' \
		-x '!.kunitconfig' --exclude-per-directory=.gitignore) >"$TMP/new"
	[ ! -s "$TMP/new" ] || tgit update-index -z --add --stdin <"$TMP/new"
	SNAPSHOT=$(tgit write-tree)
}

tree_of()
{
	kgit rev-parse "$1^{tree}"
}

# The files edited in build/linux that would be different in $NEW.
unsaved_paths()
{
	comm -12 <(changed_paths "$COMPOSED" "$SNAPSHOT") <(changed_paths "$SNAPSHOT" "$NEW")
}

# Keeps tree $1, which the work tree is about to leave behind, as a commit.
keep_aside()
{
	local commit
	commit=$(say "Edits left behind" | GIT_AUTHOR_NAME=overlay GIT_AUTHOR_EMAIL=overlay@localhost \
		GIT_COMMITTER_NAME=overlay GIT_COMMITTER_EMAIL=overlay@localhost \
		kgit commit-tree "$1" -p "$COMPOSED")
	kgit update-ref "refs/overlay/aside/$(date +%Y%m%d-%H%M%S)" "$commit"
	say "the edits that were in build/linux: git -C build/linux show $(kgit rev-parse --short "$commit")"
}

refuse_if_busy()
{
	local f
	for f in rebase-merge rebase-apply MERGE_HEAD CHERRY_PICK_HEAD; do
		[ ! -e "$LINUX/.git/$f" ] ||
			die "git is in the middle of something in build/linux ($f): finish or abort that first"
	done
	[ ! -e "$LINUX/.git/index.lock" ] ||
		die "build/linux/.git/index.lock exists: if no git runs there, remove it"
}

# Moves the work tree and the branch from $SNAPSHOT to commit $NEW, writing only
# the files that differ.  A run that is interrupted here is completed by the next.
move_tree()
{
	kgit update-ref "$MOVING" "$NEW"
	cp "$TMP/index" "$LINUX/.git/index"
	kgit read-tree -m -u "$SNAPSHOT" "$NEW"
	kgit symbolic-ref HEAD "$BRANCH"
	kgit update-ref -m "make tree" "$BRANCH" "$NEW"
	kgit update-ref refs/tags/base "$BASE"
	kgit update-ref "$COMPOSED" "$NEW"
	kgit update-ref -d "$SAVED_TREE"
	kgit update-ref -d "$MOVING"
}

report_tree()
{
	say "build/linux: $(base_name) and $(kgit rev-list --count "$BASE..$COMPOSED") patches"
}

make_tree()
{
	local state=$LINUX/.git/overlay-state now old unsaved
	prepare_base
	read_series
	scan_overlay
	check_overlay
	now=$(fingerprint)
	old=$(cat "$state" 2>/dev/null || :)
	if [ "$now" = "$old" ] && [ -z "${FORCE-}" ] &&
	   ! kgit rev-parse -q --verify "$MOVING" >/dev/null; then
		take_snapshot
		report_tree
		[ "$SNAPSHOT" = "$(tree_of "$COMPOSED")" ] ||
			say "build/linux holds edits that are not saved yet ('make save')"
		return
	fi
	refuse_if_busy
	compose_files
	compose_commits
	take_snapshot
	unsaved=$(unsaved_paths)
	if [ -n "$unsaved" ]; then
		if kgit rev-parse -q --verify "$MOVING" >/dev/null || [ -n "${FORCE-}" ]; then
			keep_aside "$SNAPSHOT"
		else
			printf '%s\n' "$unsaved" >&2
			die "build/linux holds edits that are not saved: run 'make save', or 'make tree FORCE=1' to leave them behind"
		fi
	fi
	rm -f "$state"
	move_tree
	say "$now" >"$state"
	report_tree
}
