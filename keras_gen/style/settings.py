"""What a style training was begun with: the `config.json` of its run folder, so that it goes on without."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_gen import atomic
from keras_gen.runs.folder import Run
from keras_gen.runs.settings import absolute_spec, option_name

_NOT_KEPT = ("out", "resume", "minutes_between", "callbacks", "say")
_MAY_CHANGE = (
    "content",
    "crop",
    "batch_size",
    "steps",
    "learning_rate",
    "style_weight",
    "total_variation_weight",
)
#: The step at which the learning rate was set last: in the file, and no setting that `recall` gives.
_SINCE = "learning_rate_since"
_OPTIONS = {"precision_name": "--precision"}


def remember(run: Run, method: str, arguments: Mapping[str, Any], step: int) -> int:
    """Writes what a training function was called with; of a run that goes on, what may change.

    Args:
        run: its folder.
        method: "fast" or "adain".
        arguments: all arguments of `train_style` or `train_adain`, by name.
        step: from which it goes on.

    Returns:
        The step from which the learning rate falls: this one where the rate is another than before.
    """
    before = _read(run.config) or {}
    same = arguments.get("learning_rate") == before.get("learning_rate")
    since = min(step, before.get(_SINCE, 0)) if same else step
    kept = {name: value for name, value in arguments.items() if name not in _NOT_KEPT}
    if arguments.get("resume") and before:
        kept = {name: value for name, value in kept.items() if name in _MAY_CHANGE}
    else:
        before = {"method": method}
    atomic.write_json(run.config, {**before, **_absolute(kept), _SINCE: since})
    return since


def recall(folder: Path | str, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a run was begun with, and "method" by whose function it goes on.

    Args:
        folder: of the run.
        given: settings that are to change, or are named again.

    Raises:
        FileNotFoundError: no such run.
        ValueError: a setting that cannot change, or a damaged file.
    """
    path = Run(folder).config
    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint to resume in {folder}: leave --resume out.")
    before = _read(path)
    if before is None:
        raise ValueError(f"{path} does not hold the settings of a style training.")
    before.pop(_SINCE, None)
    before.setdefault("restraint_weight", 0.0)  # runs from before there was any
    changes = _absolute(given or {})
    for name, value in changes.items():
        if name not in _MAY_CHANGE and value != before.get(name):
            option = _OPTIONS.get(name, option_name(name))
            begun = f"with {option} {before[name]}" if before.get(name) is not None else f"without {option}"
            raise ValueError(
                f"{folder} was begun {begun}, and --resume keeps that; received {value}: leave the option "
                "out, or begin another run with another --out."
            )
    return {**before, **changes}


def began(run: Run) -> bool:
    """Whether a run is a style training's, by its `config.json`."""
    return _read(run.config) is not None


def _read(path: Path) -> dict[str, Any] | None:
    """The settings in a file, or None where there is none or they are not a style training's."""
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if {"method", "styles", "content"} <= set(found) else None
    except (ValueError, TypeError):
        return None


def _absolute(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings whose paths are the same from any working folder."""
    found = dict(settings)
    styles = found.get("styles")
    if isinstance(styles, (str, Path)):
        found["styles"] = _path(styles)
    elif styles is not None:
        found["styles"] = [_path(style) for style in styles]
    if "content" in found:
        content = str(found["content"])
        found["content"] = _path(content) if Path(content).is_dir() else absolute_spec(content)
    return found


def _path(path: Path | str) -> str:
    return str(Path(path).expanduser().resolve())
