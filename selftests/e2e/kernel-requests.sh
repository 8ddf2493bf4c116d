#!/bin/bash
# Handshakes that applications ask the kernel for, by KEYBLOB_HANDSHAKE: the agent does them
# under the rules and limits of its UNIX socket, whatever becomes of it meanwhile.

# shellcheck source=lib.sh disable=SC2119 # functions' own arguments are optional
. "$(dirname "$0")/lib.sh"
need_module

# start_plain_as USER GROUP[,GROUP...] [OPTION...]
start_plain_as() {
	app_log=$work/plain-$RANDOM.log
	setpriv --reuid "$1" --regid "${2%%,*}" --groups "$2" plain "${@:3}" server >>"$app_log" 2>&1 &
	app_pid=$!
	wait_for_port
}

# knock: a peer that says nothing and waits for the server to end the connection.
knock() {
	peer "$app_port" connect wait
}

good_peer() {
	expect "$(peer "$app_port" finish close hello)" 'handshake=yes .*alert=0 end=eof'
}

# ends ERRNO TEXT: how the server's last handshake ended.
ends() {
	until_true 15 grep -q "result=$1" "$app_log"
	expect "$(grep result= "$app_log" | tail -n 1)" "result=$1 .*handshake=4 errno=$1 .*$2"
}

# asked OPTION...: what a client says that asks and connects to peer_port.
asked() {
	plain "$@" client "$peer_port" </dev/null 2>&1 | grep result=
}

# start_kernel_agent [LINE...]: an agent with identities ec and rsa, lines in [agent], and
# trust in both; more sections come from more_sections.
more_sections=''
start_kernel_agent() {
	[ -e localhost.pem ] || make_cert localhost ec localhost 127.0.0.1 ::1
	[ -e rsa.pem ] || make_cert rsa rsa rsa.test
	cat localhost.pem rsa.pem >trust.pem
	{
		printf '%s\n' '[agent]' 'mode = 0666' "$@" '[client]' "trust = $work/trust.pem"
		printf '%s\n' '[identity ec]' "certificate = $work/localhost.pem" \
			"key = $work/localhost.key" '[identity rsa]' \
			"certificate = $work/rsa.pem" "key = $work/rsa.key"
		printf '%b' "$more_sections"
	} >keyblobd.conf
	start_agent --config "$work/keyblobd.conf"
}

# As a server.

# server_is_served OPTION...: with all that is told of it.
server_is_served() {
	start_kernel_agent
	start_plain "$@" -l http/1.1 -l h2
	seq 150000 >sent
	talk client openssl s_client -quiet -no_ign_eof -connect "localhost:$app_port" -servername localhost \
		-alpn h2 -CAfile localhost.pem -verify_return_error
	cat sent >client.in
	until_true 20 same_size sent client.out
	cmp sent client.out
	hang_up client
	expect "$(grep result=OK "$app_log")" \
		'suite=130[123] group=(x25519|X25519).* alpn=h2 sni=localhost name=- resumed=0'
	expect "$(cat "$agent_log")" 'handshake with .*: TLS 1\.3, .*, name "localhost"'
	expect "$(openssl s_client -connect "localhost:$app_port" -servername rsa.test </dev/null 2>&1)" \
		'CN = rsa'
}

# identity_that_is_named_is_shown
identity_that_is_named_is_shown() {
	start_kernel_agent
	start_plain -I rsa
	expect "$(openssl s_client -connect "localhost:$app_port" -servername localhost </dev/null 2>&1)" \
		'CN = rsa'
	start_plain -I nobody
	knock
	ends ENOENT 'no identity is named "nobody"'
}

