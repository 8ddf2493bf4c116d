#!/bin/bash
# Other people's TLS clients, against the example server and the helper app.

# shellcheck source=lib.sh disable=SC2119 # functions' own arguments are optional
. "$(dirname "$0")/lib.sh"
need_module

mkdir www
head -c 300007 /dev/urandom >www/file
yes 'thirty-two megabytes of this line' | head -c $((32 << 20)) >www/large

openssl13() {
	case $1 in
	AES-128-GCM) echo TLS_AES_128_GCM_SHA256 ;;
	AES-256-GCM) echo TLS_AES_256_GCM_SHA384 ;;
	CHACHA20-POLY1305) echo TLS_CHACHA20_POLY1305_SHA256 ;;
	esac
}

# openssl12 CIPHER ECDSA|RSA
openssl12() {
	case $1 in
	AES-128-GCM) echo "ECDHE-$2-AES128-GCM-SHA256" ;;
	AES-256-GCM) echo "ECDHE-$2-AES256-GCM-SHA384" ;;
	CHACHA20-POLY1305) echo "ECDHE-$2-CHACHA20-POLY1305" ;;
	esac
}

# fetch_with_CLIENT VERSION CIPHER ADDRESS FILE: its content on stdout.
fetch_with_curl() {
	local choice=(--tlsv1.3 --tls13-ciphers "$(openssl13 "$2")")
	[ "$1" = 1.3 ] || choice=(--tls-max 1.2 --ciphers "$(openssl12 "$2" "$auth")")
	curl -sS --cacert "$cert" "${choice[@]}" "https://$3:$port/$4"
}

request() {
	printf 'GET /%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$1"
}

body() {
	sed '1,/^\r$/d'
}

fetch_with_openssl() {
	local choice=(-tls1_3 -ciphersuites "$(openssl13 "$2")")
	[ "$1" = 1.3 ] || choice=(-tls1_2 -cipher "$(openssl12 "$2" "$auth")")
	request "$4" | openssl s_client -quiet -CAfile "$cert" -verify_return_error \
		-connect "$3:$port" "${choice[@]}" 2>client.log | body
}

fetch_with_gnutls() {
	local address=${3#[}
	request "$4" | LD_PRELOAD=$build/selftests/buffered.so gnutls-cli --logfile client.log --x509cafile "$cert" \
		--priority "NORMAL:-VERS-ALL:+VERS-TLS$1:-CIPHER-ALL:+$2" -p "$port" "${address%]}" | body
}

# every_byte_arrives CLIENT VERSION CIPHER ADDRESS [FILE]
every_byte_arrives() {
	local file=${5:-file}
	fetch_with_"$1" "$2" "$3" "$4" "$file" >"got" || cat client.log
	cmp got "www/$file"
	# The agent's log proves that it was what was asked for.
	case $2/$3 in
	1.3/*) logged="TLS 1.3, $(openssl13 "$3")," ;;
	*/AES-128-GCM) logged="TLS 1.2, TLS_ECDHE_${auth}_WITH_AES_128_GCM_SHA256," ;;
	*/AES-256-GCM) logged="TLS 1.2, TLS_ECDHE_${auth}_WITH_AES_256_GCM_SHA384," ;;
	*) logged="TLS 1.2, TLS_ECDHE_${auth}_WITH_CHACHA20_POLY1305_SHA256," ;;
	esac
	expect "$(tail -n 1 "$agent_log")" "$logged"
}

certificate_of_rsa_serves() {
	port=$rsa_port auth=RSA cert=rsa.pem agent_log=$rsa_log
	every_byte_arrives "$@"
}

# s_client OPTION...: "hello" to app and back, with the session's details; tickets come with
# or before the echo.
s_client() {
	rm -f said ended
	{
		echo hello
		until_true 10 heard
	} | {
		local status=0
		openssl s_client -CAfile localhost.pem -connect "127.0.0.1:$app_port" "$@" >said 2>&1 ||
			status=$?
		echo $status >ended
	}
	cat said
	return "$(cat ended)"
}

