# SPDX-License-Identifier: BSD-2-Clause
# mosquitto, mosquitto_pub and mosquitto_sub as Debian has them: a reference at the broker or at the client, the PSK at the other
# end. $MQTT_CONNECTIONS says how many connections there are; 100 when it is not set.
. "$(dirname "$0")/lib.sh"

for program in mosquitto mosquitto_pub mosquitto_sub; do
	command -v $program >/dev/null || {
		skip "mosquitto" "$program is not installed"
		exit 0
	}
done
start_scene
connections=${MQTT_CONNECTIONS:-100}
broker_pid=
broker_as=root

# The broker gives up root when it is told to: then the daemon has to see its own user, and that one must reach all files.
if [ "$(id -u)" -eq 0 ] && id mosquitto >/dev/null 2>&1; then
	broker_as=mosquitto
	chmod 755 "$scene"
	psk key allow tls13 user:mosquitto
	psk key allow tls12 user:mosquitto
fi

# broker SIDE [LINE...]: on $port.
broker()
{
	broker_side=$1
	shift
	tries_left=5
	while [ $tries_left -gt 0 ]; do
		port=$(free_port)
		echo "$identity:$(key_of "$broker_side")" >"$scene/passwords"
		printf '%s\n' "listener $port 127.0.0.1" "allow_anonymous true" "psk_hint hint" "psk_file $scene/passwords" \
			"log_dest stderr" "log_type all" "user $broker_as" "$@" >"$scene/mosquitto.conf"
		become "$broker_side" mosquitto -c "$scene/mosquitto.conf" </dev/null >"$scene/broker.log" 2>&1 &
		broker_pid=$!
		eventually listening "$port" && kill -0 $broker_pid 2>/dev/null && return 0
		tries_left=$((tries_left - 1))
	done
	cat "$scene/broker.log"
	return 1
}

stop_broker()
{
	stop "$broker_pid"
	broker_pid=
}

at_end()
{
	stop_broker
}

# publish SIDE ARGUMENT...
publish()
{
	publish_side=$1
	shift
	with "$publish_side" timeout 20 mosquitto_pub -h 127.0.0.1 -p "$port" --psk-identity $identity \
		--psk "$(key_of "$publish_side")" -q 1 "$@"
}

# passes_on SUBSCRIBER_SIDE PUBLISHER_SIDE ARGUMENT...: a message from the one to the other.
passes_on()
{
	subscriber=$1
	publisher=$2
	shift 2
	with "$subscriber" timeout 20 mosquitto_sub -h 127.0.0.1 -p "$port" --psk-identity $identity \
		--psk "$(key_of "$subscriber")" -t word -C 1 -d "$@" >"$scene/sub.out" 2>&1 &
	sub_pid=$!
	eventually grep -q 'Sending SUBACK' "$scene/broker.log" && publish "$publisher" -t word -m "good day" "$@"
	wait $sub_pid
	cat "$scene/sub.out" "$scene/broker.log"
	grep -qx 'good day' "$scene/sub.out"
}

# many SIDE: as many connections as asked for, four at a time; prints how many failed.
many()
{
	for i in 1 2 3 4; do
		(
			n=$((connections / 4))
			while [ $n -gt 0 ]; do
				publish "$1" -t n -m $n || echo "failed" >>"$scene/failures"
				n=$((n - 1))
			done
		) &
		eval "many_$i=\$!"
	done
	: >>"$scene/failures"
	# shellcheck disable=SC2154
	wait "$many_1" "$many_2" "$many_3" "$many_4"
	cat "$scene/failures" "$scene/broker.log" | tail -n 20
	[ ! -s "$scene/failures" ]
}

for pair in ref:psk psk:ref ref:ref; do
	server=${pair%:*}
	client=${pair#*:}
	broker "$server"
	it "TLS 1.3, broker with $server, clients with $client" passes_on "$client-tls13" "$client-tls13"
	stop_broker
	# What mosquitto calls tls_version is the least one; the most is for the configuration of OpenSSL to say.
	broker "$server" "ciphers PSK-AES128-GCM-SHA256"
	it "TLS 1.2, broker with $server, clients with $client" \
		passes_on "$client-tls12" "$client-tls12" --ciphers PSK-AES128-GCM-SHA256
	stop_broker
done

broker ref
it "serves $connections connections with the PSK from the TPM" many psk
it "is seen by the daemon as the user it has become" sh -c \
	"grep '\"tls13-schedule\"' '$scene/audit.log' | tail -n 1 | grep -q '\"uid\": *$(id -u $broker_as)[,}]'"
stop_daemon
it "turns clients away without a daemon" not publish psk -t word -m word
start_daemon
it "takes them again when it is back" publish psk -t word -m word
it "turns away who has another PSK" not publish other -t word -m word
stop_broker
