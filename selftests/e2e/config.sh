#!/bin/bash
# The configuration file: what is accepted, and that each fault is told, with file and line.
# Needs neither the module nor a guest.

# shellcheck source=lib.sh disable=SC2119 # functions' own arguments are optional
. "$(dirname "$0")/lib.sh"

man=$e2e/../../userspace/agent/keyblobd.conf.5
example=$e2e/../../userspace/agent/keyblobd.conf
make_cert localhost ec localhost
make_cert other ec other
identity='[identity a]\ncertificate = localhost.pem\nkey = localhost.key\n'

# good TEXT [OPTION...]: it is in order, and nothing is said about it.
good() {
	printf '%b' "$1" >test.conf
	keyblobd --check --config test.conf "${@:2}" >said 2>&1 || { cat said && return 1; }
	[ ! -s said ]
}

# fault LINE REASON TEXT [OPTION...]: this fault is told, and no other.
fault() {
	printf '%b' "$3" >test.conf
	fails keyblobd --check --config test.conf "${@:4}" 2>said
	expect "$(cat said)" "^keyblobd\\[[0-9]+\\]: test\\.conf:$1: $2"
	[ "$(wc -l <said)" = 1 ] || { cat said && return 1; }
}

everything_documented_is_accepted() {
	good '[agent]
listen = /tmp/x
mode = 0600
group = root
workers = 3
handshakes = 10
handshakes-per-user = 5
worker-lifetime = 0
timeout = 0.5
kernel-requests = no
worker-user = nobody
signer-user = 0
log = syslog
log-level = error
[tls]
min-version = 1.2
max-version = 1.3
ciphersuites = TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384
ciphers = ECDHE-RSA-AES128-GCM-SHA256
groups = P-256:X25519
alpn = h2 http/1.1
'"$identity"'names = www.example.com *.example.com xn--bcher-kva.example
default = yes
client-certificates = require
trust = localhost.pem
[client]
trust = system
identity = a
[tickets]
enabled = yes
lifetime = 300
rotation = 100
[allow root]
user = root 0
group = root nogroup
cgroup = / /system.slice/x.service
role = server client
identity = a
[deny root]
role = client
'
}

comments_blanks_and_line_ends_do_not_matter() {
	good '\xef\xbb\xbf# comment\r\n[agent]\r\n\tworkers=2 ; comment\r\n;x\r\n\r\n  timeout : 5'
	good ''
}

example_is_in_order() {
	keyblobd --check --config "$example"
	# With each of its keys, but those of files that are not there and users that are not.
	sed -E 's/^#([a-z-]+ = |\[)/\1/; s/^(certificate|key|trust|crl|ocsp|group|user|.*-user|keys) .*/#/
		s/^\[identity www\]/&\ncertificate = localhost.pem\nkey = localhost.key\n/
		/^ocsp-response/d' "$example" >test.conf
	keyblobd --check --config test.conf
}

# What the program says of its own sections.
known_keys() {
	local section
	for section in agent tls 'identity x' client tickets 'allow x' 'deny x'; do
		printf '[%s]\n?=\n' "$section" >test.conf
		keyblobd --check --config test.conf 2>&1 |
			sed -n 's/.*unknown key; \[\(.*\)\] has /\1, /p' |
			awk -F ', ' '{ for (i = 2; i <= NF; i++) print $1, $i }'
	done | sort
}

# Headings and keys of the man page.
documented_keys() {
	sed -n 's/\\-/-/g; s/\\fR//g; s/^\.SS //p; s/^\.BI "\([a-z-]*\) = .*/key \1/p' "$man" | tr -d '"' |
		awk '/^key / { for (i = 1; i <= n; i++) print sections[i], $2; next }
			{ n = split($0, sections, ", "); for (i = 1; i <= n; i++) gsub(/\[| NAME|\]/, "", sections[i]) }' |
		sort
}

man_page_has_every_key_and_no_other() {
	known_keys >known
	documented_keys >documented
	diff known documented
	expect_at_most 40 "$(wc -l <known)" 'keys are there, or more'
}

