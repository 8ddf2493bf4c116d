# shellcheck shell=bash disable=SC2154 # of ../run
# Latency of requests of 1 KB, on connections that are there, of a server with one thread,
# while others begin new ones: the same storm for all. What asks is a real-time process, and
# the storm runs when nobody else wants to, so that neither stands in the server's way; both
# have their costs on the one CPU. The agent has the server's priority.

# latency_case NAME KEY RATE ROUND
latency_case() {
	local name=$1 seconds storm_pid values client
	seconds=$(quick 1 4)
	client_of "$name"
	chrt -i 0 "${client[@]}" storm "$3" "$((seconds + 2))" >storm.out &
	storm_pid=$!
	started+=("$storm_pid")
	sleep 1
	values=$(chrt -f 1 "${client[@]}" probe 16 500 "$seconds") || bail_out "$name does not answer"
	! gone "$storm_pid" || bail_out "the storm was over too early"
	wait "$storm_pid" || bail_out "$name does not keep up with new connections"
	values=$(jq -c '.[0] + { connections: .[1].connections, storm_ns: .[1].elapsed_ns }' \
		<(echo "$values") storm.out -s)
	record "{\"key\":\"$2\",\"rate\":$3}" "$name" "$4" "$values"
}

latency() {
	local key name names round rate
	mapfile -t names < <(chosen openssl openssl-ktls keyblob keyblob-option)
	make_content 1024
	for key in P-256 RSA-2048; do
		# With the client's side, what takes OpenSSL half of the CPU or more.
		rate=100
		[ $key = P-256 ] || rate=40
		start_contenders $key "${names[@]}"
		for ((round = 1; round <= rounds; round++)); do
			for name in "${names[@]}"; do
				latency_case "$name" $key $rate "$round"
			done
		done
		stop_contenders "${names[@]}"
	done
	remove_content
}
latency
