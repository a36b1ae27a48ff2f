#!/bin/sh
# tests/cli/model_test.sh - `witness model show`, `quantize`, `tokenize` and `render`: what they print, and their exit codes for what cannot be read.
set -u

witness=${builddir:-.}/witness
nano=$srcdir/models/nano.gguf
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

# check WHAT EXPECTED-CODE COMMAND...: runs it; out and err are kept
check() {
    what=$1 code=$2
    shift 2
    "$@" >"$dir/out" 2>"$dir/err"
    got=$?
    if [ "$got" != "$code" ]; then
        echo "not ok: $what: exit code $got, expected $code"
        cat "$dir/err"
        failed=1
    fi
}

# says FILE TEXT
says() {
    grep -qF -- "$2" "$dir/$1" || { echo "not ok: $what: '$2' is not in:"; cat "$dir/$1"; failed=1; }
}

check "show a shipped model" 0 "$witness" model show nano
says out "sound, pictures"
says out "7,304,454"
says out "BF16"
check "show a file as JSON" 0 "$witness" model show --json "$nano"
says out '"parameters": 7304454'
says out '"vision": true'
python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$dir/out" || { echo "not ok: no JSON"; failed=1; }
check "show with a drafter that is not there" 66 "$witness" model show nano --drafter "$dir/absent.gguf"
says err "absent.gguf"
check "show with a drafter that is none" 65 "$witness" model show nano --drafter "$nano"
says err "expected a drafter"
check "show with a context" 0 "$witness" model show nano --context 2000
says out "(2000 tokens)"
says out "all together"
check "show with a context beyond the model's" 64 "$witness" model show nano --context 1000000
says err "context is"
check "show nothing" 64 "$witness" model show
check "show with an unknown option" 64 "$witness" model show --yaml nano
check "help" 0 "$witness" model show --help
check "no such file" 66 "$witness" model show "$dir/absent.gguf"
says err "absent.gguf"
check "no such model" 66 "$witness" model show micro
says err "micro"
: >"$dir/empty.gguf"
check "an empty file" 65 "$witness" model show "$dir/empty.gguf"
says err "empty"
echo "this is no model" >"$dir/text.gguf"
check "a text" 65 "$witness" model show "$dir/text.gguf"
size=$(wc -c <"$nano")
for cut in 3 23 100 5000 30000 $((size / 2)) $((size - 1)); do
    head -c "$cut" "$nano" >"$dir/cut.gguf"
    check "a file cut at $cut" 65 "$witness" model show "$dir/cut.gguf"
    says err "cut.gguf"
done
mkdir "$dir/folder"
check "an empty folder" 66 "$witness" model show "$dir/folder"

check "check a shipped model" 0 "$witness" model check nano
says out "all of them right"
check "check with two processors" 0 "$witness" model check --threads 2 "$nano"
check "check nothing" 64 "$witness" model check
check "check what is not there" 66 "$witness" model check "$dir/absent.gguf"
check "check a cut file" 1 "$witness" model check "$dir/cut.gguf"
says out "cut.gguf"
# The name of one tensor changed, and a NaN put where the last but one ends (behind it: rope_freqs, 256 bytes).
python3 - "$nano" "$dir/wrong.gguf" <<'END'
import sys
b = bytearray(open(sys.argv[1], "rb").read())
at = b.index(b"blk.1.ffn_up.weight")
b[at + 6:at + 9] = b"fnn"
b[-258:-256] = b"\xc0\x7f"
open(sys.argv[2], "wb").write(b)
END
check "check a wrong model" 1 "$witness" model check "$dir/wrong.gguf"
says out "tensor 'blk.1.ffn_up.weight' is missing"
says out "tensor 'blk.1.fnn_up.weight' has no meaning"
says out "1 of "
says out "not finite"
says out "3 wrong"
for type in Q8_0 Q6_K Q4_K Q4_0; do
    check "quantize to $type" 0 "$witness" model quantize nano "$dir/nano-$type.gguf" --type "$type"
    says out "tensors in $type"
    check "show it" 0 "$witness" model show "$dir/nano-$type.gguf"
    says out "$type"
    case $type in Q4*) says out "Q6_K" ;; esac # the embedding
    says out "sound, pictures"
    printf '"good morning."\n' >"$dir/in"
    check "its tokenizer" 0 sh -c '"$1" model tokenize "$2" <"$3"' sh "$witness" "$dir/nano-$type.gguf" "$dir/in"
    cp "$dir/out" "$dir/ids"
    check "that of nano" 0 sh -c '"$1" model tokenize nano <"$2"' sh "$witness" "$dir/in"
    cmp -s "$dir/out" "$dir/ids" || { echo "not ok: $type: other tokens"; failed=1; }
