#!/bin/bash
# What an administrator sees of the agent: logs, counters, the service manager's view.

# shellcheck source=lib.sh disable=SC2119 # functions' own arguments are optional
. "$(dirname "$0")/lib.sh"
need_module
make_cert localhost ec localhost 127.0.0.1 ::1

# datagrams SOCKET FILE: each that arrives is written to FILE, with a line end.
datagrams() {
	python3 -uc '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("listening")
while True:
	print(s.recv(65536).decode())
' "$1" >"$2" &
	datagrams_pid=$!
	started+=("$datagrams_pid")
	until_true 10 grep -q listening "$2"
}

# agent_in ENVIRONMENT... -- OPTION...: as start_agent, with more in its environment.
agent_in() {
	local variables=()
	while [ "$1" != -- ]; do
		variables+=("$1")
		shift
	done
	shift
	agent_path=$work/agent-$RANDOM.sock agent_log=$work/agent-$RANDOM.log
	env "${variables[@]}" keyblobd --cert localhost.pem --key localhost.key \
		--listen "$agent_path" "$@" >"$agent_log" 2>&1 &
	agent_pid=$!
	started+=("$agent_pid")
	until_true 10 grep -q ready "$agent_log"
}

good_peer() {
	expect "$(peer "$@" "$app_port" finish close hello)" 'handshake=yes .*alert=0 end=eof'
}

bad_peer() {
	expect "$(peer "$app_port" connect http)" 'handshake=no'
}

