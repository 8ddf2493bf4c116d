#!/bin/bash
# Private keys in files, tokens and TPMs, as the agent opens and uses them: without the agent,
# and without the module.

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tokens.sh
. "$e2e/tokens.sh"

make_cert file ec localhost
make_token front
token_key front ec EC:prime256v1 localhost
token_key front rsa rsa:2048 localhost
start_tpm
tpm_key 0x81000001 tpm-ec ecc256 localhost
tpm_key 0x81000002 tpm-rsa rsa2048 localhost
mkdir none

# Debian 12 itself has the engine alone.
by_engine=(env "OPENSSL_MODULES=$work/none")

# is_told PATTERN COMMAND...: the command fails with that and nothing else, on any terminal
# even.
is_told() {
	local pattern=$1 said
	shift
	said=$(fails script -qec "${*@Q}" /dev/null </dev/null 2>&1) || return
	said=${said//$'\r'/}
	said=${said%%Session terminated*}
	expect "$said" "^$pattern\$"
	fails grep -F -e "$pin" -e 314159 <<<"$said"
}

all_rsa='opened/rsa_pkcs1_sha256: verified/rsa_pkcs1_sha384: verified/rsa_pss_rsae_sha256: verified'
all_rsa="$all_rsa/rsa_pss_rsae_sha384: verified/released/"
all_ec='opened/ecdsa_sha256: verified/released/'

# signs EXPECTED COMMAND...: it says what is expected, and nothing besides.
signs() {
	local expected=$1
	shift
	expect "$("$@" 2>&1 | tr '\n' '/')" "^$expected\$"
}

file_signs() {
	signs "$all_ec" keysign file.key file.pem
}

file_that_all_may_read_is_refused() {
	cp file.key open.key
	chmod 604 open.key
	is_told 'fault: open.key is open to every user, its mode is 0604; .*chmod o-rwx.*' \
		keysign open.key file.pem
	chmod 640 open.key
	signs "$all_ec" keysign open.key file.pem
}

file_without_a_key_is_refused() {
	openssl pkey -in file.key -aes256 -passout pass:314159 -out locked.key
	is_told "fault: locked.key: the key is encrypted.*'openssl pkey'" keysign locked.key file.pem
	is_told 'fault: cannot read no.key: No such file.*' keysign no.key file.pem
	is_told 'fault: none is no regular file' keysign none file.pem
	(umask 077 && echo junk >junk.key)
	is_told 'fault: junk.key: no private key in PEM.*' keysign junk.key file.pem
}

# token_signs COMMAND...
token_signs() {
	signs "$all_ec" "$@" keysign "$(token_uri front ec)" ec.pem
	signs "$all_rsa" "$@" keysign "$(token_uri front rsa "module-path=$softhsm")" rsa.pem
	signs "$all_ec" "$@" keysign "pkcs11:token=front;object=ec?pin-value=$pin" ec.pem
	PKCS11_MODULE_PATH=$softhsm signs "$all_ec" "$@" keysign "$(token_uri front ec)" ec.pem
}

token_signs_by_engine() {
	token_signs "${by_engine[@]}"
}

token_signs_by_provider() {
	# Without the engine it must be the provider.
	token_signs env "OPENSSL_ENGINES=$work/none"
}

keys_stay_in_the_token() {
	keysign "$(token_uri front ec)" ec.pem
	"${by_engine[@]}" keysign "$(token_uri front rsa)" rsa.pem
	expect "$(token_keys front)" '^ec rsa$'
}

key_of_another_certificate_shows() {
	signs 'opened/of another certificate/released/' keysign "$(token_uri front ec)" rsa.pem
	signs 'opened/of another certificate/released/' \
		"${by_engine[@]}" keysign "$(token_uri front ec)" rsa.pem
	signs 'opened/of another certificate/released/' keysign handle:0x81000001 ec.pem
}

# A wrong PIN reaches the token once: three make a card worthless.
# wrong_pin_is_tried_once COMMAND...
wrong_pin_is_tried_once() {
	(umask 077 && echo 314159 >wrong)
	rm -f slowtoken/logins
	is_told 'rejected: .*the token refuses the PIN.*' "$@" keysign \
		"pkcs11:token=front;object=ec?pin-source=file:$work/wrong&module-path=$slowtoken" ec.pem
	expect "$(cat slowtoken/logins)" '^login 0xa0$'
}

wrong_pin_is_tried_once_by_engine() {
	wrong_pin_is_tried_once "${by_engine[@]}"
}

last_try_is_left_to_people() {
	rm -f slowtoken/logins
	touch slowtoken/last-try
	is_told 'rejected: .*one more wrong PIN would lock the token.*' \
		keysign "$(token_uri front ec "module-path=$slowtoken")" ec.pem
	rm slowtoken/last-try
	[ ! -e slowtoken/logins ]
}

# pin_is_needed COMMAND...: and nobody asked for it.
pin_is_needed() {
	is_told 'fault: .*the token wants a PIN; add .*' "$@" keysign 'pkcs11:token=front;object=ec' ec.pem
	is_told 'fault: cannot read /nowhere: .*' "$@" keysign \
		'pkcs11:token=front;object=ec?pin-source=file:/nowhere' ec.pem
	is_told 'fault: .*must name a file.*' "$@" keysign \
		'pkcs11:token=front;object=ec?pin-source=|cat' ec.pem
	cp pin open.pin
	chmod 644 open.pin
	is_told 'fault: .*/open.pin is open to every user.*' "$@" keysign \
		"pkcs11:token=front;object=ec?pin-source=file:$work/open.pin" ec.pem
}

absent_token_key_or_library_is_told() {
	is_told 'fault: pkcs11:token=back;.*the token is not there.*' keysign "$(token_uri back ec)" ec.pem
	is_told 'fault: .*the token has no such private key.*' keysign "$(token_uri front no)" ec.pem
	is_told 'fault: .*library /no.so cannot be loaded; is its package installed.' \
		keysign "$(token_uri front ec module-path=/no.so)" ec.pem
	is_told 'fault: .*install the package pkcs11-provider or libengine-pkcs11-openssl' \
		"${by_engine[@]}" "OPENSSL_ENGINES=$work/none" keysign "$(token_uri front ec)" ec.pem
}

uri_that_means_no_single_key_is_refused() {
	is_told 'fault: no URI of a PKCS#11 object .*pin-source.*' keysign pkcs11:fish ec.pem
	is_told 'fault: .*RFC 7512 does not know' keysign 'pkcs11:tocken=front;object=ec' ec.pem
	is_told 'fault: .*type=private' keysign 'pkcs11:token=front;object=ec;type=cert' ec.pem
	is_told 'fault: .*by object= or id=' keysign 'pkcs11:token=front' ec.pem
	is_told 'fault: .*[0-9] tokens fit.*' keysign "pkcs11:object=ec?pin-value=$pin" ec.pem
	in_token front --keypairgen --key-type EC:prime256v1 --label twin >token.log 2>&1
	in_token front --keypairgen --key-type EC:prime256v1 --label twin >token.log 2>&1
	is_told 'fault: .*several keys in the token fit.*' keysign "$(token_uri front twin)" ec.pem
	in_token front --delete-object --type privkey --label twin
	in_token front --delete-object --type privkey --label twin
}

# start_user COMMAND...: keysign -w, which has signed once; sets user_pid.
start_user() {
	rm -f user.in user.log
	mkfifo user.in
	"$@" <user.in >user.log 2>&1 &
	user_pid=$!
	started+=("$user_pid")
	exec 9>user.in
	until_true 10 grep -q _sha256: user.log
}

# user_says WORD: when told to sign again.
user_says() {
	: >user.log
	echo go >&9
	until_true 10 grep -q ^again user.log
	expect "$(tail -n 1 user.log)" "^again: $1\$"
}

# It exits, by itself and well; a signer is then begun anew.
end_user() {
	exec 9>&-
	wait "$user_pid"
}

# token_pulled_out COMMAND...: while in use, and back.
token_pulled_out() {
	local uri
	uri=$(token_uri front rsa "module-path=$slowtoken")
	start_user "$@" keysign -w "$uri" rsa.pem
	user_says good
	touch slowtoken/pulled-out
	user_says bad
	end_user
	is_told 'fault: .*the token is not there.*' "$@" keysign "$uri" rsa.pem
	rm slowtoken/pulled-out
	signs "$all_rsa" "$@" keysign "$uri" rsa.pem
}

token_pulled_out_by_engine() {
	token_pulled_out "${by_engine[@]}"
}

slow_token_takes_its_time() {
	local began
	began=$(now_ms)
	echo 700 >slowtoken/delay-ms
	signs "$all_ec" keysign "$(token_uri front ec "module-path=$slowtoken")" ec.pem
	rm slowtoken/delay-ms
	[ $(($(now_ms) - began)) -ge 700 ]
}

# The user must be able to get at SoftHSM's files; a card is behind a daemon.
token_serves_who_gave_up_root() {
	chmod 755 "$work"
	chmod -R a+rwX tokens
	signs "$all_ec" keysign -u 65534 "$(token_uri front ec)" ec.pem
	signs "$all_ec" "${by_engine[@]}" keysign -u 65534 "$(token_uri front ec)" ec.pem
}

tpm_signs() {
	signs "$all_ec" keysign handle:0x81000001 tpm-ec.pem
	signs "$all_rsa" keysign handle:0x81000002 tpm-rsa.pem
}

tpm_serves_who_gave_up_root() {
	signs "$all_ec" keysign -u 65534 handle:0x81000001 tpm-ec.pem
}

keys_stay_in_the_tpm() {
	keysign handle:0x81000001 tpm-ec.pem
	expect "$(tpm_handles)" '^0x81000001 0x81000002$'
}

absent_tpm_key_or_library_is_told() {
	is_told 'fault: handle:0x81000009: the TPM has no key there.*' keysign handle:0x81000009 ec.pem
	is_told 'fault: handle:fish: .*' keysign handle:fish ec.pem
	TPM2OPENSSL_TCTI=swtpm:path=$work/none is_told 'fault: the TPM cannot be reached; .*' \
		keysign handle:0x81000001 ec.pem
	is_told 'fault: .*install the package tpm2-openssl' \
		"${by_engine[@]}" keysign handle:0x81000001 ec.pem
}

tpm_pulled_out() {
	start_user keysign -w handle:0x81000001 tpm-ec.pem
	user_says good
	kill -KILL "$tpm_pid"
	wait "$tpm_pid" 2>/dev/null || true
	until_true 5 gone "$tpm_pid"
	user_says bad
	end_user
	is_told 'fault: the TPM cannot be reached; .*' keysign handle:0x81000001 tpm-ec.pem
	rm -f tpm.sock tpm.sock.ctrl
	start_tpm
	signs "$all_ec" keysign handle:0x81000001 tpm-ec.pem
}

of_root=()
[ "$(id -u)" != 0 ] || of_root=(token_serves_who_gave_up_root tpm_serves_who_gave_up_root)

run_tests \
	file_signs \
	file_that_all_may_read_is_refused \
	file_without_a_key_is_refused \
	token_signs_by_engine \
	token_signs_by_provider \
	keys_stay_in_the_token \
	key_of_another_certificate_shows \
	wrong_pin_is_tried_once \
	wrong_pin_is_tried_once_by_engine \
	last_try_is_left_to_people \
	pin_is_needed \
	absent_token_key_or_library_is_told \
	uri_that_means_no_single_key_is_refused \
	token_pulled_out \
	token_pulled_out_by_engine \
	slow_token_takes_its_time \
	tpm_signs \
	keys_stay_in_the_tpm \
	absent_tpm_key_or_library_is_told \
	"${of_root[@]}" \
	tpm_pulled_out
