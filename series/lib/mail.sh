# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# make series: the patches as mails.

write_mails()
{
	die "not there yet"
}
