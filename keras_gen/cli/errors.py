"""What goes wrong, in one sentence."""

from __future__ import annotations

import errno
import os
import re

INTERRUPTED = 130
FAILED = 1

#: Settings that have another name on the command line, or stand at the beginning of a message.
_OPTIONS = {"gradient_clip_norm": "--gradient-clip", "ema_decay": "--ema", "force=True": "--force"}
_NAMES = "gradient_clip_norm|ema_decay|force=True|image_size|latent_dim|batch_size|data_dir"
_SETTINGS = rf"\b({_NAMES})\b|^(channels|crop|seed|split)\b"


def explain(error: BaseException) -> str:
    """An error as a sentence that says what happened and what to do."""
    text = " ".join(str(error).split())
    kind = type(error).__name__
    number = getattr(error, "errno", None)
    # TensorFlow's file system reports a full disk as it reports full memory.
    if number in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in text:
        filename = getattr(error, "filename", None)
        where = f" ({filename})" if filename else ""
        return (
            f"There is no space left on the disk{where}; what was saved before is intact: free some space "
            "and start again, training with --resume."
        )
    if kind == "ResourceExhaustedError" or isinstance(error, MemoryError):
        return (
            "The memory of the device is not enough: try a smaller --batch-size, or smaller pictures (by "
            "--image-size, --crop or --size)."
        )
    if isinstance(error, PermissionError) or number == errno.EROFS:
        return f"{_path(error)} cannot be written or read ({_reason(error)}): check its permissions."
    if isinstance(error, OSError) and error.filename:
        return f"{_path(error)}: {_reason(error)}."
    if isinstance(error, (ValueError, OSError, RuntimeError, FloatingPointError, ImportError)) and text:
        text = re.sub(_SETTINGS, _option, text)
        return text if len(text) <= 1000 else text[:1000] + " …"
    return f"Unexpected {kind}: {text[:500]}. KERAS_GEN_TRACEBACK=1 shows where; please report it."


def traceback_wanted() -> bool:
    """Whether the user asked to see tracebacks, by KERAS_GEN_TRACEBACK=1."""
    return os.environ.get("KERAS_GEN_TRACEBACK", "") not in ("", "0")


def _option(found: re.Match[str]) -> str:
    return _OPTIONS.get(found[0], "--" + found[0].replace("_", "-"))


def _path(error: BaseException) -> str:
    return str(getattr(error, "filename", None) or "A file")


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)
