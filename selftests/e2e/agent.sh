#!/bin/bash
# The agent against its applications, and its life: whatever an application sends or
# fails to do, it is answered or dropped, nothing is left over, others are served.

# shellcheck source=lib.sh disable=SC2119 # functions' own arguments are optional
. "$(dirname "$0")/lib.sh"
need_module

start_agent --workers 1
start_app

good_peer() {
	expect "$(peer "$app_port" finish close hello)" 'handshake=yes .*alert=0 end=eof'
}

# answer_is CASE...: PATTERN for the answer, lines joined by "/"; then the agent has no
# descriptor that it had not before.
answer_is() {
	local pattern=$1 said
	shift
	said=$(abuse "$agent_path" "$@" | tr '\n' '/')
	echo "$*: $said"
	expect "$said" "^$pattern\$"
	until_true 5 open_files_are "$files" "$agent_pid"
}

message_that_is_none_closes_the_connection() {
	answer_is 'closed/' empty
	answer_is 'closed/' cut-header
	answer_is 'FAILED errno=EINVAL reason=.*length.*/closed/' length
	answer_is 'FAILED errno=EINVAL reason=.*length.*/closed/' short-length
	answer_is 'FAILED errno=EINVAL reason=.*another type/closed/' type
	answer_is 'FAILED errno=EINVAL reason=.*no request/closed/' no-request
	answer_is 'FAILED errno=EINVAL reason=.*too long/closed/' too-long
}

unknown_version_is_EPROTONOSUPPORT() {
	answer_is 'FAILED errno=EPROTONOSUPPORT reason=version 2 .*/' version
}

unknown_command_is_EOPNOTSUPP() {
	answer_is 'FAILED errno=EOPNOTSUPP reason=unknown command 99/' command
	answer_is 'FAILED errno=EOPNOTSUPP reason=unknown command 3/' reply-command
}

unknown_mandatory_attribute_is_EOPNOTSUPP() {
	answer_is 'FAILED errno=EOPNOTSUPP reason=unknown attribute 60/' mandatory
}

# The handshake begins, and times out.
unknown_optional_attribute_is_passed_over() {
	answer_is 'FAILED errno=ETIMEDOUT .*/' optional
}

malformed_attribute_is_EINVAL() {
	answer_is 'FAILED errno=EINVAL reason=.*/' reply-attribute
	answer_is 'FAILED errno=EINVAL reason=.*twice.*/' twice
	answer_is 'FAILED errno=EINVAL reason=.*CHANNEL_BINDING is not a flag/' binding
	answer_is 'FAILED errno=EINVAL reason=.*ALPN.*/' size
	answer_is 'FAILED errno=EINVAL reason=.*ALPN.*/' alpn
	answer_is 'FAILED errno=EINVAL reason=.*cut short.*/' cut-attribute
}

requests_about_the_agent_carry_nothing() {
	answer_is 'FAILED errno=EINVAL reason=attribute 1 has no place.*/' status-attribute
	answer_is 'FAILED errno=EINVAL reason=a descriptor has no place.*/' status-fd
	answer_is 'FAILED errno=EINVAL reason=a descriptor has no place.*/' reload-fd
}

clients_say_whom_they_connect_to() {
	answer_is 'FAILED errno=EINVAL reason=.*PEER_NAME is missing.*/' connect-to-nobody
	answer_is 'FAILED errno=EINVAL reason=.*PEER_NAME.*/' connect-to-bytes
	answer_is 'FAILED errno=EINVAL reason=.*PEER_NAME.*/' connect-to-two
	answer_is 'FAILED errno=EINVAL reason=.*PEER_NAME.*/' connect-to-nothing
	answer_is 'FAILED errno=EINVAL reason=.*PEER_NAME is for clients/' accept-from
	answer_is 'FAILED errno=ETIMEDOUT .*/' connect
}

