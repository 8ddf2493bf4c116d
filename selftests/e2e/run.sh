#!/bin/bash
# keyblob run: programs that know nothing of TLS, or do not use it, as servers and as clients
# of TLS, with each other and with programs that have a TLS of their own.

# shellcheck disable=SC2016 # what inner shells expand
# shellcheck source=lib.sh disable=SC2119 # functions' own arguments are optional
. "$(dirname "$0")/lib.sh"
need_module

sockets=$e2e/sockets.py
port=$peer_port
marker=keyblob-e2e-marker

make_cert localhost ec localhost 127.0.0.1 ::1
make_cert rsa rsa rsa.test
make_cert other ec other.test
make_cert rogue ec localhost 127.0.0.1 ::1
cat localhost.pem rsa.pem other.pem >trust.pem
{
	printf '%s\n' '[agent]' 'mode = 0666' 'timeout = 10' '[client]' "trust = $work/trust.pem"
	for name in localhost rsa other rogue; do
		printf '%s\n' "[identity $name]" "certificate = $work/$name.pem" "key = $work/$name.key"
	done
	# As which nginx's workers accept.
	printf '%s\n' '[allow root]' 'user = root' '[allow web]' 'user = www-data' 'role = server' \
		'identity = localhost'
} >keyblobd.conf
start_agent --config "$work/keyblobd.conf"
chmod 755 .

# serve PORT COMMAND...: a server, until it listens there.
serve() {
	local at=$1
	shift
	"$@" >"server-$at.log" 2>&1 </dev/null &
	started+=($!)
	until_true 20 listens "$at" || { cat "server-$at.log" && return 1; }
}

# serve_tls NAME [OPTION...]: openssl's echo server at port + 1, and at port a wiretap before it
# that writes what it is sent to the file sent.
serve_tls() {
	local name=$1
	shift
	serve $((port + 1)) openssl s_server -accept "127.0.0.1:$((port + 1))" -cert "$name.pem" \
		-key "$name.key" -rev "$@"
	rm -f sent
	serve "$port" socat -r sent "TCP-LISTEN:$port,bind=127.0.0.1,reuseaddr,fork" "TCP:127.0.0.1:$((port + 1))"
}

# Before a program's name.
as_server=(keyblob run --server localhost --ports "$port" --)
as_client=(keyblob run --client --ports "$port" --)
as_both=(keyblob run --server localhost --client --ports "$port,$((port + 2))" --)

# Only TLS, and nothing of what the program said.
wire_is_tls() {
	[ "$(head -c 1 sent | od -An -tx1)" = ' 16' ]
	fails grep -aq "$marker" sent
}

# within MS COMMAND...
within() {
	local limit=$1 began
	shift
	began=$(now_ms)
	"$@"
	expect_at_most $(($(now_ms) - began)) "$limit" 'ms'
}

# Programs that people run.

start_redis() {
	serve "$port" "${as_server[@]}" redis-server --port "$port" --bind 127.0.0.1 --save '' --dir "$work"
}

redis_serves_and_is_asked() {
	start_redis
	head -c 500000 /dev/urandom | base64 -w 0 >value
	expect "$("${as_client[@]}" redis-cli -h localhost -p "$port" set key word)" OK
	expect "$("${as_client[@]}" redis-cli -h 127.0.0.1 -p "$port" get key)" word
	"${as_client[@]}" redis-cli -h localhost -p "$port" -x set big <value
	"${as_client[@]}" redis-cli -h localhost -p "$port" get big | tr -d '\n' | cmp - value
	# Redis's own TLS.
	redis-cli --tls --cacert localhost.pem -h localhost -p "$port" get big | tr -d '\n' | cmp - value
	# None.
	fails timeout 20 redis-cli -h 127.0.0.1 -p "$port" get key
}

