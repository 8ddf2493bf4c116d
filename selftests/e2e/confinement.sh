#!/bin/bash
# What a process of the agent that was taken over can reach: nothing but what it holds.
# keyblobd-probed is the agent with the tries of probe.c inside its confined processes;
# confined is a process with nothing but them. Controls: the same tries succeed where
# nothing is given up, and without the system call filter the other layers refuse.

# shellcheck source=lib.sh disable=SC2119 # functions' own arguments are optional
. "$(dirname "$0")/lib.sh"
need_module

# What has to go on.
must_succeed='needs_memory needs_time needs_random'
# Nobody listens there: ECONNREFUSED, if it can be tried.
connect='connect_tcp connect_by_sendto connect_by_sendmsg'
# A token's library may have files of its user, sockets, threads, code.
token_may='open_file open_below_old_directory open_root create_directory remove_file memory_file
	socket_inet socket_unix socket_netlink bind_tcp listen_tcp other_socket_option
	other_tcp_option make_thread raise_limit executable_memory memory_made_executable
	shared_memory'

# What the probes try to get at: a file of root's, and a process of the worker's own user.
(umask 077 && echo secret >key)
worker_id=65520 signer_id=65521
setpriv --reuid $worker_id --regid $worker_id --clear-groups sleep infinity &
peer=$!
started+=("$peer")
export PROBE_KEY=$work/key PROBE_PEER=$peer

# names LOG KIND RESULT: the tries that ended so, or not so if it begins with "!".
names() {
	if [[ $3 == !* ]]; then
		grep -v " ${3#!}\$" "$1" | sed -n "s/^probe $2 \([^ ]*\) .*/\1/p"
	else
		sed -n "s/^probe $2 \([^ ]*\) $3\$/\1/p" "$1"
	fi | sort -u
}

# words TEXT: one per line, sorted.
words() {
	tr -s ' \t' '\n' <<<"$1" | sed '/^$/d' | sort -u
}

# expect_names LOG KIND RESULT NAMES
expect_names() {
	diff <(words "$4") <(names "$1" "$2" "$3")
}

# all_are_refused LOG KIND: every try, by the filter; and what has to go on does.
all_are_refused() {
	grep -q "^probe $2 done " "$1"
	[ "$(grep -c "^probe $2 " "$1")" -gt 60 ]
	expect_names "$1" "$2" '!EPERM' "$must_succeed done"
	expect_names "$1" "$2" OK "$must_succeed"
}

# start_confined [COMMAND...] confined KIND [USER...]: sets log, pid.
start_confined() {
	log=$work/confined-$RANDOM.log
	"$@" >"$log" 2>&1 &
	pid=$!
	started+=("$pid")
	until_true 10 grep -q serving "$log" || {
		cat "$log"
		return 1
	}
}

# status_is PID NAME VALUE...: in /proc/PID/status.
status_is() {
	local pid=$1 name=$2
	shift 2
	expect "$(tr '\t' ' ' <"/proc/$pid/status" | grep "^$name:")" "^$name: *$* *\$"
}

# ids_are PID UID GID GROUP...
ids_are() {
	local pid=$1 uid=$2 gid=$3
	shift 3
	status_is "$pid" Uid "$uid" "$uid" "$uid" "$uid"
	status_is "$pid" Gid "$gid" "$gid" "$gid" "$gid"
	status_is "$pid" Groups "$@"
}

# gave_up_all PID: as seen from outside.
gave_up_all() {
	local set
	for set in CapInh CapPrm CapEff CapBnd CapAmb; do
		status_is "$1" $set 0000000000000000
	done
	status_is "$1" NoNewPrivs 1
	status_is "$1" Seccomp 2
	# Not dumpable: what is the process's own in /proc belongs to root.
	[ "$(stat -c %u "/proc/$1/mem")" = 0 ]
	expect "$(grep 'Max core file size' "/proc/$1/limits")" ' 0 +0 '
	expect "$(grep 'Max locked memory' "/proc/$1/limits")" ' unlimited +unlimited '
}

makes_no_process() {
	expect "$(grep 'Max processes' "/proc/$1/limits")" ' 0 +0 '
}

has_empty_root() {
	expect "$(readlink "/proc/$1/root")" ' \(deleted\)$'
	[ -z "$(ls -A "/proc/$1/root/")" ]
	fails touch "/proc/$1/root/file"
	[ "$(readlink "/proc/$1/cwd")" = "$(readlink "/proc/$1/root")" ]
}

# result_is NAME RESULT: of a try in the log of confined.
result_is() {
	expect "$(grep "^probe [a-z-]* $1 " "$log")" " $2\$"
}

# Where nothing is given up; a refused connection has been tried.
unconfined_all_succeeds() {
	PROBE=unconfined start_confined confined worker
	expect_names "$log" worker '!OK' "$connect done"
	expect_names "$log" worker ECONNREFUSED "$connect"
}

# confined_all_is_refused KIND ID
confined_all_is_refused() {
	start_confined confined "$1"
	all_are_refused "$log" "$1"
	ids_are "$pid" "$2" "$2"
	gave_up_all "$pid"
	makes_no_process "$pid"
	has_empty_root "$pid"
}

# The other signer's memory is out of reach although they have one user.
confined_signer_of_a_token_keeps_what_it_needs() {
	PROBE=bare start_confined confined signer
	PROBE_PEER=$pid start_confined confined token-signer
	expect_names "$log" token-signer OK "$token_may $must_succeed"
	expect_names "$log" token-signer ECONNREFUSED "$connect"
	# What is root's: so is the memory of what is not dumpable.
	expect_names "$log" token-signer EACCES \
		'create_file open_key open_memory_of_parent open_memory_of_peer'
	ids_are "$pid" $signer_id $signer_id
	gave_up_all "$pid"
}

