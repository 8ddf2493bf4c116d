#!/bin/bash
# Keyblob as a server that asks for clients' certificates, by identity. Each that is bad is
# refused, the application is told which check failed, and the client gets the alert that
# RFC 8446 names.

# shellcheck source=lib.sh disable=SC2119 # functions' own arguments are optional
. "$(dirname "$0")/lib.sh"
# shellcheck source=certs.sh
. "$e2e/certs.sh"
need_module

# s_client NAME OPTION...: from the server called NAME, until it has its hello back, or is refused;
# its output is in s_client.log. What is said to a server that has closed would make TCP forget
# the alert.
s_client() {
	local name=$1 before
	shift
	before=$(<"$app_log")
	talk s_client openssl s_client -connect "127.0.0.1:$app_port" -servername "$name" \
		-CAfile root.pem -cipher ALL:@SECLEVEL=0 "$@"
	until_true 20 result_is_told_since "$before" || return
	if [[ $since == *' result=OK '* ]]; then
		say s_client hello
		until_true 20 grep -q '^hello$' s_client.out
	else
		until_true 20 gone "${talker[s_client]}"
	fi
	hang_up s_client
	cat s_client.out >>s_client.log
	[[ $since == *' result=OK '* ]]
}

# result_is_told_since TEXT: in the app's log, beyond TEXT; sets since, all that is.
result_is_told_since() {
	since=$(<"$app_log")
	since=${since#"$1"}
	[[ $since == *' result='* ]]
}

# shows CERTIFICATE KEY: options of s_client.
shows() {
	echo -cert "$1.pem" -cert_chain "$1.chain.pem" -key "$2"
}

last_result() {
	until_true 10 grep -q result= "$app_log"
	grep result= "$app_log" | tail -n 1
}

# client_is_accepted SERVER CLIENT VERSION NAMES CERTS: without a CLIENT, it is "-".
client_is_accepted() {
	local show=()
	start_app
	# shellcheck disable=SC2207 # options
	[ "$2" = - ] || show=($(shows "$2" leaf.key))
	s_client "$1" "$3" "${show[@]}"
	expect "$(last_result)" "result=OK .* sni=$1 names=$4 certs=$5 "
	grep -q '^hello$' s_client.log
}

# client_is_refused SERVER CLIENT KEY ALERT REASON
client_is_refused() {
	local server=$1 client=$2 key=$3 alert=$4 version show=() wanted
	start_app
	for version in -tls1_3 -tls1_2; do
		[ "$key $version" != 'rsa512.key -tls1_3' ] || continue
		wanted=$alert
		# RFC 8446 has certificate_required; before, it was handshake_failure.
		[ "$alert $version" != '116 -tls1_2' ] || wanted=40
		# shellcheck disable=SC2207 # options
		[ "$client" = - ] || show=($(shows "$client" "$key"))
		s_client "$server" "$version" "${show[@]}" || true
		expect "$(last_result)" "result=EKEYREJECTED .*alert=sent:$wanted error=.*${*:5}"
		expect "$(cat s_client.log)" "SSL alert number $wanted"
	done
}

curl_is_let_in_and_turned_away() {
	start_app
	# Of TLS 1.2: in TLS 1.3 its request may be faster than the alert.
	fails curl -sS --max-time 5 --tls-max 1.2 --cacert root.pem \
		--connect-to "::127.0.0.1:$app_port" https://require/ 2>curl.log
	expect "$(cat curl.log)" 'alert handshake failure'
	expect "$(last_result)" 'result=EKEYREJECTED .*shows no certificate'
	echo_of_curl https://require/x --cacert root.pem --connect-to "::127.0.0.1:$app_port" \
		--cert for_clients.chain.pem --key leaf.key
	expect "$(cat curl.out)" '^GET /x HTTP'
	expect "$(last_result)" 'result=OK .* sni=require names=localhost certs=3 '
}

gnutls_cli_is_let_in_and_turned_away() {
	start_app
	echo hello | timeout 5 gnutls-cli --x509cafile root.pem --x509certfile for_clients.chain.pem \
		--x509keyfile leaf.key --sni-hostname require --verify-hostname require \
		-p "$app_port" 127.0.0.1 >gnutls.log 2>&1 || true
	expect "$(last_result)" 'result=OK .* sni=require names=localhost certs=3 '
	echo hello | timeout 5 gnutls-cli --x509cafile root.pem --x509certfile expired.chain.pem \
		--x509keyfile leaf.key --sni-hostname require --verify-hostname require \
		-p "$app_port" 127.0.0.1 >gnutls.log 2>&1 || true
	expect "$(cat gnutls.log)" 'alert .45.: Certificate is expired'
	expect "$(last_result)" 'result=EKEYREJECTED .*alert=sent:45 '
}

none_is_asked_where_none_is_wanted() {
	start_app
	# shellcheck disable=SC2046 # options
	s_client none -tls1_3 -msg $(shows for_clients leaf.key)
	fails grep -q CertificateRequest s_client.log
	expect "$(last_result)" 'result=OK .* names=- certs=0 '
}

request_names_the_cas() {
	start_app
	# shellcheck disable=SC2046 # options
	s_client require -tls1_3 $(shows for_clients leaf.key)
	expect "$(cat s_client.log)" 'Acceptable client certificate CA names'$'\nCN = root'
}

# verified_sessions_are_not_resumed VERSION
verified_sessions_are_not_resumed() {
	local show
	start_app
	# shellcheck disable=SC2207 # options
	show=($(shows for_clients leaf.key))
	s_client require "$1" "${show[@]}" -sess_out session
	[ ! -e session ] || s_client require "$1" "${show[@]}" -sess_in session
	fails grep -q Reused s_client.log
	expect "$(last_result)" 'result=OK .* resumed=0'
}

# A ticket of one server is void at another: without a certificate, at one that asks.
sessions_do_not_cross_servers() {
	local version
	start_app
	for version in -tls1_3 -tls1_2; do
		s_client none "$version" -sess_out session
		s_client none "$version" -sess_in session
		grep -q Reused s_client.log
		s_client also-none "$version" -sess_in session
		fails grep -q Reused s_client.log
		s_client require "$version" -sess_in session || true
		expect "$(last_result)" 'result=EKEYREJECTED .*shows no certificate'
		rm session
	done
}

# Whatever the client asks for.
identity_of_the_application_counts() {
	start_app -I require
	s_client none -tls1_3 || true
	expect "$(last_result)" 'result=EKEYREJECTED .*shows no certificate'
	stop "$app_pid"
	start_app -I none
	s_client require -tls1_3
	expect "$(last_result)" 'result=OK .* sni=require names=- certs=0 '
}

make_pki
cat root.crl middle.crl >all.crl
for name in none also-none request require crl; do
	issue "$name" middle leaf.key "subjectAltName=DNS:$name"
done

asks() {
	printf 'client-certificates = %s\\ntrust = root.pem\\n' "$1"
}

start_configured_agent "$(
	identity none
	identity also-none
	identity request
	asks request
	identity require
	asks require
	identity crl
	asks require
)crl = all.crl\n"

