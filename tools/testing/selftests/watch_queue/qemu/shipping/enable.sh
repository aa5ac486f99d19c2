# SPDX-License-Identifier: GPL-2.0
systemctl enable --now wqmon.service