redis_has_many_clients_at_once() {
	start_redis
	"${as_client[@]}" redis-benchmark -h localhost -p "$port" -c 50 -n 2000 -t set,get -q
	redis-benchmark --tls --cacert localhost.pem -h localhost -p "$port" -c 50 -n 2000 -t set,get -q |
		tee said
	fails grep -i error said
}

redis_cli_speaks_to_redis_with_tls_of_its_own() {
	serve "$port" redis-server --port 0 --tls-port "$port" --bind 127.0.0.1 --save '' --dir "$work" \
		--tls-cert-file localhost.pem --tls-key-file localhost.key --tls-auth-clients no
	expect "$("${as_client[@]}" redis-cli -h localhost -p "$port" ping)" PONG
}

python_serves_files() {
	mkdir -p files
	head -c 3000000 /dev/urandom >files/file
	serve "$port" "${as_server[@]}" python3 -m http.server --directory files --bind 127.0.0.1 "$port"
	curl -sS --cacert localhost.pem -o got "https://localhost:$port/file"
	cmp files/file got
	# As curl sees it, without TLS.
	"${as_client[@]}" curl -sS -o got "http://localhost:$port/file"
	cmp files/file got
	fails curl -sS -m 20 -o got "http://localhost:$port/file"
}

# nginx_conf LINES: a server with these.
start_nginx() {
	printf '%s\n' 'daemon off; worker_processes 2; error_log stderr; pid nginx.pid;' \
		'events {}' 'http { access_log off; sendfile on;' "$@" '}' >nginx.conf
	serve "$port" "${as_both[@]}" nginx -p "$work" -c nginx.conf
}

nginx_serves_files() {
	mkdir -p files
	head -c 3000000 /dev/urandom >files/file
	chmod -R a+rX files
	start_nginx "server { listen 127.0.0.1:$port; listen [::1]:$port; root $work/files; }"
	curl -sS --cacert localhost.pem -o got "https://127.0.0.1:$port/file"
	cmp files/file got
	curl -sS --cacert localhost.pem -o got "https://[::1]:$port/file"
	cmp files/file got
	# Two requests on one connection.
	curl -sS --cacert localhost.pem -o got -o got2 -w '%{num_connects}\n' \
		"https://localhost:$port/file" "https://localhost:$port/file" >connects
	cmp files/file got2
	expect "$(paste -sd, connects)" '^1,0$'
}

# It looked the name up before it forked.
nginx_passes_on_by_tls() {
	mkdir -p files
	echo content >files/file
	cp localhost.pem localhost.key files/
	(cd files && exec openssl s_server -accept "127.0.0.1:$((port + 2))" -cert localhost.pem \
		-key localhost.key -WWW >/dev/null 2>&1) &
	started+=($!)
	until_true 10 listens $((port + 2))
	# The role client is not www-data's, but root's.
	start_nginx "server { listen 127.0.0.1:$port; location / { proxy_pass http://localhost:$((port + 2)); } }"
	expect "$(curl -s -o /dev/null -w '%{http_code}' --cacert localhost.pem "https://localhost:$port/file")" 502
	expect "$(cat "server-$port.log")" 'connect\(\) failed'
	until_true 5 grep -q 'process [0-9]* refused' "$agent_log"
	stop "${started[-1]}"
	sed -i '1s/^/user root;/' nginx.conf
	serve "$port" "${as_both[@]}" nginx -p "$work" -c nginx.conf
	expect "$(curl -sS --cacert localhost.pem "https://localhost:$port/file")" content
}

memcached_serves_and_is_asked() {
	serve "$port" "${as_server[@]}" memcached -u root -l 127.0.0.1 -p "$port"
	head -c 300000 /dev/urandom >value
	"${as_client[@]}" memccp --servers="localhost:$port" value
	"${as_client[@]}" memccat --servers="localhost:$port" value >got || true
	cmp -n 300000 value got
	printf 'get value\r\nquit\r\n' | openssl s_client -quiet -connect "127.0.0.1:$port" 2>/dev/null >got
	expect "$(head -c 20 got | tr -d '\0')" '^VALUE value'
}

