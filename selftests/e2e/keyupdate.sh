#!/bin/bash
# KeyUpdates between a keyblob socket and other people's TLS 1.3: asked for by either,
# ten thousand of them under data, and those that the module makes by itself. Keyblob is
# the server (the example and the helper app), and then the client.

# shellcheck source=lib.sh disable=SC2119 # functions' own arguments are optional
. "$(dirname "$0")/lib.sh"
need_module

parameters=/sys/module/keyblob/parameters

# set_parameters NAME=VALUE...
set_parameters() {
	local setting
	for setting; do
		echo "${setting#*=}" >"$parameters/${setting%=*}"
	done
}

defaults() {
	set_parameters records_max=0 keyupdates_in_row=32 keyupdates_per_second=1000
}

# What passed is lines of this kind, so that programs may print others in between, and
# none of them is a command.
passed_lines() {
	grep -aE '^( [0-9a-f]{2}){16}$' "$1"
}

arrived() {
	passed_lines "$2.out" | cmp -s - "$1.said"
}

# pass FROM TO: something new, and all that FROM has said so far is what TO printed.
pass() {
	od -An -v -tx1 -N 2048 /dev/urandom >piece
	cat piece >>"$1.said"
	cat piece >"$1.in"
	until_true 20 arrived "$1" "$2" || {
		tail "$1".[ol]* "$2".[ol]*
		return 1
	}
}

# generations PID: of a process' keyblob socket, sending and receiving.
generations() {
	keyblob info "$1" | sed -nE 's/^ *(sending|receiving): generation ([0-9]+),.*/\2/p' | xargs
}

generations_are() {
	[ "$(generations "$1")" = "$2" ]
}

expect_generations() {
	expect "$(generations "$1")" "^$2\$"
}

logged_times() {
	[ "$(grep -c "$2" "$3")" = "$1" ]
}

# key_update_by_CLIENT COMMAND NUMBER: the client, named peer, does its NUMBERth one.
key_update_by_s_client() {
	say peer "$1"
	until_true 10 logged_times "$2" '^KEYUPDATE' peer.log
}

key_update_by_gnutls_cli() {
	say peer "^$1^"
	until_true 10 logged_times "$2" 'Rekey was completed' peer.out
}

s_client() {
	exec openssl s_client -tls1_3 -brief -CAfile localhost.pem -verify_return_error \
		-connect "127.0.0.1:$app_port" "$@"
}

gnutls_cli() {
	exec gnutls-cli --inline-commands --x509cafile localhost.pem \
		--priority "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+$1" -p "$app_port" localhost
}

# app_obeys CLIENT CIPHER COMMAND...: to each it changes the key that it receives with;
# K and rekey ask for the other one as well.
app_obeys() {
	local client=$1 cipher=$2 command tx=0 rx=0
	shift 2
	start_app
	if [ "$client" = s_client ]; then
		talk peer s_client -ciphersuites "$cipher"
	else
		talk peer gnutls_cli "$cipher"
	fi
	pass peer peer
	expect_generations "$app_pid" '0 0'
	for command; do
		rx=$((rx + 1))
		case $command in
		K | rekey) tx=$((tx + 1)) ;;
		esac
		key_update_by_"$client" "$command" "$rx"
		pass peer peer
		pass peer peer
		expect_generations "$app_pid" "$tx $rx"
	done
	hang_up peer
	expect "$(told end '[0-9]*')" "end=OK bytes=$(wc -c <peer.said)"
}

# server_obeys CLIENT COMMAND GENERATIONS: between two files of one connection.
server_obeys() {
	local client=$1 command=$2 generations="$3 $4" number
	start_server www
	if [ "$client" = s_client ]; then
		talk peer s_client -crlf
	else
		talk peer gnutls_cli AES-128-GCM --crlf
	fi
	for number in 1 2 3; do
		printf 'GET /lines HTTP/1.1\nHost: localhost\n\n' >peer.in
		cat www/lines >>peer.said
		until_true 30 arrived peer peer
		[ "$number" = 3 ] || key_update_by_"$client" "$command" "$number"
	done
	expect_generations "$(pgrep -P "$app_pid")" "$generations"
	hang_up peer
}

# The module's limit is 32 without data between them.
many_in_a_row_are_obeyed() {
	local i
	start_app
	talk peer s_client
	pass peer peer
	for ((i = 1; i <= 64; i++)); do
		key_update_by_s_client "$([ $((i % 2)) = 0 ] && echo K || echo k)" "$i"
		[ "$i" != 32 ] || pass peer peer
	done
	pass peer peer
	expect_generations "$app_pid" '32 64'
	hang_up peer
}

