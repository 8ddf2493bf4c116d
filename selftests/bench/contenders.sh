# shellcheck shell=bash disable=SC2034,SC2154 # used by others; of ../e2e/lib.sh
# The contenders: how each is started and stopped. Sourced by run, after ../e2e/lib.sh. All
# have the same certificate, TLS 1.2 and 1.3, session tickets, TCP_NODELAY, no log, and one
# worker or thread, but for stunnel, which has a thread for each connection. In the
# application's process: openssl, openssl-ktls, and ktls, for bulk.sh, which knows no more than
# TLS 1.3. In a process before a plain application: the
# sidecars. By the agent: keyblob (the library), keyblob-option (KEYBLOB_HANDSHAKE).

sidecars=(stunnel hitch haproxy nginx)
contenders=(openssl openssl-ktls "${sidecars[@]}" keyblob keyblob-option)
next_port=10000
# Seconds: while a guest waits for its files, its clock runs fast.
patience=200
# Of each that runs: where it listens, its processes, its certificate.
declare -A port application sidecar agent certificate

# make_content BYTES: the file that servers send and clients compare with, $content.
make_content() {
	content=/dev/shm/keyblob-bench.$$
	head -c "$1" /dev/urandom >"$content" || bail_out "no room for $content"
}

remove_content() {
	[ -z "${content:-}" ] || rm -f "$content"
}

# key_pair P-256|RSA-2048: sets cert and key, names of files; both in $cert.both.
key_pair() {
	local kind=ec
	[ "$1" = P-256 ] || kind=rsa
	cert=$work/$1.pem key=$work/$1.key
	[ -e "$cert" ] || make_cert "$1" $kind localhost 127.0.0.1
	cat "$key" "$cert" >"$cert.both"
	chmod 600 "$cert.both"
}

take_port() {
	next_port=$((next_port + 1))
}

# tree PID: it and its descendants, in one line.
tree() {
	local pid
	echo -n "$1 "
	for pid in $(pgrep -P "$1"); do
		tree "$pid"
	done
}

# start_application NAME [OPTION...] MODE: on next_port.
start_application() {
	local name=$1
	shift
	server -p "$next_port" "$@" "$content" >"$name.server.log" 2>&1 &
	application[$name]=$!
	started+=("$!")
	until_true "$patience" grep -q listening "$name.server.log" ||
		bail_out "no application for $name: $(cat "$name.server.log")"
}

# start_contender_agent NAME REQUESTS: REQUESTS is whether it serves the kernel's, too.
start_contender_agent() {
	local name=$1
	printf '%s\n' '[agent]' "listen = $work/$name.sock" 'workers = 1' 'handshakes = 4000' \
		'handshakes-per-user = 4000' 'timeout = 60' "kernel-requests = $2" \
		'[identity bench]' "certificate = $cert" "key = $key" >"$name.conf"
	"$agent_program" --config "$name.conf" >"$name.agent.log" 2>&1 &
	agent[$name]=$!
	started+=("$!")
	until_true "$patience" grep -q ready "$name.agent.log" || bail_out "no agent: $(cat "$name.agent.log")"
	agent[$name]=$(tree "$!")
}

# sidecar_NAME FRONT BACK: writes its configuration, and sets command.
sidecar_stunnel() {
	printf '%s\n' 'foreground = yes' 'pid =' 'debug = 3' 'syslog = no' \
		'socket = l:TCP_NODELAY=1' 'socket = r:TCP_NODELAY=1' 'socket = a:SO_REUSEADDR=1' \
		'[bench]' "accept = 127.0.0.1:$1" "connect = 127.0.0.1:$2" "cert = $cert" \
		"key = $key" 'sslVersionMin = TLSv1.2' >stunnel.conf
	command=(stunnel4 "$work/stunnel.conf")
}

sidecar_hitch() {
	printf '%s\n' "frontend = \"[127.0.0.1]:$1\"" "backend = \"[127.0.0.1]:$2\"" \
		"pem-file = \"$cert.both\"" 'workers = 1' 'daemon = off' 'quiet = on' \
		'backlog = 4096' 'tls-protos = TLSv1.2 TLSv1.3' 'user = "nobody"' >hitch.conf
	command=(hitch --config="$work/hitch.conf")
}