socat_serves_and_is_asked() {
	head -c 300000 /dev/urandom >value
	serve "$port" "${as_server[@]}" socat "TCP-LISTEN:$port,bind=127.0.0.1,reuseaddr,fork" EXEC:cat
	"${as_client[@]}" socat -t 20 - "TCP:localhost:$port" <value >got
	cmp value got
	socat -t 20 - "OPENSSL:localhost:$port,cafile=localhost.pem" <value >got
	cmp value got
}

socat_speaks_to_openssl() {
	serve_tls localhost
	expect "$(echo "$marker" | "${as_client[@]}" socat -t 10 - "TCP:localhost:$port")" "^$(echo "$marker" | rev)"
	wire_is_tls
}

# What is refused.

# refused_by NAME COMMAND...: by a client, of a peer with that certificate; nothing leaks.
refused_by() {
	local name=$1 status=0
	shift
	serve_tls "$name"
	echo "$marker" | "${as_client[@]}" timeout 30 "$@" >out 2>err || status=$?
	cat out err
	[ $status != 0 ] && [ $status != 124 ]
	fails grep -q "$(echo "$marker" | rev)" out
	wire_is_tls
}

client_refuses_a_certificate_that_nobody_vouches_for() {
	refused_by rogue "$sockets" "to=127.0.0.1,$port" || true
	expect "$(cat out)" '^to EKEYREJECTED$'
	expect "$(cat err)" "^keyblob run: cannot connect with TLS to 127\\.0\\.0\\.1, port $port: .*certificate"
	wire_is_tls
}

client_refuses_a_certificate_for_another_name() {
	serve_tls other
	"${as_client[@]}" "$sockets" "connect=localhost,$port" >out 2>err
	expect "$(cat out)" '^connect EKEYREJECTED$'
	expect "$(cat err)" "to localhost, port $port: .*(localhost|name)"
	keyblob run --client --ports "$port" --name other.test "$sockets" "connect=localhost,$port" >out 2>err
	expect "$(cat out)" '^connect ok$'
	keyblob run --client --ports "$port" --name wrong.test "$sockets" "connect=localhost,$port" >out 2>err
	expect "$(cat out)" '^connect EKEYREJECTED$'
}

client_refuses_a_server_without_tls() {
	serve "$port" socat -r sent "TCP-LISTEN:$port,bind=127.0.0.1,reuseaddr,fork" SYSTEM:'echo hello; cat'
	fails "${as_client[@]}" timeout 30 redis-cli -h localhost -p "$port" set key "$marker"
	wire_is_tls
}

# Where it cannot be TLS.

without_an_agent_it_is_said_at_once() {
	local at=$((port + 3))
	rm -f received
	stop "$agent_pid"
	serve $at socat -u "TCP-LISTEN:$at,bind=127.0.0.1,reuseaddr" OPEN:received,creat
	serve "$port" "${as_server[@]}" python3 -m http.server --bind 127.0.0.1 "$port"
	within 3000 keyblob run --client --ports $at "$sockets" "to=127.0.0.1,$at" >out 2>err
	expect "$(cat out)" 'to ESRCH'
	expect "$(cat err)" 'no agent runs in this network namespace: start keyblobd'
	[ ! -s received ]
	within 5000 fails curl -sS -m 20 --cacert localhost.pem "https://localhost:$port/" 2>err
	fails grep -q 'timed out' err
	# When it is there, the server serves.
	start_agent --config "$work/keyblobd.conf"
	curl -sS --cacert localhost.pem -o got "https://localhost:$port/"
}

access_rules_count() {
	serve_tls localhost
	keyblob run --client --ports "$port" setpriv --reuid 33 --regid 33 --clear-groups \
		"$sockets" "to=127.0.0.1,$port" >out 2>err
	expect "$(cat out)" '^to EACCES$'
	expect "$(cat err)" 'cannot connect with TLS to 127.0.0.1'
	[ ! -s sent ]
}