peers_of_all_kinds_are_served() {
	start_kernel_agent
	start_plain -N
	expect "$(echo hello | gnutls-cli --x509cafile localhost.pem -p "$app_port" localhost 2>&1)" \
		'Handshake was completed'
	talk client openssl s_client -quiet -no_ign_eof -tls1_2 -connect "localhost:$app_port"
	say client hello
	until_true 20 grep -q hello client.out
	hang_up client
	echo_of_curl "https://localhost:$app_port/" --cacert localhost.pem
	expect "$(cat curl.out)" '^GET / HTTP/1.1'
	good_peer
}

session_is_resumed() {
	start_kernel_agent 'workers = 2'
	start_plain
	openssl s_client -connect "localhost:$app_port" -tls1_2 -sess_out session </dev/null >said 2>&1
	expect "$(openssl s_client -connect "localhost:$app_port" -tls1_2 -sess_in session </dev/null 2>&1)" \
		'Reused, TLSv1.2'
	expect "$(tail -n 2 "$app_log")" 'resumed=1'
}

# failure_is_told OPTION...: to an application, and in the log.
failure_is_told() {
	start_kernel_agent
	start_plain "$@" -t 2000
	expect "$(peer "$app_port" connect http)" 'handshake=no'
	ends ECONNABORTED 'the peer speaks plain HTTP, not TLS'
	expect "$(cat "$agent_log")" 'handshake with .* failed: the peer speaks plain HTTP'
	fails openssl s_client -connect "localhost:$app_port" -tls1_1 -cipher DEFAULT@SECLEVEL=0 </dev/null >said 2>&1
	ends ECONNABORTED 'no TLS version in common'
	expect "$(tail -n 1 "$app_log")" 'alert=sent:70'
	expect "$(peer -d 300 "$app_port" connect fin)" 'handshake=no'
	ends ECONNRESET 'peer closed the connection during the handshake, having sent 0 bytes'
	talk loris loris 1 "$app_port"
	ends ETIMEDOUT 'handshake timed out after 1\.9 s, peer sent [0-9]+ bytes'
	expect "$(keyblob status --json -a "$agent_path")" '"handshakes_timed_out"[^,]*: *1'
	good_peer
}

# As a client.

# client_is_served OPTION...
client_is_served() {
	start_kernel_agent
	start_peer openssl s_server -accept "$peer_port" -cert localhost.pem -key localhost.key \
		-alpn h2 -rev -quiet
	echo hello | plain "$@" -l h2 client "$peer_port" >out 2>said
	cat said
	expect "$(cat out)" olleh
	expect "$(cat said)" 'result=OK .*suite=130[123] .*alpn=h2 sni=localhost name=localhost'
	expect "$(cat said)" 'end=OK'
	stop "${talker[peer]}"
	start_peer gnutls-serv --echo --port "$peer_port" --x509certfile rsa.pem --x509keyfile rsa.key
	expect "$(asked "$@" -n rsa.test)" 'result=OK .*name=rsa.test'
}

# wrong_certificate_is_refused OPTION...
wrong_certificate_is_refused() {
	start_kernel_agent
	make_cert unknown ec localhost
	start_peer openssl s_server -accept "$peer_port" -cert unknown.pem -key unknown.key -quiet
	expect "$(asked "$@")" \
		'result=EKEYREJECTED .*handshake=4 errno=EKEYREJECTED alert=sent:48 error=.*[a-z]'
	stop "${talker[peer]}"
	start_peer openssl s_server -accept "$peer_port" -cert localhost.pem -key localhost.key -quiet
	expect "$(asked "$@" -n other.test)" \
		'result=EKEYREJECTED .*errno=EKEYREJECTED alert=sent:(42|46) error=.*other.test'
	expect "$(cat "$agent_log")" 'handshake with .* failed: .*other.test'
	expect "$(asked "$@")" 'result=OK'
}

name_that_is_none_is_EINVAL() {
	start_kernel_agent
	start_peer openssl s_server -accept "$peer_port" -cert localhost.pem -key localhost.key -quiet
	expect "$(asked -n 127.1)" 'result=EINVAL .*name "127.1" to connect to is neither'
}

# Who may.

