# shellcheck shell=bash disable=SC2154 # of ../run and ../contenders.sh
# Do connections that are open make others dearer? What a new one costs all processes and the
# kernel, the client included, and what a byte does, while so many others do nothing.
# shellcheck source=../hold.sh
. "$bench/hold.sh"

growth_at() {
	local name=$1 round=$2 open=$3 bytes=$4 connections bulk
	hold "$name" "$open"
	connections=$(load "$name" connections "$(quick 20 200)" 1) || bail_out "$name: connections"
	bulk=$(load "$name" bulk send 1 "$bytes") || bail_out "$name: bulk"
	record "{\"open\":$open}" "$name" "$round" \
		"$(jq -nc --argjson c "$connections" --argjson b "$bulk" '
			def all: .client_ns + .application_ns + .sidecar_ns + .agent_ns + .kernel_ns;
			{handshake_ns: (($c | all) / $c.connections | round), byte_ns: (($b | all) / $b.bytes)}')"
	release "$name"
}

growth() {
	local round name open counts bytes
	bytes=$(quick $((1 << 20)) $((8 << 20)))
	make_content "$bytes"
	for ((round = 1; round <= rounds; round++)); do
		read -ra counts <<<"$(quick '10 200' '10 1000')"
		# That many take long, and do not differ from round to round.
		[ "$round" != 1 ] || read -ra counts <<<"$(quick '10 200' '10 1000 10000')"
		for name in $(chosen openssl keyblob); do
			start_contender "$name" P-256
			for open in "${counts[@]}"; do
				growth_at "$name" "$round" "$open" "$bytes"
			done
			stop_contender "$name"
		done
	done
	remove_content
}
growth
