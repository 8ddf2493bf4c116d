#!/bin/bash
# The family's YAML specification: valid by the kernel's own schema, and of one mind with
# the C header, by the header that the kernel's own generator makes of it.

set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
kernel=$("$root/scripts/kernel" 7.3 --source)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The generator looks for a kernel tree around the specification.
mkdir -p "$scratch/Documentation/netlink/specs"
touch "$scratch/MAINTAINERS"
cp "$kernel/Documentation/netlink/genetlink.yaml" "$scratch/Documentation/netlink/"
cp "$root/uapi/netlink/keyblob.yaml" "$scratch/Documentation/netlink/specs/"

# Debian's python3, which has what the generator needs.
generate() {
	timeout 60 /usr/bin/python3 "$kernel/tools/net/ynl/pyynl/ynl_gen_c.py" \
		--spec "$scratch/Documentation/netlink/specs/keyblob.yaml" --mode uapi --header
}

# names HEADER: those of messages, attributes, events and constants.
names() {
	grep -oE '\bKEYBLOB_(GENL_|A_GENL_|EVENT_|FAMILY_|MCGRP_)[A-Z_]+' "$1" | sort -u |
		grep -vE '_MAX$|_UNSPEC$'
}

# values HEADER: the same with their values.
values() {
	{
		echo '#include <stdio.h>'
		printf '%s\n' '#define TELL(name) printf(_Generic((name), char *: "%s %s\n", default: "%s %d\n"), #name, name)'
		echo "#include \"$1\""
		echo 'int main(void) {'
		names "$1" | sed 's/.*/TELL(&);/'
		echo '}'
	} | gcc -w -I "$root/uapi" -x c -o "$scratch/values" - && "$scratch/values"
}

tap() {
	if [ "$2" = 0 ]; then
		echo "ok $1"
	else
		echo "not ok $1"
	fi
}

echo 1..2
generate >"$scratch/generated.h" 2>"$scratch/why"
status=$?
sed 's/^/# /' "$scratch/why" | tail -n 20
tap "1 - specification is valid by the kernel's schema" $status

values "$scratch/generated.h" >"$scratch/spec" && values "$root/uapi/linux/keyblob_netlink.h" >"$scratch/header" &&
	[ "$(wc -l <"$scratch/header")" -gt 40 ] && diff "$scratch/spec" "$scratch/header" >"$scratch/diff"
status=$?
[ ! -e "$scratch/diff" ] || sed 's/^/# /' "$scratch/diff"
tap "2 - specification and header agree on names and numbers" $status
