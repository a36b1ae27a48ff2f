#!/bin/sh
# media_matrix_test.sh - containers, codecs, rates, channels and picture sizes, made with ffmpeg and played through the input;
# then files that are cut or damaged. WD_MATRIX_SEED repeats a run's random places,
# WD_MATRIX_CUTS says how many they are.
set -u

dump=${builddir:-.}/tests/pipeline/dump_input
command -v ffmpeg >/dev/null 2>&1 || { echo "no ffmpeg program"; exit 77; }
[ -x "$dump" ] || { echo "no $dump"; exit 77; }

dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
trap 'exit 99' HUP INT TERM
ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}exitcode=98"
UBSAN_OPTIONS="${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}exitcode=98"
export ASAN_OPTIONS UBSAN_OPTIONS
cuts=${WD_MATRIX_CUTS:-34} # of each of three files
seed=${WD_MATRIX_SEED:-$(date +%s)}
failed=0 passed=0 skipped=0

bad()
{
    echo "FAIL: $*"
    failed=$((failed + 1))
}

make_media() # arguments of ffmpeg
{
    ffmpeg -nostdin -v error -y "$@" >"$dir/ffmpeg.log" 2>&1
}

play() # settings...: the lines are in $dir/out
{
    timeout 60 "$dump" ffmpeg "$@" realtime=false >"$dir/out" 2>"$dir/err"
}

value() # name
{
    sed -n "s/^$1=\([^ ]*\).*/\1/p" "$dir/out" | tail -n 1
}

near() # what got expected tolerance
{
    awk -v g="$2" -v e="$3" -v t="$4" 'BEGIN { exit !(g != "" && g - e <= t && e - g <= t) }' ||
        { echo "  $1: got '$2', expected $3 within $4"; return 1; }
}

tone="0.5*sin(2*PI*440*t)"

# Three seconds of 440 Hz at half of full scale.
sound() # file rate channels tolerance_of_level codec-arguments...
{
    file=$1 rate=$2 channels=$3 level=$4
    shift 4
    sources=$tone
    n=1
    while [ $n -lt "$channels" ]; do
        sources="$sources|$tone"
        n=$((n + 1))
    done
    case $channels in
    1) layout=mono ;;
    2) layout=stereo ;;
    *) layout=5.1 ;;
    esac
    if ! make_media -f lavfi -i "aevalsrc='$sources':s=$rate:d=3:c=$layout" "$@" "$dir/$file"; then
        skipped=$((skipped + 1))
        echo "skip: $file $*: $(head -n 1 "$dir/ffmpeg.log")"
        return
    fi
    play 70 url="$dir/$file"
    rc=$?
    if [ $rc -eq 0 ] && near "frames" "$(value frames)" 75.5 2.5 && near "tone" "$(value tone_hz)" 440 1 &&
        near "level" "$(value rms)" 0.35355 "$level" && near "gaps" "$(value gaps)" 0 0 &&
        near "pictures" "$(value pictures)" 0 0 && near "overlap" "$(value overlap_ns)" 0 0; then
        passed=$((passed + 1))
    else
        bad "sound $file, $rate Hz, $channels channels, $*: status $rc"
        cat "$dir/out" "$dir/err"
    fi
    rm -f "$dir/$file"
}

for rate in 8000 11025 16000 22050 44100 48000 96000; do
    for channels in 1 2 6; do
        sound "a.wav" $rate $channels 0.005 -c:a pcm_s16le
    done
done
sound a.wav 44100 2 0.01 -c:a pcm_u8
sound a.wav 44100 2 0.005 -c:a pcm_s24le
sound a.wav 44100 2 0.005 -c:a pcm_s32le
sound a.wav 44100 2 0.005 -c:a pcm_f32le
sound a.wav 44100 2 0.005 -c:a pcm_f64le
sound a.wav 8000 1 0.01 -c:a pcm_mulaw
sound a.wav 8000 1 0.01 -c:a pcm_alaw
sound a.wav 44100 2 0.02 -c:a adpcm_ms
for rate in 16000 44100 96000; do
    sound a.flac $rate 2 0.005 -c:a flac
done
sound a.flac 48000 6 0.005 -c:a flac
sound a.mp3 44100 2 0.025 -c:a libmp3lame
sound a.mp3 22050 1 0.025 -c:a libmp3lame -b:a 48k
sound a.ogg 48000 2 0.01 -c:a libopus
sound a.opus 48000 1 0.01 -c:a libopus -b:a 32k
sound a.ogg 44100 2 0.01 -c:a libvorbis
sound a.m4a 44100 2 0.01 -c:a aac
sound a.mp4 48000 6 0.01 -c:a aac
sound a.m4a 44100 2 0.005 -c:a alac
sound a.aac 44100 2 0.01 -c:a aac -f adts
sound a.mkv 48000 2 0.01 -c:a libopus
sound a.mka 44100 2 0.005 -c:a flac
sound a.webm 48000 2 0.01 -c:a libopus
sound a.avi 44100 2 0.005 -c:a pcm_s16le
sound a.ts 48000 2 0.01 -c:a mp2
sound a.ts 44100 2 0.01 -c:a aac
sound a.mp4 48000 2 0.01 -c:a ac3
sound a.wma 44100 2 0.02 -c:a wmav2
sound a.aiff 44100 2 0.005 -c:a pcm_s16be
sound a.au 44100 1 0.005 -c:a pcm_s16be
sound a.caf 44100 2 0.005 -c:a pcm_s16le
sound a.amr 8000 1 0.05 -c:a libopencore_amrnb -b:a 12.2k
sound a.mov 44100 2 0.005 -c:a pcm_s16le
sound a.spx 16000 1 0.02 -c:a libspeex
sound a.tta 44100 2 0.005 -c:a tta
sound a.wv 44100 2 0.005 -c:a wavpack