too_many_in_a_row_are_refused() {
	local refused i
	refused=$(<$parameters/keyupdates_refused)
	start_app
	talk peer s_client
	pass peer peer
	for ((i = 1; i <= 33; i++)); do
		key_update_by_s_client k "$i"
	done
	until_true 10 grep -q 'alert number 10$' peer.log
	[ "$(<$parameters/keyupdates_refused)" = $((refused + 1)) ]
	expect "$(told end '[0-9]*')" 'end=EPROTO'
}

s_server() {
	exec openssl s_server -tls1_3 -accept "127.0.0.1:$peer_port" -cert localhost.pem \
		-key localhost.key -ciphersuites "$@"
}

gnutls_serv() {
	exec gnutls-serv --echo --crlf -p "$peer_port" --x509certfile localhost.pem \
		--x509keyfile localhost.key \
		--priority "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+$1"
}

# client_and_s_server CIPHERSUITE: each changes its keys, asks for the other's, and the
# client takes the tickets for what they are.
client_and_s_server() {
	local who command tx=0 rx=0
	start_peer s_server "$1"
	talk client client -a "$agent_path" -i "$peer_port"
	for command in '' client:k peer:k client:K peer:K peer:K client:K peer:k client:k; do
		case $command in
		*:K) tx=$((tx + 1)) rx=$((rx + 1)) ;;
		client:k) tx=$((tx + 1)) ;;
		peer:k) rx=$((rx + 1)) ;;
		esac
		who=${command%:*}
		[ -z "$command" ] || say "$who" "${command#*:}"
		# To say more at once would be taken for a part of the command. The answer to the
		# client's request comes with data.
		case $command in
		peer:*) until_true 10 generations_are "${talker[client]}" "$tx $rx" ;;
		esac
		pass client peer
		pass peer client
		expect_generations "${talker[client]}" "$tx $rx"
	done
	expect "$(keyblob info "${talker[client]}")" 'TLS 1.3, .*, as client'
	hang_up client
	cat client.log
	expect "$(cat client.log)" "end=OK tx_generation=$tx rx_generation=$rx tickets=2 "
	[ "$(field sent "$(tail -n 1 client.log)")" = "$(wc -c <client.said)" ]
	[ "$(field received "$(tail -n 1 client.log)")" = "$(wc -c <peer.said)" ]
}

