# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
systemctl enable --now wqmon.service
