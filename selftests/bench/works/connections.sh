# shellcheck shell=bash disable=SC2154 # of ../run
# New connections: handshake, one request of 1 KB, close_notify both ways; full handshakes and
# resumed sessions, by kind of key, and how many are under way at once.

# connections_case KEY KIND AT_ONCE ROUND
connections_case() {
	local key=$1 kind=$2 at_once=$3 round=$4 total name values option=()
	# Enough of each, but all at once where that is more.
	total=$(quick 32 96)
	[ "$total" -ge "$at_once" ] || total=$at_once
	[ "$kind" = full ] || option=(-r)
	for name in "${contenders[@]}"; do
		values=$(load "$name" "${option[@]}" connections "$total" "$at_once") ||
			bail_out "$name, $kind $key, $at_once at once"
		record "{\"kind\":\"$kind\",\"key\":\"$key\",\"concurrent\":$at_once}" \
			"$name" "$round" "$values"
	done
}

connections() {
	local round key kind at_once counts
	make_content 1024
	for key in P-256 RSA-2048; do
		start_contenders $key "${contenders[@]}"
		for ((round = 1; round <= rounds; round++)); do
			read -ra counts <<<"1 16"
			# So many take long, and do not differ from round to round.
			[ "$round" != 1 ] || read -ra counts <<<"$(quick '1 16 64' '1 16 256 1000')"
			for kind in full resumed; do
				for at_once in "${counts[@]}"; do
					connections_case $key $kind "$at_once" "$round"
				done
			done
		done
		stop_contenders "${contenders[@]}"
	done
	remove_content
}
connections
