#!/bin/bash
# The agent's processes: what each holds, what happens when one is killed or replaced, and
# that peers who never finish keep nobody else out.

# shellcheck source=lib.sh disable=SC2119 # functions' own arguments are optional
. "$(dirname "$0")/lib.sh"
need_module

# private_keys: as memscan wants them, big-endian as in files and little-endian as in
# OpenSSL's numbers.
private_keys() {
	local name key
	for name in localhost rsa; do
		openssl pkey -in $name.key -noout -text |
			awk '/^[a-z]/ { label = $1; sub(":.*", "", label); next }
				{ gsub("[ :]", ""); hex[label] = hex[label] $0 }
				END { for (label in hex) if (label ~ /^(priv|privateExponent|prime1|prime2|exponent1|coefficient)$/)
					print label, hex[label] }' |
			while read -r label key; do
				key=${key#00}
				echo "$name.$label ${key:0:128}"
				echo "$name.$label.reversed $(fold -w 2 <<<"$key" | tac | tr -d '\n' | cut -c 1-128)"
			done
	done
}

private_keys_are_in_the_signer_alone() {
	local found
	start_configured 'workers = 2'
	private_keys >keys
	[ "$(wc -l <keys)" -ge 10 ]
	start_app
	all_succeed 50 50 10
	# shellcheck disable=SC2046 # one word each
	memscan keys "$agent_pid" "$app_pid" $(workers)
	# The search finds what is there.
	# shellcheck disable=SC2046
	found=$(memscan keys $(signers)) || true
	expect "$found" 'found localhost.priv'
	expect "$found" 'found rsa.prime1'
	# Neither does a worker that is new, or one that has failed.
	kill -KILL "$(workers | head -n 1)"
	until_true 10 workers_are 2
	all_succeed 50 50 10
	# shellcheck disable=SC2046
	memscan keys "$agent_pid" "$app_pid" $(workers)
}

workers_are() {
	[ "$(workers | wc -l)" = "$1" ]
}

signers_are() {
	[ "$(signers | wc -l)" = "$1" ]
}

# Operations that were under way are asked again of the next signer.
signer_may_die_at_any_moment() {
	local after
	start_configured 'workers = 2' 'timeout = 60'
	for after in $(thorough '1 50 150' 50); do
		all_succeed 200 -b -t 60000 -k "$(signers)" -A "$after" 200 200
		until_true 5 signers_are 1
		expect "$(cat "$agent_log")" 'signer [0-9]+ died of signal 9'
		: >"$agent_log"
	done
}

# A worker that hangs, here because it is stopped, is replaced by another one.
hung_worker_is_replaced() {
	local hung
	start_configured 'workers = 2'
	hung=$(workers | head -n 1)
	kill -STOP "$hung"
	until_true 20 gone "$hung"
	until_true 10 workers_are 2
	expect "$(cat "$agent_log")" "worker $hung does not answer, killing it"
	all_succeed 20 20 20
}

# Whoever was in the other worker does not notice.
worker_may_die_at_any_moment() {
	local after
	start_configured 'workers = 2' 'timeout = 60'
	for after in $(thorough '1 100 190' 100); do
		succeed -b -t 30000 -k "$(workers | head -n 1)" -A "$after" 200 200
		expect "$(cat said)" 'streams ok=[0-9]+ failed=0'
		fails grep '^failed' said | grep -v 'EPIPE keyblob agent at .* went away during the handshake'
		expect_at_most "$(field max_ms "$(head -n 1 said)")" 31500 'ms for the slowest call'
		until_true 10 workers_are 2
	done
	all_succeed 20 20 20
}

# Its successor serves the application already and knows nothing of the request.
request_of_a_replaced_worker_that_dies_is_given_up() {
	local old client
	start_configured 'workers = 1' 'timeout = 60'
	old=$(workers)
	start_peer python3 -c "
import socket, time
s = socket.create_server(('127.0.0.1', $peer_port))
c = s.accept()[0]; c.recv(1); print('asked', flush=True); time.sleep(60)"
	client -s -t 8000 -a "$agent_path" "$peer_port" </dev/null 2>client.log &
	client=$!
	started+=("$client")
	until_true 10 grep -q asked peer.out
	keyblob reload -a "$agent_path"
	kill -KILL "$old"
	until_true 20 gone "$client"
	expect "$(cat client.log)" '^result=ETIMEDOUT .*error=keyblob agent at .* does not answer'
	all_succeed 5 5 5
}

# The next agent takes over the path; each call ends, and connections that have their keys
# do not notice.
supervisor_may_die_at_any_moment() {
	local first pids
	start_configured 'workers = 2' 'timeout = 60'
	start_app
	mkfifo hold
	openssl s_client -quiet -no_ign_eof -connect "localhost:$app_port" <hold >first.said 2>&1 &
	first=$!
	started+=("$first")
	exec 7>hold
	until_true 10 grep -q 'result=OK' "$app_log"
	pids="$(workers) $(signers)"
	succeed -b -t 20000 -k "$agent_pid" -A 50 200 200
	expect_at_most "$(field max_ms "$(head -n 1 said)")" 21500 'ms for the slowest call'
	for pid in $pids; do
		until_true 5 gone "$pid"
	done
	echo 'still here' >&7
	until_true 10 grep -q 'still here' first.said
	exec 7>&-
	wait $first
	keyblobd --config keyblobd.conf --verbose --listen "$agent_path" 2>again &
	started+=($!)
	until_true 10 grep -q ready again
	all_succeed 20 20 20
}

# Each worker is replaced after so many handshakes, without a loss.
workers_are_replaced_in_time() {
	local before
	start_configured 'workers = 2' 'worker-lifetime = 25'
	before=$(workers)
	all_succeed 150 -b 150 20
	until_true 10 workers_are 2
	fails grep -qwF "$(head -n 1 <<<"$before")" <(workers)
	fails grep -qwF "$(tail -n 1 <<<"$before")" <(workers)
	fails grep -E 'died|exited' "$agent_log"
	# One connection, handed over from worker to worker.
	all_succeed 150 150 20
	until_true 10 workers_are 2
}

turned_away() {
	[ "$(grep -c 'result=EBUSY' "$app_log")" -ge "$1" ]
}

# A thousand peers and an agent that does 250 handshakes at a time.
peers_that_never_finish_keep_nobody_out() {
	local began alone
	start_configured 'workers = 1' 'handshakes = 250' 'handshakes-per-user = 250' 'timeout = 60'
	start_app
	began=$(now_ms)
	expect "$(peer "$app_port" finish close hello)" 'handshake=yes'
	alone=$(($(now_ms) - began))
	talk lorises loris 1000 "$app_port"
	until_true 120 grep -q connected lorises.out
	until_true 120 turned_away 750
	for _ in 1 2 3 4 5; do
		began=$(now_ms)
		expect "$(peer "$app_port" finish close hello)" 'handshake=yes .*end=eof'
		expect_at_most $(($(now_ms) - began - alone)) 4000 'ms more for a good handshake'
	done
	grep -c 'error=given up for another one' "$app_log"
	in_flight_are '(1[5-9]|2[0-9])[0-9]'
	hang_up lorises
}

run_tests \
	private_keys_are_in_the_signer_alone \
	signer_may_die_at_any_moment \
	worker_may_die_at_any_moment \
	hung_worker_is_replaced \
	request_of_a_replaced_worker_that_dies_is_given_up \
	supervisor_may_die_at_any_moment \
	workers_are_replaced_in_time \
	peers_that_never_finish_keep_nobody_out
