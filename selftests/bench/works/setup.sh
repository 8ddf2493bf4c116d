# shellcheck shell=bash disable=SC2154 # of ../run
# A socket is given its keys: attach, export and import, against kTLS's three setsockopts.

setup_work() {
	local round suite name values
	for ((round = 1; round <= rounds; round++)); do
		for suite in '1.3 AES-128-GCM' '1.3 AES-256-GCM' '1.3 CHACHA20-POLY1305' '1.2 AES-128-GCM'; do
			for name in ktls keyblob; do
				values=$(setup "${suite% *}" "${suite#* }" $name) ||
					bail_out "$name, TLS $suite"
				record "{\"suite\":\"TLS $suite\"}" $name "$round" "$values"
			done
		done
	done
}
setup_work