identity_is_one_that_there_is() {
	answer_is 'FAILED errno=EINVAL reason=.*IDENTITY.*/' no-identity
	answer_is 'FAILED errno=EINVAL reason=.*IDENTITY.*/' identity-of-bytes
	answer_is 'FAILED errno=ENOENT reason=.*"nobody"/' unknown-identity
}

anything_but_one_descriptor_is_EINVAL() {
	answer_is 'FAILED errno=EINVAL reason=0 descriptors.*/' no-fd
	answer_is 'FAILED errno=EINVAL reason=2 descriptors.*/' two-fds
	answer_is 'FAILED errno=EINVAL reason=253 descriptors.*/' many-fds
}

# descriptor_is_refused WHAT ERRNO REASON
descriptor_is_refused() {
	local what=$1 error=$2
	shift 2
	answer_is "FAILED errno=$error reason=.*$*.*/" fd "$what"
}

number_in_use_is_EINVAL() {
	answer_is 'FAILED errno=EINVAL reason=.*under way/FAILED errno=ETIMEDOUT .*/' same-number
}

timeout_of_the_request_counts() {
	answer_is 'FAILED errno=ETIMEDOUT reason=handshake timed out after 0.3 s, peer sent 0 bytes/' timeout
	answer_is 'FAILED errno=ETIMEDOUT reason=handshake timed out after 0.3 s, .*/' fd tcp
}

socket_attached_before_is_welcome() {
	answer_is 'FAILED errno=ETIMEDOUT .*/' fd attached
}

nonsense_is_survived() {
	abuse "$agent_path" nonsense
	until_true 5 open_files_are "$files" "$agent_pid"
	good_peer
}

killed_application_takes_its_handshakes_along() {
	abuse "$agent_path" leave 50 kill >said &
	until_true 5 open_files_are $((files + 51)) "$agent_pid"
	kill -KILL $!
	until_true 5 open_files_are "$files" "$agent_pid"
	good_peer
}

# The connection itself stays.
cancelled_requests_are_not_answered() {
	abuse "$agent_path" leave 50 cancel >said &
	until_true 5 grep -q 'under way' said
	until_true 5 open_files_are $((files + 1)) "$agent_pid"
	until_true 5 grep -q silence said
	kill -KILL $!
	until_true 5 open_files_are "$files" "$agent_pid"
	good_peer
}

closed_connection_ends_its_handshakes() {
	abuse "$agent_path" leave 50 close >said &
	until_true 5 grep -q 'under way' said
	until_true 5 open_files_are "$files" "$agent_pid"
	kill -KILL $!
	good_peer
}

stopped() {
	grep -q '^State:.T' "/proc/$1/status"
}

unread_replies_stop_their_reader_alone() {
	local pid rss
	rss=$(awk '/VmRSS/ { print $2 }' "/proc/$(workers)/status")
	abuse "$agent_path" flood 10000 >said &
	pid=$!
	until_true 30 stopped $pid
	expect "$(cat said)" 'refused to take more'
	good_peer
	expect_at_most $(($(awk '/VmRSS/ { print $2 }' "/proc/$(workers)/status") - rss)) 2048 \
		'kB more memory in the worker'
	kill -CONT $pid
	wait $pid || true
	cat said
	expect "$(cat said)" 'sent 10000, replies 10000'
	until_true 5 open_files_are "$files" "$agent_pid"
}

worker_never_died() {
	[ "$(workers)" = "$worker" ]
	fails grep -q 'restarting' "$agent_log"
}

# Life.

second_agent_at_the_same_path_is_refused() {
	fails keyblobd --cert localhost.pem --key localhost.key --listen "$agent_path" 2>said
	expect "$(cat said)" 'in use by a running process'
	good_peer
}

stale_socket_is_replaced() {
	start_agent
	kill -KILL "$agent_pid"
	until_true 5 gone "$agent_pid"
	[ -S "$agent_path" ]
	until_true 5 fails pgrep -f "listen $agent_path"
	keyblobd --cert localhost.pem --key localhost.key --listen "$agent_path" 2>said &
	started+=($!)
	until_true 10 grep -q ready said
	start_app
	good_peer
	stop $!
}

