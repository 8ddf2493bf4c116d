#!/bin/bash
# What a full handshake costs, see handshake.c; of each kind of key and version of TLS. Run
# it with scripts/vm --icount.

# shellcheck source=../e2e/lib.sh disable=SC2119
. "$(dirname "$0")/../e2e/lib.sh"
need_module
# The guest has no udev, which would load what this kind of CPU is good at.
modprobe -qa aesni_intel sha512_ssse3

echo "nanoseconds a handshake, which --icount makes instructions; after \"+\", the worker and the signer"
for key in ec rsa; do
	make_cert "$key" "$key" localhost
	"$agent_program" --cert "$key.pem" --key "$key.key" --workers 1 --listen "$work/$key.sock" \
		>agent.log 2>&1 &
	agent_pid=$!
	started+=("$agent_pid")
	until_true 20 grep -q ready agent.log || bail_out "no agent: $(cat agent.log)"
	for version in 1.3 1.2; do
		echo "TLS $version, ${key/ec/P-256}:"
		# shellcheck disable=SC2046 # one word per process
		"$build/selftests/bench/handshake" "$work/$key.sock" "$key.pem" "$key.key" $version \
			$(workers) $(signers) || bail_out "not measured"
	done
	stop "$agent_pid"
done
