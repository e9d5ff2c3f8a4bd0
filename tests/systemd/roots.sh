# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# File systems of fresh Debian machines, and how they are run. To be read with `.` by run.sh; uses its $root, $work, $roots and
# $children.
# shellcheck disable=SC2154

suite=bookworm
test_cgroups=

# apt_settings: how this machine reaches its mirror, in words of apt.
apt_settings()
{
	apt-config dump --format '%F "%v";%n' | grep -E '^Acquire::(https?::Proxy|Check-(Valid-Until|Date)|Retries)'
}

# apt_sources: the file that says where this machine gets its Debian from; nothing, for mmdebstrap to decide.
apt_sources()
{
	for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
		grep -qE "$suite" "$file" 2>/dev/null && echo "$file" && return
	done
	return 0
}

# make_root NAME VARIANT PACKAGES OPTION...: $roots/NAME, unless it is there.
make_root()
{
	name=$1
	variant=$2
	packages=$3
	shift 3
	[ ! -e "$roots/$name" ] || return 0
	rm -rf --one-file-system "$roots/$name.new"
	apt_settings >"$work/apt.conf"
	# shellcheck disable=SC2046
	mmdebstrap --variant="$variant" --include="$packages" --aptopt="$work/apt.conf" --skip=cleanup/apt "$@" \
		"$suite" "$roots/$name.new" $(apt_sources) </dev/null &&
		mv "$roots/$name.new" "$roots/$name"
}

# copy_source FOLDER: the checkout, as it would be committed.
copy_source()
{
	if [ -e "$root/.git" ]; then
		git -c safe.directory="$root" -C "$root" ls-files -co --exclude-standard >"$work/files" || return
		# What is deleted and not committed is listed, too.
		(cd "$root" && while IFS= read -r file; do [ ! -e "$file" ] || printf '%s\n' "$file"; done) \
			<"$work/files" >"$work/files.there" || return
		tar -C "$root" -cf - -T "$work/files.there" | tar -C "$1" -xf -
	else
		tar -C "$root" -cf - --exclude='./build*' . | tar -C "$1" -xf -
	fi
}

# What the source package says it needs, and nothing else.
make_build_root()
{
	make_root build buildd lintian \
		--customize-hook="mkdir -p \"\$1/needs/debian\" && cp \"$root/debian/control\" \"\$1/needs/debian/\"" \
		--customize-hook='chroot "$1" apt-get -qq -y --no-install-recommends build-dep /needs' \
		--customize-hook='rm -r "$1/needs"'
}

# A small system with systemd, udev and a software TPM. What the packages depend on is fetched, but not installed.
make_test_root()
{
	make_root "test" minbase systemd,systemd-sysv,udev,dbus,logrotate,swtpm \
		--customize-hook="mkdir -p \"\$1/needs\" && cp \"$work\"/packages/*.deb \"\$1/needs/\"" \
		--customize-hook='chroot "$1" sh -c "apt-get -qq -y --download-only install /needs/libtpmpsk0_*.deb \
			/needs/libtpmpsk-gnutls0_*.deb /needs/tpm-pskd_*.deb"' \
		--customize-hook='rm -r "$1/needs"' || return
	[ -e "$roots/vmlinuz" ] || fetch_kernel
}

# The kernel for virtual machines, whose TPM driver is built in, and a shell for before there is a file system.
fetch_kernel()
{
	mkdir -p "$work/kernel" || return
	kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: *\(linux-image-[^ ]*\)$/\1/p') || return
	(cd "$work/kernel" && apt-get -qq download "$kernel" busybox-static && for deb in *.deb; do dpkg-deb -x "$deb" .; done) ||
		return
	cp "$work/kernel/bin/busybox" "$roots/busybox" && cp "$work"/kernel/boot/vmlinuz-* "$roots/vmlinuz"
}

# Where this machine's systemd is not in charge, a container is given control groups of its own, which go again.
enter_cgroup()
{
	[ ! -d /run/systemd/system ] || return 0
	for hierarchy in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
		[ -w "$hierarchy/cgroup.procs" ] || continue
		mkdir "$hierarchy/tpm-pskd-test.$$" && test_cgroups="$test_cgroups $hierarchy/tpm-pskd-test.$$"
	done
}

leave_cgroup()
{
	for cgroup in $test_cgroups; do
		find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null
	done
}

# wait_child: for the last one that was put into the background; a signal ends this at once.
wait_child()
{
	children="$children $!"
	wait "$!"
}

# nspawn FOLDER OPTION...
nspawn()
{
	folder=$1
	shift
	[ -d /run/systemd/system ] || set -- --keep-unit "$@"
	# A shell of its own, which goes where it belongs and becomes the container.
	sh -c '
		for cgroup in $1; do
			echo $$ >"$cgroup/cgroup.procs" || exit 1
		done
		shift
		exec timeout --kill-after=20 1200 systemd-nspawn "$@"
	' sh "$test_cgroups" -q -D "$folder" --register=no --settings=no --link-journal=no --timezone=off \
		--machine="tpm-pskd-$$" "$@" </dev/null &
	wait_child
}

# in_root FOLDER OPTION... COMMAND...: a command in a root that is not booted.
in_root()
{
	folder=$1
	shift
	nspawn "$folder" --pipe --setenv=LC_ALL=C.UTF-8 "$@"
}

# Both end by themselves, when the scenario does.
boot_container()
{
	# Without this, a container may not lock memory at all.
	nspawn "$1" -b --private-network --console=read-only --resolv-conf=off --system-call-filter=@memlock
}

# boot_machine FOLDER RESULTS: all of the file system is in memory; what goes to the second serial port is in RESULTS.
boot_machine()
{
	mkdir -p "$work/initrd/bin" "$work/initrd/new" "$work/tpm" || return
	cp "$roots/busybox" "$work/initrd/bin/" || return
	tar -C "$1" -cf "$work/initrd/root.tar" . || return
	cat >"$work/initrd/init" <<-'INIT'
		#!/bin/busybox sh
		busybox mount -t tmpfs -o mode=755,size=80% root /new
		busybox tar -C /new -xf /root.tar
		busybox rm /root.tar
		exec busybox switch_root /new /sbin/init
	INIT
	chmod 755 "$work/initrd/init" || return
	(cd "$work/initrd" && find . | cpio -o -H newc --quiet) >"$work/initrd.cpio" || return
	rm -r "$work/initrd"
	swtpm socket --tpm2 --tpmstate "dir=$work/tpm" --ctrl "type=unixio,path=$work/tpm.sock" --terminate &
	children="$children $!"
	tries=0
	until [ -S "$work/tpm.sock" ]; do
		tries=$((tries + 1))
		[ "$tries" -lt 200 ] || return 1
		sleep 0.05
	done
	timeout --kill-after=20 1200 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 2048 -no-reboot \
		-display none -monitor none -nic none -kernel "$roots/vmlinuz" -initrd "$work/initrd.cpio" \
		-append "console=ttyS0 panic=-1 quiet" -serial "file:$work/machine.console" -serial "file:$2" \
		-chardev "socket,id=tpm,path=$work/tpm.sock" -tpmdev emulator,id=tpm0,chardev=tpm \
		-device tpm-tis,tpmdev=tpm0 </dev/null &
	wait_child
	status=$?
	tail -n 30 "$work/machine.console"
	return "$status"
}
