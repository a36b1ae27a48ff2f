#!/bin/sh
# tests/tools_test.sh - runs the tests of the tools that are written in Python.
command -v python3 >/dev/null || { echo "python3 is not here: skipped"; exit 77; }
srcdir=${srcdir:-.}
export srcdir PYTHONDONTWRITEBYTECODE=1
for t in "$srcdir"/tests/tools/*_test.py; do
    python3 "$t" || { echo "$t failed"; exit 1; }
done
