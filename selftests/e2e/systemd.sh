#!/bin/bash
# The unit under systemd itself, which is started in a PID namespace for it: the agent
# works with the powers that the unit leaves it, and the service manager sees it well.
# shellcheck disable=SC2119 # functions' own arguments are optional

if [ "${1:-}" != inside ]; then
	set -u
	here=$(cd "$(dirname "$0")" && pwd -P)
	build=$(realpath "${KEYBLOB_BUILD:-$here/../../build}")
	[ -d /sys/module/keyblob ] || modprobe -a tls libchacha20poly1305
	[ -d /sys/module/keyblob ] || insmod "${KEYBLOB_MODULE:-${KEYBLOB_KO:?the module is not loaded}}"
	scratch=$(mktemp -d /var/tmp/keyblob-systemd.XXXXXX)
	units=/etc/systemd/system

	install -D "$build/keyblobd" /usr/local/sbin/keyblobd
	install -D "$build/keyblob" /usr/local/bin/keyblob
	sed 's,\(Exec[A-Za-z]*=\).*/\(s\?bin\)/,\1/usr/local/\2/,' "$build/keyblobd.service" \
		>$units/keyblobd.service
	cp "$here/../../userspace/agent/keyblobd.socket" $units/
	cp "$here"/../../userspace/examples/systemd/hello.* $units/
	install -D "$here/../../userspace/examples/https-server.mjs" /usr/local/lib/hello/https-server.mjs
	systemd-sysusers "$(realpath "$here/../../userspace/agent/keyblob.sysusers")" >/dev/null 2>&1
	# Sooner than after 30 s.
	mkdir -p $units/keyblobd.service.d
	cat >$units/keyblobd.service.d/test.conf <<-END
		[Service]
		WatchdogSec=2
		ExecStart=
		ExecStart=/usr/local/sbin/keyblobd --config /etc/keyblob/test.conf --verbose
	END
	cat >$units/keyblob-test.service <<-END
		[Service]
		Type=oneshot
		Environment=KEYBLOB_BUILD=$build TMPDIR=/var/tmp "KEYBLOB_TESTS=${KEYBLOB_TESTS:-}"
		Environment=PATH=$PATH
		StandardOutput=file:$scratch/output
		StandardError=file:$scratch/output
		ExecStart=$here/systemd.sh inside
		ExecStopPost=/usr/bin/touch $scratch/ended
	END
	# It would clean up in /tmp, where this tree may be.
	ln -sf /dev/null $units/systemd-tmpfiles-setup.service
	unshare --fork --pid --kill-child --mount-proc env container=lxc /lib/systemd/systemd --system \
		--unit=keyblob-test.service --log-target=null </dev/null >/dev/null 2>&1 &
	for _ in {1..300}; do
		[ ! -e "$scratch/ended" ] || break
		sleep 1
	done
	kill -KILL $!
	wait $! 2>/dev/null
	cat "$scratch/output"
	rm -rf "$scratch" /etc/keyblob/test.{pem,key,conf} $units/systemd-tmpfiles-setup.service \
		$units/keyblob{d.service.d,d.service,d.socket,-test.service} $units/hello.{socket,service}
	# The journal's, which syslog(3) would take for a daemon's.
	rm -f /dev/log
	# Other tests have the numbers that are there without them.
	for name in keyblob-worker keyblob-signer; do
		userdel $name 2>/dev/null
	done
	exit
fi

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
make_cert test ec localhost 127.0.0.1
mkdir -p /etc/keyblob
cp test.pem test.key /etc/keyblob/
printf '%s\n' '[agent]' 'group = keyblob' '[identity test]' 'certificate = /etc/keyblob/test.pem' \
	'key = /etc/keyblob/test.key' >/etc/keyblob/test.conf
agent_path=/run/keyblob/agent.sock

agent() {
	systemctl "$1" --no-ask-password keyblobd 2>&1
}

