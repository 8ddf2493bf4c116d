#!/bin/bash
# Keyblob as the client, against other people's TLS servers. Each certificate that is bad is
# refused, the application is told which check failed, and the server gets the alert that
# RFC 8446 names.

# shellcheck source=lib.sh disable=SC2119 # functions' own arguments are optional
. "$(dirname "$0")/lib.sh"
# shellcheck source=certs.sh
. "$e2e/certs.sh"
need_module

# connect OPTION...: client, with nothing to say; sets said, what it tells.
connect() {
	timeout 20 client -a "$agent_path" "$@" "$peer_port" </dev/null >client.out 2>client.log ||
		status=$?
	said=$(cat client.log)
	echo "$said"
}

# serve NAME KEY OPTION...: openssl s_server with NAME.chain.pem, that takes anything.
serve() {
	local name=$1 key=$2
	shift 2
	start_peer openssl s_server -accept "127.0.0.1:$peer_port" -cert "$name.pem" \
		-cert_chain "$name.chain.pem" -key "$key" -quiet -cipher ALL:@SECLEVEL=0 "$@"
}

# peer_got_alerts NUMBER ALERT
peer_got_alerts() {
	until_true 10 alerts_are "$@" || {
		cat peer.log
		return 1
	}
}

alerts_are() {
	[ "$(grep -c "SSL alert number $2\$" peer.log)" = "$1" ]
}

# data_goes_both_ways VERSION CIPHER NAME: with s_server, 256 KB each; NAME is IANA's.
data_goes_both_ways() {
	local choice=(-tls1_3 -ciphersuites "$2")
	[ "$1" = 1.3 ] || choice=(-tls1_2 -cipher "$2")
	start_peer openssl s_server -accept "127.0.0.1:$peer_port" -cert good.pem \
		-cert_chain good.chain.pem -key leaf.key -quiet "${choice[@]}"
	talk client client -a "$agent_path" "$peer_port"
	cat there >client.in &
	cat back >peer.in &
	until_true 60 same_size there peer.out
	until_true 60 same_size back client.out
	cmp there peer.out
	cmp back client.out
	hang_up client
	cat client.log
	expect "$(cat client.log)" "^result=OK version=030$((${1#1.} + 1)) cipher=$3 "
	expect "$(cat client.log)" 'sent=262144 received=262144 end=OK'
}

# gnutls_serv_echoes VERSION CIPHER
gnutls_serv_echoes() {
	start_peer gnutls-serv --echo --crlf -p "$peer_port" --x509certfile good.chain.pem \
		--x509keyfile leaf.key --disable-client-cert \
		--priority "NORMAL:-VERS-ALL:+VERS-TLS$1:-CIPHER-ALL:+$2"
	talk client client -a "$agent_path" -i "$peer_port"
	od -An -v -tx1 -N 20000 /dev/urandom >lines
	cat lines >client.in &
	until_true 60 same_size lines client.out
	cmp lines client.out
	hang_up client
	cat client.log
	expect "$(cat client.log)" "^result=OK version=030$((${1#1.} + 1)) "
	expect "$(cat client.log)" ' end=OK'
}

both_steps_do_the_same() {
	serve good leaf.key
	connect -s
	expect "$said" '^result=OK .* sni=localhost .*end=OK'
	stop "${talker[peer]}"
	serve expired leaf.key
	connect -s
	expect "$said" '^result=EKEYREJECTED alert=sent:45 '
}

alpn_is_offered() {
	serve good leaf.key -alpn h2,http/1.1
	connect -l x -l http/1.1
	expect "$said" '^result=OK .* alpn=http/1.1 '
	connect
	expect "$said" '^result=OK .* alpn=- '
	connect -l y
	expect "$said" '^result=ECONNABORTED alert=received:120 '
	stop "${talker[peer]}"
	serve good leaf.key
	connect -l x
	expect "$said" '^result=OK .* alpn=- '
}

# RFC 7301 section 3.1.
alpn_that_was_not_offered_is_refused() {
	start_peer secrets -s good.chain -l h3 "$peer_port" 1.3 TLS_AES_128_GCM_SHA256
	connect -l h2
	expect "$said" '^result=ECONNABORTED alert=sent:50 error=.*bad extension'
}

