# shellcheck shell=bash disable=SC2154 # of ../run and ../contenders.sh
# What a connection occupies that does nothing, in the kernel and in all processes of the
# server's side: the difference between many of them and a few. The client's end, which is in
# the same kernel, is taken off: it is as large as half of a connection without TLS. What the
# kernel needs for no TLS, for raw kTLS, and for keys that are imported without an agent, is
# half of what connections need of which both ends are like that.
# shellcheck source=../hold.sh
. "$bench/hold.sh"

# As many as have their handshakes at once are among them.
memory_few=80

# memory_of NAME COUNT: memory's account, with so many connections held.
memory_of() {
	hold "$1" "$2"
	memory now client "$holder" application "${application[$1]}" sidecar "${sidecar[$1]}" \
		agent "${agent[$1]}"
	release "$1"
}

# memory_each MANY FEW COUNT OWN: of each connection, a record's values.
memory_each() {
	jq -nc --argjson many "$1" --argjson few "$2" --argjson count "$3" --argjson own "$4" '
		$many | with_entries(.value = (((.value - $few[.key]) / $count) | round)) | .kernel_bytes -= $own
			| . + {user_bytes: (.application_bytes + .sidecar_bytes + .agent_bytes)}'
}

memory_contender() {
	local name=$1 round=$2 own=$3 few count
	shift 3
	start_contender "$name" P-256
	few=$(memory_of "$name" $memory_few) || exit
	for count; do
		record "{\"connections\":$count}" "$name" "$round" \
			"$(memory_each "$(memory_of "$name" $((memory_few + count)))" "$few" "$count" "$own")"
	done
	stop_contender "$name"
}

# memory_counts ROUND [NAME]: how many connections. 10,000 take long, and do not differ from
# round to round: once, of those that are compared most closely.
memory_counts() {
	case $1,${2:-} in
	1, | 1,openssl | 1,keyblob) quick '100 300' '100 1000 10000' ;;
	*) quick '100 300' '100 1000' ;;
	esac
}

memory_round() {
	local round=$1 name count own kind
	for count in $(memory_counts "$round"); do
		for kind in plain ktls keyblob; do
			record "{\"connections\":$count}" "${kind/keyblob/keyblob-import}" "$round" \
				"$(memory ends $kind "$count")"
		done
	done
	own=$(memory ends plain 1000 | jq .kernel_bytes)
	for name in "${contenders[@]}"; do
		# shellcheck disable=SC2046 # words
		memory_contender "$name" "$round" "$own" $(memory_counts "$round" "$name")
	done
}

memory_work() {
	local round
	make_content 65536
	for ((round = 1; round <= rounds; round++)); do
		memory_round "$round"
	done
	remove_content
}
memory_work