file_that_is_no_socket_is_left_alone() {
	echo precious >file
	fails keyblobd --cert localhost.pem --key localhost.key --listen "$work/file" 2>said
	expect "$(cat said)" 'is no socket'
	expect "$(cat file)" precious
}

socket_is_the_configured_groups() {
	printf '%s\n' '[agent]' 'mode = 0620' 'group = nogroup' '[identity a]' \
		'certificate = localhost.pem' 'key = localhost.key' >agent.conf
	start_agent --config agent.conf
	expect "$(stat -c '%a %G' "$agent_path")" '^620 nogroup$'
}

workers_die_with_the_supervisor() {
	local pids
	start_agent --workers 2
	pids=$(workers)
	kill -KILL "$agent_pid"
	for pid in $pids; do
		until_true 5 gone "$pid"
	done
}

sigterm_finishes_what_is_in_flight() {
	local late
	start_agent --workers 1
	start_app
	abuse "$agent_path" late >late.said &
	late=$!
	until_true 5 stopped $late
	talk pending peer -v 1.3 -w "$app_port" hello close
	until_true 10 in_flight_are 1
	kill -TERM "$agent_pid"
	until_true 2 test ! -e "$agent_path"
	# Those that come now are told, each in the way that is left.
	kill -CONT $late
	wait $late
	expect "$(cat late.said)" 'FAILED errno=ESHUTDOWN'
	expect "$(peer "$app_port" connect fin)" 'end=eof'
	expect "$(tail -n 1 "$app_log")" 'result=ENOENT .*is keyblobd running'
	fails gone "$agent_pid"
	hang_up pending
	wait "$agent_pid"
	until_true 5 grep -q 'result=OK' "$app_log"
	until_true 5 grep -q 'end=OK bytes=0' "$app_log"
}

sigterm_without_handshakes_is_prompt() {
	local began
	start_agent --workers 2
	began=$(now_ms)
	kill -TERM "$agent_pid"
	wait "$agent_pid"
	expect_at_most $(($(now_ms) - began)) 2500 'ms to stop'
	[ ! -e "$agent_path" ]
}

good_peer >/dev/null
until_true 5 grep -q end= "$app_log"
files=$(open_files "$agent_pid")
worker=$(workers)

run_tests \
	message_that_is_none_closes_the_connection \
	unknown_version_is_EPROTONOSUPPORT \
	unknown_command_is_EOPNOTSUPP \
	unknown_mandatory_attribute_is_EOPNOTSUPP \
	unknown_optional_attribute_is_passed_over \
	malformed_attribute_is_EINVAL \
	clients_say_whom_they_connect_to \
	identity_is_one_that_there_is \
	anything_but_one_descriptor_is_EINVAL \
	requests_about_the_agent_carry_nothing \
	'descriptor_is_refused pipe EINVAL no socket' \
	'descriptor_is_refused file EINVAL no socket' \
	'descriptor_is_refused udp EINVAL no TCP socket' \
	'descriptor_is_refused unix EINVAL no TCP socket' \
	'descriptor_is_refused listening EINVAL listening' \
	'descriptor_is_refused unconnected ENOTCONN not, or no longer, connected' \
	'descriptor_is_refused other-ulp EOPNOTSUPP another upper layer protocol' \
	'descriptor_is_refused keyed EALREADY has its keys' \
	socket_attached_before_is_welcome \
	number_in_use_is_EINVAL \
	timeout_of_the_request_counts \
	nonsense_is_survived \
	closed_connection_ends_its_handshakes \
	killed_application_takes_its_handshakes_along \
	cancelled_requests_are_not_answered \
	unread_replies_stop_their_reader_alone \
	worker_never_died \
	second_agent_at_the_same_path_is_refused \
	stale_socket_is_replaced \
	file_that_is_no_socket_is_left_alone \
	socket_is_the_configured_groups \
	workers_die_with_the_supervisor \
	sigterm_finishes_what_is_in_flight \
	sigterm_without_handshakes_is_prompt
