"""OpenAI's own Python client: speech to a file and as it comes, models, and its exceptions for our errors."""

import base64
import io
import json
import os
import pathlib
import tempfile
import wave

import openai

client = openai.OpenAI(base_url=os.environ["DECLAIM_URL"] + "/v1", api_key="unused", max_retries=0)

# The shortest call that its documentation shows.
spoken = client.audio.speech.create(model="tts-1", voice="alloy", input="The quick brown fox jumped over the lazy dog.")
assert len(spoken.read()) > 1000

with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "speech.wav"
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts",
        voice="coral",
        input="Today is a wonderful day.",
        instructions="Speak in a cheerful tone.",
        response_format="wav",
        speed=1.5,
        extra_body={"seed": 7, "temperature": 0.5},
    ) as response:
        assert response.headers["x-declaim-seed"] == "7"
        response.stream_to_file(path)
    with wave.open(io.BytesIO(path.read_bytes())) as sound:
        assert sound.getnchannels() == 1 and sound.getnframes() > 0

# As it is made, in every format; the sound of a stream has no length in its head.
for kind in ["mp3", "opus", "aac", "flac", "wav", "pcm"]:
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="nova", input="Heard while it is made.", response_format=kind
    ) as response:
        assert response.headers["transfer-encoding"] == "chunked" and "first-audio" in response.headers["server-timing"]
        assert sum(len(piece) for piece in response.iter_bytes()) > 1000, kind

with client.audio.speech.with_streaming_response.create(
    model="gpt-4o-mini-tts", voice="nova", input="As events.", response_format="pcm", stream_format="sse"
) as response:
    lines = [line for line in response.iter_lines() if line]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert [event["type"] for event in events[:-1]] == ["speech.audio.delta"] * (len(events) - 1), events[0]
    sound = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert len(sound) > 10_000 and len(sound) % 2 == 0
    usage = events[-1]["usage"]
    assert events[-1]["type"] == "speech.audio.done" and usage["input_tokens"] == len("As events.")
    assert abs(usage["output_tokens"] - len(sound) / 48_000 * 25) < 2, usage

models = [model.id for model in client.models.list()]
assert "tone" in models and "tts-1" in models, models
assert client.models.retrieve("tone").owned_by == "declaim"

voice = client.audio.speech.create(model="tone", voice={"id": "hum"}, input="Hello.", response_format="flac")
assert voice.read()[:4] == b"fLaC"

for wrong, kind, parameter, code in [
    ({"input": ""}, openai.BadRequestError, "input", "missing_required_parameter"),
    ({"voice": "nobody"}, openai.NotFoundError, "voice", "voice_not_found"),
    ({"model": "nope"}, openai.NotFoundError, "model", "model_not_found"),
    ({"speed": 5}, openai.BadRequestError, "speed", "invalid_value"),
]:
    try:
        client.audio.speech.create(**({"model": "tts-1", "voice": "alloy", "input": "Hi."} | wrong))
    except kind as error:
        assert (error.param, error.code, error.type) == (parameter, code, "invalid_request_error"), error.body
    else:
        raise AssertionError(f"{wrong} was accepted")
