"""ElevenLabs' own Python client: voices, speech by voice, speech as a stream, and its exceptions for our errors."""

import base64
import io
import os
import wave

from elevenlabs import VoiceSettings
from elevenlabs.client import ElevenLabs
from elevenlabs.core import ApiError

client = ElevenLabs(base_url=os.environ["DECLAIM_URL"], api_key="unused")

voices = client.voices.get_all().voices
assert voices and voices == client.voices.search().voices
voice = voices[0]
assert voice.name and client.voices.get(voice.voice_id).voice_id == voice.voice_id

spoken = b"".join(
    client.text_to_speech.convert(
        voice.voice_id,
        text="The first move is what sets everything in motion.",
        model_id="eleven_multilingual_v2",
        output_format="wav_16000",
        voice_settings=VoiceSettings(stability=0.5, similarity_boost=0.75, speed=1.1),
        seed=7,
    )
)
with wave.open(io.BytesIO(spoken)) as sound:
    assert sound.getframerate() == 16000 and sound.getnframes() > 0

streamed = b"".join(client.text_to_speech.stream(voice.voice_id, text="Hello.", output_format="wav_24000"))
assert streamed[:4] == b"RIFF"

TEXT = "It costs $5. Take it."
timed = client.text_to_speech.convert_with_timestamps(voice.voice_id, text=TEXT, output_format="wav_24000")
with wave.open(io.BytesIO(base64.b64decode(timed.audio_base_64))) as sound:
    seconds = sound.getnframes() / sound.getframerate()
for times, text in [(timed.alignment, TEXT), (timed.normalized_alignment, "It costs five dollars. Take it.")]:
    assert "".join(times.characters) == text
    starts, ends = times.character_start_times_seconds, times.character_end_times_seconds
    assert starts == sorted(starts) and len(starts) == len(ends) == len(text)
    assert starts[0] == 0 and abs(ends[-1] - seconds) < 0.05, (ends[-1], seconds)

parts = list(client.text_to_speech.stream_with_timestamps(voice.voice_id, text=TEXT, output_format="pcm_24000"))
assert len(b"".join(base64.b64decode(part.audio_base_64) for part in parts)) > 10_000
assert "".join("".join(part.alignment.characters) for part in parts if part.alignment) == TEXT

try:
    b"".join(client.text_to_speech.convert("nobody", text="Hello.", output_format="wav_24000"))
except ApiError as error:
    assert error.status_code == 404 and error.body["detail"]["status"] == "voice_not_found", error.body
else:
    raise AssertionError("an unknown voice was accepted")
