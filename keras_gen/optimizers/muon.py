"""Muon for networks of convolutions."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable(package="keras_gen")
class Muon(keras.optimizers.Muon):
    """`keras.optimizers.Muon`, which also orthogonalizes the steps of convolutions.

    Keras's takes matrices alone; here a kernel (height, width, inputs, outputs) is the matrix of all taps by
    outputs. Depthwise kernels, kernels of at most `smallest` outputs (such as those that make an image's
    channels), and all vectors go by Adam at the same learning rate times `adam_lr_ratio`. Without weight
    decay where none is asked for.

    On the style networks here 200 steps of it reach what Adam needs several times as many for, and since
    its steps have one length whatever the gradient's, the weights of a loss may change in a run.

    Args:
        learning_rate: as for Adam: an orthogonal step is scaled to the root mean square of Adam's.
        smallest: kernels of so many outputs or fewer are left to Adam.
        weight_decay: of the kernels.
        adam_weight_decay: of all others.
        **options: those of `keras.optimizers.Muon`.

    Reference: Muon: An optimizer for hidden layers in neural networks, 2024,
    https://kellerjordan.github.io/posts/muon/; Muon is Scalable for LLM Training, 2025, arXiv:2502.16982.
    """

    def __init__(
        self,
        learning_rate: Any = 4e-3,
        *,
        smallest: int = 3,
        weight_decay: float | None = None,
        adam_weight_decay: float | None = None,
        **options: Any,
    ):
        super().__init__(
            learning_rate, weight_decay=weight_decay, adam_weight_decay=adam_weight_decay, **options
        )
        self.smallest = int(smallest)

    def _should_use_adamw(self, variable):
        if len(variable.shape) != 4:
            return super()._should_use_adamw(variable)
        # One output to each input: taps by outputs would be no matrix of theirs.
        depthwise = "depthwise" in variable.path
        return depthwise or variable.shape[-1] <= self.smallest

    def zeropower_via_newtonschulz5(self, x, steps: int):
        """The nearest orthogonal matrix to `x`, as a matrix of taps by outputs, in the shape of `x`."""
        matrix = ops.reshape(x, (-1, x.shape[-1]))
        tall = matrix.shape[0] > matrix.shape[1]
        iterate = self._newton_schulz if tf.executing_eagerly() else self._traced_newton_schulz
        found = iterate(ops.transpose(matrix) if tall else matrix, steps)
        return ops.reshape(ops.transpose(found) if tall else found, x.shape)

    # Few graphs for all sizes: unrolled for each kernel, they took a third of the time until a first step.
    @tf.function(reduce_retracing=True, autograph=False)
    def _traced_newton_schulz(self, x, steps: int):
        return self._newton_schulz(x, steps)

    def _newton_schulz(self, x, steps: int):
        """The iteration of arXiv:2502.16982 on a matrix of no more rows than columns."""
        x = x / (tf.norm(x) + 1e-7)  # no singular value above 1
        for _ in range(steps):
            gram = tf.matmul(x, x, transpose_b=True)
            x = self.muon_a * x + tf.matmul(self.muon_b * gram + self.muon_c * tf.matmul(gram, gram), x)
        return x

    def lr_adjust(self, x):
        """A step scaled so that its root mean square is that of a usual step of Adam."""
        return ops.reshape(super().lr_adjust(ops.reshape(x, (-1, x.shape[-1]))), x.shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal optimizer."""
        return {**super().get_config(), "smallest": self.smallest}
