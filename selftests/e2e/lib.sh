# shellcheck shell=bash disable=SC2030,SC2031,SC2034 # used by others, and in subshells
# For the end-to-end tests, which run as root where the module is loaded, or can be
# (KEYBLOB_MODULE or KEYBLOB_KO). What they run comes from KEYBLOB_BUILD. A test is a
# function named after the promise that it keeps; run_tests gives them as TAP. Sourced;
# makes a directory, enters it, and removes it with all that was started at the end.

set -u
e2e=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
build=$(realpath "${KEYBLOB_BUILD:-$e2e/../../build}")
PATH=$build/selftests/e2e:$build:$PATH
export LC_ALL=C
agent_program=keyblobd agent_path='' agent_pid='' agent_log='' app_port='' app_log='' app_pid=''
peer_port=$((20000 + RANDOM % 10000))

bail_out() {
	echo "Bail out! $*"
	exit 1
}

work=$(mktemp -d "${TMPDIR:-/tmp}/keyblob-e2e.XXXXXX")
started=()
stop_started() {
	local pid
	for pid in "${started[@]}"; do
		kill "$pid" 2>/dev/null
	done
	for pid in "${started[@]}"; do
		until_true 5 gone "$pid" || kill -KILL "$pid" 2>/dev/null
	done
}
clean_up() {
	stop_started
	cd /
	rm -rf "$work"
}
trap clean_up EXIT
cd "$work" || exit
# Where nothing ever comes: to wait there takes no process of sleep(1).
mkfifo "$work/never"

# thorough THIS THAT: THIS if KEYBLOB_THOROUGH is set, where time matters less, else THAT.
thorough() {
	[ -n "${KEYBLOB_THOROUGH:-}" ] && echo "$1" || echo "$2"
}

# until_true SECONDS COMMAND...: whether it succeeds before that. Where the kernel checks all
# it does, it may take longer.
until_true() {
	local seconds=$(($1${KEYBLOB_SLOW_KERNEL:+ * 4}))
	local end=$((SECONDS + seconds))
	shift
	until "$@"; do
		if [ $SECONDS -ge $end ]; then
			echo "not within $seconds s: $*" >&2
			return 1
		fi
		read -rt 0.05 <>"$work/never" || true
	done
}

gone() {
	local stat=
	kill -0 "$1" 2>/dev/null || return 0
	# It may go meanwhile, at which a shell with set -e would end by $(<...), wherever that is.
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || true
	[[ $stat == *') Z '* ]]
}

# now_ms: for durations.
now_ms() {
	local us=${EPOCHREALTIME/[.,]/}
	echo $((us / 1000))
}

# run_tests 'FUNCTION ARG...'...: each in a subshell that ends at the first command
# that fails, and takes along what it started; what it said is shown if it did. Of all
# tests, those that match KEYBLOB_TESTS, if it is set.
run_tests() {
	local number=0 failed=0 status began words test chosen=()
	for test; do
		[[ ! $test =~ ${KEYBLOB_TESTS:-.} ]] || chosen+=("$test")
	done
	echo "1..${#chosen[@]}"
	for test in "${chosen[@]}"; do
		number=$((number + 1))
		read -ra words <<<"$test"
		rm -f "$work/skipped"
		began=$(now_ms)
		(
			started=()
			trap 'set +e; stop_started' EXIT
			set -e
			"${words[@]}"
		) >"$work/output" 2>&1 </dev/null
		status=$?
		if [ -e "$work/skipped" ]; then
			echo "ok $number - $test # SKIP $(cat "$work/skipped")"
		elif [ $status = 0 ]; then
			echo "ok $number - $test # $(($(now_ms) - began)) ms"
		else
			failed=$((failed + 1))
			echo "not ok $number - $test # $(($(now_ms) - began)) ms"
			echo "status $status" >>"$work/output"
			tail -n 40 "$work/output" | sed 's/^/# /'
		fi
	done
	[ $failed = 0 ]
}

