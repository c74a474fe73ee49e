"""A measurement in a process of its own, so that none inherits another's caches, threads or memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys


def run(command: list[str]) -> dict:
    """Runs a Python program with its arguments and returns the JSON line that it prints last.

    Raises:
        SystemExit: it failed; with the end of what it said.
    """
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])
