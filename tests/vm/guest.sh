# SPDX-License-Identifier: BSD-2-Clause
# What runs in the virtual machine: tests that speak TAP, then the bench. Started by init.sh.
export TPMPSK_BUILD=/build TPMPSK_SOURCE=/src

for device in /dev/tpm0 /dev/tpmrm0; do
	echo "# $device"
	for tests in cli/vectors cli/rights vm/device; do
		TPMPSK_DEVICE=$device sh /src/tests/$tests.sh
	done
done
echo "# bench"
/build/tests/bench/device --rounds 5 --count 100
