#!/bin/sh
# tests/neon_test.sh - the NEON kernels, built for 64-bit ARM and run by an emulator; skipped where either is missing.
# Debian: gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, qemu-user
set -eu
: "${srcdir:=.}" "${builddir:=.}"
cc=aarch64-linux-gnu-gcc
qemu=$(command -v qemu-aarch64 || command -v qemu-aarch64-static) || qemu=
if ! command -v $cc >/dev/null || [ -z "$qemu" ]; then
    echo "no $cc or no qemu-aarch64: skipped"
    exit 77
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
echo 'int main(void) { return 0; }' >"$out/try.c"
if ! $cc -static "$out/try.c" -o "$out/try" 2>/dev/null || ! "$qemu" "$out/try"; then
    echo "$cc makes no program that $qemu runs: skipped"
    exit 77
fi
$cc -std=c17 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -static -DHAVE_KERNELS_NEON -I"$srcdir" \
    "$srcdir/model/quant.c" "$srcdir/model/quant_pack.c" "$srcdir/model/kernels.c" "$srcdir/model/kernels_ref.c" \
    "$srcdir/model/kernels_neon.c" "$srcdir/tests/model/kernels_check.c" \
    "$srcdir/tests/model/kernels_main.c" -lm -o "$out/kernels"
"$qemu" "$out/kernels" neon
