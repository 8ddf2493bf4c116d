# shellcheck shell=bash disable=SC2034,SC2154 # used by others, set by lib.sh
# Keys in hardware for the end-to-end tests: PKCS#11 tokens by SoftHSM, TPMs by swtpm, and
# certificates for keys in them. Sourced after lib.sh; all is in its directory.

pin=271828
softhsm=''
for path in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so; do
	[ ! -e "$path" ] || softhsm=$path
done
# SoftHSM with moods, see slowtoken.c.
slowtoken=$build/selftests/e2e/slowtoken.so
export SLOWTOKEN=$work/slowtoken SLOWTOKEN_LIBRARY=$softhsm
mkdir "$SLOWTOKEN"

# make_token NAME: a token, in a directory tokens of its own; the PIN in the file pin.
make_token() {
	[ -n "$softhsm" ] || bail_out "no SoftHSM"
	export SOFTHSM2_CONF=$work/softhsm2.conf
	mkdir -p tokens
	printf '%s\n' "directories.tokendir = $work/tokens" "objectstore.backend = file" >"$SOFTHSM2_CONF"
	(umask 077 && echo "$pin" >pin)
	softhsm2-util --init-token --free --label "$1" --pin "$pin" --so-pin 1234 >token.log 2>&1 ||
		bail_out "no token: $(cat token.log)"
}

# in_token NAME OPTION...: pkcs11-tool, logged in.
in_token() {
	local name=$1
	shift
	pkcs11-tool --module "$softhsm" --token-label "$name" --login --pin "$pin" "$@"
}

# token_key TOKEN NAME EC:prime256v1|rsa:2048 HOST: a key made in there, NAME.pem for it. It
# is the id by which the public half is found.
token_key() {
	in_token "$1" --keypairgen --key-type "$3" --label "$2" --id "$(printf %s "$2" | od -An -tx1 | tr -d ' ')" \
		>token.log 2>&1 || bail_out "no key in the token: $(cat token.log)"
	in_token "$1" --read-object --type pubkey --label "$2" -o "$2.der" >token.log 2>&1
	openssl pkey -pubin -inform DER -in "$2.der" -out "$2.pub" ||
		bail_out "no public key in the token: $(cat token.log)"
	certify "$2" "$4"
}

# token_uri TOKEN NAME [QUERY]: with the PIN's file.
token_uri() {
	echo "pkcs11:token=$1;object=$2;type=private?pin-source=file:$work/pin${3:+&$3}"
}

# token_keys TOKEN: the names of the private keys in it.
token_keys() {
	in_token "$1" --list-objects --type privkey 2>/dev/null | sed -n 's/^ *label: *//p' | sort | xargs
}

# certify NAME HOST: NAME.pem for the public key in NAME.pub, by the CA in ca.pem.
certify() {
	[ -e ca.pem ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
		-subj '/CN=CA of the tests' -keyout ca.key -out ca.pem 2>openssl.log ||
		bail_out "no CA: $(cat openssl.log)"
	openssl x509 -new -force_pubkey "$1.pub" -CA ca.pem -CAkey ca.key -days 2 -subj "/CN=$1" \
		-extfile <(echo "subjectAltName=DNS:$2") -out "$1.pem" 2>openssl.log ||
		bail_out "no certificate: $(cat openssl.log)"
}

# start_tpm: a TPM behind the socket tpm.sock, which every command is a connection to, with
# what was in it before; sets tpm_pid.
start_tpm() {
	mkdir -p tpm
	swtpm socket --tpm2 --server "type=unixio,path=$work/tpm.sock" \
		--ctrl "type=unixio,path=$work/tpm.sock.ctrl" --tpmstate "dir=$work/tpm" \
		--flags startup-clear >tpm.log 2>&1 &
	tpm_pid=$!
	started+=("$tpm_pid")
	export TPM2TOOLS_TCTI=swtpm:path=$work/tpm.sock TPM2OPENSSL_TCTI=swtpm:path=$work/tpm.sock
	until_true 10 test -S tpm.sock || bail_out "no TPM: $(cat tpm.log)"
	chmod 755 "$work"
	chmod 666 tpm.sock
}

# start_tpm_device: a TPM that is /dev/tpmrm0, as that of real hardware.
start_tpm_device() {
	modprobe tpm_vtpm_proxy || return
	mkdir -p tpm
	swtpm chardev --tpm2 --vtpm-proxy --tpmstate "dir=$work/tpm" --flags startup-clear \
		>tpm.log 2>&1 &
	tpm_pid=$!
	started+=("$tpm_pid")
	export TPM2TOOLS_TCTI=device:/dev/tpmrm0
	until_true 20 test -c /dev/tpmrm0 || bail_out "no TPM: $(cat tpm.log)"
}

# tpm_tool NAME OPTION...: leaves nothing in the TPM's few slots for what is in use.
tpm_tool() {
	local tool=tpm2_$1
	shift
	"$tool" "$@" -Q && tpm2_flushcontext -t
}

# tpm_key HANDLE NAME ecc256|rsa2048 HOST: a key in the TPM at HANDLE, NAME.pem for it.
tpm_key() {
	make_tpm_key "$@" >tpm.tool 2>&1 || bail_out "no key in the TPM: $(cat tpm.tool)"
	certify "$2" "$4"
}

make_tpm_key() {
	if [ ! -e tpm.primary ]; then
		tpm_tool createprimary -C o -c tpm.primary || return
	fi
	tpm_tool create -C tpm.primary -G "$3" -u tpm.public -r tpm.private &&
		tpm_tool load -C tpm.primary -u tpm.public -r tpm.private -c tpm.key &&
		tpm_tool evictcontrol -C o -c tpm.key "$1" &&
		tpm_tool readpublic -c "$1" -f pem -o "$2.pub"
}

# tpm_handles: of the keys that are in the TPM.
tpm_handles() {
	tpm2_getcap handles-persistent | sed 's/^- //' | sort | xargs
}