run_tests \
	none_is_asked_where_none_is_wanted \
	request_names_the_cas \
	'client_is_accepted request - -tls1_3 - 0' \
	'client_is_accepted request - -tls1_2 - 0' \
	'client_is_accepted request good -tls1_3 localhost,www.example.org,127.0.0.1,::1,email:a@example.org,URI:https://example.org/a 3' \
	'client_is_accepted require for_clients -tls1_2 localhost 3' \
	'client_is_accepted crl for_clients -tls1_3 localhost 3' \
	'client_is_refused require - - 116 shows no certificate' \
	'client_is_refused request expired leaf.key 45 certificate of the client: expired on 2020-02-01' \
	'client_is_refused require expired leaf.key 45 expired on 2020-02-01' \
	'client_is_refused require early leaf.key 45 not valid before 2098-01-01' \
	'client_is_refused require unknown leaf.key 48 unknown CA: issuer "CN=other"' \
	'client_is_refused require self leaf.key 48 unknown CA' \
	'client_is_refused require short leaf.key 48 unknown CA: issuer "CN=middle" .*chain incomplete' \
	'client_is_refused require rsa1024 rsa1024.key 42 key too weak' \
	'client_is_refused require for_servers leaf.key 43 not for TLS clients' \
	'client_is_refused require of_false leaf.key 42 not that of a CA' \
	'client_is_refused require corrupt leaf.key 42 signature is wrong' \
	'client_is_refused crl revoked leaf.key 44 certificate of the client: revoked' \
	'client_is_refused crl of_revoked leaf.key 44 certificate of "CN=middle": revoked' \
	curl_is_let_in_and_turned_away \
	gnutls_cli_is_let_in_and_turned_away \
	'verified_sessions_are_not_resumed -tls1_3' \
	'verified_sessions_are_not_resumed -tls1_2' \
	sessions_do_not_cross_servers \
	identity_of_the_application_counts