refused_by_rule() {
	knock
	ends EACCES "user [0-9]+ may not be a TLS server.*: $1"
	expect "$(cat "$agent_log")" "process $app_pid refused: user [0-9]+ may not .*$1"
	expect "$(keyblob status --json -a "$agent_path")" '"handshakes_refused"[^,]*: *[1-9]'
}

without_rules_it_is_the_agents_group() {
	start_kernel_agent
	start_plain_as 2001 2001
	refused_by_rule 'there are no rules'
	start_plain_as 2001 2001,0
	good_peer
}

rules_of_the_agent_count() {
	more_sections='[deny 2003]\nuser = 2003\n[allow some]\ngroup = 2004\nidentity = rsa\n[allow root]\nuser = 0\n'
	start_kernel_agent
	chmod 711 "$work"
	start_plain_as 2003 2004 -N
	refused_by_rule '\[deny 2003\] at keyblobd.conf:[0-9]+'
	start_plain_as 2005 2005
	refused_by_rule 'no rule allows it'
	start_plain_as 2005 2005,2004
	expect "$(openssl s_client -connect "localhost:$app_port" -servername localhost </dev/null 2>&1)" 'CN = rsa'
	start_plain_as 2005 2005,2004 -I ec
	refused_by_rule 'no rule allows it'
	start_plain
	good_peer
}

# start_plain_in_cgroup NAME
start_plain_in_cgroup() {
	app_log=$work/plain-$RANDOM.log
	mkdir -p "/sys/fs/cgroup/$1"
	# shellcheck disable=SC2016 # for the shell there
	sh -c 'echo $$ >"/sys/fs/cgroup/$0/cgroup.procs" && exec plain server' "$1" >>"$app_log" 2>&1 &
	app_pid=$!
	wait_for_port
}

control_groups_count() {
	more_sections='[allow web]\ncgroup = /web.slice\n'
	start_kernel_agent
	start_plain_in_cgroup web.slice/one.service
	good_peer
	start_plain_in_cgroup web.slicer
	refused_by_rule 'no rule allows it'
}

limits_of_the_agent_count() {
	start_kernel_agent 'workers = 1' 'handshakes = 10' 'timeout = 60'
	start_plain -N
	talk lorises loris 40 "$app_port"
	until_true 20 grep -q connected lorises.out
	until_true 20 grep -q 'result=EBUSY' "$app_log"
	ends EBUSY 'handshakes are in flight, the limit of this worker|given up for another one'
	sleep 0.6	# the least that each of them has
	for _ in 1 2 3; do
		good_peer
	done
	hang_up lorises
}

# Another network namespace wants an agent of its own.
network_namespaces_are_apart() {
	start_kernel_agent
	# shellcheck disable=SC2016 # for the shell there
	unshare --net bash -c 'ip link set lo up
		plain server >ns.log 2>&1 &
		until grep -q listening ns.log; do sleep 0.05; done
		peer "$(sed -n "s/^listening on port //p" ns.log)" connect wait; kill $!'
	expect "$(grep result= ns.log)" 'result=ESRCH'
	start_plain
	good_peer
}

# Many, and what may happen meanwhile.

# pending_handshakes_all_end OPTION...: none of the peers says a word before all are pending.
pending_handshakes_all_end() {
	start_kernel_agent 'workers = 2' 'timeout = 60' 'handshakes-per-user = 1000'
	all_succeed 500 -K "$@" 500 500
	until_true 10 in_flight_are 0
}

dawdling_peers_keep_nobody_out() {
	start_kernel_agent 'workers = 2' 'timeout = 600' 'handshakes-per-user = 1000'
	start_plain -N -t 600000
	talk lorises loris 200 "$app_port"
	until_true 60 grep -q connected lorises.out
	for _ in 1 2 3; do
		good_peer
	done
	all_succeed 100 -K 100 50
	fails grep -v 'result=OK\|listening\|end=OK' "$app_log"
	hang_up lorises
	until_true 60 reset_peers_are 200
	good_peer
}

