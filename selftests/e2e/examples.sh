#!/bin/bash
# The examples that have TLS by options of their sockets, with other people's TLS at the
# other end. Those in Go and Rust are built with the tests, where there is a compiler.

# shellcheck source=lib.sh disable=SC2119 # functions' own arguments are optional
. "$(dirname "$0")/lib.sh"
examples=$(realpath "$e2e/../../userspace/examples")
servers=(echo-server.c echo-server.rs echo-server-asyncio.py
	https-server.py https-server.go https-server.mjs)

# find_example NAME [ARGUMENT...]: sets command, or skips the test.
find_example() {
	local name=$1
	shift
	case $name in
	*.c) command=("${name%.c}" "$@") ;;
	*.go) command=(https-server-go "${@/#/:}") ;;
	*.rs) command=(echo-server-rs "$@") ;;
	*.mjs) command=("$examples/tls-listen.py" "$@" node "$examples/$name") ;;
	*) command=("$examples/$name" "$@") ;;
	esac
	[[ $name != *.mjs ]] || type -P node >/dev/null || skip "there is no Node"
	type -P "${command[0]}" >/dev/null || skip "there was no compiler for $name"
}

# start_example NAME: on app_port, in the directory www; sets app_pid and app_log.
start_example() {
	find_example "$1" "$app_port"
	app_log=$work/$1.log
	(cd www && exec "${command[@]}") >"$app_log" 2>&1 &
	app_pid=$!
	started+=("$app_pid")
	until_true 60 listens_or_is_gone
}

listens_or_is_gone() {
	listens "$app_port" || gone "$app_pid"
}

# fetch NAME: what the example gives over TLS to who verifies it, in got.
fetch() {
	case $1 in
	echo-*)
		talk client openssl s_client -quiet -no_ign_eof -verify_return_error \
			-CAfile localhost.pem -connect "localhost:$app_port"
		cat www/file >client.in &
		until_true 20 same_size www/file client.out || cat client.log "$app_log"
		hang_up client
		cp client.out got
		;;
	https-*)
		curl -sS --max-time 20 --cacert localhost.pem -o got "https://localhost:$app_port/file"
		;;
	esac
}

plain_http_gets_nothing() {
	rm -f got
	fails curl -sS --max-time 20 -o got "http://localhost:$app_port/file"
	[ ! -s got ]
}

mkdir www
od -An -v -tx1 -N 40000 /dev/urandom >www/file
app_port=$((20000 + RANDOM % 10000))

# Before there is an agent, which would have to come back after the module.
if [ -d /sys/module/keyblob ]; then
	until_true 10 rmmod keyblob || bail_out "the module is in use"
fi
for name in "${servers[@]}"; do
	(
		trap stop_started EXIT
		start_example "$name"
		plain_http_gets_nothing
	)
	mv "$name.log" "$name.without"
done >without.log 2>&1
need_module

make_cert localhost ec localhost 127.0.0.1 ::1
start_configured 'timeout = 60' '[client]' "trust = $work/localhost.pem"

# lines_of_code FILE: without those that are blank or comment.
lines_of_code() {
	grep -vcE '^[[:space:]]*(#|//|/?\*|$)' "$examples/$1"
}

examples_are_short() {
	local name
	for name in "${servers[@]}" tls-listen.py https-get.py; do
		expect_at_most "$(lines_of_code "$name")" 60 "$name"
	done
}

# missing_module_is_told NAME
missing_module_is_told() {
	find_example "$1"
	cat without.log
	expect "$(cat "$1.without")" 'modprobe keyblob'
}

# serves_over_TLS NAME
serves_over_TLS() {
	start_example "$1"
	fetch "$1"
	case $1 in
	*.mjs) expect "$(cat got)" '^hello, you asked for /file$' ;;
	*) cmp got www/file ;;
	esac
}

# plain_peer_is_refused NAME
plain_peer_is_refused() {
	start_example "$1"
	plain_http_gets_nothing
	fetch "$1"
	cat "$app_log"
	case $1 in
	*.rs) expect "$(cat "$app_log")" 'abort' ;;
	echo-*) expect "$(cat "$app_log")" 'handshake failed: .*plain HTTP' ;;
	esac
}

# dawdling_peer_keeps_nobody_waiting NAME
dawdling_peer_keeps_nobody_waiting() {
	start_example "$1"
	exec 7<>"/dev/tcp/127.0.0.1/$app_port"
	fetch "$1"
	[ -s got ]
	exec 7>&-
}

# The connection was there before the program.
service_managers_socket_becomes_one_for_TLS() {
	find_example https-server.mjs
	systemd-socket-activate -l "$app_port" "$examples/tls-listen.py" node \
		"$examples/https-server.mjs" >said 2>&1 &
	started+=($!)
	until_true 20 listens "$app_port"
	fetch https-server.mjs
	expect "$(cat got)" '^hello, you asked for /file$'
	plain_http_gets_nothing
}

# serve CERTIFICATE: openssl s_server at peer_port.
serve() {
	start_peer openssl s_server -accept "$peer_port" -cert "$1.pem" -key "$1.key" -quiet
}

# get HOST: with the client; sets status and said.
get() {
	status=0
	said=$(timeout 60 "$examples/https-get.py" "https://$1:$peer_port/file" 2>&1) || status=$?
	echo "$said"
}

client_gets_the_page() {
	(
		cd www
		exec openssl s_server -accept "$peer_port" -cert ../localhost.pem -key ../localhost.key -WWW
	) >peer.log 2>&1 &
	started+=($!)
	until_true 10 listens "$peer_port"
	get localhost
	[ "$status" = 0 ]
	expect "$said" '^HTTP/1.0 200 '
	echo "$said" | tail -n "$(wc -l <www/file)" | cmp - www/file
}

# client_refuses CERTIFICATE HOST WHY: and tells the server nothing.
client_refuses() {
	serve "$1"
	get "$2"
	[ "$status" = 1 ]
	expect "$said" "^$2: Key was rejected by service: .*$3"
	[ ! -s peer.out ]
}

# missing_agent_is_told NAME: these are the last, as they stop it.
missing_agent_is_told() {
	gone "$agent_pid" || stop "$agent_pid"
	if [ "$1" = https-get.py ]; then
		serve localhost
		get localhost
		[ "$status" = 1 ]
		[ ! -s peer.out ]
	else
		start_example "$1"
		plain_http_gets_nothing
		until_true 10 test -s "$app_log"
		said=$(cat "$app_log")
		echo "$said"
	fi
	expect "$said" 'is keyblobd running'
}

tests=(examples_are_short)
for name in "${servers[@]}"; do
	tests+=("missing_module_is_told $name" "serves_over_TLS $name"
		"plain_peer_is_refused $name" "dawdling_peer_keeps_nobody_waiting $name")
done
for name in "${servers[@]}" tls-listen.py https-get.py; do
	echo "# lines of code: $(lines_of_code "$name") $name"
done
run_tests "${tests[@]}" \
	service_managers_socket_becomes_one_for_TLS \
	client_gets_the_page \
	'client_refuses rsa localhost self.signed' \
	'client_refuses localhost 127.0.0.2 not.for.127.0.0.2' \
	'missing_agent_is_told echo-server.c' \
	'missing_agent_is_told echo-server.rs' \
	'missing_agent_is_told echo-server-asyncio.py' \
	'missing_agent_is_told https-get.py'
