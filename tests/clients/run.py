"""Runs the real clients of other services against a server of its own with the humming model.

DECLAIM_BIN is the server's binary. An argument runs only the files whose names contain it. Each file is a program that is told
where the server is (DECLAIM_URL, DECLAIM_WYOMING) and fails by ending with an error.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).parent
LIMIT_SEC = 300


def addresses(server):
    """What the server says of its two ports, in the order in which it says it."""
    found = []
    for line in server.stdout:
        match = re.search(r"listening on (?:http|tcp)://([\d.]+:\d+)", line)
        if match:
            found.append(match[1])
        if len(found) == 2:
            return found
    raise SystemExit("the server did not say where it listens")


def main():
    binary = os.environ["DECLAIM_BIN"]
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    with tempfile.TemporaryDirectory() as data:
        # Nothing that a test makes up may begin a download.
        settings = {"DECLAIM_WYOMING__ENABLED": "true", "DECLAIM_WYOMING__PORT": "0", "HF_HUB_OFFLINE": "1"}
        server = subprocess.Popen(
            [binary, "serve", "--model", "tone", "--port", "0", "--data", data, "--log", "warn"],
            env=os.environ | settings,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            http, wyoming = addresses(server)
            told = os.environ | {"DECLAIM_URL": f"http://{http}", "DECLAIM_WYOMING": wyoming}
            files = sorted(FOLDER.glob("*_client.py")) + sorted(FOLDER.glob("*_client.mjs"))
            files = [file for file in files if wanted in file.name]
            failed = []
            for file in files:
                program = [sys.executable] if file.suffix == ".py" else ["node"]
                ended = subprocess.run([*program, str(file)], env=told, timeout=LIMIT_SEC)
                print("ok" if ended.returncode == 0 else "FAILED", file.name, flush=True)
                if ended.returncode != 0:
                    failed.append(file.name)
        finally:
            server.terminate()
            server.wait()
    if failed or not files:
        raise SystemExit(f"failed: {', '.join(failed) or 'nothing was run'}")


main()