# name_is_accepted NAME CERTIFICATE SNI
name_is_accepted() {
	serve "$2" leaf.key
	connect -n "$1"
	expect "$said" "^result=OK .* sni=$3 names=${1%.}[, ]"
}

name_is_no_name() {
	local error=$2
	serve good leaf.key
	connect -n "$1"
	expect "$said" "^result=EINVAL alert=none error=name .*$error"
}

# server_is_refused CERTIFICATE KEY NAME ALERT REASON: in TLS 1.2 as in TLS 1.3.
server_is_refused() {
	local alert=$4 reason alerts=0 agent
	reason=${*:5}
	serve "$1" "$2"
	for agent in "$agent_path" "$agent_1_2"; do
		# Too small a key for a signature of TLS 1.3.
		[ "$2 $agent" != "rsa512.key $agent_path" ] || continue
		agent_path=$agent connect -n "$3"
		expect "$said" "^result=EKEYREJECTED alert=sent:$alert error=.*$reason"
		alerts=$((alerts + 1))
		peer_got_alerts $alerts "$alert"
	done
}

# with_crls ARGUMENT...: the same, by the agent that has CRLs.
with_crls() {
	agent_path=$crl_agent agent_1_2=$crl_agent_1_2
	"$@"
}

# The client believes that the handshake is done when the server refuses it.
refusal_of_the_client_comes_when_it_reads() {
	serve good leaf.key -tls1_3 -CAfile root.pem -Verify 3 -verify_return_error
	connect
	expect "$said" '^result=OK .*end=ECONNABORTED .* alert=116$'
	stop "${talker[peer]}"
	serve good leaf.key -tls1_2 -CAfile root.pem -Verify 3 -verify_return_error
	connect
	expect "$said" '^result=ECONNABORTED alert=received:40 '
}

# identity_is_shown VERSION
identity_is_shown() {
	start_peer openssl s_server -accept "127.0.0.1:$peer_port" -cert good.pem -key leaf.key \
		-cert_chain good.chain.pem -CAfile root.pem -Verify 3 -verify_return_error "$1"
	connect -I shown
	expect "$said" '^result=OK .*end=OK'
	until_true 5 grep -q 'subject=CN = for_clients' peer.out
	agent_path=$identity_agent
	connect
	expect "$said" '^result=OK .*end=OK'
	until_true 5 grep -q 'subject=CN = sibling' peer.out
}

unknown_identity_is_ENOENT() {
	serve good leaf.key
	connect -I nobody
	expect "$said" '^result=ENOENT .*error=no identity is named "nobody"'
	start_app -I nobody
	openssl s_client -connect "127.0.0.1:$app_port" </dev/null >s_client.log 2>&1 || true
	until_true 5 grep -q 'result=ENOENT' "$app_log"
}

server_that_speaks_no_tls_is_named() {
	start_peer python3 -c "
import socket
s = socket.create_server(('127.0.0.1', $peer_port))
c = s.accept()[0]; c.recv(1); c.sendall(b'220 mail.example.org ESMTP\r\n'); c.recv(65536); c.recv(1)"
	connect
	expect "$said" '^result=ECONNABORTED .*the peer does not speak TLS'
}

silent_server_times_out() {
	start_peer python3 -c "
import socket, time
s = socket.create_server(('127.0.0.1', $peer_port))
c = s.accept()[0]; time.sleep(20)"
	connect -t 500
	expect "$said" '^result=ETIMEDOUT .*timed out after 0.5 s, peer sent 0 bytes'
}

no_version_in_common_is_refused() {
	start_peer openssl s_server -accept "127.0.0.1:$peer_port" -cert good.pem -key leaf.key \
		-tls1_1 -cipher ALL:@SECLEVEL=0
	connect
	expect "$said" '^result=ECONNABORTED alert=(sent|received):70 '
}

# What the application learns.

server_s_chain_and_names_are_told() {
	local i=0
	serve good leaf.key
	connect -d chain
	expect "$said" ' names=localhost,www.example.org,127.0.0.1,::1,email:a@example.org,URI:https://example.org/a certs=3 '
	for name in good middle root; do
		openssl x509 -inform DER -in "chain$i.der" -out "chain$i.pem"
		openssl x509 -in "$name.pem" | cmp - "chain$i.pem"
		i=$((i + 1))
	done
	[ ! -e chain3.der ]
}

