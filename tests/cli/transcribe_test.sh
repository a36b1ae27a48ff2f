#!/bin/sh
# tests/cli/transcribe_test.sh - `witness transcribe` on the sample: every format, files and folders, and a clear error with its exit code for what is bad.
# WD_CUT_SEED repeats a run's random places, WD_CUTS says how many there are of each file.
set -u

witness=${builddir:-.}/witness
sample=$srcdir/samples/meeting.mkv
command -v ffmpeg >/dev/null 2>&1 || { echo "skipped: no ffmpeg program (Debian: apt-get install ffmpeg)"; exit 77; }
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
trap 'exit 99' HUP INT TERM
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
    timeout 300 "$@" >"$dir/out" 2>"$dir/err"
    got=$?
    if [ "$got" != "$code" ]; then
        bad "$what: exit code $got, expected $code"
        head -n 40 "$dir/err"
    fi
}

# says FILE TEXT
says()
{
    grep -qF -- "$2" "$dir/$1" || { bad "$what: '$2' is not in:"; head -n 20 "$dir/$1"; }
}

# An error is one line of ours.
one_line()
{
    [ "$(wc -l <"$dir/err")" -eq 1 ] && grep -q '^witness: ' "$dir/err" || { bad "$what: not one line:"; head -n 20 "$dir/err"; }
}

make_media()
{
    ffmpeg -nostdin -v error -y "$@" || { echo "ffmpeg failed: $*"; exit 99; }
}

make_media -ss 0 -t 9 -i "$sample" -c:a flac -c:v copy "$dir/short.mkv"
make_media -i "$dir/short.mkv" -vn -c:a flac "$dir/voice only.flac"
make_media -i "$dir/short.mkv" -c:v mpeg4 -c:a aac "$dir/short.mp4"

# ---- what is written ----

check "text" 0 "$witness" transcribe -q "$dir/short.mkv"
says out "spk_1: good morning, this is anna from marketing."
[ ! -s "$dir/err" ] || bad "text: something was said: $(cat "$dir/err")"
check "srt" 0 "$witness" transcribe -q --format srt "$dir/short.mkv"
says out "00:00:0"
says out " --> "
head -n 1 "$dir/out" | grep -qx 1 || bad "srt: the first cue is not 1"
check "vtt" 0 "$witness" transcribe -q --format vtt "$dir/short.mkv"
says out "WEBVTT"
says out " --> "
check "rttm" 0 "$witness" transcribe -q --format rttm "$dir/short.mkv"
says out "SPEAKER short 1 0."
awk 'NF != 10 || $4 < 0 || $5 <= 0 { exit 1 }' "$dir/out" || { bad "rttm: not ten fields a line:"; cat "$dir/out"; }
check "jsonl" 0 "$witness" transcribe -q --format jsonl --partials "$dir/short.mkv"
says out '"kind":"partial"'
says out '"kind":"final"'
says out '"kind":"scene"'
says out '"kind":"turn"'
python=
for p in python3 /usr/bin/python3; do
    if "$p" -c 'import jsonschema' 2>/dev/null; then
        python=$p
        break
    fi
done
if [ -n "$python" ]; then
    "$python" "$srcdir/tests/sinks/check_schema.py" "$srcdir/schema/witnessd-event.schema.json" some <"$dir/out" ||
        bad "jsonl: not what the schema says"
else
    echo "not looked at against the schema: no python3-jsonschema"
fi
sed 's/  max_tokens: 200$/  max_tokens: 2/' "${WITNESSD_DATADIR:?}/models/nano.prompt.yaml" >"$dir/short.prompt.yaml"
check "a model that gives no transcript" 70 "$witness" transcribe -q --no-scenes --prompts "$dir/short.prompt.yaml" "$dir/voice only.flac"
says err "gave no transcript of any of its"
sed 's/  max_tokens: 200$/  max_tokens: 6/' "$WITNESSD_DATADIR/models/nano.prompt.yaml" >"$dir/short.prompt.yaml"
check "answers at their bound" 0 "$witness" transcribe -q --no-scenes --format jsonl --prompts "$dir/short.prompt.yaml" "$dir/voice only.flac"
says out '"code":"truncated"'

check "no scenes, no speakers" 0 "$witness" transcribe -q --format jsonl --no-scenes --no-speakers "$dir/short.mkv"
if grep -qF '"kind":"scene"' "$dir/out"; then bad "--no-scenes: a scene"; fi
if grep -q 'spk_' "$dir/out"; then bad "--no-speakers: a speaker"; fi
check "stats" 0 "$witness" transcribe -q --no-scenes --stats "$dir/voice only.flac"
says err "frames prefilled"

