"""Curvature as linear operators: the Hessian, the Gauss-Newton matrix, and the Jacobian of a game.

Each multiplies vectors without ever forming its matrix, by differentiating a gradient once more. A vector is
flat, (n,), all variables' values end to end, or a list of tensors shaped like the variables; an answer has
the form of what was given.

Nothing that a loss does to a network is kept: batch statistics, spectral norms and the states of random
layers are after a product what they were before it, so that every product of one operator, as long as the
weights stay, is by the same matrix. Layers built for bfloat16 compute in float32 here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen import moments, precision
from keras_gen.curvature.linear_operator import Linearization, Operator, SymmetricOperator, Variable

LossFunction = Callable[..., tf.Tensor]


class _Unchanged(keras.StatelessScope):
    """Drops what layers assign, but for counters: a random layer that is run twice draws two numbers."""

    def add_update(self, update):
        if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(update[0].dtype)):
            super().add_update(update)


@contextlib.contextmanager
def evaluation(states: Sequence[tuple[keras.Variable, tf.Tensor]] = ()) -> Iterator[None]:
    """Within it, networks compute in float32, with right second derivatives, and nothing of Keras's changes.

    Args:
        states: variables, and the values that they are to have meanwhile.
    """
    with moments.twice_differentiable(), precision.full(), _Unchanged(list(states)):
        yield


class Hessian(SymmetricOperator):
    """The matrix of a loss's second derivatives.

    A product costs 2 to 2.3 gradients, alone; many in one call (`matmat`, Lanczos) share its first half. It
    is right for losses with gradients inside, such as gradient penalties, where a third derivative is taken;
    an operation for which TensorFlow has none is refused.

    Args:
        loss_fn: `loss_fn()`, or `loss_fn(batch)` where there is data, gives the scalar loss, a mean over the
            examples. It is called when products are traced: what it reads that is neither a variable nor the
            batch, its values of that moment included, stays what it was.
        variables, data: as for `Operator`.

    Raises:
        ValueError: a loss that is not a scalar, or that depends on none of the variables.
        NotImplementedError: an operation that cannot be differentiated often enough.

    Reference: Pearlmutter, Fast Exact Multiplication by the Hessian, 1994.
    """

    def __init__(self, loss_fn: LossFunction, variables: Sequence[Variable], data=None):
        super().__init__(variables, data)
        self.loss_fn = loss_fn

    def _linearized(self, *batch):
        with _watching(self._sources) as outer, evaluation():
            with _watching(self._sources) as inner:
                loss = _scalar(self.loss_fn(*batch))
            gradients = _gradients(inner, loss, self._sources)
        _require_one(gradients)

        def product(vector):
            return _pulled_back(outer, gradients, self._sources, vector)

        return Linearization(loss, _filled(gradients, self._sources), product)


class GaussNewton(SymmetricOperator):
    """Jᵀ (∂²loss/∂outputs²) J: the Hessian without the curvature of the network itself.

    Positive semi-definite wherever the loss is convex in the outputs, as cross-entropy and squared error are.

    Args:
        outputs_fn: `outputs_fn()` or `outputs_fn(batch)` gives the network's outputs, one tensor.
        loss_fn: `loss_fn(outputs)` or `loss_fn(outputs, batch)` gives the scalar loss.
        variables, data: as for `Operator`.

    Raises:
        ValueError: a loss that is not a scalar, or outputs that depend on none of the variables.

    Reference: Schraudolph, Fast Curvature Matrix-Vector Products for Second-Order Gradient Descent, 2002.
    """

    def __init__(
        self, outputs_fn: LossFunction, loss_fn: LossFunction, variables: Sequence[Variable], data=None
    ):
        super().__init__(variables, data)
        self.outputs_fn, self.loss_fn = outputs_fn, loss_fn

    def _linearized(self, *batch):
        with evaluation():
            with _watching(self._sources) as network:
                outputs = tf.cast(self.outputs_fn(*batch), self.dtype)
            direction = tf.zeros_like(outputs)
            # The transposed Jacobian is linear in a direction: its own transpose is the Jacobian.
            with _watching([direction]) as transposed:
                pulled = _gradients(network, outputs, self._sources, direction)
            with _watching([outputs]) as outer:
                with _watching([outputs]) as inner:
                    loss = _scalar(self.loss_fn(outputs, *batch))
                slope = _filled(inner.gradient(loss, [outputs]), [outputs])
        _require_one(pulled)

        def product(vector):
            (moved,) = _pulled_back(transposed, pulled, [direction], vector)
            curved = _pulled_back(outer, slope, [outputs], [moved])
            return _pulled_back(network, [outputs], self._sources, curved)

        return Linearization(loss, _pulled_back(network, [outputs], self._sources, slope), product)


class GameJacobian(Operator):
    """The Jacobian of a game's gradient field v = (∇θ L₁, ∇φ L₂): not symmetric, its spectrum complex.

    Imaginary parts are the rotation of the game about its equilibrium, which plain descent follows.

    Args:
        losses_fn: `losses_fn()` or `losses_fn(batch)` gives the two players' scalar losses.
        first, second: the variables θ and φ of either player.
        data: as for `Operator`.

    Raises:
        ValueError: losses that are not two scalars, or one that does not depend on its player's variables.

    Reference: The Numerics of GANs, 2017, arXiv:1705.10461.
    """

    def __init__(
        self, losses_fn: LossFunction, first: Sequence[Variable], second: Sequence[Variable], data=None
    ):
        super().__init__([*first, *second], data)
        self.losses_fn = losses_fn
        self._count = len(Operator(first).variables)

    def _linearized(self, *batch):
        sources, count = self._sources, self._count
        with _watching(sources) as outer, evaluation():
            with _watching(sources) as inner:
                losses = self.losses_fn(*batch)
                if not isinstance(losses, (list, tuple)) or len(losses) != 2:
                    raise ValueError(f"losses_fn must give two losses, one a player; it gave {losses!r}.")
                losses = [_scalar(loss) for loss in losses]
            first, second = (_gradients(inner, loss, sources) for loss in losses)
        field = [*first[:count], *second[count:]]
        _require_one(first[:count])
        _require_one(second[count:])

        def product(vector):
            # A row of the Jacobian is a row of one player's Hessian by all variables, which is symmetric.
            return [
                *_pulled_back(outer, first, sources[:count], vector),
                *_pulled_back(outer, second, sources[count:], vector),
            ]

        def transposed(vector):
            return _pulled_back(outer, field, sources, vector)

        loss = losses[0] + losses[1]
        return Linearization(loss, _filled(field, sources), product, transposed)

    def rmatvec(self, vector: Any) -> tf.Tensor | list[tf.Tensor]:
        """The product of the transposed Jacobian with a vector, as `matvec`."""

        def compute(at, flat):
            return self.flatten(at.transposed(self.unflatten(flat)))

        return self.like(self._run("rmatvec", compute, self.flat(vector)), vector)

    def eigenvalues(self, k: int | None = None, seed: int = 0) -> np.ndarray:
        """The k eigenvalues of largest magnitude, complex, that first; None: all, from the dense matrix.

        Args:
            k: how many; all but one or two are computed from the dense matrix too.
            seed: an integer, for the first vector of Arnoldi's iteration (ARPACK's).
        """
        from scipy.sparse.linalg import LinearOperator, eigs

        size = self.shape[0]
        if k is None or k >= size - 1 or size <= 64:
            values = np.linalg.eigvals(np.asarray(self.dense(), float))
        else:
            start = np.random.default_rng(seed).standard_normal(size)
            operator = LinearOperator(self.shape, lambda v: np.asarray(self.matvec(v), float), dtype=float)
            values = eigs(operator, k, v0=start, tol=1e-5, return_eigenvectors=False)
        return values[np.argsort(-np.abs(values))][:k]


# What the three share.


@contextlib.contextmanager
def _watching(sources: Sequence) -> Iterator[tf.GradientTape]:
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(sources)
        yield tape


def _scalar(loss: Any) -> tf.Tensor:
    loss = tf.convert_to_tensor(loss)
    if loss.shape.rank != 0:
        raise ValueError(
            f"A loss must be a scalar; received one of shape {tuple(loss.shape)}: take its mean."
        )
    return tf.cast(loss, tf.float32) if loss.dtype in (tf.bfloat16, tf.float16) else loss


def _gradients(tape: tf.GradientTape, target: tf.Tensor, sources: Sequence, weight=None) -> list:
    """The gradients as tensors, not as the slices that look-ups in tables give; None where there is none."""
    gradients = tape.gradient(target, sources, output_gradients=weight)
    return [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in gradients]


def _require_one(gradients: Sequence) -> None:
    if all(gradient is None for gradient in gradients):
        raise ValueError(
            "The loss does not depend on any of the variables: there is no curvature to compute."
        )


def _filled(gradients: Sequence, sources: Sequence) -> list[tf.Tensor]:
    pairs = zip(gradients, sources, strict=True)
    return [tf.zeros(s.shape, s.dtype) if g is None else tf.convert_to_tensor(g) for g, s in pairs]


def _pulled_back(tape: tf.GradientTape, targets: Sequence, sources: Sequence, weights: Sequence) -> list:
    """The gradient of Σ ⟨target, weight⟩ by the sources; zeros where there is no path."""
    pairs = [(t, tf.cast(w, t.dtype)) for t, w in zip(targets, weights, strict=True) if t is not None]
    gradients = tape.gradient(
        [target for target, _ in pairs], sources, output_gradients=[weight for _, weight in pairs]
    )
    return _filled(gradients, sources)