all_faults_are_told_at_once() {
	printf '%s\n' 'a = 1' '[agent]' 'workers = 0' 'mode = rw' 'nonsense' '[bogus]' 'b = 1' \
		'[allow x]' 'user = no-such-user' 'identity = b' >test.conf
	fails keyblobd --check --config test.conf 2>said
	expect "$(sed 's/^[^ ]* test.conf:\([0-9]*\): .*/\1/' said | tr '\n' ' ')" '^1 3 4 5 6 9 10 $'
}

faults_of_lines_are_told() {
	fault 1 'x 1: before any section' 'x = 1'
	fault 2 'nonsense: neither \[SECTION\] nor KEY = VALUE' '[agent]\nnonsense\n'
	fault 3 'more: neither' '[agent]\nlisten = /x\n  more\n'
	fault 1 '\[agent: no heading' '[agent\n'
	fault 1 '\[tls\] min-version = 1.3: no heading' '[tls] min-version = 1.3\n'
	fault 2 'there is a control character' '[agent]\nlisten = /x\0y\n'
	fault 2 'there is a control character' '[agent]\nlisten = /x\x1by\n'
	fault 2 'the line is longer' "[tls]\nalpn = $(printf '%04000d' 0)\n"
	fault 2 'the line is longer' "[tls]\n#$(printf '%04000d' 0)\n"
	fault 2 '.*: neither' '[agent]\n\xef\xbb\xbf[tls]\n'
}

long_lines_are_taken_whole() {
	good "[allow x]\nuser = $(printf ' root%.0s' {1..700}) root\n"
	fault 2 'user .*there is no user no-such-user' "[allow x]\nuser = $(printf ' root%.0s' {1..700}) no-such-user\n"
}

faults_of_sections_are_told() {
	fault 1 '\[bogus\]: unknown section; there are .agent., ' '[bogus]\nx = 1\n'
	fault 1 '\[\]: unknown section' '[]\n'
	fault 1 '\[tls x\]: this section takes no name' '[tls x]\n'
	fault 1 '\[allow\]: give it a name' '[allow]\n'
	fault 1 '\[allow a b\]: give it a name without blanks' '[allow a b]\n'
	fault 2 '\[tls\]: this section was there before' '[tls]\n[tls]\n'
	fault 4 '\[identity a\]: this section was there before' "${identity}[identity a]\n"
	fault 3 '\[deny a\]: this section was there before' '[deny a]\n[allow a]\n[deny a]\n'
	fault 2 'bogus 1: unknown key; \[client\] has trust, crl, identity' '[client]\nbogus = 1\n'
	fault 3 'timeout 5: given before' '[agent]\ntimeout = 5\ntimeout = 5\n'
}

# Of [SECTION] KEY = VALUE.
value_is_refused() {
	fault 2 "$3.*: $4" "[$1]\n$3 = $2\n"
}

values_of_agent_are_checked() {
	local n
	for n in 0 257 -1 2x '' 99999999999999999999; do
		value_is_refused agent "$n" workers 'give a number from 1 to 256'
	done
	value_is_refused agent 0 handshakes 'give a number from 1 to 100000'
	value_is_refused agent 100001 handshakes-per-user 'give a number from 1 to 100000'
	value_is_refused agent -1 worker-lifetime 'give a number from 0'
	for n in 0 3601 nan inf 0x5 1e1 -1 1s ''; do
		value_is_refused agent "$n" timeout 'give seconds, from 0.001 to 3600'
	done
	value_is_refused agent 0888 mode 'give octal'
	value_is_refused agent 01777 mode 'give octal'
	value_is_refused agent '' listen 'the path is empty'
	value_is_refused agent "/$(printf '%0107d' 0)" listen 'longer than 107 bytes'
	value_is_refused agent no-such group 'there is no group no-such'
	value_is_refused agent no-such worker-user 'there is no user no-such'
	value_is_refused agent no-such signer-user 'there is no user no-such'
	value_is_refused agent file log 'give stderr or syslog'
	value_is_refused agent debug log-level 'give error, notice or detail'
}