reset_peers_are() {
	[ "$(grep -c result=ECONNRESET "$app_log")" = "$1" ]
}

# Closed while under way: the agent has nothing of them for long.
closed_sockets_are_given_up() {
	local files
	start_kernel_agent 'workers = 1' 'timeout = 60'
	start_plain
	good_peer
	files=$(open_files "$agent_pid")
	handshakes -K -x 300 300 >said
	cat said
	expect "$(cat said)" 'requests=300 ok=200 cancelled=100 failed=0'
	until_true 15 open_files_are "$files" "$agent_pid"
	in_flight_are 0
}

killed_application_takes_its_handshakes_along() {
	local files
	start_kernel_agent 'workers = 1' 'timeout = 60'
	start_plain
	good_peer
	files=$(open_files "$agent_pid")
	start_plain -N
	talk lorises loris 50 "$app_port"
	until_true 20 open_files_are $((files + 50)) "$agent_pid"
	kill -KILL "$app_pid"
	until_true 15 open_files_are "$files" "$agent_pid"
	in_flight_are 0
	hang_up lorises
}

# Those that it had begun fail with it, the others are done by the other one.
worker_may_die_at_any_moment() {
	local after
	start_kernel_agent 'workers = 2' 'timeout = 60' 'handshakes-per-user = 1000'
	for after in $(thorough '1 100 190' 100); do
		succeed -K -k "$(workers | head -n 1)" -A "$after" 200 200
		expect "$(cat said)" 'streams ok=[0-9]+ failed=0'
		expect "$(cat said)" 'ok=(1[0-9][0-9]|200) '
		fails grep '^failed' said | grep -v 'ECONNABORTED'
		expect_at_most "$(field max_ms "$(head -n 1 said)")" 60000 'ms for the slowest call'
		until_true 10 workers_are 2
	done
	all_succeed 20 -K 20 20
}

workers_are() {
	[ "$(workers | wc -l)" = "$1" ]
}

hung_worker_keeps_nobody_waiting() {
	start_kernel_agent 'workers = 2' 'timeout = 60'
	kill -STOP "$(workers | head -n 1)"
	all_succeed 50 -K 50 10
	all_succeed 50 -K -b 50 50
}

workers_are_replaced_without_a_loss() {
	start_kernel_agent 'workers = 2' 'worker-lifetime = 25'
	all_succeed 150 -K 150 20
	all_succeed 150 -K -b 150 20
	until_true 10 workers_are 2
	fails grep -E 'died|exited|does not|cannot' "$agent_log"
}

reloads_lose_no_handshake() {
	local load i
	start_kernel_agent 'workers = 1'
	(
		while [ ! -e enough ]; do
			handshakes -K 100 10 >load.now || touch load.failed
			cat load.now >>load.said
		done
	) &
	load=$!
	for ((i = 0; i < $(thorough 100 15); i++)); do
		keyblob reload -a "$agent_path"
	done
	touch enough
	wait $load
	cat load.said
	[ ! -e load.failed ]
	fails grep '^failed' load.said
	until_true 15 workers_are 1
	# The old processes are gone, and so are their sockets.
	[ "$(pgrep -P "$agent_pid" | wc -l)" = 2 ]
}

# Coming and going.

no_agent_is_ESRCH() {
	start_plain
	knock
	until_true 5 grep -q 'result=ESRCH' "$app_log"
	start_kernel_agent 'kernel-requests = no'
	knock
	expect "$(tail -n 1 "$app_log")" 'result=ESRCH'
	start_app
	good_peer
}

setting_is_reloaded() {
	start_kernel_agent 'kernel-requests = no'
	start_plain
	sed -i 's/^kernel-requests.*/kernel-requests = yes/' keyblobd.conf
	keyblob reload -a "$agent_path"
	good_peer
	sed -i 's/^kernel-requests.*/kernel-requests = no/' keyblobd.conf
	keyblob reload -a "$agent_path"
	until_true 5 refused_for_want_of_an_agent
}