# skip REASON: ends the test, for which something is not here.
skip() {
	echo "$*" >"$work/skipped"
	exit 0
}

# expect TEXT PATTERN: whether TEXT matches the extended regular expression.
expect() {
	if ! [[ $1 =~ $2 ]]; then
		echo "expected: $2"
		echo "got:      $1"
		return 1
	fi
}

# fails COMMAND...: errexit does not heed "! COMMAND".
fails() {
	if "$@"; then
		echo "succeeded: $*"
		return 1
	fi
}

# expect_at_most NUMBER LIMIT WHAT
expect_at_most() {
	echo "$3: $1, limit $2"
	[ "$1" -le "$2" ]
}

need_module() {
	[ ! -d /sys/module/keyblob ] || return 0
	modprobe -a tls libchacha20poly1305 || bail_out "no kernel TLS"
	insmod "${KEYBLOB_MODULE:-${KEYBLOB_KO:?the module is not loaded}}" || bail_out "no module"
}

# make_cert NAME ec|rsa [HOST...]: NAME.pem and NAME.key. All RSA keys are the same.
make_cert() {
	local name=$1 kind=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout "$1.key") names='' host
	if [ "$2" = rsa ]; then
		install -m 600 "$build/selftests/e2e/rsa.key" "$name.key" || bail_out "no RSA key"
		kind=(-key "$name.key")
	fi
	shift 2
	for host; do
		case $host in
		*[!0-9a-f.:]* | [a-z]*) names="$names,DNS:$host" ;;
		*) names="$names,IP:$host" ;;
		esac
	done
	openssl req -x509 "${kind[@]}" -nodes -days 2 -subj "/CN=$name" \
		-addext "subjectAltName=${names#,}" -out "$name.pem" \
		2>openssl.log || bail_out "no certificate: $(cat openssl.log)"
}

# start_agent [OPTION...]: agent_program; sets agent_path, agent_pid, agent_log. Certificate:
# the options' or the configuration's, else an ECDSA one for localhost.
start_agent() {
	agent_path=$work/agent-$RANDOM.sock
	agent_log=$agent_path.log
	case " $* " in
	*" --cert "* | *" --config "*) ;;
	*)
		[ -e localhost.pem ] || make_cert localhost ec localhost 127.0.0.1 ::1
		set -- --cert localhost.pem --key localhost.key "$@"
		;;
	esac
	"$agent_program" "$@" --verbose --listen "$agent_path" >"$agent_log" 2>&1 &
	agent_pid=$!
	started+=("$agent_pid")
	until_true 10 grep -q ready "$agent_log" || bail_out "no agent: $(cat "$agent_log")"
}

# start_configured_agent TEXT: one whose configuration is TEXT, with backslash escapes;
# sets the same.
start_configured_agent() {
	printf '%b' "$1" >agent.conf
	start_agent --config agent.conf --workers 1
}

# start_configured [LINE...]: an agent with a configuration file, keyblobd.conf here, that
# has these lines in [agent], and identities ec and rsa.
start_configured() {
	[ -e localhost.pem ] || make_cert localhost ec localhost 127.0.0.1 ::1
	[ -e rsa.pem ] || make_cert rsa rsa rsa.test
	printf '%s\n' '[agent]' "$@" '[identity ec]' "certificate = $work/localhost.pem" \
		"key = $work/localhost.key" '[identity rsa]' "certificate = $work/rsa.pem" \
		"key = $work/rsa.key" >keyblobd.conf
	start_agent --config "$work/keyblobd.conf"
}

succeed() {
	handshakes -a "$agent_path" "$@" | tee said
	[ "${PIPESTATUS[0]}" = 0 ]
}

# all_succeed N OPTION...
all_succeed() {
	local n=$1
	shift
	succeed "$@"
	expect "$(cat said)" "requests=$n ok=$n cancelled=0 failed=0"
	expect "$(cat said)" "streams ok=$n failed=0"
}

