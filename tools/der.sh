#!/bin/sh
# tools/der.sh - how well are speakers told apart? Runs diarize over a folder of recordings with their truth beside them (.rttm or .truth.json).
#
#     tools/der.sh BUILD_DIR FOLDER [diarize options, e.g. --online]
#
# Prints the diarisation error rate of each, without collar and with one of 0.25 s. Needs ffmpeg and python3; build the tool first:
# make tools/diarize
set -eu
if [ $# -lt 2 ]; then
    echo "usage: $0 BUILD_DIR FOLDER [diarize options]" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")/.." && pwd)
build=$1
folder=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for sound in "$folder"/*.flac "$folder"/*.wav "$folder"/*.mkv; do
    [ -e "$sound" ] || continue
    name=$(basename "${sound%.*}")
    truth=${sound%.*}.rttm
    [ -e "$truth" ] || truth=${sound%.*}.truth.json
    [ -e "$truth" ] || continue
    ffmpeg -v error -i "$sound" -f f32le -ac 1 -ar 16000 - |
        "$build/tools/diarize" "$here/models" --name "$name" "$@" >"$work/$name.rttm"
    echo "== $name: $(cut -d' ' -f8 "$work/$name.rttm" | sort -u | wc -l) speakers found"
    python3 "$here/tools/score.py" der "$truth" "$work/$name.rttm"
    python3 "$here/tools/score.py" der "$truth" "$work/$name.rttm" --collar 0.25
done
