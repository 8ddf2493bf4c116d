#!/bin/bash
# Hostile and unlucky peers: each costs its own handshake alone, is told by a TLS alert
# where TLS allows one, and the application learns the cause.

# shellcheck source=lib.sh disable=SC2119 # functions' own arguments are optional
. "$(dirname "$0")/lib.sh"
need_module

start_agent --workers 1
start_app -t 1500

# A handshake of 1.5 s, and what a loaded machine adds.
prompt_ms=3000

# peer_gets STAGE ACT RESULT ALERT ERROR [WIRE] [OPTION...]: the application is told
# RESULT, an ALERT and an ERROR that match; the bytes on the WIRE match.
peer_gets() {
	local stage=$1 what=$2 result=$3 alert=$4 error=$5 wire=${6:-} line said
	shift 6
	line=$(peer "$@" "$app_port" "$stage" "$what")
	echo "peer: $line"
	said=$(told result "$(field port "$line")")
	echo "app: $said"
	expect "$said" "result=$result ms=[0-9]+ alert=$alert error=.*$error"
	expect "$(field wire "$line")" "^$wire\$"
	expect_at_most "$(field ms "$said")" $prompt_ms 'ms in the call'
}

# A plaintext alert: fatal, N in hex.
plain_alert() {
	echo "150303000202$1"
}

# user_canceled and close_notify, warnings both (RFC 8446 section 6.1).
canceled=1503030002015a15030300020100

# Where the server's keys are in use, the alert is encrypted: one record of alert size
# behind the session tickets, if it sent any.
client_reads_alert() {
	local number=$1 line
	shift
	line=$(peer "$@")
	echo "peer: $line"
	expect "$line" " alert=$number "
}

silent_peer_times_out() {
	peer_gets connect wait ETIMEDOUT sent:90 'timed out after 1.5 s, peer sent 0 bytes' \
		"$canceled"
}

peer_that_stalls_in_its_hello_times_out() {
	peer_gets half wait ETIMEDOUT sent:90 'timed out after 1.5 s, peer sent [1-9][0-9]+ bytes' \
		"$canceled"
}

# Its keys being in use, nothing that is not encrypted may follow.
peer_that_stalls_before_its_finished_times_out() {
	peer_gets hello wait ETIMEDOUT '(none|sent:90)' 'timed out after 1.5 s' '.*' -v "$1"
}

peer_that_stalls_in_its_finished_times_out() {
	peer_gets almost wait ETIMEDOUT '(none|sent:90)' 'timed out after 1.5 s' '.*' -v "$1"
}

garbage_is_no_tls() {
	peer_gets connect garbage ECONNABORTED sent:10 'does not speak TLS' "$(plain_alert 0a)"
}

garbage_in_the_hello_ends_it() {
	peer_gets half garbage ECONNABORTED 'sent:[0-9]+' '.' '15030[1-4]000202..'
}

garbage_as_a_record_is_bad_record_mac() {
	peer_gets hello garbage ECONNABORTED "sent:$2" '.' '.*' -v "$1"
	client_reads_alert "$2" -v "$1" "$app_port" hello garbage
}

plain_http_is_named() {
	peer_gets connect http ECONNABORTED 'sent:[0-9]+' 'plain HTTP' '15030[1-4]000202..'
}

# peer_that_leaves_is_named STAGE fin|rst ERROR: an end of TCP alone is decode_error (50).
peer_that_leaves_is_named() {
	local stage=$1 what=$2
	shift 2
	# Not before the handshake is under way.
	peer_gets "$stage" "$what" ECONNRESET '(none|sent:50)' "$*" '.*' -d 200
}

# Before the agent has seen the socket.
peer_that_leaves_at_once_is_named() {
	peer_gets connect fin '(ENOTCONN|ECONNRESET)' none '(no longer, connected|peer closed)' -
}

fatal_alert_of_the_peer_is_named() {
	peer_gets hello alert ECONNABORTED received:46 'peer sent alert 46 certificate_unknown' '.*' -v "$1"
}

# Encrypted, in TLS 1.3, and by a client that others wrote.
client_that_distrusts_the_certificate_is_named() {
	local said
	make_cert other ec localhost
	fails openssl s_client "$@" -CAfile other.pem -verify_return_error \
		-connect "127.0.0.1:$app_port" >client.log 2>&1
	until_true 5 tail_of_app 'alert=received:48'
	said=$(tail -n 1 "$app_log")
	expect "$said" 'alert=received:48 error=peer sent alert 48 unknown_ca'
}

