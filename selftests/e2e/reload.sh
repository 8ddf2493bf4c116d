#!/bin/bash
# Reload: what the new configuration says counts from then on, a fault changes nothing, and
# no handshake is lost, however often.

# shellcheck source=lib.sh disable=SC2119 # functions' own arguments are optional
. "$(dirname "$0")/lib.sh"
need_module

# resident: kB of all processes.
resident() {
	local pid
	for pid in "$agent_pid" $(pgrep -P "$agent_pid"); do
		awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"
	done | awk '{ n += $1 } END { print n }'
}

reload_loop() {
	local i
	for ((i = 0; i < $1; i++)); do
		keyblob reload -a "$agent_path" || return
	done
}

# Under load all the time.
reloads_lose_no_handshake_and_leave_nothing() {
	local n load before files
	n=$(thorough 1000 30)
	start_configured 'workers = 1'
	reload_loop 20
	all_succeed 20 20 20
	until_true 15 processes_are 3
	before=$(resident)
	files=$(open_files "$agent_pid")
	(
		while [ ! -e enough ]; do
			handshakes -a "$agent_path" 200 10 >load.now || touch load.failed
			cat load.now >>load.said
		done
	) &
	load=$!
	reload_loop "$n"
	touch enough
	wait $load
	cat load.said
	[ ! -e load.failed ]
	fails grep -q '^failed' load.said
	until_true 15 processes_are 3
	expect_at_most $(($(resident) - before)) 4096 'kB more memory in all processes'
	until_true 5 open_files_are "$files" "$agent_pid"
	expect "$(keyblob status --json -a "$agent_path")" '"reloads"[^,]*: *'$((n + 20))
}

processes_are() {
	[ "$(pgrep -P "$agent_pid" | wc -l)" = $(($1 - 1)) ]
}

bad_configuration_keeps_the_old_one_and_says_why() {
	start_configured 'workers = 1'
	all_succeed 5 5 5
	cp keyblobd.conf good.conf
	# Each is found by another process: supervisor, signer, worker.
	echo 'colour = blue' >>keyblobd.conf
	fails keyblob reload -a "$agent_path" 2>said
	expect "$(cat said)" 'keyblobd.conf:[0-9]+: .*colour'
	all_succeed 5 5 5
	sed 's/rsa.key/localhost.key/' good.conf >keyblobd.conf
	fails keyblob reload -a "$agent_path" 2>said
	expect "$(cat said)" 'keyblobd.conf:[0-9]+: .*key.*rsa.pem'
	all_succeed 5 5 5
	(cat good.conf && printf '[tls]\ngroups = X25519:nonsense\n') >keyblobd.conf
	fails keyblob reload -a "$agent_path" 2>said
	expect "$(cat said)" 'keyblobd.conf:[0-9]+: .*groups.*nonsense'
	all_succeed 5 5 5
	rm keyblobd.conf
	fails keyblob reload -a "$agent_path" 2>said
	expect "$(cat said)" 'keyblobd.conf'
	all_succeed 5 5 5
	cp good.conf keyblobd.conf
	keyblob reload -a "$agent_path"
	all_succeed 5 5 5
}

certificate_of() {
	openssl s_client -connect "localhost:$app_port" -servername "$1" </dev/null 2>/dev/null |
		openssl x509 -noout -fingerprint
}

# SIGHUP and "keyblob reload" alike: new connections get the new certificate, what was
# begun under the old one ends well.
reload_takes_new_certificates() {
	local before
	start_configured 'workers = 2' 'timeout = 60'
	start_app
	before=$(certificate_of localhost)
	expect "$before" Fingerprint
	talk late peer -v 1.3 -w "$app_port" hello close hello
	until_true 10 in_flight_are 1
	make_cert localhost ec localhost 127.0.0.1 ::1
	kill -HUP "$agent_pid"
	until_true 10 grep -q 'configuration was reloaded' "$agent_log"
	expect "$(certificate_of localhost)" Fingerprint
	[ "$(certificate_of localhost)" != "$before" ]
	in_flight_are 1
	hang_up late
	expect "$(told result "$(field port "$(cat late.out)")")" 'result=OK'
	before=$(certificate_of localhost)
	make_cert localhost ec localhost 127.0.0.1 ::1
	keyblob reload -a "$agent_path"
	[ "$(certificate_of localhost)" != "$before" ]
}

run_tests \
	reload_takes_new_certificates \
	bad_configuration_keeps_the_old_one_and_says_why \
	reloads_lose_no_handshake_and_leave_nothing
