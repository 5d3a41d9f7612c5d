"""Runs the Python examples of docs/API.md as they stand there, each in a folder of its own."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "API.md"

examples = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
assert len(examples) >= 3, "the examples were not found"
host, port = os.environ["DECLAIM_WYOMING"].split(":")
for example in examples:
    example = example.replace("http://localhost:8004", os.environ["DECLAIM_URL"])
    example = example.replace('"localhost", 10200', f'"{host}", {port}')
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", example], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        for file in pathlib.Path(folder).iterdir():
            assert file.stat().st_size > 1000, file
