# shellcheck shell=bash
# A small PKI for the end-to-end tests, good and bad, in the working directory: root and
# other are CAs, middle is an intermediate one of root. All ends have the key leaf.key
# unless a test says otherwise. NAME.pem is the certificate, NAME.chain.pem that and the
# intermediate. Sourced after lib.sh.

# What pki.cnf takes from the environment.
export CA=root EXTENSIONS=end

cat >pki.cnf <<'END'
[req]
distinguished_name = dn
[dn]
[ca]
default_ca = root
[root]
new_certs_dir = .
database = $ENV::CA.db
serial = $ENV::CA.serial
certificate = $ENV::CA.pem
private_key = $ENV::CA.key
default_md = sha256
default_days = 2
policy = any
unique_subject = no
x509_extensions = $ENV::EXTENSIONS
[any]
commonName = supplied
[end]
subjectAltName = DNS:localhost
basicConstraints = critical, CA:FALSE
[intermediate]
basicConstraints = critical, CA:TRUE
END

# quietly COMMAND...: says what it says only if it fails.
quietly() {
	"$@" >pki.log 2>&1 || bail_out "$*: $(cat pki.log)"
}

make_key() {
	quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"
}

# make_ca NAME: self-signed, with what openssl ca wants to have.
make_ca() {
	make_key "$1"
	quietly openssl req -config pki.cnf -x509 -new -key "$1.key" -days 2 -subj "/CN=$1" \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
		-out "$1.pem"
	: >"$1.db"
	echo 1000 >"$1.serial"
}

# issue NAME CA KEY EXTENSION...
issue() {
	local name=$1 ca=$2 key=$3 extension extensions=()
	shift 3
	for extension; do
		extensions+=(-addext "$extension")
	done
	quietly openssl req -config pki.cnf -x509 -new -key "$key" -CA "$ca.pem" -CAkey "$ca.key" \
		-days 2 -subj "/CN=$name" "${extensions[@]}" -out "$name.pem"
	cat "$name.pem" middle.pem >"$name.chain.pem"
}

# issue_in_time NAME CA EXTENSIONS START END [KEY SUBJECT]: for the time given as
# YYYYMMDDHHMMSSZ.
issue_in_time() {
	quietly openssl req -config pki.cnf -new -key "${6:-leaf.key}" -subj "/CN=${7:-$1}" -out pki.csr
	CA=$2 EXTENSIONS=$3 quietly openssl ca -config pki.cnf -batch -notext -in pki.csr \
		-startdate "$4" -enddate "$5" -out "$1.pem"
	cat "$1.pem" middle.pem >"$1.chain.pem"
}

# revoke CA NAME...: and CA.crl.
revoke() {
	local ca=$1 name
	shift
	for name; do
		CA=$ca EXTENSIONS=end quietly openssl ca -config pki.cnf -revoke "$name.pem"
	done
	CA=$ca EXTENSIONS=end quietly openssl ca -config pki.cnf -gencrl -crldays 2 -out "$ca.crl"
}

make_pki() {
	local san=subjectAltName=DNS:localhost bits
	make_ca root
	make_ca other
	make_key middle
	make_key leaf
	make_key false
	issue middle root middle.key basicConstraints=critical,CA:TRUE keyUsage=critical,keyCertSign,cRLSign
	: >middle.db
	echo 2000 >middle.serial

	issue good middle leaf.key "$san,DNS:www.example.org,IP:127.0.0.1,IP:::1,email:a@example.org,URI:https://example.org/a"
	issue sibling middle leaf.key "$san"
	issue_in_time expired middle end 20200101000000Z 20200201000000Z
	issue_in_time early middle end 20980101000000Z 20990101000000Z
	issue unknown other leaf.key "$san"
	cp unknown.pem unknown_root.pem
	cat unknown.pem other.pem >unknown_root.chain.pem
	cp good.pem short.pem
	cp good.pem short.chain.pem
	quietly openssl req -config pki.cnf -x509 -new -key leaf.key -days 2 -subj /CN=self \
		-addext "$san" -out self.chain.pem
	cp self.chain.pem self.pem
	for bits in 512 1024; do
		quietly openssl genpkey -algorithm RSA -pkeyopt "rsa_keygen_bits:$bits" -out "rsa$bits.key"
		issue "rsa$bits" middle "rsa$bits.key" "$san"
	done
	quietly openssl req -config pki.cnf -x509 -new -key leaf.key -CA middle.pem -CAkey middle.key \
		-sha1 -days 2 -subj /CN=sha1 -addext "$san" -out sha1.pem
	cat sha1.pem middle.pem >sha1.chain.pem
	issue for_clients middle leaf.key "$san" extendedKeyUsage=clientAuth
	issue for_servers middle leaf.key "$san" extendedKeyUsage=serverAuth
	issue false middle false.key basicConstraints=critical,CA:FALSE
	issue of_false false leaf.key "$san"
	cat of_false.pem false.pem middle.pem >of_false.chain.pem
	issue_in_time old_middle root intermediate 20200101000000Z 20200201000000Z middle.key middle
	cp good.pem of_old.pem
	cat good.pem old_middle.pem >of_old.chain.pem
	corrupt good corrupt
	cp leaf.key good.chain.key
	issue cn_only middle leaf.key basicConstraints=CA:FALSE
	issue address middle leaf.key subjectAltName=IP:127.0.0.1
	issue address_as_dns middle leaf.key subjectAltName=DNS:127.0.0.1
	issue wildcard middle leaf.key 'subjectAltName=DNS:*.example.org'
	issue partial middle leaf.key 'subjectAltName=DNS:w*.example.org,DNS:*w.example.org,DNS:a.*.org'
	issue too_wide middle leaf.key 'subjectAltName=DNS:*.org,DNS:*'
	issue_in_time revoked middle end "$(date -u +%Y%m%d000000Z)" 20990101000000Z
	issue_in_time revoked_middle root intermediate "$(date -u +%Y%m%d000000Z)" 20990101000000Z middle.key middle
	cp good.pem of_revoked.pem
	cat good.pem revoked_middle.pem >of_revoked.chain.pem
	revoke root revoked_middle
	revoke middle revoked
	CA=other quietly openssl ca -config pki.cnf -gencrl -crl_lastupdate 20200101000000Z \
		-crl_nextupdate 20200201000000Z -out other.crl
}

# corrupt FROM TO: the last byte of the signature is another.
corrupt() {
	openssl x509 -in "$1.pem" -outform DER | python3 -c '
import sys
der = bytearray(sys.stdin.buffer.read())
der[-1] ^= 1
sys.stdout.buffer.write(der)' >"$2.der"
	openssl x509 -inform DER -in "$2.der" -out "$2.pem"
	cat "$2.pem" middle.pem >"$2.chain.pem"
}

# identity NAME [CERTIFICATE]: a section of a configuration, as start_configured_agent
# takes it.
identity() {
	printf '[identity %s]\\ncertificate = %s\\nkey = leaf.key\\n' "$1" "${2:-$1.chain.pem}"
}
