#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The daemon on a kernel's TPM driver: boots a virtual machine (QEMU with software emulation, no KVM) whose TPM is swtpm
# behind an emulated TIS interface, with Debian's cloud kernel and a small Debian in memory, and runs in it what
# guest.sh says: the vectors and the rights of several users on /dev/tpm0 and on /dev/tpmrm0, and the bench `device`.
# The last line is `N passed, M failed`. What was downloaded stays in build-vm/ for the next time.
set -u

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd) || exit 1
cd "$root" || exit 1
. examples/debian-packages.sh

SECONDS_MAX=900 # for the virtual machine, all in all
vm=$root/build-vm
tpm_pid=
work=

end()
{
	trap - EXIT
	[ -z "$tpm_pid" ] || kill "$tpm_pid" 2>/dev/null
	[ -z "$work" ] || rm -rf "$work"
	exit "$1"
}
trap 'end 1' EXIT
trap 'exit 1' INT TERM HUP

give_up()
{
	echo "$1" >&2
	echo "0 passed, 1 failed"
	end 1
}

need_packages gcc libc6-dev meson ninja-build pkg-config python3 cpio mmdebstrap qemu-system-x86 swtpm tpm2-tools \
	libtss2-dev libsodium-dev libjson-c-dev libseccomp-dev libtasn1-6-dev libgnutls28-dev libcriterion-dev libssl-dev ||
	give_up "packages"

if [ -e "$vm/build/build.ninja" ]; then
	meson setup --reconfigure "$vm/build" >/dev/null
else
	mkdir -p "$vm" && meson setup "$vm/build" -Dbuildtype=release -Dtests=enabled >/dev/null
fi && meson compile -C "$vm/build" daemon/tpm-pskd:executable keys/tpm-psk:executable tests/bench/device:executable \
	>/dev/null || give_up "the build failed"

# The kernel, out of its package and not installed here.
if [ ! -e "$vm/vmlinuz" ]; then
	package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p' | head -n 1)
	mkdir -p "$vm/download" &&
		(cd "$vm/download" && apt-get -qq download "$package" 2>/dev/null && dpkg-deb -x "$package"_*.deb .) &&
		mv "$vm"/download/boot/vmlinuz-* "$vm/vmlinuz" || give_up "no kernel"
	rm -rf "$vm/download"
fi

# What the tests need beside the programs under test.
if [ ! -e "$vm/base.tar" ]; then
	mmdebstrap --quiet --variant=minbase --aptopt='APT::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--include=python3,tpm2-tools,libtss2-tcti-device0,libtss2-esys-3.0.2-0,libtss2-tctildr0,libtss2-rc0 \
		--include=libsodium23,libjson-c5,libtasn1-6 \
		bookworm "$vm/base.new.tar" && mv "$vm/base.new.tar" "$vm/base.tar" || give_up "no Debian"
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/tpm-pskd-vm.XXXXXX") || give_up "no folder"
mkdir -p "$work/root" "$work/tpm"
tar -C "$work/root" -xf "$vm/base.tar" --exclude='./dev/*' &&
	mkdir -p "$work/root/src" "$work/root/build" &&
	cp -r --parents tests/cli tests/data tests/vm proto/PROTOCOL.md "$work/root/src" &&
	(cd "$vm/build" && cp --parents daemon/tpm-pskd keys/tpm-psk tests/bench/device "$work/root/build") &&
	cp tests/vm/init.sh "$work/root/init" && chmod 755 "$work/root/init" &&
	(cd "$work/root" && find . -print0 | cpio --quiet --null -o -H newc >"$work/initrd") || give_up "no image"
rm -rf "$work/root"

swtpm socket --tpm2 --tpmstate "dir=$work/tpm" --ctrl "type=unixio,path=$work/tpm.ctrl" >"$work/swtpm.log" 2>&1 &
tpm_pid=$!
tries=0
until [ -S "$work/tpm.ctrl" ]; do
	tries=$((tries + 1))
	[ "$tries" -le 200 ] || give_up "swtpm does not start"
	sleep 0.05
done

# What the guest prints goes to the first serial port and here; what its kernel has to say, to the second.
timeout --foreground "$SECONDS_MAX" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 2048 -nodefaults -no-reboot \
	-display none -serial stdio -serial "file:$work/console" \
	-kernel "$vm/vmlinuz" -initrd "$work/initrd" -append "console=ttyS1 panic=-1 random.trust_cpu=on quiet" \
	-chardev "socket,id=tpm,path=$work/tpm.ctrl" -tpmdev emulator,id=tpm0,chardev=tpm -device tpm-tis,tpmdev=tpm0 \
	</dev/null 2>"$work/qemu.log" | tr -d '\r' | tee "$work/tests"

passed=$(grep -c '^ok [0-9]* - ' "$work/tests")
failed=$(grep -c '^not ok ' "$work/tests")
if ! grep -q '^the end$' "$work/tests"; then
	echo "not ok - the virtual machine reaches its end"
	failed=$((failed + 1))
	tail -n 30 "$work/console" "$work/qemu.log"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ] && end 0
end 1