multipath_tcp_is_refused() {
	sysctl -qw net.mptcp.enabled=1
	serve_tls localhost
	"${as_client[@]}" "$sockets" "mptcp=127.0.0.1,$port" >out 2>err
	expect "$(cat out)" '^mptcp EPROTONOSUPPORT$'
	expect "$(cat err)" 'Multipath TCP'
	[ ! -s sent ]
	keyblob run --client --ports $((port + 1)) "$sockets" "mptcp=127.0.0.1,$port" >out
	expect "$(cat out)" '^mptcp ok$'
}

# Waiting is the kernel's: programs that do not block are not blocked.

# dawdle N: peers that begin a handshake and do not go on.
dawdle() {
	local i
	for ((i = 0; i < $1; i++)); do
		peer "$port" half wait >/dev/null 2>&1 &
		started+=($!)
		peer "$port" connect wait >/dev/null 2>&1 &
		started+=($!)
	done
	until_true 10 has_connections $((2 * $1))
}

has_connections() {
	[ "$(ss -Htn state established "sport = :$port" | wc -l)" -ge "$1" ]
}

redis_serves_while_peers_dawdle() {
	start_redis
	dawdle 10
	within 4000 redis-cli --tls --cacert localhost.pem -h localhost -p "$port" ping
	within 4000 "${as_client[@]}" redis-cli -h localhost -p "$port" ping
}

nginx_serves_while_peers_dawdle() {
	mkdir -p files
	echo content >files/file
	chmod -R a+rX files
	start_nginx "server { listen 127.0.0.1:$port; root $work/files; }"
	dawdle 10
	within 4000 curl -sS --cacert localhost.pem "https://localhost:$port/file"
}

connect_does_not_block_what_does_not_want_to() {
	serve "$port" socat -u "TCP-LISTEN:$port,bind=127.0.0.1,reuseaddr" OPEN:received,creat
	keyblob run --client --ports "$port" --timeout 2 python3 - "$port" >out 2>err <<-'END'
		import errno, select, socket, sys, time
		s = socket.socket()
		s.setblocking(False)
		began = time.monotonic()
		print(errno.errorcode[s.connect_ex(("127.0.0.1", int(sys.argv[1])))], time.monotonic() - began < 1)
		print(select.select([], [s], [], 0.5)[1] == [])
		try:
		    s.send(b"keyblob-e2e-marker")
		except BlockingIOError:
		    print("EAGAIN")
		print(select.select([], [s], [], 10)[1] == [s])
		print(errno.errorcode[s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)])
	END
	expect "$(paste -sd' ' out)" '^EINPROGRESS True True EAGAIN True ETIMEDOUT$'
	fails grep -aq "$marker" received
}

timeout_counts_for_what_blocks() {
	serve "$port" socat -u "TCP-LISTEN:$port,bind=127.0.0.1,reuseaddr" OPEN:received,creat
	within 5000 keyblob run --client --ports "$port" --timeout 2 "$sockets" "to=127.0.0.1,$port" >out 2>err
	expect "$(cat out)" 'to ETIMEDOUT'
	expect "$(cat err)" "cannot connect with TLS to 127.0.0.1, port $port: .*timed out"
}

# What is not selected.

port_that_is_not_selected_stays_plain() {
	mkdir -p files
	echo content >files/file
	chmod -R a+rX files
	start_nginx "server { listen 127.0.0.1:$port; listen 127.0.0.1:$((port + 1)); root $work/files; }"
	expect "$(curl -sS --cacert localhost.pem "https://localhost:$port/file")" content
	expect "$(curl -sS "http://localhost:$((port + 1))/file")" content
	expect "$("${as_client[@]}" curl -sS "http://localhost:$((port + 1))/file")" content
	expect "$("${as_client[@]}" curl -sS "http://localhost:$port/file")" content
}

