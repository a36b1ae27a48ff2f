#!/bin/sh
# run.sh [SECONDS] [TARGET...] - runs every fuzz target that was built (or those named) for so long each, 60 s if not said; fails on the first finding.
# Run in a build folder configured with CC=clang --enable-fuzzing. What was found useful stays in fuzz-corpus/ for the next run.
set -eu

seconds=${1:-60}
[ $# -eq 0 ] || shift
here=$(cd "$(dirname "$0")" && pwd)
corpus=fuzz-corpus
mkdir -p "$corpus"
python3 "$here/make_seeds.py" "$corpus"

if [ $# -eq 0 ]; then
    for f in tests/fuzz/fuzz_*; do
        if [ -f "$f" ] && [ -x "$f" ]; then
            set -- "$@" "$(basename "$f")"
        fi
    done
fi
[ $# -gt 0 ] || { echo "run.sh: no fuzz target is built here: configure with CC=clang --enable-fuzzing, then make" >&2; exit 1; }

for target; do
    mkdir -p "$corpus/$target"
    # Small inputs run often; a budget of memory catches what a small file makes large.
    if tests/fuzz/"$target" -max_total_time="$seconds" -max_len=16384 -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 -print_final_stats=1 \
            -artifact_prefix="$corpus/$target-" "$corpus/$target" >"$corpus/$target.log" 2>&1; then
        awk -v t="$target" -v s="$seconds" '/stat::number_of_executed_units/ { n = $2 } /stat::peak_rss_mb/ { m = $2 }
            END { printf "%s: %s runs in %s s, at most %s MB, no finding\n", t, n, s, m }' "$corpus/$target.log"
    else
        echo "run.sh: $target found something, see $corpus/$target.log" >&2
        tail -n 40 "$corpus/$target.log" >&2
        exit 1
    fi
done