# More than fits a message: names, and certificates.
long_chains_are_cut() {
	local names i
	names=$(for i in {1..900}; do printf ',DNS:a-rather-long-name-number-%s.example.org' "$i"; done)
	issue long middle leaf.key "subjectAltName=DNS:localhost$names"
	serve long leaf.key
	connect -d long
	expect "$said" '^result=OK .* certs=[23] '
	openssl x509 -inform DER -in long0.der | cmp - <(openssl x509 -in long.pem)
	expect_at_most "$(field names "$said" | wc -c)" 16384 'bytes of names'
}

# channel_binding_is_that_of_the_peer VERSION: openssl's own programs export without a
# context, which is another value in TLS 1.2.
channel_binding_is_that_of_the_peer() {
	local cipher=TLS_AES_128_GCM_SHA256
	[ "$1" = 1.3 ] || cipher=ECDHE-ECDSA-AES128-GCM-SHA256
	start_peer secrets -b -s good.chain "$peer_port" "$1" "$cipher"
	talk client client -a "$agent_path" -b -i "$peer_port"
	say client hello
	until_true 10 grep -q end peer.out
	expect "$(tr a-f A-F <peer.out)" "BINDING $(field binding "$(cat client.log)")"
}

channel_binding_is_what_openssl_exports() {
	local exported=(-keymatexport EXPORTER-Channel-Binding -keymatexportlen 32)
	start_peer openssl s_server -accept "127.0.0.1:$peer_port" -cert good.pem -key leaf.key \
		-cert_chain good.chain.pem -tls1_3 "${exported[@]}"
	connect -b
	expect "$(cat peer.out peer.log)" "Keying material: $(field binding "$said")"
	start_app -b -I shown
	echo | openssl s_client -connect "127.0.0.1:$app_port" -tls1_3 "${exported[@]}" >s_client.log 2>&1
	until_true 5 grep -q result=OK "$app_log"
	expect "$(cat s_client.log)" "Keying material: $(field binding "$(grep result=OK "$app_log")")"
}

channel_binding_is_told_to_those_who_ask() {
	serve good leaf.key
	connect
	expect "$(field binding "$said")" '^-$'
}

make_pki
cat root.crl middle.crl other.crl >all.crl
cat root.pem other.pem self.pem >all.pem
# Whole blocks of client's.
head -c 262144 /dev/urandom >there
head -c 262144 /dev/urandom >back

crls="[client]\ntrust = all.pem\ncrl = all.crl\n"
start_configured_agent "$crls"
crl_agent=$agent_path
start_configured_agent "${crls}[tls]\nmax-version = 1.2\n"
crl_agent_1_2=$agent_path
start_configured_agent "[client]\ntrust = root.pem\n[tls]\nmax-version = 1.2\n"
agent_1_2=$agent_path
start_configured_agent "$(identity own sibling.chain.pem)[client]\ntrust = root.pem\nidentity = own\n"
identity_agent=$agent_path
start_configured_agent "[client]\ntrust = root.pem\n$(identity shown for_clients.chain.pem)"

