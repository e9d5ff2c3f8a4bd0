# SPDX-License-Identifier: BSD-2-Clause
# Programs that load the provider into contexts of their own: with threads, with forks, again and again.
. "$(dirname "$0")/lib.sh"

start_scene
openssl_threads=$TPMPSK_BUILD/tests/openssl/openssl-threads
openssl_reload=$TPMPSK_BUILD/tests/openssl/openssl-reload

# Fewer where the sanitizers slow everything down.
threads=8
handshakes=10
[ -z "$preload" ] || threads=4 handshakes=3
it "serves threads in TLS 1.3" "$openssl_threads" "$scene/ref.cnf" 1.3 $threads $handshakes 0
it "serves threads in TLS 1.2" "$openssl_threads" "$scene/ref.cnf" 1.2 $threads $handshakes 0
it "serves the children of a program without threads" "$openssl_threads" "$scene/ref.cnf" 1.3 0 2 3
it "serves the children of a program that had threads" "$openssl_threads" "$scene/ref.cnf" 1.3 4 $handshakes 3
if [ -n "$preload" ]; then
	it "is loaded and unloaded twenty times without a leak" "$openssl_reload" "$scene/ref.cnf" 20
else
	it "is loaded and unloaded a thousand times without growing" "$openssl_reload" "$scene/ref.cnf" 1000
fi
