"""Holds the description at /openapi.json against the server, with requests that fit it and requests that do not."""

import os
import pathlib
import subprocess
import sys

config = pathlib.Path(__file__).with_name("schemathesis.toml")
program = pathlib.Path(sys.executable).with_name("schemathesis")
told = subprocess.run(
    [program, "--config-file", config, "run", os.environ["DECLAIM_URL"] + "/openapi.json", "--warnings", "off", "--no-color"],
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
)
if told.returncode != 0:
    raise SystemExit(told.stdout)
