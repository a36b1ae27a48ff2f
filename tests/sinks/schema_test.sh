#!/bin/sh
# tests/sinks/schema_test.sh - every event that is written is what the installed schema promises, and the schema is strict.
set -eu
python=
for p in python3 /usr/bin/python3; do
    if "$p" -c 'import jsonschema' 2>/dev/null; then
        python=$p
        break
    fi
done
if [ -z "$python" ]; then
    echo 'skipped: python3 with jsonschema is not there (Debian: apt-get install python3-jsonschema)'
    exit 77
fi
"$builddir/tests/sinks/write_events" | "$python" "$srcdir/tests/sinks/check_schema.py" "$srcdir/schema/witnessd-event.schema.json"