heard() {
	grep -qs '^hello' said || [ -s ended ]
}

# resumption_works 1.2|1.3: and both sides know.
resumption_works() {
	local version=-tls${1/./_}
	s_client "$version" -sess_out "session$1" >out
	expect "$(cat out)" '(^|[[:space:]])New, TLS'
	s_client "$version" -sess_in "session$1" >out
	expect "$(cat out)" 'Reused, TLS'
	expect "$(cat out)" $'\nhello'
	expect "$(grep result=OK "$app_log" | tail -n 1)" 'resumed=1$'
	expect "$(grep result=OK "$app_log" | tail -n 2 | head -n 1)" 'resumed=0$'
}

# The worker that issued the ticket need not be the one that gets it.
a_ticket_is_good_for_every_worker() {
	s_client -tls1_3 -sess_out session >out
	for _ in 1 2 3 4 5 6; do
		s_client -tls1_3 -sess_in session >out
		expect "$(cat out)" 'Reused, TLS'
	done
}

# configure LINE...: an agent with that configuration.
configure() {
	printf '%s\n' "$@" >agent.conf
	start_agent --config agent.conf --workers 1
}

hello_retry_request_is_survived() {
	# This agent knows one group alone, the client's key share is of another.
	configure '[tls]' 'groups = P-256' '[identity a]' 'certificate = localhost.pem' 'key = localhost.key'
	start_app
	s_client -tls1_3 -msg -groups P-384:P-256 >out
	expect "$(grep -c '>>> .*ClientHello' out)" '^2$'
	expect "$(cat out)" $'\nhello'
	expect "$(grep result=OK "$app_log")" 'group=(secp256r1|P-256|prime256v1)'
}

server_name_selects_the_certificate() {
	local name subject
	make_cert one ec one.example
	make_cert two rsa two.example '*.two.example'
	start_agent --cert localhost.pem --key localhost.key --cert one.pem --key one.key \
		--cert two.pem --key two.key --workers 1
	start_app
	while read -r name subject; do
		s_client -servername "$name" >out
		expect "$(cat out)" "subject=CN = $subject"
		expect "$(grep result=OK "$app_log" | tail -n 1)" " sni=$name "
	done <<-END
		one.example one
		two.example two
		a.two.example two
		localhost localhost
		other.example localhost
	END
	s_client -noservername >out
	expect "$(cat out)" 'subject=CN = localhost'
	expect "$(grep result=OK "$app_log" | tail -n 1)" ' sni=- '
}

configured_names_select_the_certificate() {
	local name subject
	make_cert one ec one.example
	configure '[identity a]' 'certificate = localhost.pem' 'key = localhost.key' \
		'names = *.one.example b.example' \
		'[identity b]' 'certificate = one.pem' 'key = one.key' 'default = yes'
	start_app
	while read -r name subject; do
		s_client -servername "$name" >out
		expect "$(cat out)" "subject=CN = $subject"
	done <<-END
		x.one.example localhost
		B.example localhost
		x.y.one.example one
		one.example one
		localhost one
	END
	s_client -noservername >out
	expect "$(cat out)" 'subject=CN = one'
}

configured_versions_and_ciphers_are_kept_to() {
	configure '[tls]' 'max-version = 1.2' 'ciphers = ECDHE-ECDSA-AES128-GCM-SHA256' \
		'[identity a]' 'certificate = localhost.pem' 'key = localhost.key'
	start_app
	s_client >out
	expect "$(cat out)" 'New, TLSv1.2, Cipher is ECDHE-ECDSA-AES128-GCM-SHA256'
	fails s_client -tls1_3 >out
	fails s_client -cipher ECDHE-ECDSA-AES256-GCM-SHA384 >out
	configure '[tls]' 'min-version = 1.3' 'ciphersuites = TLS_CHACHA20_POLY1305_SHA256' \
		'[identity a]' 'certificate = localhost.pem' 'key = localhost.key'
	start_app
	s_client >out
	expect "$(cat out)" 'New, TLSv1.3, Cipher is TLS_CHACHA20_POLY1305_SHA256'
	fails s_client -tls1_2 >out
	fails s_client -ciphersuites TLS_AES_128_GCM_SHA256 >out
}

