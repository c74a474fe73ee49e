"""Optimizers beside Keras's own."""

from keras_gen.optimizers.adam import Adam
from keras_gen.optimizers.lbfgs import LBFGS
from keras_gen.optimizers.muon import Muon

__all__ = ["LBFGS", "Adam", "Muon"]
