# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# make series: the patches as mails, and whether git am takes them.

# Puts series/cover-letter (a subject, an empty line, a text) where git left room
# for it in $1.
fill_cover_letter()
{
	local letter=$ROOT/series/cover-letter
	awk -v subject="$(head -n 1 "$letter")" -v letter="$letter" -v base="$(base_name)" '
		/^Subject: / {
			sub(/\*\*\* SUBJECT HERE \*\*\*/, subject)
		}
		/^\*\*\* BLURB HERE \*\*\*$/ {
			for (n = 1; (getline <letter) > 0; n++)
				if (n > 2)
					print
			$0 = "\nThe patches apply to " base "."
		}
		{ print }' "$1" >"$TMP/letter"
	cat "$TMP/letter" >"$1"
}

# What the commits after $BASE up to $2 in repository $1 are made of.
history()
{
	git -C "$1" log --reverse --format='tree %T%n%an <%ae> %at%n%B' "$BASE..$2"
}

# Lets git am take $@ onto a checkout of the base's files that they touch.
try_am()
{
	local am=$TMP/am
	git init -q --template= "$am"
	say "$LINUX/.git/objects" >"$am/.git/objects/info/alternates"
	changed_paths "$BASE" "$NEW" | sed 's,^,/,' |
		git -C "$am" sparse-checkout set --no-cone --stdin
	git -C "$am" checkout -q --detach "$BASE"
	git -C "$am" -c user.name=am -c user.email=am@localhost am -q "$@" ||
		die "git am does not take the series"
	diff -u <(history "$LINUX" "$NEW") <(history "$am" HEAD) ||
		die "git am makes something else of the series"
}

# The commits are made anew, and build/linux stays where it is: it may hold
# another base, or edits.
write_mails()
{
	local -a mails
	prepare_base
	read_series
	scan_overlay
	check_overlay
	compose_files
	compose_commits
	rm -rf "$OUT/series"
	# The letter is from the author of the last patch, and as old.
	mapfile -t mails < <(
		GIT_COMMITTER_NAME=$(kgit log -1 --format=%an "$NEW")
		GIT_COMMITTER_EMAIL=$(kgit log -1 --format=%ae "$NEW")
		GIT_COMMITTER_DATE=$(kgit log -1 --format=%aI "$NEW")
		export GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL GIT_COMMITTER_DATE
		kgit format-patch --cover-letter --no-signature --abbrev=12 \
			-o "$OUT/series" "$BASE..$NEW")
	[ "${#mails[@]}" -gt 1 ] || die "there is no patch"
	fill_cover_letter "${mails[0]}"
	try_am "${mails[@]:1}"
	say "build/series: a cover letter and $((${#mails[@]} - 1)) patches, which git am" \
		"takes onto $(base_name)"
}