# make_ocsp NAME NDAYS-OPTION...: leaf.pem is good, says ca.
make_ocsp() {
	local serial
	serial=$(openssl x509 -in leaf.pem -noout -serial)
	printf 'V\t350101000000Z\t\t%s\tunknown\t/CN=x\n' "${serial#serial=}" >index
	openssl ocsp -index index -CA ca.pem -issuer ca.pem -cert leaf.pem -rsigner ca.pem -rkey ca.key \
		-respout "$1" "${@:2}" >openssl.log 2>&1
}

ocsp_response_is_given_to_who_asks() {
	local identity=('[identity a]' 'certificate = leaf.pem' 'key = localhost.key')
	make_cert ca ec ca
	openssl req -new -key localhost.key -subj /CN=leaf 2>openssl.log |
		openssl x509 -req -CA ca.pem -CAkey ca.key -days 2 -out leaf.pem 2>openssl.log
	cat ca.pem >>leaf.pem
	make_ocsp good.ocsp -ndays 1
	configure "${identity[@]}" 'ocsp-response = good.ocsp'
	start_app
	for version in -tls1_3 -tls1_2; do
		s_client $version -status >out
		expect "$(cat out)" 'OCSP Response Status: successful'
		expect "$(cat out)" 'Cert Status: good'
		s_client $version >out
		fails grep -q 'OCSP' out
	done
	# One that is out of date would do harm.
	make_ocsp brief.ocsp -nmin 1
	configure "${identity[@]}" 'ocsp-response = brief.ocsp'
	start_app
	s_client -status >out
	expect "$(cat out)" 'OCSP Response Status: successful'
	date -s '+2 minutes' >date.log
	s_client -status >out
	date -s '-2 minutes' >date.log
	expect "$(cat out)" 'OCSP response: no response sent'
	expect "$(cat out)" 'subject=CN = leaf'
}

agent_without_identities_refuses_to_be_a_server() {
	configure '[agent]'
	start_app
	fails s_client >out
	expect "$(grep result= "$app_log")" 'error=.*the agent has no identity for that'
}

alpn_is_the_applications_first_choice() {
	start_app -l h2 -l http/1.1
	s_client -alpn http/1.1,h2 >out
	expect "$(cat out)" 'ALPN protocol: h2'
	s_client -alpn x,http/1.1 >out
	expect "$(cat out)" 'ALPN protocol: http/1.1'
	expect "$(grep -o 'alpn=[^ ]*' "$app_log" | tr '\n' ' ')" '^alpn=h2 alpn=http/1.1 $'
}

no_alpn_in_common_is_refused_with_its_alert() {
	start_app -l h2
	fails s_client -alpn x,y >out
	expect "$(cat out)" 'alert number 120'
	expect "$(grep -v listening "$app_log")" 'result=ECONNABORTED .*alert=sent:120 error=.*ALPN'
}

configured_alpn_is_for_applications_that_name_none() {
	configure '[tls]' 'alpn = h2 http/1.1' '[identity a]' 'certificate = localhost.pem' \
		'key = localhost.key'
	start_app
	s_client -alpn http/1.1,h2 >out
	expect "$(cat out)" 'ALPN protocol: h2'
	start_app -l http/1.1
	s_client -alpn http/1.1,h2 >out
	expect "$(cat out)" 'ALPN protocol: http/1.1'
}

alpn_is_left_out_where_one_side_has_none() {
	start_app
	s_client -alpn h2 >out
	expect "$(cat out)" 'No ALPN negotiated'
	start_app -l h2
	s_client >out
	expect "$(grep result "$app_log")" 'result=OK .*alpn=-'
}

