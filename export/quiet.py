"""TensorFlow's converter and LiteRT without their messages."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator

import tensorflow as tf


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Sends standard error nowhere, where C++ writes whatever the log level, and shows no warnings."""
    logger, level = tf.get_logger(), tf.get_logger().level
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        logger.setLevel("ERROR")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
