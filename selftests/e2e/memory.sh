#!/bin/bash
# No secret of a connection is in the memory of the agent or of the application, while
# it lives and afterwards. What to look for comes from the client's key log. A control,
# the same search in openssl s_server, shows that what is there is found.

# shellcheck source=lib.sh disable=SC2119 # functions' own arguments are optional
. "$(dirname "$0")/lib.sh"
need_module

mkdir www
head -c 20000 /dev/urandom >www/file
make_cert localhost ec localhost 127.0.0.1 ::1
SSL_CERT_FILE=$work/localhost.pem start_agent --workers 2
start_server www
server_port=$app_port server=$app_pid
start_plain
plain_port=$app_port plain=$app_pid
start_app

suites=(
	'1.3 TLS_AES_128_GCM_SHA256'
	'1.3 TLS_AES_256_GCM_SHA384'
	'1.3 TLS_CHACHA20_POLY1305_SHA256'
	'1.2 ECDHE-ECDSA-AES128-GCM-SHA256'
	'1.2 ECDHE-ECDSA-AES256-GCM-SHA384'
	'1.2 ECDHE-ECDSA-CHACHA20-POLY1305'
)

# hold NAME PORT VERSION CIPHER REQUEST: a connection that has carried data and stays,
# until release_all; its secrets are in NAME.secrets.
holders=()
hold() {
	start_holding "$@"
	wait_held "$1"
}

start_holding() {
	local name=$1
	shift
	mkfifo "$name.hold"
	secrets "$@" <"$name.hold" >"$name.said" 2>&1 &
	started+=($!)
	sleep infinity >"$name.hold" &
	holders+=($!)
	started+=($!)
}

wait_held() {
	local name=$1
	until_true 30 grep -q '^end$' "$name.said" || {
		cat "$name.said"
		return 1
	}
	grep -vE '^(end|listening)$' "$name.said" | sed "s/^/$name./" >"$name.secrets"
	[ -s "$name.secrets" ]
}

release_all() {
	kill "${holders[@]}"
}

# control_finds_them_in_a_tls_server LABEL... -- VERSION CIPHER: those that it keeps.
control_finds_them_in_a_tls_server() {
	local port=$((20000 + RANDOM % 10000)) labels=() label pid
	while [ "$1" != -- ]; do
		labels+=("$1")
		shift
	done
	rm -f control.* s_server.log
	openssl s_server -rev -accept "127.0.0.1:$port" -cert localhost.pem \
		-key localhost.key </dev/null >s_server.log 2>&1 &
	pid=$!
	started+=("$pid")
	until_true 10 grep -qs ACCEPT s_server.log
	hold control "$port" "$2" "$3" $'hello\n'
	memscan control.secrets $pid >found || [ $? = 1 ]
	sed 's/ as .*//' found | sort | uniq -c
	cat control.secrets
	for label in "${labels[@]}"; do
		grep -q "^found control\\.$label as raw in $pid " found
	done
}

search() {
	# shellcheck disable=SC2046 # one word each
	memscan all.secrets "$agent_pid" "$server" "$plain" "$app_pid" $(workers) $(pgrep -P "$server")
}

# agent_and_application_hold_no_secret VERSION CIPHER: while data can still flow on a
# connection of the example, on one whose keys the agent has put into the socket, and on one
# of the helper, and when all have ended.
agent_and_application_hold_no_secret() {
	rm -f ./*.hold ./*.said ./*.secrets
	hold server "$server_port" "$1" "$2" $'GET /file HTTP/1.1\r\nHost: a\r\n\r\n'
	hold plain "$plain_port" "$1" "$2" hello
	hold app "$app_port" "$1" "$2" hello
	cat server.secrets plain.secrets app.secrets >all.secrets
	# TLS 1.2 with AES-GCM has the fewest: master secret and two keys.
	[ "$(wc -l <all.secrets)" -ge 9 ]
	pgrep -P "$server"
	search
	release_all
	until_true 10 fails pgrep -P "$server"
	until_true 10 ended
	search
}

# agent_and_client_hold_no_secret VERSION CIPHER: the same where keyblob is the client.
agent_and_client_hold_no_secret() {
	rm -f ./*.hold ./*.said ./*.secrets
	start_holding peer -s localhost "$peer_port" "$1" "$2"
	until_true 10 grep -q listening peer.said
	talk client client -a "$agent_path" -i "$peer_port"
	echo hello >client.in
	wait_held peer
	[ "$(wc -l <peer.secrets)" -ge 3 ]
	[ "$(cat client.out)" = hello ]
	# shellcheck disable=SC2046 # one word each
	memscan peer.secrets "$agent_pid" "${talker[client]}" $(workers)
	release_all
	hang_up client
	# shellcheck disable=SC2046
	memscan peer.secrets "$agent_pid" $(workers)
	expect "$(cat client.log)" 'end=OK'
}

ended() {
	[[ $(tail -n 1 "$app_log") == *" end=OK "* ]]
}

secrets13='CLIENT_TRAFFIC_SECRET_0 CLIENT_TRAFFIC_SECRET_0.key CLIENT_TRAFFIC_SECRET_0.iv'
secrets13="$secrets13 SERVER_TRAFFIC_SECRET_0 SERVER_TRAFFIC_SECRET_0.key SERVER_TRAFFIC_SECRET_0.iv"
secrets12='MASTER_SECRET CLIENT.key SERVER.key'
run_tests \
	"agent_and_application_hold_no_secret ${suites[0]}" \
	"agent_and_application_hold_no_secret ${suites[1]}" \
	"agent_and_application_hold_no_secret ${suites[2]}" \
	"agent_and_application_hold_no_secret ${suites[3]}" \
	"agent_and_application_hold_no_secret ${suites[4]}" \
	"agent_and_application_hold_no_secret ${suites[5]}" \
	"agent_and_client_hold_no_secret ${suites[0]}" \
	"agent_and_client_hold_no_secret ${suites[1]}" \
	"agent_and_client_hold_no_secret ${suites[2]}" \
	"agent_and_client_hold_no_secret ${suites[3]}" \
	"agent_and_client_hold_no_secret ${suites[4]}" \
	"agent_and_client_hold_no_secret ${suites[5]}" \
	"control_finds_them_in_a_tls_server $secrets13 -- ${suites[0]}" \
	"control_finds_them_in_a_tls_server $secrets13 -- ${suites[1]}" \
	"control_finds_them_in_a_tls_server $secrets13 -- ${suites[2]}" \
	"control_finds_them_in_a_tls_server $secrets12 -- ${suites[3]}" \
	"control_finds_them_in_a_tls_server $secrets12 -- ${suites[4]}" \
	"control_finds_them_in_a_tls_server $secrets12 CLIENT.iv SERVER.iv -- ${suites[5]}"
