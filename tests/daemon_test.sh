#!/bin/sh
# tests/daemon_test.sh - witnessd as a process: what it says of its configuration, that it ends by itself, and what HUP, TERM and a lost reader do.
set -u

witnessd=${builddir:-.}/witnessd
sample=$srcdir/samples/meeting.mkv
command -v ffmpeg >/dev/null 2>&1 || { echo "skipped: no ffmpeg program (Debian: apt-get install ffmpeg)"; exit 77; }
command -v python3 >/dev/null 2>&1 || { echo "skipped: no python3 (Debian: apt-get install python3)"; exit 77; }
dir=$(mktemp -d) || exit 99
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
trap 'exit 99' HUP INT TERM
cd "$dir" || exit 99
# A sanitizer's complaint has a code of its own, which no check expects.
ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}exitcode=98"
UBSAN_OPTIONS="${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}exitcode=98"
TSAN_OPTIONS="${TSAN_OPTIONS:+$TSAN_OPTIONS:}exitcode=98"
export ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS
failed=0

bad()
{
    echo "not ok: $*"
    failed=1
}

# check WHAT EXPECTED-CODE COMMAND...: runs it; out and err are kept
check()
{
    what=$1 code=$2
    shift 2
    timeout 300 "$@" >out 2>err
    got=$?
    if [ "$got" != "$code" ]; then
        bad "$what: exit code $got, expected $code"
        head -n 40 err
    fi
}

# says FILE TEXT
says()
{
    grep -qF -- "$2" "$1" || { bad "$what: '$2' is not in:"; head -n 20 "$1"; }
}

# Every line is a JSON object, the last one too.
whole()
{
    python3 -c '
import json, sys
text = open(sys.argv[1], encoding="utf-8").read()
assert text, "nothing in it"
assert text.endswith("\n"), "the last line is not whole: " + text[-80:]
for line in text.splitlines():
    assert isinstance(json.loads(line), dict), line
' "$1" || bad "$what: $1"
}

# for_a_while COMMAND...: until it is true, a minute or two at most
for_a_while()
{
    n=0
    until "$@"; do
        n=$((n + 1))
        if [ $n -gt 1200 ] || ! kill -0 "$pid" 2>/dev/null; then
            bad "$what: never: $*"
            cat err
            return 1
        fi
        sleep 0.1
    done
}

# ends CODE: what was started does, by itself
ends()
{
    n=0
    while kill -0 "$pid" 2>/dev/null; do
        n=$((n + 1))
        if [ $n -gt 1200 ]; then
            bad "$what: it does not end"
            kill -9 "$pid"
        fi
        sleep 0.1
    done
    wait "$pid"
    got=$?
    pid=
    [ "$got" = "$1" ] || { bad "$what: exit code $got, expected $1"; cat err; }
}

# ---- the configuration ----

check "--version" 0 "$witnessd" --version
check "an unknown option" 64 "$witnessd" --fast
check "an argument too many" 64 "$witnessd" -c x.yaml y.yaml
check "the shipped configuration" 0 "$witnessd" --check -c "$srcdir/witnessd.yaml"
says out "no mistakes"

# wrong WHAT LINE:COLUMN TEXT: bad.yaml is refused there, with and without --check, before anything is loaded
wrong()
{
    check "$1 (--check)" 78 "$witnessd" --check -c bad.yaml
    says err "bad.yaml:$2"
    says err "$3"
    check "$1" 78 "$witnessd" -c bad.yaml
    says err "bad.yaml:$2"
}

