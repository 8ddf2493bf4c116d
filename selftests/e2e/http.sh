#!/bin/bash
# The example server: what HTTP says, through TLS.

# shellcheck source=lib.sh disable=SC2119 # functions' own arguments are optional
. "$(dirname "$0")/lib.sh"
need_module

mkdir -p www/folder outside
head -c 100003 /dev/urandom >www/file
echo 'index of the folder' >www/folder/index.html
: >www/empty
echo 'not to be served' >outside/secret
ln -s ../outside/secret www/link
start_agent --workers 1
start_server www
url=https://localhost:$app_port

fetch() {
	curl -sS --cacert localhost.pem "$@"
}

# s_client REQUEST...: sends them all at once, and prints what comes.
raw() {
	printf '%b' "$@" | openssl s_client -quiet -CAfile localhost.pem \
		-connect "localhost:$app_port" 2>client.log
}

# part FIRST LAST: of the file.
part() {
	tail -c "+$(($1 + 1))" www/file | head -c $(($2 - $1 + 1))
}

# range_gives_its_part RANGE FIRST LAST
range_gives_its_part() {
	fetch -D head -o got -H "Range: bytes=$1" "$url/file"
	expect "$(cat head)" '^HTTP/1.1 206 '
	expect "$(cat head)" "Content-Range: bytes $2-$3/100003"
	expect "$(cat head)" "Content-Length: $(($3 - $2 + 1))"
	part "$2" "$3" | cmp - got
}

range_outside_is_416() {
	fetch -D head -o got -H "Range: bytes=$1" "$url/file"
	expect "$(cat head)" '^HTTP/1.1 416 '
	expect "$(cat head)" 'Content-Range: bytes \*/100003'
	[ ! -s got ]
}

range_that_means_nothing_is_ignored() {
	fetch -D head -o got -H "Range: $1" "$url/file"
	expect "$(cat head)" '^HTTP/1.1 200 '
	cmp got www/file
}

interrupted_download_resumes() {
	head -c 40000 www/file >got
	fetch -C - -o got "$url/file"
	cmp got www/file
}

many_requests_share_a_connection() {
	local urls=() i
	for i in {1..50}; do
		urls+=(-o "got$i" "$url/file")
	done
	fetch -w '%{num_connects} ' "${urls[@]}" >connects
	expect "$(cat connects)" '^1 (0 ){49}$'
	for i in 1 25 50; do
		cmp "got$i" www/file
	done
}

connection_close_is_obeyed() {
	fetch -w '%{num_connects} ' -H 'Connection: close' -o got "$url/file" -o got "$url/file" >connects
	expect "$(cat connects)" '^1 1 $'
}

http_1_0_gets_one_answer() {
	expect "$(raw 'GET /folder/ HTTP/1.0\r\n\r\n')" 'Connection: close.*index of the folder'
}

pipelined_requests_are_answered_in_order() {
	raw 'GET /folder/ HTTP/1.1\r\nHost: a\r\n\r\n' \
		'GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n' \
		'HEAD /file HTTP/1.1\r\nHost: a\r\n\r\n' \
		'GET /file HTTP/1.1\r\nHost: a\r\nRange: bytes=0-9\r\nConnection: close\r\n\r\n' >got
	expect "$(grep -a '^HTTP' got | tr -d '\r\n')" \
		'^HTTP/1.1 200 OKHTTP/1.1 404 Not FoundHTTP/1.1 200 OKHTTP/1.1 206 Partial Content$'
	tail -c 10 got | cmp - <(part 0 9)
}

head_has_no_body() {
	raw 'HEAD /file HTTP/1.1\r\nConnection: close\r\n\r\n' >got
	expect "$(cat got)" 'Content-Length: 100003'
	expect "$(tail -n 1 got)" $'^\r$'
}

empty_file_is_200() {
	expect "$(fetch -w '%{http_code} %{size_download}' "$url/empty")" '^200 0$'
}

folder_gives_its_index() {
	expect "$(fetch "$url/folder/")" '^index of the folder$'
}

missing_file_is_404_and_the_connection_lives() {
	fetch -w '%{http_code} %{num_connects} ' -o got "$url/nothing" -o got "$url/file" >codes
	expect "$(cat codes)" '^404 1 200 0 $'
}

# nothing_outside_is_served PATH
nothing_outside_is_served() {
	raw "GET $1 HTTP/1.1\r\nConnection: close\r\n\r\n" >got
	expect "$(cat got)" '^HTTP/1.1 404 '
	fails grep -q 'not to be served' got
}

unknown_method_is_501() {
	expect "$(raw 'BREW / HTTP/1.1\r\n\r\n')" '^HTTP/1.1 501 '
}

endless_head_is_431() {
	expect "$(raw "GET / HTTP/1.1\r\nX: $(printf '%9000s' '' | tr ' ' x)\r\n\r\n")" '^HTTP/1.1 431 '
}

run_tests \
	'range_gives_its_part 0-0 0 0' \
	'range_gives_its_part 0-16384 0 16384' \
	'range_gives_its_part 50000-70001 50000 70001' \
	'range_gives_its_part -17 99986 100002' \
	'range_gives_its_part -999999 0 100002' \
	'range_gives_its_part 100002- 100002 100002' \
	'range_gives_its_part 99000-999999 99000 100002' \
	'range_outside_is_416 100003-' \
	'range_outside_is_416 -0' \
	'range_that_means_nothing_is_ignored bytes=9-1' \
	'range_that_means_nothing_is_ignored lines=1-2' \
	interrupted_download_resumes \
	many_requests_share_a_connection \
	connection_close_is_obeyed \
	http_1_0_gets_one_answer \
	pipelined_requests_are_answered_in_order \
	head_has_no_body \
	empty_file_is_200 \
	folder_gives_its_index \
	missing_file_is_404_and_the_connection_lives \
	'nothing_outside_is_served /../outside/secret' \
	'nothing_outside_is_served /%2e%2e/outside/secret' \
	'nothing_outside_is_served /folder/../../outside/secret' \
	'nothing_outside_is_served //outside/secret' \
	'nothing_outside_is_served /link' \
	'nothing_outside_is_served /folder' \
	unknown_method_is_501 \
	endless_head_is_431
