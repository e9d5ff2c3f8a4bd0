#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The first process of the virtual machine: what every system has mounted, then guest.sh, then off.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs -o mode=1777 tmp /tmp
mkdir -p /dev/shm && mount -t tmpfs shm /dev/shm
exec >/dev/ttyS0 2>&1 </dev/null
sh /src/tests/vm/guest.sh
echo "the end"
sync
echo 1 >/proc/sys/kernel/sysrq
echo o >/proc/sysrq-trigger
while :; do
	sleep 1
done