main_pid() {
	systemctl show -p MainPID --value keyblobd
}

journal_has() {
	journalctl --sync
	journalctl -u keyblobd -o cat | grep -q "$1"
}

good_peer() {
	expect "$(peer "$app_port" finish close hello)" 'handshake=yes .*alert=0 end=eof'
}

agent_serves_with_the_powers_that_are_left() {
	agent start
	agent is-active
	expect "$(systemctl show -p StatusText keyblobd)" '[0-9]+ workers'
	expect "$(grep NoNewPrivs "/proc/$(main_pid)/status")" '1$'
	expect "$(grep Seccomp: "/proc/$(main_pid)/status")" '2$'
	start_app
	good_peer
	expect "$(peer "$app_port" connect http)" 'handshake=no'
	expect "$(keyblob status)" 'handshakes done, as server +1'
	fails journal_has 'not locked'
	fails grep -E '^VmLck:[[:space:]]+0 kB' "/proc/$(main_pid)/status"
	start_plain
	good_peer
	fails journal_has 'ask the kernel'
}

journal_knows_priority_and_process() {
	agent restart
	start_app
	expect "$(peer "$app_port" connect http)" 'handshake=no'
	until_true 5 journal_has 'plain HTTP'
	journalctl -u keyblobd -o json --output-fields=MESSAGE,PRIORITY,_PID | tail -n 1 >line
	cat line
	expect "$(cat line)" '"PRIORITY":"5"'
	expect "$(cat line)" "\"_PID\":\"($(pgrep -P "$(main_pid)" | paste -sd '|'))\""
}

worker_that_is_killed_is_replaced() {
	agent restart
	start_app
	pgrep -P "$(main_pid)" | xargs kill -KILL
	until_true 10 good_peer
	agent is-active
}

stopped_supervisor_is_restarted_by_the_watchdog() {
	local pid
	agent restart
	pid=$(main_pid)
	sleep 3
	[ "$(main_pid)" = "$pid" ]
	kill -STOP "$pid"
	until_true 20 gone "$pid"
	until_true 20 agent is-active
	start_app
	good_peer
	agent reset-failed
}

stop_is_clean() {
	agent restart
	agent stop
	expect "$(systemctl show -p Result keyblobd)" success
	[ ! -e "$agent_path" ]
}

socket_outlives_the_agent() {
	systemctl start keyblobd.socket
	expect "$(stat -c '%G %a' "$agent_path")" '^keyblob 660$'
	fails agent is-active
	start_app
	good_peer
	agent restart
	[ -S "$agent_path" ]
	start_app
	good_peer
	systemctl stop keyblobd.socket keyblobd
	[ ! -e "$agent_path" ]
}

hello() {
	local said
	said=$(curl -sS --max-time 30 --cacert test.pem "https://localhost:8443/$1") ||
		journalctl -u hello -u keyblobd -o cat -n 30
	expect "$said" "^hello, you asked for /$1\$"
}

# The manager keeps the socket while the program goes and comes.
program_that_knows_nothing_is_given_a_listener_for_TLS() {
	type -P node >/dev/null || skip "there is no Node"
	agent restart
	systemctl start hello.socket
	fails systemctl is-active hello.service
	hello first
	hello second
	systemctl stop hello.service
	hello third
	fails curl -sS --max-time 30 http://localhost:8443/
	hello fourth
	expect "$(ps -o uid= -p "$(systemctl show -p MainPID --value hello.service)")" '^ *6[0-9]{4}$'
	systemctl stop hello.socket hello.service
}

run_tests \
	agent_serves_with_the_powers_that_are_left \
	journal_knows_priority_and_process \
	worker_that_is_killed_is_replaced \
	stopped_supervisor_is_restarted_by_the_watchdog \
	stop_is_clean \
	socket_outlives_the_agent \
	program_that_knows_nothing_is_given_a_listener_for_TLS
