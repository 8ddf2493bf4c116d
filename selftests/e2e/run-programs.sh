#!/bin/bash
# keyblob run, as far as it needs no module: which programs it takes and why not others, which
# of their sockets it touches, and that these fail where they cannot be TLS. Needs no guest.

# shellcheck disable=SC2016 # what inner shells expand
# shellcheck source=lib.sh disable=SC2119 # functions' own arguments are optional
. "$(dirname "$0")/lib.sh"

man=$e2e/../../userspace/cli/keyblob.1
sockets=$e2e/sockets.py
port=$peer_port
true_program=$(type -P true)
export FAKE_LOG=$work/fake.log
ENOMEM=12 ENOENT=2 ENOTCONN=107

# run [NAME=VALUE...] -- ARG...: keyblob run, above a module that only takes notes; what it says
# is in out and err.
run() {
	local variables=()
	while [ "$1" != -- ]; do
		variables+=("$1")
		shift
	done
	shift
	: >fake.log
	env "${variables[@]}" LD_PRELOAD="$build/selftests/e2e/fakemodule.so" \
		keyblob run "$@" >out 2>err
}

# status_is N COMMAND...
status_is() {
	local wanted=$1 status=0
	shift
	"$@" || status=$?
	[ "$status" = "$wanted" ] || { echo "status $status of: $*" && cat out err && return 1; }
}

# says PATTERN: on stderr, a line.
says() {
	expect "$(cat err)" "^keyblob run: [^"$'\n'"]*$1[^"$'\n'"]*\$"
}

# refused PATTERN PROGRAM...: the program is, with that reason.
refused() {
	local why=$1
	shift
	status_is 126 run -- --server - -- "$@"
	says "$why"
	[ ! -s out ]
}

