"""Optimizers beside Keras's own."""

from keras_gen.optimizers.adam import Adam
from keras_gen.optimizers.lbfgs import LBFGS

__all__ = ["LBFGS", "Adam"]