refused_for_want_of_an_agent() {
	knock
	tail -n 1 "$app_log" | grep -q result=ESRCH
}

agent_may_be_restarted() {
	start_kernel_agent
	start_plain
	good_peer
	stop "$agent_pid"
	refused_for_want_of_an_agent
	start_kernel_agent
	good_peer
	kill -KILL "$agent_pid"
	until_true 5 refused_for_want_of_an_agent
	start_kernel_agent
	good_peer
}

stop_finishes_what_is_in_flight() {
	start_kernel_agent 'workers = 1'
	start_plain
	talk pending peer -v 1.3 -w "$app_port" hello close
	until_true 10 in_flight_are 1
	kill -TERM "$agent_pid"
	until_true 5 refused_for_want_of_an_agent
	fails gone "$agent_pid"
	hang_up pending
	wait "$agent_pid"
	until_true 5 grep -q 'result=OK' "$app_log"
}

agent_without_its_capability_says_so_and_serves() {
	[ -e localhost.pem ] || make_cert localhost ec localhost
	agent_path=$work/weak.sock agent_log=$work/weak.log
	setpriv --bounding-set=-net_admin --inh-caps=-net_admin keyblobd --cert localhost.pem --key localhost.key \
		--listen "$agent_path" >"$agent_log" 2>&1 &
	agent_pid=$!
	started+=("$agent_pid")
	until_true 10 grep -q ready "$agent_log"
	expect "$(cat "$agent_log")" 'ask the kernel: .*CAP_NET_ADMIN'
	[ "$(grep -c 'ask the kernel' "$agent_log")" = 1 ]
	start_app
	good_peer
}

module_gone() {
	[ ! -d /sys/module/keyblob ] || rmmod keyblob 2>/dev/null
}

# The agent is there first, then the module; and the module is loaded anew.
module_may_come_later() {
	until_true 10 module_gone
	start_kernel_agent 'workers = 2'
	expect "$(cat "$agent_log")" 'ask the kernel: the kernel module keyblob is not loaded'
	[ "$(grep -c 'ask the kernel' "$agent_log")" = 1 ]
	insmod "$KEYBLOB_KO"
	until_true 10 grep -q 'module keyblob was loaded' "$agent_log"
	start_plain
	good_peer
	all_succeed 20 -K 20 20
	stop "$app_pid"
	until_true 10 module_gone
	insmod "$KEYBLOB_KO"
	start_plain
	until_true 10 good_peer
	stop "$app_pid"
}

run_tests \
	server_is_served \
	'server_is_served -N' \
	identity_that_is_named_is_shown \
	peers_of_all_kinds_are_served \
	session_is_resumed \
	failure_is_told \
	'failure_is_told -N' \
	client_is_served \
	'client_is_served -N' \
	wrong_certificate_is_refused \
	'wrong_certificate_is_refused -N' \
	name_that_is_none_is_EINVAL \
	without_rules_it_is_the_agents_group \
	rules_of_the_agent_count \
	control_groups_count \
	limits_of_the_agent_count \
	network_namespaces_are_apart \
	pending_handshakes_all_end \
	'pending_handshakes_all_end -b' \
	'pending_handshakes_all_end -v 1.2' \
	dawdling_peers_keep_nobody_out \
	closed_sockets_are_given_up \
	killed_application_takes_its_handshakes_along \
	worker_may_die_at_any_moment \
	hung_worker_keeps_nobody_waiting \
	workers_are_replaced_without_a_loss \
	reloads_lose_no_handshake \
	no_agent_is_ESRCH \
	setting_is_reloaded \
	agent_may_be_restarted \
	stop_finishes_what_is_in_flight \
	agent_without_its_capability_says_so_and_serves \
	module_may_come_later
