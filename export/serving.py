"""What TF Serving is started with: a `models.config` of every model in a folder, and the command."""

from __future__ import annotations

import json
from pathlib import Path

from keras_gen import atomic

CONFIG, COMMAND = "models.config", "serve.sh"
_HEADER = "# Written by keras-gen export: every model in this folder. Delete this line to keep your own.\n"
_MODEL = """\
  config {{
    name: {name}
    base_path: {base_path}
    model_platform: "tensorflow"
  }}
"""
_SCRIPT = """\
#!/bin/sh
# Written by keras-gen export: serves every model in this folder, REST on port 8501 and gRPC on port 8500.
{command}
"""


def versions(folder: Path) -> list[int]:
    """The versions of a model that are in its folder, in order."""
    found = (path.name for path in folder.iterdir()) if folder.is_dir() else ()
    return sorted(int(name) for name in found if name.isascii() and name.isdigit())


def models_config(root: Path) -> str:
    """The `models.config` of a folder of models, each a folder of versions, as a container sees it."""
    names = sorted(path.name for path in root.iterdir() if path.is_dir() and _is_model(path))
    entries = [_MODEL.format(name=json.dumps(n), base_path=json.dumps(f"/models/{n}")) for n in names]
    return f"{_HEADER}model_config_list {{\n{''.join(entries)}}}\n"


def docker_command(folder: str) -> str:
    """The line that serves a folder of models; the server then looks for new ones and new versions.

    Args:
        folder: its absolute path, as the shell is to read it.
    """
    return (
        f'docker run --rm -p 8500:8500 -p 8501:8501 -v "{folder}:/models" tensorflow/serving '
        f"--model_config_file=/models/{CONFIG} --model_config_file_poll_wait_seconds=60"
    )


def write(root: Path) -> None:
    """Writes `models.config` and `serve.sh` into a folder of models, unless they are somebody's own."""
    config, script = root / CONFIG, root / COMMAND
    if not config.exists() or config.read_text(errors="replace").startswith(_HEADER):
        atomic.write_text(config, models_config(root))
    if not script.exists():
        atomic.write_text(script, _SCRIPT.format(command=docker_command('$(cd "$(dirname "$0")" && pwd)')))
        script.chmod(0o755)


def _is_model(folder: Path) -> bool:
    return any((folder / str(version) / "saved_model.pb").is_file() for version in versions(folder))
