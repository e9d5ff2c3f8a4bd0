# SPDX-License-Identifier: BSD-2-Clause
# Programs that load the provider into contexts of their own: with threads, with forks, again and again.
. "$(dirname "$0")/lib.sh"

start_scene
openssl_threads=$TPMPSK_BUILD/tests/openssl/openssl-threads
openssl_reload=$TPMPSK_BUILD/tests/openssl/openssl-reload

it "serves threads in TLS 1.3" "$openssl_threads" "$scene/ref.cnf" 1.3 8 10 0
it "serves threads in TLS 1.2" "$openssl_threads" "$scene/ref.cnf" 1.2 8 10 0
it "serves the children of a program without threads" "$openssl_threads" "$scene/ref.cnf" 1.3 0 2 5
it "serves the children of a program with threads" "$openssl_threads" "$scene/ref.cnf" 1.3 4 10 5
if [ -n "$preload" ]; then
	it "is loaded and unloaded a hundred times without a leak" "$openssl_reload" "$scene/ref.cnf" 100
else
	it "is loaded and unloaded a thousand times without growing" "$openssl_reload" "$scene/ref.cnf" 1000
fi