good="streams:
  - {name: room, source: {type: ffmpeg, url: \"$sample\"}}
sinks:
  - {type: null}"
printf 'model: {path: nano, colour: red}\n%s\n' "$good" >bad.yaml
wrong "an unknown key" 1:21 "colour"
printf 'model:\n  path: nano\n  threads: many\n%s\n' "$good" >bad.yaml
wrong "a wrong type" 3:12 "many"
printf 'model: {path: micro}\n%s\n' "$good" >bad.yaml
wrong "an absent model" 1:15 "micro"
printf 'streams:\n  - name: room\n    source:\n      type: ffmpeg\n      url: absent.mkv\nsinks: [{type: null}]\n' >bad.yaml
wrong "an absent recording" 5:12 "absent.mkv"
printf 'streams:\n  - name: room\n    source: [\n' >bad.yaml
wrong "what is no YAML" 4:1 ""
printf '%s\n  - {type: carrier-pigeon}\n' "$good" >bad.yaml
wrong "an unknown sink" 5: "carrier-pigeon"
check "an absent configuration" 78 "$witnessd" -c absent.yaml
says err "absent.yaml"
check "an absent configuration (--check)" 78 "$witnessd" --check -c absent.yaml
: >bad.yaml
check "an empty configuration" 78 "$witnessd" --check -c bad.yaml
says err "bad.yaml"

# Found by --check or not: a source that turns out to be nothing ends with a reason.
echo "this is a text, and no film" >text.mkv
printf 'streams:\n  - {name: room, source: {type: ffmpeg, url: text.mkv, realtime: false}}\nsinks: [{type: null}]\n' >c.yaml
check "a text as a recording" 69 "$witnessd" -c c.yaml
says err "stream room"
says err "text.mkv"
printf 'streams:\n  - {name: room, source: {type: ffmpeg, url: "%s"}}\nsinks: [{type: jsonl, path: no/such/folder/e.jsonl}]\n' "$sample" >c.yaml
what="a sink that cannot be written"
timeout 100 "$witnessd" -c c.yaml >out 2>err && bad "$what: exit code 0"
says err "no/such/folder/e.jsonl"
head -c 100000 "$srcdir/models/nano.gguf" >cut.gguf
printf 'model: {path: cut.gguf}\n%s\n' "$good" >c.yaml
check "a model that is damaged" 78 "$witnessd" -c c.yaml
says err "cut.gguf"

# ---- a recording, from its beginning to its end ----

ffmpeg -nostdin -v error -y -t 7 -i "$sample" -c:a flac -c:v copy short.mkv || exit 99
cat >flat.yaml <<'EOF'
streams:
  - {name: one, source: {type: ffmpeg, url: short.mkv, realtime: false}}
  - {name: two, source: {type: ffmpeg, url: short.mkv, realtime: false, video: false}}
sinks:
  - {type: jsonl, path: all.jsonl}
  - {type: jsonl, path: two.jsonl, streams: [two], kinds: [final]}
EOF
check "two recordings" 0 "$witnessd" --stats -c flat.yaml
whole all.jsonl
says all.jsonl '"stream":"one","kind":"final"'
says all.jsonl '"stream":"two","kind":"final"'
says all.jsonl "good morning, this is anna from marketing"
whole two.jsonl
[ "$(grep -cF '"stream":"two","kind":"final"' two.jsonl)" = "$(wc -l <two.jsonl)" ] || bad "$what: a filter let something else through"
says err "frames prefilled"
lines=$(wc -l <all.jsonl)
printf '{"cut off' >>all.jsonl
check "once more" 0 "$witnessd" -c flat.yaml
[ "$(wc -l <all.jsonl)" -gt $((lines + 1)) ] || bad "$what: nothing was appended"
sed -i '/^{"cut off$/d' all.jsonl
whole all.jsonl

# ---- a reader that goes away takes nobody along ----

cat >reader.yaml <<'EOF'
streams:
  - {name: one, source: {type: ffmpeg, url: short.mkv, realtime: false}}
sinks:
  - {type: jsonl, path: "-"}
  - {type: jsonl, path: file.jsonl}
EOF
what="a reader that goes away"
{ timeout 200 "$witnessd" -c reader.yaml 2>err; echo $? >code; } | head -n 1 >first
case $(cat code) in
    0) ;; # it took everything before it went
    74) says err "Broken pipe" ;;
    *) bad "$what: exit code $(cat code): $(cat err)" ;;
esac
says file.jsonl "this is anna from marketing"
whole file.jsonl

# ---- signals ----

cat >live.yaml <<EOF
streams:
  - {name: room, source: {type: ffmpeg, url: "$sample", realtime: true}, scenes: {enabled: false}}
sinks:
  - {type: jsonl, path: live.jsonl, kinds: [partial, final]}
EOF
what="HUP and TERM"
"$witnessd" -c live.yaml >out 2>err &
pid=$!
for_a_while grep -qs '"kind":"final"' live.jsonl
mv live.jsonl old.jsonl
kill -HUP "$pid"
for_a_while test -e live.jsonl
for_a_while grep -qs '"kind":"partial"' live.jsonl
kill -TERM "$pid"
ends 0
whole old.jsonl
whole live.jsonl
# What was on its way when TERM came was finished.
python3 -c '
import json
events = [json.loads(line) for line in open("live.jsonl", encoding="utf-8")]
partials = [e for e in events if e["kind"] == "partial"]
finals = [e for e in events if e["kind"] == "final"]
assert finals, "no final"
assert events.index(finals[-1]) > events.index(partials[-1]), "no final behind the last partial"
assert finals[-1]["t1"] >= partials[-1]["t0"], "the last final is not of what was heard last"
' || { bad "$what"; cat live.jsonl; }

what="asked to end twice"
rm -f live.jsonl
"$witnessd" -c live.yaml >out 2>err &
pid=$!
for_a_while grep -qs '"kind":"partial"' live.jsonl
kill -TERM "$pid"
kill -INT "$pid" 2>/dev/null
n=0
while kill -0 "$pid" 2>/dev/null && [ $n -lt 600 ]; do
    sleep 0.1
    n=$((n + 1))
done
wait "$pid"
got=$?
pid=
case $got in
    130 | 143) ;;
    *) bad "$what: exit code $got"; cat err ;;
esac
says err "asked to end twice"
whole live.jsonl

exit $failed