values_of_tls_are_checked() {
	value_is_refused tls 1.1 min-version 'give 1.2 or 1.3'
	fault 3 'max-version 1.2: .*none is left' '[tls]\nmin-version = 1.3\nmax-version = 1.2\n'
	fault 3 'min-version 1.3: .*none is left' '[tls]\nmax-version = 1.2\nmin-version = 1.3\n'
	value_is_refused tls TLS_AES_128_CCM_SHA256 ciphersuites '"TLS_AES_128_CCM_SHA256": no suite of TLS 1.3'
	value_is_refused tls TLS_AES_128_GCM_SHA256:bogus ciphersuites '"bogus": no suite of TLS 1.3'
	value_is_refused tls ECDHE-RSA-AES128-SHA256 ciphers 'no suite of TLS 1.2 that kernel TLS carries'
	value_is_refused tls AES128-GCM-SHA256 ciphers 'no suite .*forward secrecy'
	value_is_refused tls ALL ciphers '"ALL": no suite'
	value_is_refused tls X25519:bogus groups '"bogus": no group'
	value_is_refused tls 'X25519 P-256' groups 'no group'
	value_is_refused tls '' alpn 'the value is empty'
	value_is_refused tls "h2 $(printf '%0256d' 0)" alpn '.*at most 255 bytes'
	good "[tls]\nalpn = $(printf '%0255d' 0)\n"
}

values_of_identities_are_checked() {
	local name
	for name in '*.com' 'a.*.org' 'x*.example.com' 'www..com' .com example.com. 'b\xc3\xbccher.de'; do
		fault 4 "names .*: .*(no host name|covers too much)" "${identity}names = ok.org $name\n"
	done
	fault 4 'default maybe: give yes or no' "${identity}default = maybe\n"
	fault 4 'client-certificates all: give none, request or require' \
		"${identity}client-certificates = all\n"
	fault 1 '\[identity a\]: .*give trust' "${identity}client-certificates = request\n"
	fault 4 'trust x: clients are not asked' "${identity}trust = x\n"
	fault 2 '\[identity a\]: there is no key' '\n[identity a]\ncertificate = localhost.pem\n'
	fault 1 '\[identity a\]: there is no certificate' '[identity a]\nkey = localhost.key\n'
	fault 5 '\[identity b\]: another identity is the default' \
		"${identity}default = yes\n${identity/ a]/ b]}default = yes\n"
	fault 2 'identity b: there is no section \[identity b\]' '[client]\nidentity = b\n'
}

values_of_tickets_are_checked() {
	value_is_refused tickets 1 enabled 'give yes or no'
	value_is_refused tickets 604801 lifetime 'give a number from 1 to 604800'
	value_is_refused tickets 0 rotation 'give a number from 1'
	value_is_refused tickets 'a b c d e' keys 'give at most 4'
	fault 3 'tickets of 301 s would outlive their keys; .*300' '[tickets]\nrotation = 100\nlifetime = 301\n'
	good '[tickets]\nrotation = 100\nlifetime = 300\n'
}

values_of_rules_are_checked() {
	value_is_refused 'allow x' no-such user 'there is no user no-such'
	value_is_refused 'deny x' 'root no-such' group 'there is no group no-such'
	value_is_refused 'deny x' 4294967295 user 'there is no user'
	value_is_refused 'allow x' system.slice cgroup 'give paths'
	value_is_refused 'allow x' /a/../b cgroup 'give paths'
	value_is_refused 'allow x' /a/.. cgroup 'give paths'
	value_is_refused 'allow x' 'server peer' role 'give server or client'
	value_is_refused 'allow x' a identity 'there is no section \[identity a\]'
}