# start_app [OPTION...]: the helper app on the agent; sets app_port, app_log, app_pid.
start_app() {
	app_log=$work/app-$RANDOM.log
	app -a "$agent_path" "$@" >>"$app_log" 2>&1 &
	app_pid=$!
	wait_for_port
}

# start_plain [OPTION...]: the helper plain, which asks the kernel, as a server; sets the same.
start_plain() {
	app_log=$work/plain-$RANDOM.log
	plain "$@" server >>"$app_log" 2>&1 &
	app_pid=$!
	wait_for_port
}

# start_server DIRECTORY: the example on the agent; sets the same.
start_server() {
	app_log=$work/server-$RANDOM.log
	https-file-server -a "$agent_path" -p 0 "$1" >>"$app_log" 2>&1 &
	app_pid=$!
	wait_for_port
}

wait_for_port() {
	started+=("$app_pid")
	until_true 10 grep -q listening "$app_log" || bail_out "no server: $(cat "$app_log")"
	app_port=$(sed -n 's/^listening on port //p' "$app_log")
}

# stop PID
stop() {
	kill "$1"
	until_true 15 gone "$1"
}

workers() {
	pgrep -P "$agent_pid" -x keyblobd-worker
}

signers() {
	pgrep -P "$agent_pid" -x keyblobd-signer
}

# open_files PID...: how many descriptors they have, and their children.
open_files() {
	local pid n=0
	for pid in "$@" $(pgrep -P "$(IFS=, && echo "$*")"); do
		n=$((n + $(find "/proc/$pid/fd" -type l 2>/dev/null | wc -l)))
	done
	echo $n
}

# open_files_are NUMBER PID...
open_files_are() {
	local number=$1
	shift
	[ "$(open_files "$@")" = "$number" ]
}

# told FIELDS PORT: what app said about the peer at PORT, a line; waits for it.
told() {
	until_true 10 grep -q "^peer=$2 $1=" "$app_log" || return
	grep "^peer=$2 $1=" "$app_log"
}

# field NAME TEXT: the value in "... NAME=VALUE ...".
field() {
	local rest=" $2"
	[[ $rest == *" $1="* ]] || return
	rest=${rest#*" $1="}
	echo "${rest%% *}"
}

# talk NAME COMMAND...: starts it. NAME.in is its input, until hang_up NAME.
declare -A talker holder
talk() {
	local name=$1
	shift
	rm -f "$name".*
	mkfifo "$name.in"
	: >"$name.said"
	sleep infinity >"$name.in" &
	holder[$name]=$!
	"$@" <"$name.in" >"$name.out" 2>"$name.log" &
	talker[$name]=$!
	started+=("${holder[$name]}" "${talker[$name]}")
}

hang_up() {
	kill "${holder[$1]}"
	until_true 20 gone "${talker[$1]}"
}

# say NAME TEXT: a line.
say() {
	echo "$2" >"$1.in"
}

# start_peer COMMAND...: as talker peer, a server that is given peer_port to listen on.
start_peer() {
	talk peer "$@"
	until_true 10 listens "$peer_port" || cat peer.log
}

# in_flight_are PATTERN: how many handshakes the agent is doing.
in_flight_are() {
	keyblob status --json -a "$agent_path" | grep -qE "\"handshakes_in_flight\"[^,]*: *$1\\b"
}

listens() {
	local port
	printf -v port %04X "$1"
	grep -q ":$port 0*:0000 0A" /proc/net/tcp /proc/net/tcp6
}

# echo_of_curl URL OPTION...: fetched from the app, which echoes the request and waits for more.
echo_of_curl() {
	local url=$1
	shift
	curl -NsS --http0.9 "$@" "$url" >curl.out 2>curl.log &
	started+=($!)
	until_true 10 grep -q '^GET .* HTTP' curl.out || cat curl.log
	stop $!
}

same_size() {
	[ "$(stat -c %s "$1")" = "$(stat -c %s "$2")" ]
}
