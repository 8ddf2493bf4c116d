# shellcheck shell=bash disable=SC2154 # of ../run
# Bulk: 64 MB in all to the client ("send") or from it ("receive"), over connections that are
# there.

# bulk_case CIPHER send|take CONNECTIONS ROUND NAME...
bulk_case() {
	local cipher=$1 direction=$2 connections=$3 round=$4 name values
	shift 4
	for name; do
		values=$(load "$name" -C "$cipher" bulk "$direction" "$connections" "$bulk_bytes") ||
			bail_out "$name, $direction $connections $cipher"
		record "{\"direction\":\"${direction/take/receive}\",\"connections\":$connections,\"cipher\":\"$cipher\"}" \
			"$name" "$round" "$values"
	done
}

# bulk_cipher CIPHER ROUND NAME...
bulk_cipher() {
	local direction connections cipher=$1 round=$2
	shift 2
	for direction in send take; do
		for connections in 1 16; do
			bulk_case "$cipher" $direction $connections "$round" "$@"
		done
	done
}

bulk() {
	local round cipher here
	bulk_bytes=$(quick $((4 << 20)) $((64 << 20)))
	make_content "$bulk_bytes"
	start_contenders P-256 "${contenders[@]}" ktls
	# OpenSSL 3.0 receives by kTLS in TLS 1.2 alone, which the sidecars need not show, too.
	mapfile -t here < <(chosen openssl openssl-ktls keyblob keyblob-option)
	for ((round = 1; round <= rounds; round++)); do
		for cipher in TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256; do
			bulk_cipher $cipher "$round" "${contenders[@]}" ktls
		done
		bulk_cipher ECDHE-ECDSA-AES128-GCM-SHA256 "$round" "${here[@]}"
	done
	stop_contenders "${contenders[@]}" ktls
	remove_content
}
bulk