# Three seconds of pictures: at 0, 1 and 2 s, of the model's size for them.
video() # file rate size expected_size with_sound codec-arguments...
{
    file=$1 rate=$2 size=$3 expected=$4 with_sound=$5
    shift 5
    if [ "$with_sound" = yes ]; then
        make_media -f lavfi -i "testsrc=size=$size:rate=$rate:duration=3" \
            -f lavfi -i "aevalsrc='$tone':s=48000:d=3:c=mono" "$@" "$dir/$file"
    else
        make_media -f lavfi -i "testsrc=size=$size:rate=$rate:duration=3" "$@" "$dir/$file"
    fi
    if [ $? -ne 0 ]; then
        skipped=$((skipped + 1))
        echo "skip: $file $*: $(head -n 1 "$dir/ffmpeg.log")"
        return
    fi
    play 70 url="$dir/$file"
    rc=$?
    slack=$(awk -v r="$rate" 'BEGIN { print 1.01 / r + 0.06 }')
    ok=yes
    [ $rc -eq 0 ] || ok=no
    near "pictures" "$(value pictures)" 3 0 || ok=no
    n=0
    for at in $(sed -n 's/^picture=\([^ ]*\).*/\1/p' "$dir/out"); do
        near "picture $n" "$at" $n "$slack" || ok=no
        n=$((n + 1))
    done
    [ "$(sed -n 's/^picture=[^ ]* \([^ ]*\).*/\1/p' "$dir/out" | sort -u)" = "$expected" ] || ok=no
    if [ "$with_sound" = yes ]; then
        near "frames" "$(value frames)" 75.5 2.5 || ok=no
        near "tone" "$(value tone_hz)" 440 1 || ok=no
    else
        near "frames" "$(value frames)" 0 0 || ok=no
    fi
    if [ $ok = yes ]; then
        passed=$((passed + 1))
    else
        bad "video $file, $rate a second, $size, $*: status $rc"
        cat "$dir/out" "$dir/err"
    fi
    rm -f "$dir/$file"
}

for rate in 5 25 60; do
    video v.mp4 $rate 320x240 432x336 yes -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac
done
video v.mp4 30000/1001 640x360 528x288 yes -c:v libx264 -preset ultrafast -bf 2 -pix_fmt yuv420p -c:a aac
video v.mkv 25 321x243 432x336 no -c:v ffv1
video v.avi 25 321x243 432x336 yes -c:v mpeg4 -c:a pcm_s16le
video v.mkv 10 1x1 384x384 no -c:v ffv1
video v.mkv 10 17x31 528x288 no -vf transpose=1 -c:v ffv1
video v.webm 25 320x240 432x336 yes -c:v libvpx -deadline realtime -cpu-used 8 -c:a libopus
video v.webm 10 320x240 432x336 no -c:v libvpx-vp9 -deadline realtime -cpu-used 8
video v.mkv 10 320x240 432x336 no -c:v libx265 -preset ultrafast -x265-params log-level=none
video v.ts 25 320x240 432x336 yes -c:v mpeg2video -c:a mp2
video v.flv 25 320x240 432x336 yes -c:v flv -ar 44100 -c:a libmp3lame
video v.mov 25 320x240 432x336 yes -c:v mjpeg -pix_fmt yuvj420p -c:a pcm_s16le
video v.gif 10 320x240 432x336 no
video v.mkv 25 320x240 432x336 yes -c:v libx264 -preset ultrafast -pix_fmt yuv444p10le -c:a libvorbis
video v.nut 25 320x240 432x336 no -c:v rawvideo -pix_fmt bgr0
video v.mp4 25 720x576 528x288 no -vf setsar=64/45 -c:v libx264 -preset ultrafast -pix_fmt yuv420p

# Stills, turned ones too. What ffmpeg itself makes upright is the measure.
still() # what file reference
{
    play 70 url="$dir/$3"
    want=$(sed -n 's/^picture=[^ ]* //p' "$dir/out")
    play 70 url="$dir/$2"
    rc=$?
    got=$(sed -n 's/^picture=[^ ]* //p' "$dir/out" | head -n 1)
    if [ $rc -eq 0 ] && [ -n "$want" ] && echo "$want $got" | tr ',' ' ' | awk '{
            d = 0
            for (i = 2; i <= 4; i++) { x = $i - $(i + 4); d = (x < 0 ? -x : x) > d ? (x < 0 ? -x : x) : d }
            exit !($1 == $5 && d <= 4) }'; then
        passed=$((passed + 1))
    else
        bad "still $1: got '$got', expected '$want', status $rc"
    fi
}

