#!/bin/bash
# Programs of random calls against the module, see fuzz.c: those in corpus/ first, and then
# others for KEYBLOB_FUZZ_SECONDS. The short run that is the default is the same each
# time; a longer one begins anywhere, unless KEYBLOB_FUZZ_SEED says where. What it
# writes goes to the directory KEYBLOB_FUZZ_OUT.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${KEYBLOB_SELFTESTS:-$here/../../build/selftests}

seed=${KEYBLOB_FUZZ_SEED:-}
[ -n "$seed" ] || [ -n "${KEYBLOB_FUZZ_SECONDS:-}" ] || seed=1
exec "$out/fuzz-kernel/fuzz" --seconds "${KEYBLOB_FUZZ_SECONDS:-10}" \
	${seed:+--seed "$seed"} ${KEYBLOB_FUZZ_OUT:+--out "$KEYBLOB_FUZZ_OUT"} \
	"$here"/corpus/*