client_and_gnutls_serv() {
	local command tx=0 rx=0
	start_peer gnutls_serv "$1"
	talk client client -a "$agent_path" -i "$peer_port"
	for command in '' k K K k; do
		[ -z "$command" ] || say client "$command"
		tx=$((tx + ${#command}))
		[ "$command" != K ] || rx=$((rx + 1))
		pass client client
		expect_generations "${talker[client]}" "$tx $rx"
	done
	hang_up client
	cat client.log
	expect "$(cat client.log)" "end=OK tx_generation=$tx rx_generation=$rx tickets=[1-9]"
}

# updater_is_echoed SECONDS BYTES SEEN GENERATIONS ARGUMENT...: by the app, in that time;
# SEEN is what updater tells behind the number of bytes.
updater_is_echoed() {
	local seconds=$1 bytes=$2 seen=$3 generations=$4
	shift 4
	start_app
	talk peer updater "$app_port" "$@"
	until_true "$seconds" grep -q updates= peer.out || cat peer.log
	cat peer.out
	expect "$(cat peer.out)" "^sent=$bytes $seen "
	expect_generations "$app_pid" "$generations"
	hang_up peer
	expect "$(told end '[0-9]*')" "end=OK bytes=$bytes"
}

# ten_thousand_by_openssl CIPHERSUITE: each with a request, with data there and back
# under way, on one connection.
ten_thousand_by_openssl() {
	set_parameters keyupdates_per_second=1000000
	updater_is_echoed 120 $((10001 * 600)) updates=10000 '10000 10000' 10000 600 -c "$1"
}

# ten_thousand_by_the_client CIPHERSUITE: half of them with a request; s_server has much to
# send meanwhile, and nothing but answers in the end.
ten_thousand_by_the_client() {
	head -c 6000000 /dev/urandom >there
	start_peer s_server "$1" -quiet
	talk client client -a "$agent_path" -u 600 "$peer_port"
	cat www/large >peer.in &
	cat there >client.in || cat client.log
	until_true 120 same_size there peer.out
	until_true 60 same_size www/large client.out
	cmp there peer.out
	cmp www/large client.out
	hang_up client
	cat client.log
	expect "$(cat client.log)" ' end=OK tx_generation=10000 rx_generation=[1-9][0-9]* tickets=2 '
	# One answer may do for several requests.
	expect_at_most "$(field rx_generation "$(tail -n 1 client.log)")" 5000 answers
}

# What the 4096 full records of 64 MB, and few others, make of keys that are good for 99 of
# them and a KeyUpdate.
generation_of_64_mb=41

# The second file is one that curl waits with, as nobody reads it; the connection stays.
curl_gets_64_mb_under_many_keys() {
	set_parameters records_max=100
	start_server www
	: >got
	mkfifo wait
	curl -sS --tlsv1.3 --cacert localhost.pem -o got "https://localhost:$app_port/large" \
		-o wait "https://localhost:$app_port/lines" 2>curl.log &
	started+=($!)
	until_true 100 same_size www/large got || cat curl.log
	cat curl.log
	cmp got www/large
	expect_generations "$(pgrep -P "$app_pid")" "$generation_of_64_mb 0"
	cmp wait www/lines
	rm got wait
}

# 42 times 100 full records, each time under a key of OpenSSL's own; they come back under
# as many keys as the module finds necessary.
openssl_echoes_64_mb_under_many_keys() {
	set_parameters records_max=100
	updater_is_echoed 100 68812800 'updates=42 longest=100' '42 41' 41 1638400 -k
}

# And as many the other way, where s_server has one key for all.
client_sends_64_mb_under_many_keys() {
	set_parameters records_max=100
	start_peer s_server TLS_AES_128_GCM_SHA256 -quiet
	talk client client -a "$agent_path" "$peer_port"
	cat www/large >client.in &
	cat www/large >peer.in &
	until_true 100 same_size www/large peer.out
	until_true 100 same_size www/large client.out
	cmp peer.out www/large
	cmp client.out www/large
	hang_up client
	cat client.log
	expect "$(cat client.log)" \
		" end=OK tx_generation=$generation_of_64_mb rx_generation=0 tickets=2 "
}

mkdir www
od -An -v -tx1 -N 50000 /dev/urandom | head -n 3000 >www/lines
head -c $((64 << 20)) /dev/urandom >www/large
# Whom the agent trusts, as a client.
make_cert localhost ec localhost 127.0.0.1 ::1
export SSL_CERT_FILE=$work/localhost.pem
start_agent --workers 2
unset SSL_CERT_FILE

trap 'defaults; clean_up' EXIT
# The streams of selftests/stream have the other suites there, and many updates. Where the
# kernel is slow, one peer has to do; gnutls-cli would take a minute for a page.
if [ -n "${KEYBLOB_SLOW_KERNEL-}" ]; then
	: "${KEYBLOB_TESTS:=(app_obeys s_client|client_and_s_server) TLS_AES_128|too_many|curl}"
elif [ -n "${KEYBLOB_FEW_VARIANTS-}" ]; then
	: "${KEYBLOB_TESTS:=(app_obeys|client_and).*AES.128|server_obeys s_client|in_a_row|curl}"
fi
run_tests \
	'app_obeys s_client TLS_AES_128_GCM_SHA256 k K K k' \
	'app_obeys s_client TLS_AES_256_GCM_SHA384 k K K k' \
	'app_obeys s_client TLS_CHACHA20_POLY1305_SHA256 k K K k' \
	'app_obeys gnutls_cli AES-128-GCM rekey1 rekey rekey rekey1' \
	'app_obeys gnutls_cli AES-256-GCM rekey1 rekey rekey rekey1' \
	'app_obeys gnutls_cli CHACHA20-POLY1305 rekey1 rekey rekey rekey1' \
	'server_obeys s_client k 0 2' \
	'server_obeys s_client K 2 2' \
	'server_obeys gnutls_cli rekey1 0 2' \
	'server_obeys gnutls_cli rekey 2 2' \
	many_in_a_row_are_obeyed \
	too_many_in_a_row_are_refused \
	'client_and_s_server TLS_AES_128_GCM_SHA256' \
	'client_and_s_server TLS_AES_256_GCM_SHA384' \
	'client_and_s_server TLS_CHACHA20_POLY1305_SHA256' \
	'client_and_gnutls_serv AES-128-GCM' \
	'client_and_gnutls_serv AES-256-GCM' \
	'client_and_gnutls_serv CHACHA20-POLY1305' \
	'ten_thousand_by_openssl TLS_AES_128_GCM_SHA256' \
	'ten_thousand_by_the_client TLS_AES_256_GCM_SHA384' \
	curl_gets_64_mb_under_many_keys \
	openssl_echoes_64_mb_under_many_keys \
	client_sends_64_mb_under_many_keys
