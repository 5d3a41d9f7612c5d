"""The Model Context Protocol's own Python client, over HTTP and over standard input and output."""

import asyncio
import os
import urllib.request

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

URL = os.environ["DECLAIM_URL"]


async def use(transport):
    async with Client(transport) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        assert tools == ["speak", "list_voices", "job_status"], tools
        voices = (await client.call_tool("list_voices", {})).structured_content["voices"]
        spoken = await client.call_tool("speak", {"text": "Hello.", "voice": voices[0]["id"], "format": "wav"})
        assert not spoken.is_error, spoken
        facts = spoken.structured_content
        with urllib.request.urlopen(facts["result_url"]) as file:
            assert file.read(4) == b"RIFF"
        status = await client.call_tool("job_status", {"job_id": facts["job_id"]})
        assert status.structured_content["status"] == "completed"
        refused = await client.call_tool("speak", {"text": "Hello.", "voice": "nobody"})
        assert refused.is_error and "nobody" in refused.content[0].text


async def main():
    await use(f"{URL}/mcp")
    command = StdioServerParameters(command=os.environ["DECLAIM_BIN"], args=["mcp", "--server", URL])
    await use(stdio_client(command))


asyncio.run(main())