# noted PATTERN...: what the programs, not keyblob itself, set on sockets; a line each.
noted() {
	local said pattern='^'
	said=$(grep -v '^by=keyblob ' fake.log || true)
	while [ $# -gt 0 ]; do
		pattern+="[^"$'\n'"]*$1[^"$'\n'"]*"
		shift
		[ $# = 0 ] || pattern+=$'\n'
	done
	expect "$said" "$pattern\$"
}

nothing_noted() {
	fails grep -v '^by=keyblob ' fake.log
}

# Which programs.

program_is_run_as_it_is() {
	status_is 7 run -- --client -- sh -c 'echo "$0,$1"; exit 7' 'a b' '--x'
	expect "$(cat out)" '^a b,--x$'
	[ ! -s err ]
	status_is 0 run -- --client true
}

program_that_is_not_there_is_127() {
	status_is 127 run -- --client -- no-such-program
	says 'no-such-program: No such file'
	status_is 127 run -- --client -- ./no-such-program
	status_is 127 run -- --client -- ''
}

file_that_cannot_be_run_is_126() {
	echo text >file
	refused 'Permission denied' ./file
	refused 'Permission denied' /
	chmod 755 file
	refused 'neither an ELF program nor a script' ./file
	: >file
	refused 'neither an ELF program nor a script' ./file
	printf '#!' >file
	refused 'neither an ELF program nor a script' ./file
	printf '#! \n' >file
	refused 'names no interpreter' ./file
}

static_program_is_refused() {
	refused 'linked statically' "$(command -v busybox)" true
	refused '--inherited' busybox true
}

go_program_is_refused() {
	status_is 0 golike
	refused 'Go program' golike
	# Without section headers: by its note.
	cp "$(command -v golike)" stripped
	head -c 8 /dev/zero | dd of=stripped bs=1 seek=40 conv=notrunc status=none
	head -c 4 /dev/zero | dd of=stripped bs=1 seek=60 conv=notrunc status=none
	status_is 0 ./stripped
	refused 'Go program' ./stripped
	# By a section.
	echo build >section
	objcopy --add-section .go.buildinfo=section "$true_program" by-section
	refused 'Go program' ./by-section
	# The other sections are nobody's.
	objcopy --add-section .go.nothing=section "$true_program" other
	status_is 0 run -- --server - ./other
}

program_that_changes_powers_is_refused() {
	cp --remove-destination "$true_program" program
	chown 65534 program
	chmod 4755 program
	refused 'setuid' ./program
	chown 0:65534 program
	chmod 2755 program
	refused 'setuid or setgid' ./program
	chmod 755 program
	status_is 0 run -- --server - ./program
	# Root's own keep what is preloaded.
	chown 0:0 program
	chmod 4755 program
	status_is 0 run -- --server - ./program
}

program_with_file_capabilities_is_refused() {
	local as_nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	chmod 755 .
	cp --remove-destination "$true_program" program
	status_is 0 "${as_nobody[@]}" env LD_PRELOAD="$build/selftests/e2e/fakemodule.so" \
		FAKE_LOG=/dev/null keyblob run --server - "$work/program" >out 2>err
	setcap cap_net_raw+ep program
	status_is 126 "${as_nobody[@]}" env LD_PRELOAD="$build/selftests/e2e/fakemodule.so" \
		FAKE_LOG=/dev/null keyblob run --server - "$work/program" >out 2>err
	says 'file capabilities'
}

program_for_another_architecture_is_refused() {
	cp --remove-destination "$true_program" program
	printf '\xb7' | dd of=program bs=1 seek=18 conv=notrunc status=none
	refused 'another architecture' ./program
	cp --remove-destination "$true_program" program
	printf '\x01' | dd of=program bs=1 seek=4 conv=notrunc status=none
	refused 'another architecture' ./program
	printf '\x7fELF' >program
	refused 'another architecture' ./program
}

program_for_another_libc_is_refused() {
	sed 's,ld-linux,ld-muslc,' "$true_program" >program
	chmod 755 program
	refused 'another C library .*ld-muslc' ./program
}

malformed_program_is_refused() {
	local at
	# Tables beyond the end, or of another shape.
	for at in 32 40 54 56 58; do
		cp --remove-destination "$true_program" program
		printf '\xff\xff' | dd of=program bs=1 seek=$at conv=notrunc status=none
		status=0
		run -- --server - -- ./program || status=$?
		echo "at $at: $status $(cat err)"
		[ "$status" -le 127 ]
	done
}

script_is_looked_through() {
	printf '#!%s sh\necho unseen\n' "$(command -v busybox)" >script
	chmod 755 script
	refused 'busybox is linked statically' ./script
	printf '#!%s/script\n' "$work" >outer
	chmod 755 outer
	refused 'busybox is linked statically' ./outer
	printf '#!/usr/bin/env busybox\n' >script
	refused 'busybox is linked statically' ./script
	printf '#!/usr/bin/env -S busybox sh\n' >script
	refused 'busybox is linked statically' ./script
	printf '#!/no/interpreter\n' >script
	refused 'cannot look at /no/interpreter' ./script
	printf '#! /bin/sh -e\necho seen\n' >script
	status_is 0 run -- --server - -- ./script
	expect "$(cat out)" '^seen$'
	printf '#!/usr/bin/env python3\nprint("seen")\n' >script
	status_is 0 run -- --server - -- ./script
	expect "$(cat out)" '^seen$'
	printf '#!%s/loop\n' "$work" >loop
	chmod 755 loop
	refused 'too many interpreters' ./loop
}

program_is_found_as_execvp_finds_it() {
	mkdir -p first second
	echo text >first/program
	printf '#!/bin/sh\necho second\n' >second/program
	chmod 755 second/program
	PATH=first:second:$PATH status_is 0 run -- --server - -- program
	expect "$(cat out)" '^second$'
	rm second/program
	PATH=first:second:$PATH status_is 126 run -- --server - -- program
	says 'Permission denied'
}

# How it is told.

# usage PATTERN ARG...
usage() {
	local why=$1
	shift
	status_is 2 run -- "$@"
	expect "$(cat err)" "$why"
	expect "$(cat err)" 'Usage: keyblob run'
}

wrong_usage_is_told() {
	usage 'give --server, --client, or both' -- true
	usage 'which program' --client
	usage 'which program' --client --
	usage 'unrecognized option' --nonsense true
	usage 'requires an argument' --server
	usage '--server: give the name of an identity' --server '' true
	usage '--ports: give .*443,8000-8099' --client --ports 1,0 true
	usage '--addresses: give .*10.0.0.0/8' --client --addresses localhost true
	usage '--alpn: give' --client --alpn '' true
	usage '--timeout: give seconds' --client --timeout 0.5 true
	usage '--name: give' --client --name '' true
	usage '--addresses and --name are for --client' --server - --name x true
	usage '--addresses and --name are for --client' --server - --addresses ::1 true
	usage '--inherited is for --server alone' --client --inherited true
	usage '--inherited is for --server alone' --client --server - --inherited true
}

options_and_variables_are_documented() {
	local option variable
	strings -a "$build/libkeyblob-run.so" | grep '^KEYBLOB_RUN_' >variables
	[ "$(wc -l <variables)" -ge 7 ]
	while read -r variable; do
		option=${variable#KEYBLOB_RUN_}
		grep -qF "$variable" "$man"
		grep -qF "\\-\\-${option,,}" "$man"
	done <variables
}

settings_that_were_tampered_with_end_the_program() {
	status_is 126 env LD_PRELOAD="$build/libkeyblob-run.so" KEYBLOB_RUN_CLIENT=1 KEYBLOB_RUN_PORTS=x \
		sh -c 'echo unseen' >out 2>err
	says 'KEYBLOB_RUN_PORTS: give'
	[ ! -s out ]
}

settings_that_were_lost_end_the_program() {
	status_is 126 env LD_PRELOAD="$build/libkeyblob-run.so" KEYBLOB_RUN_PORTS=1 \
		sh -c 'echo unseen' >out 2>err
	says 'lost the settings'
	[ ! -s out ]
	status_is 126 run -- --client sh -c 'unset KEYBLOB_RUN_CLIENT; exec true'
	says 'lost the settings'
}

# installed_in DIRECTORY: the command and its library.
installed_in() {
	mkdir -p "$1"
	cp "$build/keyblob" "$build/libkeyblob-run.so" "$1"
}

library_is_preloaded_before_others_of_similar_names() {
	installed_in bin
	cp "$build/selftests/e2e/fakemodule.so" bin/libkeyblob-run.so.fake
	LD_PRELOAD=$work/bin/libkeyblob-run.so.fake bin/keyblob run --client sh -c 'echo "$LD_PRELOAD"' >out
	expect "$(cat out)" "^$work/bin/libkeyblob-run.so:$work/bin/libkeyblob-run.so.fake\$"
	LD_PRELOAD=$build/selftests/e2e/fakemodule.so bin/keyblob run --client \
		bin/keyblob run --server - sh -c 'echo "$LD_PRELOAD"' >out
	expect "$(cat out)" "^$work/bin/libkeyblob-run.so:[^:]*/fakemodule.so\$"
}

library_that_cannot_be_preloaded_is_told() {
	local directory
	for directory in 'a b' 'a:b' 'a$b'; do
		installed_in "$directory"
		status_is 126 env LD_PRELOAD="$build/selftests/e2e/fakemodule.so" \
			"$directory/keyblob" run --client -- sh -c 'echo unseen' >out 2>err
		says 'takes no path with'
		[ ! -s out ]
	done
}

inner_run_replaces_the_outer_one() {
	run -- --client --name outer.example --ports 1-2 --timeout 9 \
		keyblob run --server inner --ports "$port" "$sockets" "listen=127.0.0.1,$port"
	noted "role=server .*port=$port identity=inner name= alpn=0 timeout=0"
	run -- --client --ports "$port" sh -c 'echo "$LD_PRELOAD"'
	expect "$(cat out)" '^[^:]*/libkeyblob-run.so:[^:]*/fakemodule.so$'
	run -- --client --ports "$port" keyblob run --client sh -c 'echo "$LD_PRELOAD $KEYBLOB_RUN_PORTS"'
	expect "$(cat out)" '^[^:]*/libkeyblob-run.so:[^:]*/fakemodule.so $'
}

# Which sockets.

listener_gets_its_template_before_it_listens() {
	run -- --server www --alpn h2,http/1.1 --timeout 5 "$sockets" "listen=127.0.0.1,$port"
	expect "$(cat out)" '^listen ok$'
	noted "by=sockets.py role=server listening=0 port=$port identity=www name= alpn=12 timeout=5000" ||
		noted "by=python3.* role=server listening=0 port=$port identity=www name= alpn=12 timeout=5000"
	run -- --server - "$sockets" "listen=::1,$port"
	noted "role=server listening=0 port=$port identity= "
}

listeners_on_other_ports_are_left_alone() {
	run -- --server www --ports "$port" "$sockets" "listen=127.0.0.1,$((port + 1))" \
		"listen=127.0.0.1,$port"
	expect "$(cat out)" 'listen ok'$'\n''listen ok'
	noted "port=$port"
	run -- --client --ports "$port" "$sockets" "listen=127.0.0.1,$port"
	nothing_noted
}

listener_without_an_address_is_selected_by_the_port_it_gets() {
	run -- --server www --ports 1-65535 "$sockets" listen
	expect "$(cat out)" '^listen ok$'
	noted 'listening=0 port=[1-9][0-9]* identity=www'
	run -- --server www --ports 1 "$sockets" listen listen=127.0.0.1,0
	expect "$(cat out)" 'listen ok'$'\n''listen ok'
	nothing_noted
	run -- --server www "$sockets" listen
	noted 'listening=0 port=0 identity=www'
}

client_says_whom_it_looked_up() {
	local address
	address=$(python3 -c 'import socket; print(socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)[0][4][0])')
	run -- --client --ports "$port" "$sockets" "to=$address,$port" "connect=localhost,$port"
	expect "$(cat out)" '^to ECONNREFUSED'$'\n''connect ECONNREFUSED$'
	noted "role=client .*name=$address " "role=client .*name=localhost "
	run -- --client --ports "$port" "$sockets" "byname=localhost,$port"
	noted 'role=client .*name=localhost '
	run -- --client --ports "$port" "$sockets" lookup=127.0.0.1 lookup=127.1 "to=127.0.0.1,$port"
	noted 'name=127.0.0.1 '
	run -- --client --ports "$port" --name db.example "$sockets" "connect=localhost,$port" \
		"to=127.0.0.1,$port"
	noted 'name=db.example ' 'name=db.example '
}

address_of_two_names_is_refused() {
	echo '127.0.0.1 a.test b.test' >hosts
	run -- --client --ports "$port" unshare --mount sh -c 'mount --bind hosts /etc/hosts && exec "$@"' \
		sh "$sockets" "connect=a.test,$port" lookup=b.test "to=127.0.0.1,$port" "to=127.0.0.1,$port"
	expect "$(cat out)" 'lookup ok'$'\n''to EKEYREJECTED'$'\n''to EKEYREJECTED$'
	noted 'name=a.test '
	says 'several names .*--name'
	run -- --client --ports "$port" --name x unshare --mount sh -c 'mount --bind hosts /etc/hosts && exec "$@"' \
		sh "$sockets" lookup=a.test lookup=b.test "to=127.0.0.1,$port"
	noted 'name=x '
}

# with_hosts LINE COMMAND...: where /etc/hosts is that line, or these.
with_hosts() {
	echo "$1" >hosts
	shift
	run "${run_options[@]}" unshare --mount sh -c 'mount --bind hosts /etc/hosts && exec "$@"' sh "$@"
}

address_that_was_given_as_such_is_another_name() {
	run_options=(-- --client --ports "$port")
	with_hosts '127.0.0.1 a.test' "$sockets" "connect=127.0.0.1,$port" lookup=a.test "to=127.0.0.1,$port"
	expect "$(cat out)" 'lookup ok'$'\n''to EKEYREJECTED$'
	noted 'name=127.0.0.1 '
}

loopback_with_a_name_is_selected() {
	run_options=(-- --client)
	with_hosts '127.0.0.1 localhost a.test' "$sockets" "connect=localhost,$port" \
		"connect=127.0.0.1,$port"
	nothing_noted
	with_hosts '127.0.0.1 localhost a.test' "$sockets" "connect=a.test,$port"
	noted 'name=a.test '
	run_options=(-- --client --name x)
	with_hosts '127.0.0.1 localhost a.test' "$sockets" "byname=a.test,$port" "to=127.0.0.2,$port"
	noted 'name=x '
}

name_of_many_addresses_is_remembered_with_each() {
	local lines
	lines=$(for i in {1..60}; do echo "127.0.1.$i a.test"; done)
	run_options=(RESOLV_MULTI=on -- --client --ports "$port")
	with_hosts "$lines" "$sockets" lookupall=a.test "to=127.0.1.1,$port" "to=127.0.1.60,$port"
	noted 'name=a.test ' 'name=a.test '
}

connections_elsewhere_are_left_alone() {
	run -- --client "$sockets" "to=127.0.0.1,$port" "to=::1,$port" "to=::ffff:127.0.0.1,$port" \
		"to=0.0.0.0,$port"
	nothing_noted
	run -- --client --ports "$((port + 1))" "$sockets" "to=127.0.0.1,$port"
	nothing_noted
	run -- --client --addresses 10.0.0.0/8,::1 "$sockets" "to=127.0.0.1,$port" "to=::1,$port"
	noted 'name=::1 '
	run -- --server - "$sockets" "to=127.0.0.1,$port"
	nothing_noted
}

what_is_not_tcp_is_left_alone() {
	run -- --client --server - --ports 1-65535 "$sockets" "unix=$work/unix" "udp=127.0.0.1,$port"
	expect "$(cat out)" '^unix ok'$'\n''udp ok$'
	nothing_noted
}

fast_open_is_refused_where_it_would_be_plain() {
	run -- --client --ports "$port" "$sockets" "fastopen=127.0.0.1,$port" serveropen
	expect "$(cat out)" '^refused option:ENOPROTOOPT,sendto:ENOTSUP,sendmsg:ENOTSUP'$'\n'
	expect "$(cat out)" 'serveropen ok$'
	run -- --client --ports 1 "$sockets" "fastopen=127.0.0.1,$port"
	fails grep -q 'ENOTSUP' out
	run -- --server - "$sockets" serveropen "fastopen=127.0.0.1,$port"
	expect "$(cat out)" '^serveropen ENOPROTOOPT'$'\n'
	fails grep -q 'option' out
}

children_and_what_they_become_are_helped_too() {
	run -- --server www "$sockets" fork "listen=127.0.0.1,$port"
	noted "port=$port identity=www"
	run -- --server www "$sockets" exec "listen=127.0.0.1,$port"
	noted "port=$port identity=www"
	run -- --server www sh -c "$sockets listen=127.0.0.1,$port"
	noted "port=$port identity=www"
}

plugins_that_prefer_libc_are_helped_too() {
	run -- --server www deepbind
	noted 'role=server .*identity=www '
	[ ! -s err ]
}

# Sockets of a service manager: descriptors 3 and 4, as PID says.
hand_over() {
	python3 - "$@" <<-'END'
		import os, socket, sys
		sockets = [socket.create_server(("127.0.0.1", int(port))) for port in sys.argv[1].split(",")]
		copies = [os.dup(s.fileno()) for s in sockets]
		for i, copy in enumerate([os.dup2(c, 100 + i) for i, c in enumerate(copies)]):
		    os.dup2(copy, 3 + i)
		os.environ.update(LISTEN_FDS=str(len(sockets)), LISTEN_PID=sys.argv[2].replace("own", str(os.getpid())))
		os.execvp(sys.argv[3], sys.argv[3:])
	END
}

inherited_listeners_become_servers() {
	export LD_PRELOAD=$build/selftests/e2e/fakemodule.so
	: >fake.log
	hand_over "$port,$((port + 1))" own keyblob run --server www --ports "$port" sh -c 'echo $LISTEN_FDS' >out
	expect "$(cat out)" '^2$'
	grep "listening=1 port=$port identity=www" fake.log
	fails grep "port=$((port + 1))" fake.log
	# Any program.
	: >fake.log
	hand_over "$port" own keyblob run --server www --inherited busybox sh -c 'echo "$LD_PRELOAD"' >out
	fails grep libkeyblob-run out
	grep "listening=1 port=$port identity=www" fake.log
	# Not those of another process, and not without any.
	status_is 126 hand_over "$port" 1 keyblob run --server www --inherited busybox true 2>err
	says 'no service manager has handed over'
	status_is 126 hand_over "$port" own keyblob run --server www --ports 1 --inherited true 2>err
	says 'no service manager has handed over'
	FAKE_ULP_ERRNO=$ENOENT status_is 126 hand_over "$port" own keyblob run --server www true 2>err
	says 'module keyblob is not loaded'
}

# Where it cannot be TLS.

without_the_module_nothing_is_run() {
	status_is 126 run FAKE_ULP_ERRNO=$ENOENT -- --server - sh -c 'echo unseen'
	says 'module keyblob is not loaded: modprobe keyblob'
	[ ! -s out ]
	status_is 126 run FAKE_ULP_ERRNO=$ENOTCONN -- --client sh -c 'echo unseen'
	says 'module keyblob that is loaded is too old'
	[ ! -s out ]
}

listener_that_cannot_be_tls_does_not_listen() {
	run FAKE_ERRNO=$ENOMEM -- --server - --ports "$port" "$sockets" "listen=127.0.0.1,$port" \
		again "to=127.0.0.1,$port" "listen=127.0.0.1,$((port + 1))"
	expect "$(cat out)" '^listen ENOMEM'$'\n''again ENOMEM'$'\n''to ECONNREFUSED'$'\n''listen ok$'
	# Once.
	says "cannot listen with TLS on port $port: Cannot allocate memory"
}

connection_that_cannot_be_tls_is_not_made() {
	talk peer socat -u "TCP-LISTEN:$port,bind=127.0.0.1,reuseaddr" OPEN:received,creat
	until_true 10 listens "$port"
	run FAKE_ERRNO=$ENOMEM -- --client --ports "$port" "$sockets" "to=127.0.0.1,$port" \
		"to=127.0.0.1,$port"
	expect "$(cat out)" '^to ENOMEM'$'\n''to ENOMEM$'
	says "cannot connect with TLS to 127.0.0.1, port $port: Cannot allocate memory"
	listens "$port"
	[ ! -e received ]
}

connection_whose_state_cannot_be_told_needs_a_template() {
	run FAKE_INFO_ERRNO=$ENOMEM -- --client --ports "$port" "$sockets" "to=127.0.0.1,$port"
	noted 'role=client .*name=127.0.0.1 '
	run FAKE_INFO_ERRNO=$ENOMEM FAKE_ERRNO=$ENOMEM -- --client --ports "$port" "$sockets" \
		"to=127.0.0.1,$port"
	expect "$(cat out)" '^to ENOMEM$'
}

messages_do_not_go_where_stderr_was() {
	talk peer socat -u "TCP-LISTEN:$port,bind=127.0.0.1,reuseaddr" OPEN:received,creat
	until_true 10 listens "$port"
	run FAKE_ERRNO=$ENOMEM -- --server - "$sockets" "stderr=127.0.0.1,$port" "listen=127.0.0.1,0"
	expect "$(cat out)" '^stderr ok'$'\n''listen ENOMEM$'
	until_true 10 gone "${talker[peer]}"
	[ -e received ] && [ ! -s received ] && [ ! -s err ]
}

run_tests \
	program_is_run_as_it_is \
	program_that_is_not_there_is_127 \
	file_that_cannot_be_run_is_126 \
	static_program_is_refused \
	go_program_is_refused \
	program_that_changes_powers_is_refused \
	program_with_file_capabilities_is_refused \
	program_for_another_architecture_is_refused \
	program_for_another_libc_is_refused \
	malformed_program_is_refused \
	script_is_looked_through \
	program_is_found_as_execvp_finds_it \
	wrong_usage_is_told \
	options_and_variables_are_documented \
	settings_that_were_tampered_with_end_the_program \
	settings_that_were_lost_end_the_program \
	library_is_preloaded_before_others_of_similar_names \
	library_that_cannot_be_preloaded_is_told \
	inner_run_replaces_the_outer_one \
	listener_gets_its_template_before_it_listens \
	listeners_on_other_ports_are_left_alone \
	listener_without_an_address_is_selected_by_the_port_it_gets \
	client_says_whom_it_looked_up \
	address_of_two_names_is_refused \
	address_that_was_given_as_such_is_another_name \
	loopback_with_a_name_is_selected \
	name_of_many_addresses_is_remembered_with_each \
	connections_elsewhere_are_left_alone \
	what_is_not_tcp_is_left_alone \
	fast_open_is_refused_where_it_would_be_plain \
	children_and_what_they_become_are_helped_too \
	plugins_that_prefer_libc_are_helped_too \
	inherited_listeners_become_servers \
	without_the_module_nothing_is_run \
	listener_that_cannot_be_tls_does_not_listen \
	connection_that_cannot_be_tls_is_not_made \
	connection_whose_state_cannot_be_told_needs_a_template \
	messages_do_not_go_where_stderr_was
