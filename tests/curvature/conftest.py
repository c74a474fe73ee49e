"""The network of reference/hessian.npz, whose curvature PyTorch computed in float64."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf


class Reference:
    """A network of 31 parameters, its loss, and the file's numbers."""

    def __init__(self):
        with np.load(Path(__file__).parents[1] / "reference" / "hessian.npz") as file:
            self.numbers = dict(file)
        self.variables = [tf.Variable(self.numbers[name]) for name in ("W1", "B1", "W2", "B2")]

    def __getitem__(self, name):
        return self.numbers[name]

    def loss(self):
        return self.loss_of((self["X"], self["Y"]))

    def loss_of(self, batch):
        inputs, labels = batch
        w1, b1, w2, b2 = self.variables
        logits = tf.tanh(inputs @ w1 + b1) @ w2 + b2
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits))


@pytest.fixture
def reference():
    return Reference()
