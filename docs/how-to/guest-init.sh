#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# The first process of a guest: a shell, and power-off behind it.
/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
setsid cttyhack sh
poweroff -f