run_tests \
	'data_goes_both_ways 1.3 TLS_AES_128_GCM_SHA256 TLS_AES_128_GCM_SHA256' \
	'data_goes_both_ways 1.3 TLS_AES_256_GCM_SHA384 TLS_AES_256_GCM_SHA384' \
	'data_goes_both_ways 1.3 TLS_CHACHA20_POLY1305_SHA256 TLS_CHACHA20_POLY1305_SHA256' \
	'data_goes_both_ways 1.2 ECDHE-ECDSA-AES128-GCM-SHA256 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256' \
	'data_goes_both_ways 1.2 ECDHE-ECDSA-AES256-GCM-SHA384 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384' \
	'data_goes_both_ways 1.2 ECDHE-ECDSA-CHACHA20-POLY1305 TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256' \
	'gnutls_serv_echoes 1.3 AES-256-GCM' \
	'gnutls_serv_echoes 1.2 AES-128-GCM' \
	'gnutls_serv_echoes 1.2 CHACHA20-POLY1305' \
	both_steps_do_the_same \
	alpn_is_offered \
	alpn_that_was_not_offered_is_refused \
	'name_is_accepted localhost good localhost' \
	'name_is_accepted localhost. good localhost' \
	'name_is_accepted WWW.example.org good WWW.example.org' \
	'name_is_accepted 127.0.0.1 good -' \
	'name_is_accepted ::1 good -' \
	'name_is_accepted a.example.org wildcard a.example.org' \
	'name_is_no_name bücher.example not ASCII' \
	'name_is_no_name *.example.org neither a DNS name' \
	'name_is_no_name a..example.org neither a DNS name' \
	'name_is_no_name [::1] neither a DNS name' \
	'name_is_no_name 127.1 usual form' \
	'server_is_refused expired leaf.key localhost 45 expired on 2020-02-01' \
	'server_is_refused early leaf.key localhost 45 not valid before 2098-01-01' \
	'server_is_refused of_old leaf.key localhost 45 certificate of "CN=middle": expired' \
	'server_is_refused good leaf.key other.example.org 42 is for localhost, www.*, not for other.example.org' \
	'server_is_refused cn_only leaf.key cn_only 42 is for no name .*, not for cn_only' \
	'server_is_refused address leaf.key localhost 42 is for 127.0.0.1, not for localhost' \
	'server_is_refused sibling leaf.key 127.0.0.1 42 is for localhost, not for 127.0.0.1' \
	'server_is_refused address_as_dns leaf.key 127.0.0.1 42 not for 127.0.0.1' \
	'server_is_refused wildcard leaf.key example.org 42 not for example.org' \
	'server_is_refused wildcard leaf.key a.b.example.org 42 not for a.b.example.org' \
	'server_is_refused partial leaf.key www.example.org 42 not for www.example.org' \
	'server_is_refused partial leaf.key a.b.org 42 not for a.b.org' \
	'server_is_refused too_wide leaf.key example.org 42 not for example.org' \
	'server_is_refused too_wide leaf.key localhost 42 not for localhost' \
	'server_is_refused unknown leaf.key localhost 48 unknown CA: issuer "CN=other"' \
	'server_is_refused unknown_root leaf.key localhost 48 certificate of "CN=other": unknown CA' \
	'server_is_refused self leaf.key localhost 48 unknown CA: it is self-signed' \
	'server_is_refused short leaf.key localhost 48 unknown CA: issuer "CN=middle" .*chain incomplete' \
	'server_is_refused rsa512 rsa512.key localhost 42 key too weak .RSA, 512 bits' \
	'server_is_refused rsa1024 rsa1024.key localhost 42 key too weak .RSA, 1024 bits' \
	'server_is_refused sha1 leaf.key localhost 42 hash that is too weak' \
	'server_is_refused for_clients leaf.key localhost 43 not for TLS servers' \
	'server_is_refused of_false leaf.key localhost 42 certificate of "CN=false": not that of a CA' \
	'server_is_refused corrupt leaf.key localhost 42 signature is wrong' \
	'with_crls name_is_accepted localhost good localhost' \
	'with_crls server_is_refused revoked leaf.key localhost 44 certificate of the server: revoked' \
	'with_crls server_is_refused of_revoked leaf.key localhost 44 certificate of "CN=middle": revoked' \
	'with_crls server_is_refused unknown leaf.key localhost 46 CRL of its issuer is out of date' \
	'with_crls server_is_refused self leaf.key localhost 46 no CRL is here of its issuer "CN=self"' \
	refusal_of_the_client_comes_when_it_reads \
	'identity_is_shown -tls1_3' \
	'identity_is_shown -tls1_2' \
	unknown_identity_is_ENOENT \
	server_that_speaks_no_tls_is_named \
	silent_server_times_out \
	no_version_in_common_is_refused \
	server_s_chain_and_names_are_told \
	long_chains_are_cut \
	'channel_binding_is_that_of_the_peer 1.3' \
	'channel_binding_is_that_of_the_peer 1.2' \
	channel_binding_is_what_openssl_exports \
	channel_binding_is_told_to_those_who_ask
