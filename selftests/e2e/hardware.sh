#!/bin/bash
# Keys in PKCS#11 tokens and in a TPM, used by the agent: handshakes, a token that is slow or
# away, and that the keys stay where they are.

# shellcheck source=lib.sh disable=SC2119 # functions' own arguments are optional
. "$(dirname "$0")/lib.sh"
# shellcheck source=tokens.sh
. "$e2e/tokens.sh"
need_module

mkdir www
echo 'by hardware' >www/page
make_cert file ec file.test
make_token front
make_token card
token_key front token-ec EC:prime256v1 token-ec.test
token_key front token-rsa rsa:2048 token-rsa.test
token_key card card EC:prime256v1 card.test
start_tpm_device || bail_out "no TPM can be emulated"
tpm_key 0x81000001 tpm-ec ecc256 tpm-ec.test
tpm_key 0x81000002 tpm-rsa rsa2048 tpm-rsa.test
# For the signers, which are no longer root when they use what is in here.
chmod 755 "$work"
chmod -R a+rwX tokens
chmod 666 /dev/tpmrm0
chmod 777 slowtoken

# identity NAME KEY: a section.
identity() {
	printf '[identity %s]\ncertificate = %s\nkey = %s\n' "$1" "$work/$1.pem" "$2"
}

# card: the token with moods.
{
	printf '[agent]\ntimeout = 60\n'
	identity file "$work/file.key"
	identity token-ec "$(token_uri front token-ec)"
	identity token-rsa "$(token_uri front token-rsa "module-path=$softhsm")"
	identity card "$(token_uri card card "module-path=$slowtoken")"
	identity tpm-ec handle:0x81000001
	identity tpm-rsa handle:0x81000002
} >agent.conf
cat ca.pem file.pem >trusted.pem

# page NAME [OPTION...]: fetched from the identity of that name.
page() {
	curl -sS --noproxy '*' --max-time 60 --cacert trusted.pem "${@:2}" \
		--resolve "$1.test:$app_port:127.0.0.1" "https://$1.test:$app_port/page"
}

served() {
	[ "$(page "$@")" = 'by hardware' ]
}

handshakes_by() {
	served "$1" --tlsv1.3
	served "$1" --tls-max 1.2
	openssl s_client -connect "localhost:$app_port" -servername "$1.test" -CAfile trusted.pem \
		-verify_return_error </dev/null >client.log 2>&1 || { cat client.log && return 1; }
	gnutls-cli --x509cafile trusted.pem --verify-hostname "$1.test" --sni-hostname "$1.test" \
		-p "$app_port" localhost </dev/null >client.log 2>&1 || { cat client.log && return 1; }
}

slow_token_delays_its_own_handshakes_alone() {
	local slow
	echo 60000 >slowtoken/delay-ms
	served card &
	slow=$!
	until_true 10 in_flight_are 1
	for name in file token-ec tpm-ec file; do
		served "$name"
	done
	fails gone $slow
	rm slowtoken/delay-ms
	wait $slow
}

token_that_is_away_is_told_and_comes_back() {
	touch slowtoken/pulled-out
	fails served card
	fails served card
	until_true 10 grep -q 'card.*\(removed\|not there\)' "$agent_log"
	for name in file token-ec tpm-ec; do
		served "$name"
	done
	rm slowtoken/pulled-out
	until_true 20 served card
	fails gone "$agent_pid"
}

reload_lets_go_of_keys_and_takes_them_again() {
	local began
	for _ in 1 2; do
		began=$(grep -ci reload "$agent_log") || true
		kill -HUP "$agent_pid"
		until_true 30 more_reloads "$began"
		for name in token-ec token-rsa card tpm-ec tpm-rsa; do
			served "$name"
		done
	done
	keys_are_there
}

more_reloads() {
	[ "$(grep -ci reload "$agent_log")" -gt "$1" ]
}

keys_are_there() {
	expect "$(token_keys front)" '^token-ec token-rsa$'
	expect "$(token_keys card)" '^card$'
	expect "$(tpm_handles)" '^0x81000001 0x81000002$'
}

# Three wrong ones make a card worthless: neither workers, nor restarts, nor the check that
# precedes may try again by themselves.
wrong_pin_on_reload_is_tried_once_and_changes_nothing() {
	cp pin right
	echo 314159 >pin
	rm -f slowtoken/logins
	kill -HUP "$agent_pid"
	until_true 10 grep -q 'refuses the PIN' "$agent_log"
	sleep 5
	expect "$(grep -c 0xa0 slowtoken/logins)" '^1$'
	served file
	served card
	cat right >pin
}

wrong_pin_at_the_start_is_tried_once() {
	(umask 077 && echo 314159 >wrong)
	identity card "pkcs11:token=card;object=card?pin-source=file:$work/wrong&module-path=$slowtoken" \
		>wrong.conf
	rm -f slowtoken/logins
	fails timeout 20 keyblobd --config wrong.conf --listen "$work/wrong.sock" 2>said
	expect "$(cat said)" 'card.*refuses the PIN'
	expect "$(cat slowtoken/logins)" '^login 0xa0$'
}

pin_is_never_told() {
	fails grep -F -e "$pin" -e 314159 "$agent_log"
}

keys_stay_after_exit() {
	stop "$agent_pid"
	keys_are_there
	# They are as good as before.
	keysign "$(token_uri front token-rsa)" token-rsa.pem
	keysign handle:0x81000001 tpm-ec.pem
}

start_agent --config agent.conf
start_server www

run_tests \
	'handshakes_by file' \
	'handshakes_by token-ec' \
	'handshakes_by token-rsa' \
	'handshakes_by card' \
	'handshakes_by tpm-ec' \
	'handshakes_by tpm-rsa' \
	slow_token_delays_its_own_handshakes_alone \
	token_that_is_away_is_told_and_comes_back \
	reload_lets_go_of_keys_and_takes_them_again \
	wrong_pin_on_reload_is_tried_once_and_changes_nothing \
	wrong_pin_at_the_start_is_tried_once \
	pin_is_never_told \
	keys_stay_after_exit
