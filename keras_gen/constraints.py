"""Constraints on a discriminator's weights, applied after each of its updates.

A constraint is a `keras.constraints.Constraint`: called with a weight, it returns the weight to put in its
place. Keras's own work here too.
"""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_gen")
class ClipWeights(keras.constraints.Constraint):
    """Clips every weight to [−limit, limit].

    Reference: Wasserstein GAN, 2017, arXiv:1701.07875.
    """

    def __init__(self, limit: float = 0.01):
        if not limit > 0:
            raise ValueError(f"ClipWeights needs a limit above zero; received limit={limit}.")
        self.limit = float(limit)

    def __call__(self, w):
        return ops.clip(w, -self.limit, self.limit)

    def get_config(self):
        return {"limit": self.limit}
