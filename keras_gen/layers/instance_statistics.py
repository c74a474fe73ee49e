"""What every instance normalization measures: mean and variance of each channel of each sample over space.

Here they can be recorded, and replaced by given ones: a part of an image is then normalized as the whole is.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

from keras import ops

_thread = threading.local()
# As normalizations add to a variance: of an image of one colour, deviations are roundings, whose ratios are
# anything.
_STEADY = 1e-3


class Moments(NamedTuple):
    """Mean and (biased) variance of each channel, and how many pixels they were taken over."""

    mean: Any
    variance: Any
    count: Any


class InstanceStatistics:
    """A block in which calls of `spatial_moments` are recorded, in order, and answered with given moments.

    It acts where the network is called or traced, in the thread that does so: a `tf.function` keeps what it
    was traced with, so that `given` and `window` are best its arguments, and `recorded` among its results.

    Args:
        given: Mean and variance for every call, in the order of the calls; None measures the input.
        window: Four numbers, top, bottom, left and right as shares of height and width, that limit what is
            recorded (not what is answered); None records over everything.
        joint: Takes the samples of a batch for parts of one image: moments are over the batch, and are
            answered as well as recorded.
        calibration: For every call a shift and a scale, in standard deviations, that bring what was measured
            to the answer, where it is known how the one differs from the other.

    Attributes:
        recorded: A `Moments` for every call so far.

    Raises:
        ValueError: There are more calls than given moments: they are of another network.
    """

    def __init__(
        self,
        given: Sequence[tuple[Any, Any]] | None = None,
        window: Any = None,
        joint: bool = False,
        calibration: Sequence[tuple[Any, Any]] | None = None,
    ) -> None:
        self.given = given
        self.window = window
        self.joint = joint
        self.calibration = calibration
        self.recorded: list[Moments] = []

    @staticmethod
    def active() -> InstanceStatistics | None:
        """The innermost block that this thread is in."""
        return getattr(_thread, "active", None)

    def __enter__(self) -> InstanceStatistics:
        self._outer = self.active()
        _thread.active = self
        return self

    def __exit__(self, *exception: Any) -> None:
        _thread.active = self._outer

    def answer(self, x: Any) -> tuple[Any, Any]:
        """Records the moments of `x`, and returns those that its normalization is to use."""
        index = len(self.recorded)
        if self.given is not None and index >= len(self.given):
            raise ValueError(
                f"The network normalizes more often than the {len(self.given)} times that statistics are "
                "given for; give those of the same network."
            )
        part = x if self.window is None else _cut(x, self.window)
        mean, variance = _moments(part, self.joint)
        shape = ops.shape(part)
        self.recorded.append(Moments(mean, variance, shape[1] * shape[2] * (shape[0] if self.joint else 1)))
        if self.given is not None:
            mean, variance = self.given[index]
            return ops.cast(mean, x.dtype), ops.cast(variance, x.dtype)
        if self.window is not None:
            mean, variance = _moments(x, self.joint)
        return (
            (mean, variance)
            if self.calibration is None
            else calibrated(mean, variance, *self.calibration[index])
        )


def calibrated(mean: Any, variance: Any, shift: Any, scale: Any) -> tuple[Any, Any]:
    """A mean moved by `shift` deviations, and a variance of `scale` times the deviation.

    Deviations are those that normalizations divide by, with the default epsilon in them.
    """
    steady = variance + _STEADY
    scaled = steady * scale**2 - _STEADY
    return mean + shift * steady**0.5, (scaled + abs(scaled)) / 2  # not below 0


def calibration(mean: Any, variance: Any, own_mean: Any, own_variance: Any) -> tuple[Any, Any]:
    """The shift and the scale by which `calibrated` makes the first moments of the second."""
    steady = own_variance + _STEADY
    return (mean - own_mean) / steady**0.5, ((variance + _STEADY) / steady) ** 0.5


def spatial_moments(x: Any) -> tuple[Any, Any]:
    """Mean and biased variance of each channel of each sample over the spatial axes.

    Normalizations of a *content* call this; what they take over from a style is measured without it, since a
    style is the same for every part of the content.

    Args:
        x: (batch, ..., channels), floating point.

    Returns:
        Two tensors (batch, 1, ..., 1, channels) in the type of `x`: those that an active
        `InstanceStatistics` gives, or else measured.
    """
    active = InstanceStatistics.active()
    return _moments(x) if active is None else active.answer(x)


def _moments(x: Any, joint: bool = False) -> tuple[Any, Any]:
    axes = tuple(range(0 if joint else 1, len(x.shape) - 1))
    mean = ops.mean(x, axis=axes, keepdims=True)
    return mean, ops.mean(ops.square(x - mean), axis=axes, keepdims=True)


def _cut(x: Any, window: Any) -> Any:
    """The pixels of a window of (batch, height, width, channels)."""
    shape = ops.shape(x)
    window = ops.cast(window, "float32")
    sides = ops.cast(ops.stack([shape[1], shape[1], shape[2], shape[2]]), "float32")
    top, bottom, left, right = ops.unstack(ops.cast(ops.round(window * sides), "int32"), 4)
    return x[:, top : ops.maximum(bottom, top + 1), left : ops.maximum(right, left + 1)]
