#!/bin/bash
# Many handshakes, one after another and at once, with accidents; and nothing left over
# in agent or kernel. Our side is libkeyblob, the peers' is OpenSSL.

# shellcheck source=lib.sh disable=SC2119 # functions' own arguments are optional
. "$(dirname "$0")/lib.sh"
need_module

# Without TIME_WAIT, every TCP socket that is there was left over.
tw_buckets=$(sysctl -n net.ipv4.tcp_max_tw_buckets)
sysctl -qw net.ipv4.tcp_max_tw_buckets=0
trap 'sysctl -qw net.ipv4.tcp_max_tw_buckets="$tw_buckets"; clean_up' EXIT

sockets() {
	awk '/^TCP6?:/ { for (i = 2; i < NF; i += 2) if ($i != "mem") printf "%s%s=%s ", $1, $i, $(i + 1) }' \
		/proc/net/sockstat /proc/net/sockstat6
}

# no_more_sockets_than BEFORE: earlier tests may have left some in TIME_WAIT.
no_more_sockets_than() {
	paste -d ' ' <(tr ' ' '\n' <<<"$1") <(sockets | tr ' ' '\n') |
		awk -F '[ =]' 'NF == 4 && $4 > $2 { more = 1 } END { exit more }'
}

# What connections are made of, and what modules allocate: objects in use.
slabs() {
	awk '$1 ~ /^(TCP|TCPv6|(tw|request)_sock_TCP(v6)?|sock_inode_cache|filp|kmalloc-(rnd-..-)?[0-9]+k?)$/ {
		print $1, $2
	}' /proc/slabinfo
}

# A leak of an object in each connection is 1,000 of them. Free objects in the caches of
# each CPU count as used, a page has up to 512, and the rest of the system works, too: hence
# the slack.
slab_slack=1000

no_slab_grew_since() {
	slabs >slabs.now
	awk -v slack=$slab_slack 'NR == FNR { before[$1] = $2; next }
		$2 - before[$1] > slack { print $1 ": " before[$1] " -> " $2; grew = 1 }
		END { exit grew }' "$1" slabs.now
}

# resident: kB of all workers.
resident() {
	local pid
	for pid in $(workers); do
		awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"
	done | awk '{ n += $1 } END { print n }'
}

# no_more_memory_than KB: in the workers, since the beginning.
no_more_memory_than() {
	expect_at_most $(($(resident) - resident_before)) "$1" 'kB more memory in the workers'
}

unused() {
	[ "$(cat /sys/module/keyblob/refcnt)" = 0 ]
}

two_hundred_at_once() {
	all_succeed 200 "$@" 200 200
}

many_in_a_row() {
	local n
	n=$(thorough 1000 300)
	all_succeed "$n" "$n" 1
}

cancelled_requests_never_complete_and_others_do() {
	succeed -x 150 150
	expect "$(cat said)" 'requests=150 ok=100 cancelled=50 failed=0'
}

# Each test below leaves what was there before it: counted at the beginning, after
# enough handshakes for everything that is allocated once.
nothing_is_left_over() {
	until_true 10 no_more_sockets_than "$sockets_before" || {
		echo "before: $sockets_before"
		echo "after:  $(sockets)"
		ss -tnap
		return 1
	}
	until_true 5 open_files_are "$files_before" "$agent_pid"
	until_true 5 no_slab_grew_since slabs.before
	# The allocator keeps what 200 at once took in whichever worker, some 80 kB each: memory
	# that is locked is not given back.
	no_more_memory_than 20480
	until_true 5 unused
}

limit_in_flight_is_EBUSY_and_says_so() {
	start_agent --workers 1 --max-handshakes 5 --timeout 60
	succeed 20 20
	expect "$(cat said)" 'ok=5 cancelled=0 failed=15'
	expect "$(cat said)" 'failed 15 EBUSY 5 handshakes are in flight, .*limit'
	all_succeed 5 5 5
}

# Each call ends, those in the other worker well; nothing but the death is a reason.
calls_survive_a_dying_worker() {
	start_agent --workers 2 --timeout 60
	succeed -b -t 30000 -k "$(workers | head -n 1)" -A 50 200 200
	no_other_failure_than_a_dead_worker
	# The next ones are served, before and after there is a new worker.
	all_succeed 20 -b 20 20
	until_true 5 two_workers
	all_succeed 20 -b 20 20
	stop "$agent_pid"
}

two_workers() {
	[ "$(workers | wc -l)" = 2 ]
}

no_other_failure_than_a_dead_worker() {
	grep '^failed' said | grep -v 'EPIPE keyblob agent at .* went away during the handshake' >other || true
	[ ! -s other ] || {
		cat other
		return 1
	}
	expect "$(cat said)" 'streams ok=[0-9]+ failed=0'
	expect_at_most "$(field max_ms "$(head -n 1 said)")" 31500 'ms for the slowest call'
}

# One connection to the agent, one worker: all that are under way fail.
event_loop_survives_a_dying_worker() {
	start_agent --workers 1 --timeout 60
	succeed -t 30000 -k "$(workers)" -A 50 200 200
	# Some replies were on their way already.
	expect "$(cat said)" 'requests=200 ok=[5-9][0-9] cancelled=0 failed=1[0-9][0-9]'
	no_other_failure_than_a_dead_worker
	until_true 5 workers
	all_succeed 20 20 20
	stop "$agent_pid"
}

absent_agent_is_named() {
	fails handshakes -a "$work/none" 1 1 2>said
	expect "$(cat said)" "keyblob agent at $work/none: .*is keyblobd running"
}

start_agent --workers 2 --timeout 60
handshakes -a "$agent_path" 200 200 >/dev/null
handshakes -a "$agent_path" -b 200 200 >/dev/null
sockets_before=$(sockets)
files_before=$(open_files "$agent_pid")
slabs >slabs.before
resident_before=$(resident)

run_tests \
	two_hundred_at_once \
	'two_hundred_at_once -v 1.2' \
	'two_hundred_at_once -b' \
	many_in_a_row \
	cancelled_requests_never_complete_and_others_do \
	nothing_is_left_over \
	limit_in_flight_is_EBUSY_and_says_so \
	calls_survive_a_dying_worker \
	event_loop_survives_a_dying_worker \
	absent_agent_is_named \
	nothing_is_left_over
