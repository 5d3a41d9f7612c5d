"""The Wyoming protocol's own Python client, used as Home Assistant uses it: description, whole texts, texts in pieces."""

import asyncio
import os

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.info import Describe, Info
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

HOST, PORT = os.environ["DECLAIM_WYOMING"].split(":")


async def sound(client):
    """Samples up to the end of the sound."""
    start = AudioStart.from_event(await client.read_event())
    assert (start.width, start.channels) == (2, 1)
    samples = 0
    while True:
        event = await client.read_event()
        if AudioStop.is_type(event.type):
            return samples
        chunk = AudioChunk.from_event(event)
        assert chunk.rate == start.rate
        samples += chunk.samples


async def main():
    async with AsyncTcpClient(HOST, int(PORT)) as client:
        await client.write_event(Describe().event())
        info = Info.from_event(await client.read_event())
        program = info.tts[0]
        assert program.installed and program.supports_synthesize_streaming
        voice = program.voices[0]
        assert voice.installed and voice.languages == ["en"] and voice.attribution.url

        await client.write_event(Synthesize("Hello world.", voice=SynthesizeVoice(name=voice.name)).event())
        assert await sound(client) > 10_000

        await client.write_event(SynthesizeStart(voice=SynthesizeVoice(language="en")).event())
        for piece in ["The first sen", "tence. And ", "the second."]:
            await client.write_event(SynthesizeChunk(piece).event())
        await client.write_event(Synthesize("The first sentence. And the second.").event())
        await client.write_event(SynthesizeStop().event())
        assert await sound(client) > 20_000
        assert SynthesizeStopped.is_type((await client.read_event()).type)

    async with AsyncTcpClient(HOST, int(PORT)) as client:
        await client.write_event(Synthesize("Hello.", voice=SynthesizeVoice(name="nobody")).event())
        error = await client.read_event()
        assert Error.is_type(error.type) and "nobody" in Error.from_event(error).text


asyncio.run(main())