# What only the filter refuses is not looked at.
unfiltered_other_layers_refuse() {
	local name
	PROBE=bare start_confined confined worker
	PROBE_PEER=$pid PROBE=unfiltered start_confined confined worker
	# The limit on processes counts for a new program, too.
	for name in make_process make_thread execute; do
		result_is $name EAGAIN
	done
	for name in open_file open_key open_root create_file create_directory remove_file \
		open_below_old_directory open_memory_of_parent open_memory_of_peer; do
		result_is $name '(EACCES|ENOENT)'
	done
	for name in become_root become_group_of_root join_groups change_root mount_something \
		new_mount_namespace raise_limit load_module trace_parent trace_peer \
		read_memory_of_parent read_memory_of_peer write_memory_of_parent \
		write_memory_of_peer signal_parent take_descriptor_of_parent; do
		result_is $name '(EPERM|EACCES)'
	done
}

# as_user COMMAND...: an ordinary one.
as_user() {
	exec setpriv --reuid 4242 --regid 4242 --clear-groups "$@"
}

# There, nothing but Landlock is between the process and its user's files.
unfiltered_landlock_refuses_files() {
	local name
	PROBE=unfiltered start_confined as_user "$(command -v confined)" worker
	for name in open_file open_root open_below_old_directory create_directory; do
		result_is $name EACCES
	done
}

# started_by_an_ordinary_user_all_is_refused KIND
started_by_an_ordinary_user_all_is_refused() {
	start_confined as_user "$(command -v confined)" "$1"
	all_are_refused "$log" "$1"
	ids_are "$pid" 4242 4242
	status_is "$pid" CapPrm 0000000000000000
	status_is "$pid" NoNewPrivs 1
	status_is "$pid" Seccomp 2
}

# user_is_taken KIND WORKER-USER SIGNER-USER UID GID
user_is_taken() {
	PROBE=bare start_confined confined "$1" "$2" "$3"
	ids_are "$pid" "$4" "$5"
}

users_of_the_agent_are_taken_if_they_exist() {
	local uid gid audio
	useradd --system --no-create-home --user-group keyblob-worker
	user_is_taken worker - - "$(id -u keyblob-worker)" "$(id -g keyblob-worker)"
	useradd --system --no-create-home --user-group --groups audio keyblob-signer
	uid=$(id -u keyblob-signer) gid=$(id -g keyblob-signer)
	audio=$(getent group audio | cut -d: -f3)
	user_is_taken signer - - "$uid" "$gid"
	# Its groups are the way to the token.
	PROBE=bare start_confined confined token-signer
	ids_are "$pid" "$uid" "$gid" "$audio" "$gid"
	stop_started
	userdel keyblob-worker
	userdel keyblob-signer
}

# user_is_refused WORKER-USER SIGNER-USER MESSAGE...
user_is_refused() {
	local process=worker
	[ "$1" != - ] || process=signer
	expect "$(fails confined $process "$1" "$2" 2>&1)" "^fault: ${process}_user [^ ]*: ${*:3}"
}

# confined_abort_is_abort KIND
confined_abort_is_abort() {
	local status=0
	(ulimit -c 0 && PROBE=abort exec confined "$1") || status=$?
	[ $status = $((128 + 6)) ]
}

confined_process_dies_with_its_parent() {
	local parent
	PROBE=bare bash -c 'confined worker & echo $! >child; wait' >parent.log 2>&1 &
	parent=$!
	started+=("$parent")
	until_true 10 grep -q serving parent.log
	kill -KILL "$parent"
	until_true 5 gone "$(cat child)"
}

# In each process of the agent that confines itself.
agent_all_is_refused() {
	local kind pid
	agent_program=keyblobd-probed start_agent --workers 2
	until_true 10 grep -q '^probe worker done' "$agent_log"
	sed -n 's/^probe \([a-z-]*\) done \(.*\)/\1 \2/p' "$agent_log" >processes
	cat processes
	while read -r kind pid; do
		all_are_refused "$agent_log" "$kind"
		gave_up_all "$pid"
		makes_no_process "$pid"
		has_empty_root "$pid"
	done <processes
}

agent_handshakes_go_on() {
	agent_program=keyblobd-probed start_agent --workers 1
	start_app
	until_true 10 grep -q '^probe worker done' "$agent_log"
	expect "$(peer "$app_port" finish close hello)" 'handshake=yes .*alert=0 end=eof'
}

run_tests \
	unconfined_all_succeeds \
	"confined_all_is_refused worker $worker_id" \
	"confined_all_is_refused signer $signer_id" \
	confined_signer_of_a_token_keeps_what_it_needs \
	unfiltered_other_layers_refuse \
	unfiltered_landlock_refuses_files \
	'started_by_an_ordinary_user_all_is_refused worker' \
	'started_by_an_ordinary_user_all_is_refused signer' \
	"user_is_taken worker nobody 4711 $(id -u nobody) $(id -g nobody)" \
	'user_is_taken signer - 4711 4711 4711' \
	users_of_the_agent_are_taken_if_they_exist \
	'user_is_refused nobody-knows nobody there is no user nobody-knows' \
	'user_is_refused - nobody-knows there is no user nobody-knows' \
	'user_is_refused 4294967295 nobody there is no user 4294967295' \
	'confined_abort_is_abort worker' \
	'confined_abort_is_abort signer' \
	confined_process_dies_with_its_parent \
	agent_all_is_refused \
	agent_handshakes_go_on