corner="color=c=navy:size=320x240:rate=5:duration=1,drawbox=x=0:y=120:w=160:h=120:color=yellow:t=fill"
if make_media -f lavfi -i "$corner" -c:v mpeg4 -q:v 2 "$dir/up.mp4"; then
    for turn in 0 90 180 270; do
        make_media -display_rotation $turn -i "$dir/up.mp4" -c copy "$dir/turned.mp4" ||
            make_media -i "$dir/up.mp4" -metadata:s:v rotate=$turn -c copy "$dir/turned.mp4" || continue
        make_media -i "$dir/turned.mp4" -frames:v 1 "$dir/reference.png" || continue
        still "turned by $turn" turned.mp4 reference.png
    done
fi
if make_media -f lavfi -i "$corner" -frames:v 1 -q:v 1 "$dir/plain.jpg" &&
    make_media -i "$dir/plain.jpg" -vf transpose=1 -frames:v 1 "$dir/reference.png"; then
    { # the same with an EXIF block that says: turn it by 90 degrees
        head -c 2 "$dir/plain.jpg"
        printf '\377\341\000\042Exif\000\000II\052\000\010\000\000\000\001\000\022\001\003\000\001\000\000\000\006\000\000\000\000\000\000\000'
        tail -c +3 "$dir/plain.jpg"
    } >"$dir/exif.jpg"
    still "EXIF" exif.jpg reference.png
fi
for format in jpg bmp tiff webp ppm; do
    make_media -f lavfi -i "$corner" -frames:v 1 -q:v 2 "$dir/a.$format" &&
        make_media -f lavfi -i "$corner" -frames:v 1 "$dir/reference.png" && still $format a.$format reference.png
done
if make_media -f lavfi -i "color=c=red@0.5:size=64x48,format=rgba" -frames:v 1 "$dir/half.png" &&
    make_media -f lavfi -i "color=c=0xFF7F7F:size=64x48,format=rgb24" -frames:v 1 "$dir/reference.png"; then
    still "half transparent over white" half.png reference.png
fi

# Cut and damaged files: an end, with a reason if it is a bad one, and no crash.
survive() # what file
{
    play 70 url="$dir/$2"
    rc=$?
    if [ $rc -gt 1 ] || [ -s "$dir/err" ] || ! grep -q '^state=ended' "$dir/out"; then
        bad "$1: status $rc (seed $seed)"
        cat "$dir/out" "$dir/err"
        cp "$dir/$2" "${TMPDIR:-/tmp}/wd_matrix_$failed.${2##*.}"
    elif [ $rc -eq 1 ] && [ -z "$(sed -n 's/^error=[^ ]* //p' "$dir/out")" ]; then
        bad "$1: lost without a reason"
    else
        passed=$((passed + 1))
    fi
}

random() # n below; not awk's own rand(): mawk's first numbers behind such a seed lie close together
{
    awk -v x="$seed" -v n="$1" -v m="$2" 'BEGIN {
        x = (x + m) % 2147483646 + 1
        for (i = -10; i < n; i++) { x = x * 16807 % 2147483647; if (i >= 0) print int(x / 2147483647 * m) } }'
}

make_media -f lavfi -i "testsrc=size=160x120:rate=10:duration=3" -f lavfi -i "aevalsrc='$tone':s=48000:d=3:c=mono" \
    -c:v mpeg4 -c:a aac "$dir/whole.mp4"
make_media -f lavfi -i "testsrc=size=160x120:rate=10:duration=3" -f lavfi -i "aevalsrc='$tone':s=48000:d=3:c=mono" \
    -c:v mpeg4 -c:a libopus "$dir/whole.mkv"
make_media -f lavfi -i "aevalsrc='$tone':s=16000:d=3:c=mono" -c:a flac "$dir/whole.flac"
for kind in mp4 mkv flac; do
    [ -s "$dir/whole.$kind" ] || continue
    bytes=$(wc -c <"$dir/whole.$kind")
    for at in $(random "$cuts" "$bytes"); do
        head -c "$at" "$dir/whole.$kind" >"$dir/cut.$kind"
        survive "$kind cut at $at" cut.$kind
    done
    for at in $(random 10 "$bytes"); do
        cp "$dir/whole.$kind" "$dir/damaged.$kind"
        for i in 0 1 2 3 4 5 6 7; do
            printf '\377\000\125\252\001\200\177\376' |
                dd of="$dir/damaged.$kind" bs=1 seek=$(((at + i * bytes / 8) % bytes)) conv=notrunc 2>/dev/null
        done
        survive "$kind damaged at $at" damaged.$kind
    done
done

echo "seed $seed: $passed passed, $skipped skipped for want of an encoder, $failed failed"
[ $failed -eq 0 ]
