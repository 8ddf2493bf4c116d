# shellcheck shell=bash disable=SC2154 # of run and contenders.sh
# Connections that do nothing, while others are measured. Sourced by works/memory.sh and
# works/growth.sh. Sets holder, the client's process.

# hold NAME COUNT: on that contender, until release NAME.
hold() {
	local client
	client_of "$1"
	rm -f held.in held.out
	mkfifo held.in
	"${client[@]}" hold "$2" <held.in >held.out 2>held.log &
	holder=$!
	started+=("$holder")
	exec 8>held.in
	if ! until_true 7200 holds || gone "$holder"; then
		bail_out "$1 does not hold $2 connections: $(cat held.log)"
	fi
}

holds() {
	[ -s held.out ] || gone "$holder"
}

release() {
	exec 8>&-
	wait "$holder" || bail_out "the client that held connections to $1: $(cat held.log)"
}
