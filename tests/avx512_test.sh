#!/bin/sh
# tests/avx512_test.sh - the AVX-512 kernels against plain C on any processor: their instructions are stood in for by
# tests/model/emulated/immintrin.h. kernels_test runs the same checks natively where the processor has AVX-512.
set -eu
: "${srcdir:=.}" "${CC:=cc}"
if ! command -v "${CC%% *}" >/dev/null; then
    echo "no compiler ${CC%% *}: skipped"
    exit 77
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
# shellcheck disable=SC2086 # CC may hold flags
$CC -std=c17 -D_GNU_SOURCE -O1 -Wall -Wextra -Wno-unused-parameter -Werror \
    -I"$srcdir/tests/model/emulated" -I"$srcdir" \
    "$srcdir/model/quant.c" "$srcdir/model/quant_pack.c" "$srcdir/model/kernels_ref.c" "$srcdir/model/kernels_avx512.c" \
    "$srcdir/model/kernels_avx512vnni.c" "$srcdir/tests/model/emulated/kernels_emulated.c" \
    "$srcdir/tests/model/kernels_check.c" "$srcdir/tests/model/kernels_main.c" -lm -o "$out/kernels"
"$out/kernels" avx512vnni avx512