sidecar_haproxy() {
	printf '%s\n' 'global' 'nbthread 1' 'maxconn 20000' 'defaults' 'mode tcp' \
		'timeout connect 1m' 'timeout client 1h' 'timeout server 1h' 'frontend tls' \
		"bind 127.0.0.1:$1 ssl crt $cert.both ssl-min-ver TLSv1.2 backlog 4096" \
		'default_backend plain' 'backend plain' "server plain 127.0.0.1:$2" >haproxy.cfg
	command=(haproxy -f "$work/haproxy.cfg" -db -q)
}

sidecar_nginx() {
	local modules=/usr/lib/nginx/modules
	printf '%s\n' "load_module $modules/ngx_stream_module.so;" 'daemon off;' \
		'worker_processes 1;' "pid $work/nginx.pid;" 'error_log stderr crit;' \
		'worker_rlimit_nofile 65536;' 'events { worker_connections 32000; }' \
		'stream { server {' "listen 127.0.0.1:$1 ssl backlog=4096;" \
		"ssl_certificate $cert;" "ssl_certificate_key $key;" \
		'ssl_protocols TLSv1.2 TLSv1.3;' 'proxy_timeout 1h;' \
		"proxy_pass 127.0.0.1:$2;" '} }' >nginx.conf
	command=(nginx -e stderr -c "$work/nginx.conf")
}

start_sidecar() {
	local name=$1 back=$next_port command
	take_port
	"sidecar_$name" "$next_port" "$back"
	"${command[@]}" >"$name.log" 2>&1 &
	sidecar[$name]=$!
	started+=("$!")
	until_true "$patience" listens "$next_port" || bail_out "no $name: $(cat "$name.log")"
	sleep 0.5 # for its children
	sidecar[$name]=$(tree "$!")
}

# start_contender NAME P-256|RSA-2048: and waits until it listens. Sets port[NAME], and what
# there is of application[NAME], sidecar[NAME], agent[NAME].
start_contender() {
	local name=$1 cert key
	key_pair "$2"
	certificate[$name]=$cert
	take_port
	sidecar[$name]='' agent[$name]=''
	case $name in
	openssl | openssl-ktls | ktls)
		start_application "$name" -c "$cert" -k "$key" "$name"
		;;
	keyblob)
		start_contender_agent "$name" no
		start_application "$name" -a "$work/$name.sock" "$name"
		;;
	keyblob-option)
		start_contender_agent "$name" yes
		start_application "$name" "$name"
		;;
	*)
		start_application "$name" plain
		start_sidecar "$name"
		;;
	esac
	port[$name]=$next_port
}

stop_contender() {
	local pid all
	read -ra all <<<"${application[$1]} ${sidecar[$1]} ${agent[$1]}"
	for pid in "${all[@]}"; do
		kill "$pid" 2>/dev/null
	done
	for pid in "${all[@]}"; do
		until_true "$patience" gone "$pid" || bail_out "$1 does not end"
	done
	unset "port[$1]" "application[$1]" "sidecar[$1]" "agent[$1]" "certificate[$1]"
}

# start_contenders P-256|RSA-2048 NAME..., stop_contenders NAME...
start_contenders() {
	local key=$1 name
	shift
	for name; do
		start_contender "$name" "$key"
	done
}

stop_contenders() {
	local name
	for name; do
		stop_contender "$name"
	done
}

# client_of NAME: sets client, the command that is a client of that contender's; what is to be
# done comes behind it. It prints what it measured.
client_of() {
	client=(client -p "${port[$1]}" -f "$content" -k "${certificate[$1]}"
		-A "${application[$1]}" -S "${sidecar[$1]}" -G "${agent[$1]}")
}

# load NAME [OPTION...] WORK...
load() {
	local client
	client_of "$1"
	shift
	"${client[@]}" "$@"
}
