#!/bin/sh
# Makes the clips that src/decode/tests.rs reads: one short tone in every dress that people upload. Needs ffmpeg with libmp3lame,
# libvorbis and libopus; made with ffmpeg 5.1. The clips are committed, so this runs only when one is added.
#
# Every clip holds a sine of 440 Hz, on the left with amplitude 0.5 and, where there are two channels, on the right with
# 0.25 in phase: their mean has 0.375.
set -eu
cd "$(dirname "$0")"

make() { # make <file> <channels> <rate> <seconds> <ffmpeg's output options>
    file=$1 channels=$2 rate=$3 seconds=$4
    shift 4
    case $channels in
        1) tone="0.5*sin(880*PI*t)" ;;
        2) tone="0.5*sin(880*PI*t)|0.25*sin(880*PI*t):c=stereo" ;;
        6) tone="0.5*sin(880*PI*t)|0.25*sin(880*PI*t)|0.375*sin(880*PI*t)|0|0|0:c=5.1" ;;
    esac
    ffmpeg -hide_banner -loglevel error -y -f lavfi -i "aevalsrc=$tone:s=$rate:d=$seconds" \
        -map_metadata -1 -fflags +bitexact -flags:a +bitexact "$@" "$file"
}

# Wav, every way of writing a number.
make u8.wav 1 8000 0.25 -c:a pcm_u8
make s16_stereo.wav 2 8000 0.25 -c:a pcm_s16le
make s24.wav 1 8000 0.25 -c:a pcm_s24le
make s32.wav 1 8000 0.25 -c:a pcm_s32le
make f32.wav 1 8000 0.25 -c:a pcm_f32le
make f64.wav 1 8000 0.125 -c:a pcm_f64le
make alaw.wav 1 8000 0.25 -c:a pcm_alaw
make mulaw.wav 1 8000 0.25 -c:a pcm_mulaw
make adpcm_ms.wav 1 8000 0.25 -c:a adpcm_ms
make adpcm_ima.wav 1 8000 0.25 -c:a adpcm_ima_wav
make six_channels.wav 6 8000 0.0625 -c:a pcm_s16le
# Through a pipe the length is unknown, and the head says so with the largest number.
make - 1 8000 0.25 -c:a pcm_s16le -f wav > piped.wav
make s16.aiff 1 8000 0.25 -c:a pcm_s16be

make s16.flac 1 22050 0.25 -c:a flac -sample_fmt s16 -metadata_header_padding 0
make s24_stereo.flac 2 22050 0.125 -c:a flac -sample_fmt s32 -bits_per_raw_sample 24 -metadata_header_padding 0

# Mp3: with and without the head that tells the encoder's padding; MPEG-2 at half the rate; behind a tag with a picture.
make mono.mp3 1 44100 0.5 -c:a libmp3lame -b:a 64k
make without_head.mp3 2 44100 0.5 -c:a libmp3lame -b:a 96k -write_xing 0 -id3v2_version 0
make mpeg2.mp3 1 24000 0.5 -c:a libmp3lame -q:a 4
ffmpeg -hide_banner -loglevel error -y -f lavfi -i color=c=red:s=64x64 -frames:v 1 -fflags +bitexact cover.png
ffmpeg -hide_banner -loglevel error -y -i mono.mp3 -i cover.png -map 0:a -map 1:v -c copy -id3v2_version 3 \
    -metadata title="A tone" -metadata:s:v title=Cover -fflags +bitexact tagged.mp3

make vorbis.ogg 1 44100 0.5 -c:a libvorbis -q:a 3
make vorbis_stereo.ogg 2 48000 0.5 -c:a libvorbis -q:a 3
# Opus: the music codec, the speech codec, and what browsers record.
make music.opus 2 48000 0.5 -c:a libopus -b:a 64k
make speech.opus 1 16000 0.5 -c:a libopus -b:a 16k -application voip
make opus.webm 1 48000 0.5 -c:a libopus -b:a 48k
make opus.mp4 1 48000 0.5 -c:a libopus -b:a 48k
make vorbis.webm 1 44100 0.5 -c:a libvorbis -q:a 3

make aac.m4a 2 44100 0.5 -c:a aac -b:a 128k -aac_pns 0
make alac.m4a 1 16000 0.25 -c:a alac
make adts.aac 1 44100 0.5 -c:a aac -b:a 64k
# What phones send: an index behind the sound, and a picture beside it.
ffmpeg -hide_banner -loglevel error -y -f lavfi -i color=c=red:s=64x64:r=5:d=0.5 \
    -f lavfi -i "aevalsrc=0.5*sin(880*PI*t):s=44100:d=0.5" -c:v mpeg4 -c:a aac -b:a 64k -shortest \
    -map_metadata -1 -fflags +bitexact -flags:a +bitexact -flags:v +bitexact video.mp4
# Without sound.
ffmpeg -hide_banner -loglevel error -y -f lavfi -i color=c=red:s=64x64:r=5:d=0.5 -c:v mpeg4 \
    -map_metadata -1 -fflags +bitexact -flags:v +bitexact no_sound.mp4
mv cover.png picture.png
