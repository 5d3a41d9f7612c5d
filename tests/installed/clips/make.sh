#!/bin/sh
# Makes the clips that people might upload as a voice: the embedded voice rms saying one sentence, in every dress. Needs ffmpeg
# with libmp3lame, libvorbis and libopus, and declaim on the path; made with ffmpeg 5.1. The clips are committed, so this runs
# only when one is added.
set -eu
cd "$(dirname "$0")"

declaim say "The voice of a short clip is enough." --voice rms --model pico --device cpu --seed 3 -o said.wav

make() { # make <file> <channels> <rate> <ffmpeg's output options>
    file=$1 channels=$2 rate=$3
    shift 3
    ffmpeg -hide_banner -loglevel error -y -i said.wav -t 2.4 -ac "$channels" -ar "$rate" \
        -map_metadata -1 -fflags +bitexact -flags:a +bitexact "$@" "$file"
}

make mono_16k.wav 1 16000 -c:a pcm_s16le
make stereo_44k.mp3 2 44100 -c:a libmp3lame -b:a 64k
make mono_22k.flac 1 22050 -c:a flac -sample_fmt s16
make stereo_32k.ogg 2 32000 -c:a libvorbis -q:a 1
make mono_48k.opus 1 48000 -c:a libopus -b:a 24k
make stereo_48k.m4a 2 48000 -c:a aac -b:a 64k
rm said.wav