echo "of another run, and longer than what will be written there, which must not be left at its end ........................................." >"$dir/out.txt"
check "into a file" 0 "$witness" transcribe -q --no-scenes -o "$dir/out.txt" "$dir/voice only.flac"
[ ! -s "$dir/out" ] || bad "into a file: something came on standard output"
grep -q "anna from marketing" "$dir/out.txt" || bad "into a file: nothing in it"
if grep -q "another run" "$dir/out.txt"; then bad "into a file: what was there before is still there"; fi
mkdir "$dir/folder"
check "several into a folder, one of them absent" 66 "$witness" transcribe -q --no-scenes --format srt -o "$dir/folder" "$dir/short.mp4" "$dir/absent.mkv" \
    "$dir/voice only.flac"
says err "absent.mkv: no such file"
grep -q "anna" "$dir/folder/short.srt" || bad "several: no short.srt"
grep -q "anna" "$dir/folder/voice only.srt" || bad "several: no 'voice only.srt'"
check "from a pipe" 0 sh -c '"$1" transcribe -q --no-scenes - <"$2"' sh "$witness" "$dir/voice only.flac"
says out "anna from marketing"
# A reader that goes away is no reason to hang or to be killed by SIGPIPE.
what="a reader that goes away"
{ timeout 100 "$witness" transcribe -q --format jsonl --partials "$dir/short.mkv" 2>"$dir/err"; echo $? >"$dir/code"; } | head -c 1 >/dev/null
case $(cat "$dir/code") in
    0 | 74) ;;
    *) bad "$what: exit code $(cat "$dir/code")"; cat "$dir/err" ;;
esac
if [ -c /dev/full ]; then
    # `check` takes standard output, so the shell inside gives it away again.
    check "a full disk" 74 sh -c '"$1" transcribe -q --no-scenes "$2" >/dev/full' sh "$witness" "$dir/voice only.flac"
    says err "could not be written"
fi
check "a closed standard output" 0 sh -c '"$1" transcribe -q --no-scenes "$2" >&-' sh "$witness" "$dir/voice only.flac"

# ---- what is asked wrongly ----

check "no recording" 64 "$witness" transcribe
check "no such format" 64 "$witness" transcribe --format docx "$sample"
says err "expected text, jsonl, srt, vtt or rttm, got 'docx'"
check "no such option" 64 "$witness" transcribe --fast "$sample"
check "no number" 64 "$witness" transcribe --threads many "$sample"
check "several into one file" 64 "$witness" transcribe -o "$dir/one.txt" "$sample" "$dir/short.mkv"
says err "must be a folder"
check "two of one name into a folder" 64 "$witness" transcribe -o "$dir/folder" "$dir/short.mkv" "$dir/short.mp4"
says err "would both be written to"
check "an output in no folder" 73 "$witness" transcribe -o "$dir/none/out.txt" "$sample"
one_line
cp "$dir/short.mkv" "$dir/self.mkv"
check "an output over its recording" 73 "$witness" transcribe -o "$dir/self.mkv" "$dir/self.mkv"
one_line
cmp -s "$dir/short.mkv" "$dir/self.mkv" || bad "an output over its recording: it was damaged"

# ---- bad recordings ----

check "no such file" 66 "$witness" transcribe "$dir/absent.mkv"
one_line
says err "absent.mkv: no such file"
check "a folder" 66 "$witness" transcribe "$dir/folder"
one_line
check "no name" 65 "$witness" transcribe ""
one_line
: >"$dir/empty.mkv"
check "an empty file" 65 "$witness" transcribe "$dir/empty.mkv"
one_line
says err "empty.mkv: the file is empty"
echo "this is a text, and no film, whatever its name says" >"$dir/text.mp4"
check "a text renamed" 65 "$witness" transcribe "$dir/text.mp4"
one_line
says err "text.mp4"
check "nobody there" 69 "$witness" transcribe "http://127.0.0.1:1/talk.mp4"
one_line
check "a protocol that is none" 65 "$witness" transcribe "carrier-pigeon://roof/talk"
one_line