# What else is chosen.

identity_is_the_named_one_or_that_of_the_name() {
	local at=$((port + 1))
	serve "$port" keyblob run --server rsa --ports "$port" python3 -m http.server --bind 127.0.0.1 "$port"
	serve $at keyblob run --server - --ports $at python3 -m http.server --bind 127.0.0.1 $at
	expect "$(certificate_at "$port" localhost)" 'CN ?= ?rsa$'
	expect "$(certificate_at $at rsa.test)" 'CN ?= ?rsa$'
	expect "$(certificate_at $at other.test)" 'CN ?= ?other$'
}

# certificate_at PORT NAME
certificate_at() {
	openssl s_client -connect "127.0.0.1:$1" -servername "$2" </dev/null 2>/dev/null |
		openssl x509 -noout -subject
}

identity_that_there_is_not_serves_nobody() {
	serve "$port" keyblob run --server nobody python3 -m http.server --bind 127.0.0.1 "$port"
	fails curl -sS -m 20 --cacert localhost.pem "https://localhost:$port/"
	until_true 5 grep -q 'no identity is named "nobody"' "$agent_log"
}

alpn_is_agreed_on() {
	local at=$((port + 2)) offered
	serve $at keyblob run --server localhost --alpn h2,http/1.1 --ports $at \
		python3 -m http.server --bind 127.0.0.1 $at
	expect "$(openssl s_client -connect "127.0.0.1:$at" -alpn http/1.1 </dev/null 2>/dev/null)" \
		'ALPN protocol: http/1.1'
	# A server that insists.
	serve_tls localhost -alpn h2
	for offered in h3,h2 h3; do
		keyblob run --client --alpn $offered --ports $((port + 1)) "$sockets" \
			"to=127.0.0.1,$((port + 1))"
	done >out 2>err
	expect "$(cat out)" '^to ok'$'\n''to ECONNABORTED$'
	expect "$(cat err)" "cannot connect with TLS to 127.0.0.1, port $((port + 1)): .*"
}

# A program that cannot be helped otherwise, started by the first connection.
sockets_of_a_service_manager_become_servers() {
	serve "$port" systemd-socket-activate -l "127.0.0.1:$port" -E "PATH=$PATH" \
		keyblob run --server localhost --inherited -- python3 -c '
import http.server, os, socket
assert "LD_PRELOAD" not in os.environ
s = http.server.HTTPServer(("", 0), http.server.SimpleHTTPRequestHandler, False)
s.socket = socket.socket(fileno=3)
s.serve_forever()'
	for _ in 1 2; do
		curl -sS --cacert localhost.pem -o got "https://localhost:$port/localhost.pem"
		cmp localhost.pem got
	done
}

run_tests \
	redis_serves_and_is_asked \
	redis_has_many_clients_at_once \
	redis_cli_speaks_to_redis_with_tls_of_its_own \
	python_serves_files \
	nginx_serves_files \
	nginx_passes_on_by_tls \
	memcached_serves_and_is_asked \
	socat_serves_and_is_asked \
	socat_speaks_to_openssl \
	client_refuses_a_certificate_that_nobody_vouches_for \
	client_refuses_a_certificate_for_another_name \
	client_refuses_a_server_without_tls \
	access_rules_count \
	multipath_tcp_is_refused \
	redis_serves_while_peers_dawdle \
	nginx_serves_while_peers_dawdle \
	connect_does_not_block_what_does_not_want_to \
	timeout_counts_for_what_blocks \
	port_that_is_not_selected_stays_plain \
	identity_is_the_named_one_or_that_of_the_name \
	identity_that_there_is_not_serves_nobody \
	alpn_is_agreed_on \
	sockets_of_a_service_manager_become_servers \
	without_an_agent_it_is_said_at_once
