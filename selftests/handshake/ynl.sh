#!/bin/bash
# A client that knows the family from its YAML specification alone: the kernel's own
# tools/net/ynl. It registers, reads what agents read, and listens to events.

set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
ynl=$("$root/scripts/kernel" 6.12 --source)/tools/net/ynl/cli.py

if ! /usr/bin/python3 -c 'import yaml' 2>/dev/null; then
	echo 1..1
	echo "ok 1 - ynl # SKIP python3-yaml is not installed"
	exit 4
fi

client() {
	/usr/bin/python3 "$ynl" --spec "$root/uapi/netlink/keyblob.yaml" --no-schema --output-json "$@" 2>&1
}

# tap NAME OUTPUT PATTERN: does the client's output have it?
count=0
tap() {
	count=$((count + 1))
	if grep -qE -- "$3" <<<"$2"; then
		echo "ok $count - $1"
	else
		echo "not ok $count - $1"
		echo "# ${2//$'\n'/$'\n'# }"
	fi
}

# Root, but for one capability.
without_net_admin() {
	setpriv --inh-caps=-net_admin --bounding-set=-net_admin "$@"
}

# A keyblob socket for a moment.
attach() {
	/usr/bin/python3 -c '
import socket
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
client.setsockopt(socket.IPPROTO_TCP, 31, b"keyblob")
'
}

echo 1..5
output=$(client --multi agent-register '{}' --multi status '{}')
tap "an agent registers and reads the status" "$output" '"agents": 1, "waiting": 0, "taken": 0'
tap "it has gone with its socket" "$(client --do status)" '"agents": 0'
tap "a refusal says why" "$(client --do accept)" 'not the socket of an agent that takes requests'
tap "without CAP_NET_ADMIN, it is refused" \
	"$(without_net_admin /usr/bin/python3 "$ynl" --spec "$root/uapi/netlink/keyblob.yaml" --no-schema \
		--do agent-register 2>&1)" 'Operation not permitted'
# Some of them while it listens, however long it takes to begin.
(for _ in {1..10}; do sleep 1 && attach; done) &
events=$(client --subscribe events --sleep 10)
wait
tap "an event is understood" "$events" '"event": "attached"'
