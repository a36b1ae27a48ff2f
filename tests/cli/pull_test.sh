#!/bin/sh
# tests/cli/pull_test.sh - runs pull_test.py.
command -v python3 >/dev/null 2>&1 || { echo "no python3"; exit 77; }
exec python3 "$srcdir/tests/cli/pull_test.py" "${builddir:-.}/witness" "$srcdir"
