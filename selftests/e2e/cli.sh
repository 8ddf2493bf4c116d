#!/bin/bash
# keyblob info, on live sockets.

# shellcheck source=lib.sh disable=SC2119 # functions' own arguments are optional
. "$(dirname "$0")/lib.sh"
need_module

start_agent --workers 1
start_app

# connect_and_hold NAME VERSION CIPHER: until descriptor 9 is closed.
connect_and_hold() {
	rm -f hold
	mkfifo hold
	secrets "$app_port" "$1" "$2" hello <hold >said 2>&1 &
	exec 9>hold
	until_true 20 grep -q '^end$' said
	client_port=$(sed -n 's/^peer=\([0-9]*\) result=OK.*/\1/p' "$app_log" | tail -n 1)
}

release() {
	exec 9>&-
	until_true 5 grep -q "peer=$client_port end=" "$app_log"
	rm hold
}

info_shows_a_live_socket() {
	local said
	connect_and_hold "$1" "$2"
	said=$(keyblob info "$app_pid")
	echo "$said"
	expect "$said" "^socket: app\\[$app_pid\\] fd [0-9]+"
	expect "$said" "local: .*127.0.0.1\\]?:$app_port"$'\n'
	expect "$said" "peer: .*127.0.0.1\\]?:$client_port"$'\n'
	expect "$said" "protocol: TLS $1, $3(, as server)?"$'\n'
	expect "$said" "sending: generation 0, $4 records?, open"
	expect "$said" "receiving: generation 0, $5 records?, open"
	expect "$(keyblob info)" "socket: app\\[$app_pid\\]"
	release
	expect "$(keyblob info "$app_pid" 2>&1)" "process $app_pid has no keyblob socket"
}

info_shows_that_there_is_no_key_yet() {
	local said
	peer -d 200 "$app_port" connect wait &
	started+=($!)
	until_true 5 info_has 'no key yet'
	expect "$(keyblob info "$app_pid")" 'sending: no key yet'
	kill $!
}

info_has() {
	keyblob info "$app_pid" 2>&1 | grep -q "$1"
}

info_on_something_else_says_so() {
	fails keyblob info "$app_pid" 1 2>said
	expect "$(cat said)" 'not a keyblob socket'
	fails keyblob info --fd 0 2>said </dev/null
	expect "$(cat said)" 'not a keyblob socket'
	fails keyblob info 999999 2>said
	expect "$(cat said)" 'No such process'
	fails keyblob info --fd x 2>said
	expect "$(cat said)" 'not a descriptor number'
}

run_tests \
	'info_shows_a_live_socket 1.3 TLS_AES_128_GCM_SHA256 AES-128-GCM [1-9] 1' \
	'info_shows_a_live_socket 1.3 TLS_CHACHA20_POLY1305_SHA256 ChaCha20-Poly1305 [1-9] 1' \
	'info_shows_a_live_socket 1.2 ECDHE-ECDSA-AES256-GCM-SHA384 AES-256-GCM 2 2' \
	info_shows_that_there_is_no_key_yet \
	info_on_something_else_says_so