tail_of_app() {
	tail -n 1 "$app_log" | grep -q "$1"
}

old_versions_are_refused() {
	peer_gets hello wait ECONNABORTED sent:70 'no TLS version in common' '.*' -v 1.1
	client_reads_alert 70 -v 1.1 "$app_port" hello wait
	expect "$(peer -v 1.1 "$app_port" hello wait)" ' end=(eof|reset) '
}

no_cipher_in_common_is_refused() {
	peer_gets hello wait ECONNABORTED sent:40 'no cipher in common' '.*' -v 1.2 -c AES128-SHA
	client_reads_alert 40 -v 1.2 -c AES128-SHA "$app_port" hello wait
	# Without forward secrecy: refused, though the kernel could carry it.
	client_reads_alert 40 -v 1.2 -c AES128-GCM-SHA256 "$app_port" hello wait
}

no_protocol_in_common_is_refused() {
	start_app -l h2
	peer_gets hello wait ECONNABORTED sent:120 'no application protocol' '.*' -l spdy/1
	client_reads_alert 120 -l spdy/1 "$app_port" hello wait
}

# The server's certificate is ECDSA: a TLS 1.2 client that takes RSA only.
certificate_of_the_wrong_kind_is_refused() {
	peer_gets hello wait ECONNABORTED sent:40 'no cipher in common' '.*' \
		-v 1.2 -c ECDHE-RSA-AES128-GCM-SHA256
}

# While many others stall, speak nonsense and disappear, in the one worker there is.
others_are_not_slowed_down() {
	local pids=() began
	for _ in {1..15}; do
		peer "$app_port" connect wait >/dev/null &
		pids+=($!)
		peer "$app_port" half wait >/dev/null &
		pids+=($!)
		peer "$app_port" hello wait >/dev/null &
		pids+=($!)
	done
	sleep 0.3
	for _ in 1 2 3; do
		peer "$app_port" connect garbage >/dev/null
		peer "$app_port" hello rst >/dev/null
		began=$(now_ms)
		peer "$app_port" finish close hello >good
		expect "$(cat good)" 'handshake=yes .*alert=0 end=eof'
		expect_at_most $(($(now_ms) - began)) 1400 'ms for a good peer'
	done
	wait "${pids[@]}"
}

timed_out_and_lost_handshakes_leave_no_descriptor() {
	until_true 5 open_files_are "$files" "$agent_pid"
	until_true 5 open_files_are "$app_files" "$app_pid"
}

peer "$app_port" finish close warm-up >/dev/null
until_true 5 grep -q end= "$app_log"
files=$(open_files "$agent_pid")
app_files=$(open_files "$app_pid")

run_tests \
	silent_peer_times_out \
	peer_that_stalls_in_its_hello_times_out \
	'peer_that_stalls_before_its_finished_times_out 1.3' \
	'peer_that_stalls_before_its_finished_times_out 1.2' \
	'peer_that_stalls_in_its_finished_times_out 1.3' \
	'peer_that_stalls_in_its_finished_times_out 1.2' \
	garbage_is_no_tls \
	garbage_in_the_hello_ends_it \
	'garbage_as_a_record_is_bad_record_mac 1.3 20' \
	'garbage_as_a_record_is_bad_record_mac 1.2 10' \
	plain_http_is_named \
	'peer_that_leaves_is_named connect fin peer closed the connection during the handshake, having sent 0 bytes' \
	'peer_that_leaves_is_named half fin peer closed the connection' \
	'peer_that_leaves_is_named hello fin peer closed the connection' \
	'peer_that_leaves_is_named almost fin peer closed the connection' \
	'peer_that_leaves_is_named connect rst peer reset the connection' \
	'peer_that_leaves_is_named half rst peer reset the connection' \
	'peer_that_leaves_is_named hello rst peer reset the connection' \
	'peer_that_leaves_is_named almost rst peer reset the connection' \
	peer_that_leaves_at_once_is_named \
	'fatal_alert_of_the_peer_is_named 1.3' \
	'fatal_alert_of_the_peer_is_named 1.2' \
	'client_that_distrusts_the_certificate_is_named -tls1_3' \
	'client_that_distrusts_the_certificate_is_named -tls1_2' \
	old_versions_are_refused \
	no_cipher_in_common_is_refused \
	no_protocol_in_common_is_refused \
	certificate_of_the_wrong_kind_is_refused \
	others_are_not_slowed_down \
	timed_out_and_lost_handshakes_leave_no_descriptor