certificates_and_keys_are_checked() {
	local a='[identity a]\n'
	fault 2 'certificate none: cannot read it: No such file' "${a}certificate = none\nkey = localhost.key\n"
	fault 2 'certificate localhost.key: no certificate' "${a}certificate = localhost.key\nkey = localhost.key\n"
	fault 3 'key none: cannot read none: No such file' "${a}certificate = localhost.pem\nkey = none\n"
	fault 3 'key other.key: it does not belong to certificate localhost.pem' \
		"${a}certificate = localhost.pem\nkey = other.key\n"
	openssl ec -in localhost.key -aes128 -passout pass:x -out encrypted.key 2>openssl.log
	fault 3 'key encrypted.key: encrypted.key: the key is encrypted' "${a}certificate = localhost.pem\nkey = encrypted.key\n"
	printf '%b' "${a}certificate = none\nkey = none\n[identity b]\ncertificate = none\nkey = none\n" >test.conf
	fails keyblobd --check --config test.conf 2>said
	expect "$(sed 's/^[^ ]* test.conf:\([0-9]*\): .*/\1/' said | sort | tr '\n' ' ')" '^2 3 5 6 $'
}

# make_ocsp NAME CERTIFICATE STATUS [OPTION...]: a response of ca.
make_ocsp() {
	local serial
	serial=$(openssl x509 -in "$2" -noout -serial)
	printf '%s\t350101000000Z\t%s\t%s\tunknown\t/CN=x\n' "$3" \
		"$([ "$3" = V ] || echo 250101000000Z)" "${serial#serial=}" >index
	openssl ocsp -index index -CA ca.pem -issuer ca.pem -cert "$2" -rsigner ca.pem -rkey ca.key \
		-respout "$1" "${@:4}" >openssl.log 2>&1
}

# sign NAME: NAME.pem, of ca, with localhost.key.
sign() {
	openssl req -new -key localhost.key -subj "/CN=$1" 2>openssl.log |
		openssl x509 -req -CA ca.pem -CAkey ca.key -days 2 -out "$1.pem" 2>openssl.log
}

ocsp_responses_are_checked() {
	local a='[identity a]\ncertificate = chain.pem\nkey = localhost.key\nocsp-response = '
	make_cert ca ec ca
	sign leaf
	sign another
	cat leaf.pem ca.pem >chain.pem
	make_ocsp good.ocsp leaf.pem V -ndays 1
	good "${a}good.ocsp\n"
	fault 4 'ocsp-response none: cannot read it: No such file' "${a}none\n"
	fault 4 'ocsp-response leaf.pem: no OCSP response in DER' "${a}leaf.pem\n"
	make_ocsp revoked.ocsp leaf.pem R -ndays 1
	fault 4 'ocsp-response .*: it says that the certificate is revoked' "${a}revoked.ocsp\n"
	make_ocsp another.ocsp another.pem V -ndays 1
	fault 4 'ocsp-response .*: it is about another certificate' "${a}another.ocsp\n"
	cat another.pem ca.pem >another-chain.pem
	openssl ocsp -index index -CA ca.pem -issuer ca.pem -cert another.pem -rsigner localhost.pem \
		-rkey localhost.key -respout forged.ocsp -resp_no_certs >openssl.log 2>&1
	fault 4 'ocsp-response .*: its signature is not' "${a/chain/another-chain}forged.ocsp\n"
}

# file_is_refused PATTERN FILE
file_is_refused() {
	fails keyblobd --check --config "$2" 2>said
	expect "$(cat said)" "$2.*$1"
}

file_must_be_a_regular_one_that_not_everybody_writes() {
	file_is_refused 'No such file' none.conf
	file_is_refused 'no regular file' "$work"
	file_is_refused 'no regular file' /dev/null
	mkfifo fifo
	file_is_refused 'no regular file' fifo
	printf '%b' "$identity" >test.conf
	chmod 666 test.conf
	file_is_refused 'written by everybody' test.conf
	chmod 664 test.conf
	keyblobd --check --config test.conf
}

