"""Instance normalization: each channel of each image brought to zero mean and unit variance."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_gen.layers import fused_normalization
from keras_gen.layers.instance_statistics import spatial_moments


@keras.saving.register_keras_serializable(package="keras_gen")
class InstanceNormalization(keras.layers.Layer):
    """Normalizes every channel of every sample over its own spatial axes.

    `y = (x - mean) / sqrt(variance + epsilon) * gamma + beta`, with the (biased) mean and variance of one
    channel of one sample. Nothing depends on the batch, so training and inference are the same function.

    The statistics are two plain means and one `rsqrt`, without a reshape, so that the layer converts to a
    handful of built-in TFLite operators; in training in bfloat16 on a CPU it is one kernel, to rounding the
    same function (`fused_normalization`). Under `mixed_bfloat16` and `mixed_float16` statistics, gamma and
    beta are float32 and only the result is rounded. Within an `InstanceStatistics` block the statistics are
    those that it gives.

    Same function as `tensorflow_addons.layers.InstanceNormalization` and as
    `keras.layers.GroupNormalization(groups=-1)`; PyTorch's `InstanceNorm2d` has `epsilon=1e-5`.

    Args:
        epsilon: Positive number added to the variance.
        center: Whether to add the learned offset `beta`, one per channel.
        scale: Whether to multiply by the learned `gamma`, one per channel.
        beta_initializer: Initializer of `beta`.
        gamma_initializer: Initializer of `gamma`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape: `(batch, ..., channels)` with at least one spatial axis; output shape: the same.

    Raises:
        ValueError: `epsilon` is not positive, or the input has no spatial axis or an unknown number of
            channels.

    Reference:
        Instance Normalization: The Missing Ingredient for Fast Stylization (2016), arXiv:1607.08022.
    """

    def __init__(
        self,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not epsilon > 0:
            raise ValueError(f"epsilon must be a positive number such as 1e-3, received {epsilon}.")
        self.supports_masking = True
        self.epsilon = float(epsilon)
        self.center = center
        self.scale = scale
        self.beta_initializer = keras.initializers.get(beta_initializer)
        self.gamma_initializer = keras.initializers.get(gamma_initializer)

    def build(self, input_shape: Any) -> None:
        if len(input_shape) < 3 or input_shape[-1] is None:
            raise ValueError(
                "InstanceNormalization expects inputs of shape (batch, ..., channels) with a spatial axis "
                f"and a known number of channels, received {tuple(input_shape)}; give the input a full shape."
            )
        channels = (input_shape[-1],)
        self.input_spec = keras.layers.InputSpec(ndim=len(input_shape), axes={-1: input_shape[-1]})
        # autocast=False: the parameters stay float32 when activations are bfloat16.
        self.gamma = (
            self.add_weight(name="gamma", shape=channels, initializer=self.gamma_initializer, autocast=False)
            if self.scale
            else None
        )
        self.beta = (
            self.add_weight(name="beta", shape=channels, initializer=self.beta_initializer, autocast=False)
            if self.center
            else None
        )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if training and fused_normalization.fits(inputs, self.compute_dtype):
            shape = (ops.shape(inputs)[0], inputs.shape[-1])
            gamma = ops.ones(shape) if self.gamma is None else ops.broadcast_to(self.gamma, shape)
            beta = ops.zeros(shape) if self.beta is None else ops.broadcast_to(self.beta, shape)
            return fused_normalization.normalized(inputs, gamma, beta, self.epsilon)
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        mean, variance = spatial_moments(x)
        factor = ops.rsqrt(variance + self.epsilon)
        if self.gamma is not None:
            factor = factor * ops.cast(self.gamma, x.dtype)
        outputs = (x - mean) * factor
        if self.beta is not None:
            outputs = outputs + ops.cast(self.beta, x.dtype)
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": keras.initializers.serialize(self.beta_initializer),
            "gamma_initializer": keras.initializers.serialize(self.gamma_initializer),
        }