# Cut anywhere it is read to where it ends, or refused in words: never a crash.
seed=${WD_CUT_SEED:-$(date +%s)}
cuts=${WD_CUTS:-34}
echo "cuts: seed $seed"
n=0
for file in short.mkv "voice only.flac" short.mp4; do
    size=$(wc -c <"$dir/$file")
    # Not awk's own rand(): mawk's first numbers behind such a seed lie close together.
    for at in $(awk -v x="$seed" -v n="$cuts" -v size="$size" 'BEGIN {
            x = (x + size) % 2147483646 + 1
            for (i = -10; i < n; i++) { x = x * 16807 % 2147483647; if (i >= 0) print int(x / 2147483647 * size) } }'); do
        head -c "$at" "$dir/$file" >"$dir/cut.${file##*.}"
        timeout 100 "$witness" transcribe -q --no-scenes "$dir/cut.${file##*.}" >"$dir/out" 2>"$dir/err"
        got=$?
        what="$file cut at $at (seed $seed)"
        case $got in
            0) [ ! -s "$dir/err" ] || { bad "$what: well, but:"; cat "$dir/err"; } ;;
            65 | 74)
                one_line
                says err "cut.${file##*.}"
                ;;
            *) bad "$what: exit code $got"; head -n 40 "$dir/err" ;;
        esac
        n=$((n + 1))
    done
done
echo "$n cut recordings"

# ---- bad models ----

cat >"$dir/damage.py" <<'EOF'
# Damages a GGUF file in one way: damage.py HOW IN OUT
import struct
import sys

how, source, out = sys.argv[1:]
data = bytearray(open(source, "rb").read())
n_tensors, n_keys = struct.unpack_from("<QQ", data, 8)
sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


def skip(kind, at):
    if kind == 8:
        return at + 8 + struct.unpack_from("<Q", data, at)[0]
    if kind == 9:
        inner, count = struct.unpack_from("<IQ", data, at)
        at += 12
        for _ in range(count):
            at = skip(inner, at)
        return at
    return at + sizes[kind]


at = 24
for _ in range(n_keys):
    at = skip(8, at)
    kind = struct.unpack_from("<I", data, at)[0]
    at = skip(kind, at + 4)
index = {}
for _ in range(n_tensors):
    length = struct.unpack_from("<Q", data, at)[0]
    name = data[at + 8:at + 8 + length].decode()
    dims = struct.unpack_from("<I", data, at + 8 + length)[0]
    index[name] = (at + 8, at + 12 + length, dims)
    at += 12 + length + 8 * dims + 4 + 8
name, shape, dims = index["blk.0.ffn_up.weight"]
if how == "shape":
    first = struct.unpack_from("<Q", data, shape)[0]
    struct.pack_into("<Q", data, shape, first - 32)
elif how == "huge shape":
    struct.pack_into("<Q", data, shape, 1 << 62)
elif how == "type":
    struct.pack_into("<I", data, shape + 8 * dims, 9999)
elif how == "offset":
    struct.pack_into("<Q", data, shape + 8 * dims + 4, 1 << 60)
elif how == "missing":
    data[name:name + 3] = b"xlk"
elif how == "tensors":
    struct.pack_into("<Q", data, 8, 1 << 61)
elif how == "keys":
    struct.pack_into("<Q", data, 16, 1 << 61)
elif how == "version":
    struct.pack_into("<I", data, 4, 77)
open(out, "wb").write(data)
EOF
nano=$srcdir/models/nano.gguf
damaged()
{
    python3 "$dir/damage.py" "$1" "$nano" "$dir/$2.gguf" || { bad "damage.py: $1"; return; }
    check "a model with $1" 65 "$witness" transcribe --model "$dir/$2.gguf" "$sample"
    one_line
    says err "$2.gguf"
    [ $# -lt 3 ] || says err "$3"
}
damaged shape shape "ffn_up"
damaged "huge shape" huge "ffn_up"
damaged type type "ffn_up"
damaged offset offset "ffn_up"
damaged missing missing "ffn_up"
damaged tensors tensors
damaged keys keys
damaged version version
size=$(wc -c <"$nano")
for at in 0 3 30 5000 100000 $((size / 2)) $((size - 1)); do
    head -c "$at" "$nano" >"$dir/cut.gguf"
    check "a model cut at $at" 65 "$witness" transcribe --model "$dir/cut.gguf" "$sample"
    one_line
    says err "cut.gguf"
done
check "a text as a model" 65 "$witness" transcribe --model "$dir/text.mp4" "$sample"
one_line
check "no such model" 66 "$witness" transcribe --model micro "$sample"
one_line
says err "micro"
check "no such prompts" 66 "$witness" transcribe --prompts "$dir/absent.yaml" "$sample"
one_line

exit $failed