done
# What nano hears it hears in eight and in four bits.
sed -n '/"name": "single00"/{s/.*"case": \({.*}\), "reference".*/\1/p;q;}' "$srcdir/tests/nano/cases.jsonl" |
    sed "s|\"speech/|\"$srcdir/tests/nano/speech/|" >"$dir/case.json"
for type in Q8_0 Q6_K Q4_K Q4_0; do
    check "$type hears" 0 "$witness" model eval "$dir/nano-$type.gguf" "$dir/case.json" --greedy 21
    says out "$(sed -n '/"name": "single00"/{s/.*"greedy": \(\[[^]]*\]\).*/\1/p;q;}' "$srcdir/tests/nano/cases.jsonl")"
done
check "quantize over a file" 73 "$witness" model quantize nano "$dir/nano-Q4_0.gguf" --type Q4_0
check "quantize what is quantised" 65 "$witness" model quantize "$dir/nano-Q8_0.gguf" "$dir/again.gguf" --type Q4_0
says err "is Q8_0 already"
check "quantize to a type that is only read" 64 "$witness" model quantize nano "$dir/again.gguf" --type Q5_K
check "quantize to nothing" 64 "$witness" model quantize nano --type Q4_0
check "quantize to a folder that is not there" 66 "$witness" model quantize nano "$dir/absent/a.gguf" --type Q4_0
[ ! -e "$dir/again.gguf" ] || { echo "not ok: a refused file was written"; failed=1; }
left=$(find "$dir" -name '*.gguf.*')
[ -z "$left" ] || { echo "not ok: left behind: $left"; failed=1; }

printf '"Hello <turn|>"\n""\n' >"$dir/in"
check "tokenize" 0 sh -c '"$1" model tokenize nano --special <"$2"' sh "$witness" "$dir/in"
[ "$(cat "$dir/out")" = "[778, 348, 408, 276, 6]
[]" ] || { echo "not ok: tokenize printed $(cat "$dir/out")"; failed=1; }
cp "$dir/out" "$dir/ids"
check "and back" 0 sh -c '"$1" model tokenize nano --special --decode <"$2"' sh "$witness" "$dir/ids"
cmp -s "$dir/out" "$dir/in" || { echo "not ok: back came $(cat "$dir/out")"; failed=1; }
check "a user's text" 0 sh -c '"$1" model tokenize nano <"$2"' sh "$witness" "$dir/in"
if grep -q '\b6\]' "$dir/out"; then echo "not ok: a user wrote a control token"; failed=1; fi
printf '"a"\nb\n' >"$dir/in"
check "a bad line" 65 sh -c '"$1" model tokenize nano <"$2"' sh "$witness" "$dir/in"
says err "line 2"
printf '[1]\n[784]\n' >"$dir/in"
check "an id that is none" 65 sh -c '"$1" model tokenize nano --decode <"$2"' sh "$witness" "$dir/in"
says err "line 2"
printf '"a"\n' >"$dir/in"
check "an array where a string should be" 65 sh -c '"$1" model tokenize nano --decode <"$2"' sh "$witness" "$dir/in"
says err "expected a JSON array"
cat >"$dir/chat.json" <<'EOF'
{"messages": [{"role": "user", "content": [{"type": "text", "text": "What is <turn|>?"}, {"type": "image"}]}]}
EOF
check "render" 0 "$witness" model render nano "$dir/chat.json"
says out '"text": "<bos><|turn>user\nWhat is <turn|>?<|image|><turn|>\n<|turn>model\n<|channel>thought\n<channel|>"'
python3 -c 'import json, sys; j = json.load(open(sys.argv[1])); sys.exit(j["ids"].count(6) != 1)' "$dir/out" ||
    { echo "not ok: render: <turn|> is token 6, and only once"; failed=1; }
echo '{"messages": [{"role": "user", "content": {}}]}' >"$dir/chat.json"
check "render another shape" 65 "$witness" model render nano "$dir/chat.json"
says err "chat.json: messages: at byte"
echo '{"messages"' >"$dir/chat.json"
check "render no JSON" 65 "$witness" model render nano "$dir/chat.json"
check "render no file" 66 "$witness" model render nano "$dir/absent.json"
check "render nothing" 64 "$witness" model render nano
check "tokenize nothing" 64 "$witness" model tokenize
check "tokenize without a file" 66 "$witness" model tokenize "$dir/absent.gguf"

exit $failed
