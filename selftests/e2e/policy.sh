#!/bin/bash
# Which local user may be what: rules by user, group, control group, role and identity, as
# the agent applies them to processes of these users.

# shellcheck source=lib.sh disable=SC2119 # functions' own arguments are optional
. "$(dirname "$0")/lib.sh"
need_module

make_cert one ec one.test localhost
make_cert two ec two.test
chmod 711 "$work"

# start_ruled LINE...: an agent with identities one and two, whose socket is open to all,
# and the rules that these lines are.
start_ruled() {
	{
		printf '%s\n' '[agent]' 'mode = 0666' 'workers = 1' 'timeout = 5'
		local name
		for name in one two; do
			printf '%s\n' "[identity $name]" "certificate = $work/$name.pem" "key = $work/$name.key"
		done
		printf '%s\n' "$@"
	} >keyblobd.conf
	start_agent --config "$work/keyblobd.conf"
}

# as USER GROUP[,GROUP...] COMMAND...: by their numbers.
as() {
	local user=$1 groups=$2
	shift 2
	setpriv --reuid "$user" --regid "${groups%%,*}" --groups "$groups" "$@"
}

# start_app_as USER GROUP[,GROUP...]: sets app_port, app_log, app_pid.
start_app_as() {
	app_log=$work/app-$RANDOM.log
	as "$1" "$2" app -a "$agent_path" >"$app_log" 2>&1 &
	app_pid=$!
	wait_for_port
}

# app_is_served and app_is_refused RULE, whatever name the peer asks for.
app_is_served() {
	expect "$(peer "$app_port" finish close hello)" 'handshake=yes'
}

app_is_refused() {
	expect "$(peer "$app_port" connect fin)" 'handshake=no'
	until_true 5 grep -q 'result=EACCES' "$app_log"
	expect "$(tail -n 1 "$app_log")" "result=EACCES .*error=user [0-9]+ may not be a TLS server: .*$1"
	expect "$(cat "$agent_log")" "process [0-9]+ refused: user [0-9]+ may not .*$1"
	expect "$(keyblob status --json -a "$agent_path")" '"handshakes_refused"[^,]*: *[1-9]'
}

# identity_of NAME: the subject of the certificate that the app shows for it.
identity_of() {
	openssl s_client -connect "localhost:$app_port" -servername "$1" </dev/null 2>/dev/null |
		openssl x509 -noout -subject
}

without_rules_it_is_the_agents_group() {
	start_ruled
	start_app_as 2001 2001
	app_is_refused "no rules"
	start_app_as 2001 2001,0
	app_is_served
	start_app
	app_is_served
}

group_of_the_socket_is_the_agents() {
	start_ruled
	stop "$agent_pid"
	sed -i 's/^mode = .*/mode = 0660\ngroup = 2002/' keyblobd.conf
	start_agent --config "$work/keyblobd.conf"
	[ "$(stat -c %a:%g "$agent_path")" = 660:2002 ]
	start_app_as 2001 2001,2002
	app_is_served
	start_app_as 2001 2001
	peer "$app_port" connect fin
	expect "$(tail -n 1 "$app_log")" 'result=EACCES .*this user may not use it'
}

first_rule_that_fits_decides() {
	start_ruled '[deny 2003]' 'user = 2003' '[allow some]' 'group = 2004' '[allow root]' 'user = 0'
	start_app_as 2003 2004
	app_is_refused '\[deny 2003\] at .*keyblobd.conf:[0-9]+'
	start_app_as 2005 2004
	app_is_served
	start_app_as 2005 2005
	app_is_refused 'no rule allows it'
	start_app
	app_is_served
}

# Whatever name the peer asks for.
user_has_its_identities_alone() {
	start_ruled '[allow a]' 'user = 2001' 'identity = two' '[allow b]' 'user = 0'
	start_app_as 2001 2001
	expect "$(identity_of one.test)" 'CN = two'
	expect "$(identity_of two.test)" 'CN = two'
	start_app
	expect "$(identity_of one.test)" 'CN = one'
	expect "$(identity_of two.test)" 'CN = two'
}

# Else whoever may be two could go on where a client was with one.
session_is_not_resumed_as_another_identity() {
	start_ruled '[allow a]' 'user = 2001' 'identity = two' '[allow b]' 'user = 0'
	start_app
	openssl s_client -connect "localhost:$app_port" -servername one.test -sess_out session \
		-tls1_2 </dev/null >said 2>&1
	expect "$(openssl s_client -connect "localhost:$app_port" -servername one.test -sess_in session \
		-tls1_2 </dev/null 2>&1)" 'Reused, TLSv1.2'
	start_app_as 2001 2001
	expect "$(openssl s_client -connect "localhost:$app_port" -servername one.test -sess_in session \
		-tls1_2 </dev/null 2>&1)" 'New, TLSv1.2'
}

roles_are_apart() {
	start_ruled '[allow a]' 'user = 2001' 'role = client' '[allow b]' 'user = 0'
	start_app_as 2001 2001
	app_is_refused 'no rule allows it'
	start_app
	# The certificate is nobody's whom the client trusts, but it may ask.
	as 2001 2001 client -a "$agent_path" "$app_port" </dev/null 2>said || true
	expect "$(cat said)" 'result=EKEYREJECTED'
	as 2002 2002 client -a "$agent_path" "$app_port" </dev/null 2>said || true
	expect "$(cat said)" 'result=EACCES .*error=user 2002 may not be a TLS client: no rule allows it'
}

# in_cgroup NAME COMMAND...
in_cgroup() {
	local name=$1
	shift
	mkdir -p "/sys/fs/cgroup/$name"
	# shellcheck disable=SC2016 # for the shell there
	sh -c 'echo $$ >"/sys/fs/cgroup/$0/cgroup.procs" && exec "$@"' "$name" "$@"
}

start_app_in_cgroup() {
	app_log=$work/app-$RANDOM.log
	in_cgroup "$1" app -a "$agent_path" >"$app_log" 2>&1 &
	app_pid=$!
	wait_for_port
}

control_groups_count_with_what_is_beneath() {
	start_ruled '[allow web]' 'cgroup = /web.slice'
	start_app_in_cgroup web.slice
	app_is_served
	start_app_in_cgroup web.slice/one.service
	app_is_served
	start_app_in_cgroup web.slicer
	app_is_refused 'no rule allows it'
	start_app
	app_is_refused 'no rule allows it'
}

# Peers of one user's application who never finish take that user's share.
one_user_does_not_keep_another_out() {
	local first_port
	start_ruled '[allow all]'
	stop "$agent_pid"
	sed -i 's/^workers = .*/workers = 1\nhandshakes = 100\nhandshakes-per-user = 80/; s/^timeout .*/timeout = 60/' keyblobd.conf
	start_agent --config "$work/keyblobd.conf"
	start_app_as 2001 2001
	first_port=$app_port
	start_app_as 2002 2002
	talk lorises loris 200 "$first_port"
	until_true 60 grep -q connected lorises.out
	for _ in 1 2 3 4 5; do
		app_is_served
	done
	until_true 5 grep -q 'result=EBUSY .*\(given up for another one\|the limit for one user\)' "$work"/app-*.log
	hang_up lorises
}

run_tests \
	without_rules_it_is_the_agents_group \
	group_of_the_socket_is_the_agents \
	first_rule_that_fits_decides \
	user_has_its_identities_alone \
	session_is_not_resumed_as_another_identity \
	roles_are_apart \
	control_groups_count_with_what_is_beneath \
	one_user_does_not_keep_another_out