command_line_overrides_the_file() {
	good "${identity}[tls]\nmin-version = 1.3\n" --min-tls 1.2
	printf '%b' '[tls]\nmax-version = 1.2\n' >test.conf
	fails keyblobd --check --config test.conf --min-tls 1.3 2>said
	expect "$(cat said)" '--min-tls 1.3: .*none is left'
	printf '%b' "${identity/localhost.pem/none}" >test.conf
	keyblobd --cert localhost.pem --config test.conf --key localhost.key --check
}

# option_is_refused PATTERN OPTION...
option_is_refused() {
	local status=0
	keyblobd --check "${@:2}" 2>said || status=$?
	cat said
	[ $status = 1 ] || [ $status = 2 ]
	expect "$(cat said)" "$1"
}

options_are_checked_like_keys() {
	local pair='--cert localhost.pem --key localhost.key'
	option_is_refused '--workers 0: give a number from 1 to 256' --workers 0
	option_is_refused '--max-handshakes x: give a number' --max-handshakes x
	option_is_refused '--timeout 0: give seconds' --timeout 0
	option_is_refused '--mode 8: give octal' --mode 8
	option_is_refused '--min-tls 1.1: give 1.2 or 1.3' --min-tls 1.1
	option_is_refused '--cert localhost.pem: it has no key' --cert localhost.pem
	option_is_refused '--key localhost.key: it has no certificate' --key localhost.key
	option_is_refused '--cert b: the --cert before it has no --key yet' --cert a --cert b
	option_is_refused 'what is this for' argument
	option_is_refused "Try 'keyblobd --help'" --bogus
	# shellcheck disable=SC2086 # words
	keyblobd --check $pair $pair --workers 2 --workers 1
	expect "$(keyblobd --help)" '--config FILE'
	expect "$(keyblobd --version)" '^keyblobd [0-9.]+$'
}

pins_are_not_told() {
	local uri='pkcs11:token=a;pin-value=PIN1234?x'
	printf '%b' "[identity a]\nkey = $uri\nkey = $uri\nkey $uri\n" >test.conf
	fails keyblobd --check --config test.conf 2>said
	cat said
	fails grep -q PIN1234 said
	expect "$(cat said)" 'key pkcs11:token=a;pin-value=...: given before'
}

fault_keeps_the_agent_from_starting() {
	printf '%b' "${identity}[agent]\nlisten = $work/x.sock\nbogus = 1\n" >test.conf
	fails keyblobd --config test.conf 2>said
	[ ! -e x.sock ]
	expect "$(cat said)" 'test.conf:6: bogus 1: unknown key'
}

# The parser under garbage: it refuses, and lives. Random, the seed is told.
garbage_is_refused_and_survived() {
	local seed=$RANDOM status
	echo "seed $seed"
	RANDOM=$seed
	for _ in {1..60}; do
		cp "$example" garbage
		sed -i 's/^#//' garbage
		dd if=/dev/urandom of=garbage bs=1 count=$((RANDOM % 40 + 1)) seek=$((RANDOM % 2000)) \
			conv=notrunc 2>dd.log
		truncate -s $((RANDOM % 2500)) garbage
		status=0
		keyblobd --check --config garbage >said 2>&1 || status=$?
		[ $status -le 1 ] || { cat said && return 1; }
	done
}

run_tests \
	everything_documented_is_accepted \
	comments_blanks_and_line_ends_do_not_matter \
	example_is_in_order \
	man_page_has_every_key_and_no_other \
	all_faults_are_told_at_once \
	faults_of_lines_are_told \
	long_lines_are_taken_whole \
	faults_of_sections_are_told \
	values_of_agent_are_checked \
	values_of_tls_are_checked \
	values_of_identities_are_checked \
	values_of_tickets_are_checked \
	values_of_rules_are_checked \
	certificates_and_keys_are_checked \
	ocsp_responses_are_checked \
	file_must_be_a_regular_one_that_not_everybody_writes \
	command_line_overrides_the_file \
	options_are_checked_like_keys \
	pins_are_not_told \
	fault_keeps_the_agent_from_starting \
	garbage_is_refused_and_survived