# counter NAME: its value.
counter() {
	keyblob status --json -a "$agent_path" |
		python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

counter_is() {
	[ "$(counter "$1")" = "$2" ]
}

# counters_become NAME VALUE...
counters_become() {
	while [ $# -gt 0 ]; do
		until_true 5 counter_is "$1" "$2" || {
			keyblob status -a "$agent_path"
			return 1
		}
		shift 2
	done
}

# Counters.

status_counts_what_was_done() {
	start_agent --workers 2
	start_app -t 1500
	for _ in 1 2 3; do
		good_peer
	done
	good_peer -v 1.2
	good_peer -r		# two connections
	bad_peer
	bad_peer
	peer "$app_port" connect wait
	counters_become handshakes_accepted 6 handshakes_resumed 1 handshakes_tls13 5 \
		handshakes_failed 3 handshakes_timed_out 1 handshakes_busy 0 \
		handshakes_refused 0 handshakes_connected 0 handshakes_in_flight 0 workers_died 0
}

status_counts_what_is_under_way() {
	local before
	start_agent --workers 2
	start_app
	before=$(counter applications_connected)
	peer -d 60000 "$app_port" hello wait &
	started+=($!)
	counters_become handshakes_in_flight 1 applications_connected $((before + 1))
	kill $!
	counters_become handshakes_in_flight 0 handshakes_failed 1
	stop "$app_pid"
	counters_become applications_connected "$before"
	[ "$(counter applications)" -gt 1 ]
}

status_counts_who_is_turned_away() {
	start_agent --workers 1 --max-handshakes 1
	start_app
	peer "$app_port" connect wait &
	started+=($!)
	counters_become handshakes_in_flight 1
	# The older one gives way.
	sleep 0.5
	expect "$(peer "$app_port" finish close)" 'handshake=yes'
	expect "$(keyblob status -a "$agent_path")" 'turned away at a limit +1'
	counters_become handshakes_busy 1 handshakes_failed 1
}

# In flight then: none; done: as before.
counters_outlive_a_worker() {
	start_agent --workers 1
	start_app
	good_peer
	counters_become handshakes_accepted 1
	peer "$app_port" connect wait &
	started+=($!)
	counters_become handshakes_in_flight 1
	kill -KILL "$(workers)"
	counters_become handshakes_in_flight 0 handshakes_accepted 1 workers_died 1
	good_peer
	counters_become handshakes_accepted 2
}

formats_tell_the_same() {
	start_agent --workers 1
	start_app
	good_peer
	bad_peer
	counters_become handshakes_accepted 1 handshakes_failed 1
	keyblob status --json -a "$agent_path" | python3 -m json.tool >json
	keyblob status --prometheus -a "$agent_path" >text
	"$e2e/prometheus.py" <text >samples
	cat samples
	grep -qxF 'keyblob_handshakes_total{role="server"}=1' samples
	grep -qxF 'keyblob_handshakes_total{role="client"}=0' samples
	grep -qxF 'keyblob_handshakes_failed_total{}=1' samples
	grep -qxF 'keyblob_handshakes_in_flight{}=0' samples
	# All counters are in all formats.
	[ "$(wc -l <samples)" = "$(grep -c : json)" ]
	[ "$(wc -l <samples)" = "$(keyblob status -a "$agent_path" | wc -l)" ]
	expect "$(keyblob status -a "$agent_path")" 'handshakes done, as server +1'
}

# KEYBLOB_AGENT names the socket, too.
status_finds_the_agent() {
	start_agent
	KEYBLOB_AGENT=$agent_path keyblob status | grep -q 'handshakes in flight'
	fails keyblob status -a "$work/nobody" 2>said
	expect "$(cat said)" 'No such file or directory; is keyblobd running'
	status=0
	keyblob status --xml 2>said || status=$?
	[ $status = 2 ]
	expect "$(cat said)" 'Usage: keyblob status'
}

# as_nobody COMMAND...: who may enter here, and connect.
as_nobody() {
	chmod 711 "$work"
	setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

reload_is_for_root_and_the_agents_user() {
	cp "$build/keyblob" "$work/"
	start_agent --mode 0666
	as_nobody "$work/keyblob" status -a "$agent_path" | grep -q 'handshakes in flight'
	fails as_nobody "$work/keyblob" reload -a "$agent_path" 2>said
	expect "$(cat said)" "^keyblob: only root and the agent's own user may reload"
	expect "$(cat "$agent_log")" "request refused: only root"
}

# The service manager.

service_manager_is_told_start_and_stop() {
	datagrams "$work/notify" notified
	agent_in NOTIFY_SOCKET="$work/notify" -- --workers 2
	until_true 5 grep -qx READY=1 notified
	grep -qx 'STATUS=.*2 workers.*' notified
	fails grep -q STOPPING notified
	stop "$agent_pid"
	until_true 5 grep -qx STOPPING=1 notified
	fails grep -q WATCHDOG notified
}

pings() {
	grep -cx WATCHDOG=1 notified
}

pings_are() {
	[ "$(pings)" -ge "$1" ]
}

watchdog_is_pinged_while_the_supervisor_lives() {
	local n
	datagrams "$work/notify-watchdog" notified
	agent_in NOTIFY_SOCKET="$work/notify-watchdog" WATCHDOG_USEC=400000 --
	until_true 5 pings_are 4
	kill -STOP "$agent_pid"
	sleep 0.3
	n=$(pings)
	sleep 1
	[ "$(pings)" = "$n" ]
	kill -CONT "$agent_pid"
	until_true 5 pings_are $((n + 2))
}

# activated OPTION... : the agent, started by the first connection to its socket.
activated() {
	agent_path=$work/activated-$RANDOM.sock agent_log=$agent_path.log
	systemd-socket-activate "$@" -l "$agent_path" "$(command -v keyblobd)" \
		--cert localhost.pem --key localhost.key --verbose >"$agent_log" 2>&1 &
	agent_pid=$!
	started+=("$agent_pid")
	until_true 10 test -S "$agent_path"
}

socket_of_the_service_manager_is_used_and_left() {
	activated --seqpacket
	start_app
	good_peer
	expect "$(cat "$agent_log")" 'ready on the socket of the service manager'
	counters_become handshakes_accepted 1
	stop "$agent_pid"
	[ -S "$agent_path" ]
}

wrong_socket_of_the_service_manager_is_refused() {
	activated
	python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).connect(sys.argv[1])' "$agent_path"
	until_true 10 gone "$agent_pid"
	expect "$(cat "$agent_log")" 'something else than a listening UNIX socket'
	[ -S "$agent_path" ]
}

several_sockets_of_the_service_manager_are_refused() {
	activated --seqpacket -l "$work/another.sock"
	keyblob status -a "$agent_path" 2>/dev/null || true
	until_true 10 gone "$agent_pid"
	expect "$(cat "$agent_log")" 'passed 2 sockets'
}

unit_is_valid() {
	mkdir units
	sed "s,/usr/local/s\?bin/,$build/," "$build/keyblobd.service" >units/keyblobd.service
	cp "$e2e/../../userspace/agent/keyblobd.socket" units/
	systemd-analyze verify --man=no units/keyblobd.service units/keyblobd.socket >said 2>&1
	cat said
	[ ! -s said ]
	systemd-analyze security --offline=yes --threshold=25 units/keyblobd.service >said
	tail -n 1 said
}

# As far as that can be had without systemd: capabilities, network namespace.
powers_of_the_unit_are_enough() {
	local capabilities
	capabilities=$(sed -n 's/^CapabilityBoundingSet=//p' "$build/keyblobd.service" |
		tr 'A-Z ' 'a-z,' | sed 's/cap_/+/g')
	agent_path=$work/unit.sock agent_log=$work/unit.log
	(
		ulimit -l unlimited
		exec unshare --net setpriv --bounding-set="-all,$capabilities" --inh-caps=-all \
			--no-new-privs keyblobd --cert localhost.pem --key localhost.key \
			--listen "$agent_path" --verbose
	) >"$agent_log" 2>&1 &
	agent_pid=$!
	started+=("$agent_pid")
	until_true 10 grep -q ready "$agent_log"
	grep -h CapBnd "/proc/$agent_pid/status"
	fails grep -q 'CapBnd:.*0*1ff' "/proc/$agent_pid/status"
	[ "$(readlink "/proc/$agent_pid/ns/net")" != "$(readlink /proc/self/ns/net)" ]
	fails grep 'not locked' "$agent_log"
	start_app
	good_peer
	counters_become handshakes_accepted 1
	stop "$agent_pid"
	grep -q stopping "$agent_log"
}

# Logs.

syslog_is_told() {
	[ ! -e /dev/log ]
	datagrams /dev/log logged
	trap 'rm -f /dev/log; set +e; stop_started' EXIT
	agent_in -- --log syslog --workers 1 2>&1 || true
	until_true 5 grep -q ready logged
	start_app
	bad_peer
	until_true 5 grep -q 'plain HTTP' logged
	cat logged
	local stamp='[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}'
	grep -qE "^<29>$stamp keyblobd\\[$agent_pid\\]: ready" logged
	grep -qE "^<29>$stamp keyblobd\\[$(workers)\\]: handshake with .*127.0.0.1\\]?:[0-9]+ failed: the peer speaks plain HTTP" logged
	[ ! -s "$agent_log" ]

	# The daemon goes: stderr. It returns: the supervisor finds it.
	kill -KILL "$datagrams_pid"
	until_true 5 gone "$datagrams_pid"
	bad_peer
	until_true 5 grep -q 'plain HTTP' "$agent_log"
	rm /dev/log
	datagrams /dev/log logged2
	kill -KILL "$(workers)"
	until_true 5 grep -q 'died of signal 9' logged2
	until_true 5 workers
	bad_peer
	until_true 5 grep -q 'plain HTTP' logged2
	rm /dev/log
}

syslog_that_is_not_there_is_an_error() {
	[ ! -e /dev/log ]
	fails keyblobd --cert localhost.pem --key localhost.key --listen "$work/x.sock" \
		--log syslog 2>said
	expect "$(cat said)" 'cannot log to syslog .*No such file'
}

journal_is_told_priorities() {
	local stream
	agent_path=$work/journal.sock agent_log=$work/journal
	: >"$agent_log"
	stream=$(stat -c %d:%i "$agent_log")
	JOURNAL_STREAM=$stream keyblobd --cert localhost.pem \
		--key localhost.key --listen "$agent_path" --verbose 2>>"$agent_log" &
	agent_pid=$!
	started+=("$agent_pid")
	until_true 10 grep -q '^<5>ready' "$agent_log"
	start_app
	good_peer
	bad_peer
	until_true 5 grep -q '^<5>handshake with .* failed: the peer speaks plain HTTP' "$agent_log"
	until_true 5 grep -q '^<6>handshake with .*TLS 1.3' "$agent_log"
	fails grep -v '^<[356]>[a-z]' "$agent_log"
}

stopped() {
	grep -q '^State:.T' "/proc/$1/status"
}

# One line for each handshake that failed, with peer and cause; as many as there may be.
hostile_peers_do_not_fill_the_disk() {
	local began seconds lines flood
	start_agent --workers 1
	began=$SECONDS
	# It stops itself when the agent takes no more, as it has not read the replies.
	abuse "$agent_path" flood 6000 &
	flood=$!
	until_true 30 stopped $flood
	kill -CONT $flood
	wait $flood
	seconds=$((SECONDS - began + 2))
	lines=$(wc -l <"$agent_log")
	expect_at_most "$lines" $((200 * seconds + 50)) "lines in $seconds s"
	# The next line tells.
	sleep 0.1
	start_app
	bad_peer
	until_true 5 grep -q 'plain HTTP' "$agent_log"
	[ "$lines" -ge 6000 ] || grep -q '[0-9] messages suppressed' "$agent_log"
}

# SSLKEYLOGFILE.

normal_build_knows_no_key_log() {
	fails grep -q SSLKEYLOG "$(command -v keyblobd)"
	agent_in SSLKEYLOGFILE="$work/keys" --
	start_app
	good_peer
	counters_become handshakes_accepted 1
	[ ! -e keys ]
	fails grep -qi secrets "$agent_log"
}

# secrets_of FILE: its lines in order, without the comments.
secrets_of() {
	grep -v '^#' "$1" | sort
}

# With both protocols: what the agent writes is what the peer has.
keylog_build_writes_what_the_peer_has() {
	local version
	PATH=$build/selftests/e2e/keylog:$PATH
	agent_in SSLKEYLOGFILE="$work/keys" -- --workers 2
	grep -q 'SECRETS OF ALL CONNECTIONS ARE WRITTEN' "$agent_log"
	[ "$(stat -c %a keys)" = 600 ]
	start_app
	for version in tls1_2 tls1_3; do
		openssl s_client -connect "127.0.0.1:$app_port" "-$version" -keylogfile theirs \
			</dev/null >/dev/null 2>&1
	done
	grep -q '^CLIENT_RANDOM ' theirs
	grep -q '^CLIENT_TRAFFIC_SECRET_0 ' theirs
	# Each secret is written by one process, in one piece.
	until_true 5 cmp <(secrets_of keys) <(secrets_of theirs)
}

run_tests \
	status_counts_what_was_done \
	status_counts_what_is_under_way \
	status_counts_who_is_turned_away \
	counters_outlive_a_worker \
	formats_tell_the_same \
	status_finds_the_agent \
	reload_is_for_root_and_the_agents_user \
	service_manager_is_told_start_and_stop \
	watchdog_is_pinged_while_the_supervisor_lives \
	socket_of_the_service_manager_is_used_and_left \
	wrong_socket_of_the_service_manager_is_refused \
	several_sockets_of_the_service_manager_are_refused \
	unit_is_valid \
	powers_of_the_unit_are_enough \
	syslog_is_told \
	syslog_that_is_not_there_is_an_error \
	journal_is_told_priorities \
	hostile_peers_do_not_fill_the_disk \
	normal_build_knows_no_key_log \
	keylog_build_writes_what_the_peer_has
