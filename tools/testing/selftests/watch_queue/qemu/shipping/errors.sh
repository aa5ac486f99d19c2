# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
journalctl -u wqmon -p err -o cat | jq -rR 'fromjson? | .message'