# early_request_is_answered VERSION ACT: it comes in the segment of the Finished; with
# ACT close, close_notify and FIN are in there, too. The client's Finished is the last
# one in TLS 1.3, and in TLS 1.2 when a session is resumed.
early_request_is_answered() {
	local resume=(-r) line
	[ "$1" = 1.2 ] || resume=()
	line=$(peer -v "$1" "${resume[@]}" -o got "$port" finish "$2" "$(request file)"$'\n\r\n')
	echo "$line"
	expect "$line" 'handshake=yes'
	body <got >got.body
	cmp got.body www/file
	expect "$line" 'alert=0 end=eof'
}

# The FIN is in the segment of the request.
half_close_without_close_notify_gets_its_answer() {
	local line
	line=$(peer -v "$1" -o got "$port" finish fin "$(request file)"$'\n\r\n')
	expect "$line" 'handshake=yes'
	body <got | cmp - www/file
}

close_notify_goes_both_ways() {
	local line
	line=$(peer -o got "$app_port" finish close hello)
	expect "$line" 'alert=0 end=eof'
	expect "$(told end "$(field port "$line")")" 'end=OK bytes=5'
	expect "$(cat got)" '^hello$'
}

fin_without_close_notify_is_no_end_of_data() {
	local line
	line=$(peer "$app_port" finish fin hello)
	expect "$(told end "$(field port "$line")")" 'end=ECONNRESET'
}

make_cert rsa rsa localhost 127.0.0.1 ::1
start_agent --cert rsa.pem --key rsa.key --workers 1
rsa_log=$agent_log
start_server www
rsa_port=$app_port

make_cert localhost ec localhost 127.0.0.1 ::1
start_agent --workers 2
start_server www
port=$app_port auth=ECDSA cert=localhost.pem
start_app

tests=()
for client in curl openssl gnutls; do
	for version in 1.3 1.2; do
		for cipher in AES-128-GCM AES-256-GCM CHACHA20-POLY1305; do
			for address in 127.0.0.1 '[::1]'; do
				tests+=("every_byte_arrives $client $version $cipher $address")
			done
		done
	done
done
run_tests "${tests[@]}" \
	'every_byte_arrives curl 1.3 AES-256-GCM 127.0.0.1 large' \
	'every_byte_arrives openssl 1.2 CHACHA20-POLY1305 [::1] large' \
	'every_byte_arrives gnutls 1.3 AES-128-GCM [::1] large' \
	'certificate_of_rsa_serves curl 1.3 AES-128-GCM 127.0.0.1' \
	'certificate_of_rsa_serves curl 1.2 AES-128-GCM 127.0.0.1' \
	'certificate_of_rsa_serves openssl 1.2 AES-256-GCM [::1]' \
	'certificate_of_rsa_serves gnutls 1.2 CHACHA20-POLY1305 127.0.0.1' \
	'resumption_works 1.3' \
	'resumption_works 1.2' \
	a_ticket_is_good_for_every_worker \
	hello_retry_request_is_survived \
	server_name_selects_the_certificate \
	configured_names_select_the_certificate \
	configured_versions_and_ciphers_are_kept_to \
	ocsp_response_is_given_to_who_asks \
	agent_without_identities_refuses_to_be_a_server \
	alpn_is_the_applications_first_choice \
	no_alpn_in_common_is_refused_with_its_alert \
	configured_alpn_is_for_applications_that_name_none \
	alpn_is_left_out_where_one_side_has_none \
	'early_request_is_answered 1.3 go' \
	'early_request_is_answered 1.2 go' \
	'early_request_is_answered 1.3 close' \
	'early_request_is_answered 1.2 close' \
	'half_close_without_close_notify_gets_its_answer 1.3' \
	'half_close_without_close_notify_gets_its_answer 1.2' \
	close_notify_goes_both_ways \
	fin_without_close_notify_is_no_end_of_data
