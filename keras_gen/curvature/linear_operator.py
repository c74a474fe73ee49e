"""Linear operators on a set of variables: products of an average over a data set, on any strategy."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from keras_gen.distribute import mean_over_replicas, replica_count

Variable: TypeAlias = "keras.Variable | tf.Variable"

_UNROLLED = 8  # products of one graph where it cannot loop
_NON_FINITE = "keras_gen:non-finite-loss"


class Linearization(NamedTuple):
    """An operator at one batch: all that can be computed before the vector is known."""

    loss: tf.Tensor  #: what must be finite
    gradients: list[tf.Tensor]  #: shaped like the variables
    product: Callable[..., list[tf.Tensor]]  #: of such a list
    transposed: Callable[..., list[tf.Tensor]] | None = None  #: where it is not symmetric


class Operator:
    """A square matrix by its products, averaged over a data set where there is one.

    Args:
        variables: `keras.Variable`s or `tf.Variable`s, frozen ones too; integer ones have no curvature and
            are left out, see the attribute `variables`.
        data: a finite `tf.data.Dataset`, or a list, of batches; each product runs through all of it and is
            the mean over its examples, a smaller last batch counting for less. None: the loss takes no batch.

    Raises:
        ValueError: no floating-point variable, or data without end or without batches.
    """

    def __init__(self, variables: Sequence[Variable], data: tf.data.Dataset | list | None = None):
        self.variables = [v for v in variables if tf.as_dtype(v.dtype).is_floating]
        if not self.variables:
            raise ValueError(f"There is no floating-point variable among the {len(variables)} given.")
        self._sources = [v.value if isinstance(v, keras.Variable) else v for v in self.variables]
        self._shapes = [tuple(v.shape) for v in self.variables]
        self._sizes = [math.prod(shape) for shape in self._shapes]
        self._data = None if data is None else _dataset(data)
        strategy = getattr(self._sources[0], "distribute_strategy", None)
        spread = strategy is not None and strategy.num_replicas_in_sync > 1 and data is not None
        self._strategy: Any = strategy if spread else None
        #: float64 where all variables are, else float32
        self.dtype = (
            tf.float64 if all(tf.as_dtype(v.dtype) == tf.float64 for v in self.variables) else tf.float32
        )
        #: whether products can be part of a graph; a strategy's passes over data are driven from Python
        self.in_graph = self._strategy is None
        self._functions: dict[str, Callable] = {}

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n), n the number of values in all variables."""
        return (sum(self._sizes),) * 2

    def flatten(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """Tensors shaped like the variables, end to end: (n,)."""
        return tf.concat([tf.reshape(tf.cast(tensor, self.dtype), [-1]) for tensor in tensors], 0)

    def unflatten(self, vector: tf.Tensor) -> list[tf.Tensor]:
        """A vector (n,) cut into tensors shaped like the variables."""
        parts = tf.split(vector, self._sizes)
        return [tf.reshape(part, shape) for part, shape in zip(parts, self._shapes, strict=True)]

    def flat(self, vector: Any) -> tf.Tensor:
        """A vector of either form as (n,), checked.

        Raises:
            ValueError: one that does not fit.
        """
        if isinstance(vector, (list, tuple)) and not all(np.ndim(part) == 0 for part in vector):
            shapes = [tuple(np.shape(part)) for part in vector]
            if shapes != self._shapes:
                raise ValueError(
                    f"A vector in parts must be shaped like the variables, {self._shapes}; received {shapes}."
                )
            return self.flatten([tf.convert_to_tensor(part) for part in vector])
        vector = tf.cast(tf.convert_to_tensor(vector), self.dtype)
        if vector.shape != self.shape[:1]:
            raise ValueError(
                f"A vector must have shape {self.shape[:1]}, or be a list shaped like the variables, "
                f"{self._shapes}; received shape {tuple(vector.shape)}."
            )
        return vector

    def like(self, result: tf.Tensor, vector: Any) -> tf.Tensor | list[tf.Tensor]:
        """A flat result in the form of the vector that was given."""
        parts = isinstance(vector, (list, tuple)) and not all(np.ndim(part) == 0 for part in vector)
        return self.unflatten(result) if parts else result

    # Products.

    def matvec(self, vector: Any) -> tf.Tensor | list[tf.Tensor]:
        """The product with a vector, flat or in parts.

        Raises:
            ValueError: a vector that does not fit.
            FloatingPointError: a loss that is NaN or infinite.
        """
        return self.like(self._run("matvec", self._product, self.flat(vector)), vector)

    def matmat(self, matrix: Any) -> tf.Tensor:
        """The products with the columns of a matrix (n, k), as columns; passes that none enters are shared.

        Raises:
            ValueError: a matrix that does not fit.
            FloatingPointError: a loss that is NaN or infinite.
        """
        matrix = tf.cast(tf.convert_to_tensor(matrix), self.dtype)
        if len(matrix.shape) != 2 or matrix.shape[0] != self.shape[0]:
            raise ValueError(
                f"A matrix must have shape ({self.shape[0]}, k); received {tuple(matrix.shape)}."
            )
        rows = tf.transpose(matrix)
        if self._strategy is None:
            return tf.transpose(self._run("matmat", self._products, rows))
        parts = [rows[i : i + _UNROLLED] for i in range(0, rows.shape[0], _UNROLLED)]
        return tf.transpose(tf.concat([self._run("matmat", self._products, part) for part in parts], 0))

    def dense(self) -> tf.Tensor:
        """The matrix (n, n), by n products: for up to a few thousand values."""
        return self.matmat(tf.eye(self.shape[0], dtype=self.dtype))

    def gradient(self) -> tf.Tensor:
        """The gradient of the same loss at the same point, (n,)."""
        return self._run(
            "gradient", lambda at, _: self.flatten(at.gradients), tf.zeros(self.shape[:1], self.dtype)
        )

    def linearize(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """A product (n,) -> (n,), with the passes that no vector enters done; for use within one graph."""
        if self._data is not None:
            return lambda vector: self._mean(self._product, vector)
        at = self._at()
        return lambda vector: mean_over_replicas(self._product(at, vector))

    def explained(self, error: Exception) -> Exception:
        """The error to raise where a graph with these products failed."""
        found = re.search(rf"{_NON_FINITE}\W*?(-?(?:nan|inf))", str(error), re.IGNORECASE)
        if found is None:
            return error
        return FloatingPointError(
            f"The loss is {found[1]}, so it has no curvature: look for weights or data that are NaN, "
            "infinite or very large."
        )

    def _linearized(self, *batch) -> Linearization:
        raise NotImplementedError(f"{type(self).__name__} must define _linearized")

    def _at(self, *batch) -> Linearization:
        """The linearization with its loss checked; an empty share of a batch has none."""
        with _enough_derivatives():
            at = self._linearized(*batch)
        empty = tf.constant(False) if not batch else tf.equal(_examples(batch[0]), 0)
        tf.debugging.Assert(tf.math.is_finite(at.loss) | empty, [_NON_FINITE, at.loss])
        return at

    def _product(self, at: Linearization, vector: tf.Tensor) -> tf.Tensor:
        with _enough_derivatives():
            return self.flatten(at.product(self.unflatten(vector)))

    def _products(self, at: Linearization, rows: tf.Tensor) -> tf.Tensor:
        if replica_count() > 1:  # replicas cannot meet within a graph's loop
            return tf.stack([self._product(at, row) for row in tf.unstack(rows)])
        return tf.map_fn(lambda row: self._product(at, row), rows, parallel_iterations=4)

    def _mean(self, compute, argument: tf.Tensor) -> tf.Tensor:
        """The mean over all examples of what is computed at each batch, in a graph of one device."""
        if self._data is None:
            return mean_over_replicas(compute(self._at(), argument))

        def add(sums, batch):
            total, count = sums
            size = _examples(batch)
            return total + tf.cast(size, self.dtype) * compute(self._at(batch), argument), count + size

        total, count = self._data.reduce((tf.zeros_like(argument), tf.constant(0, tf.int64)), add)
        return total / tf.cast(count, self.dtype)

    def _run(self, name: str, compute, argument: tf.Tensor) -> tf.Tensor:
        if self._strategy is not None:
            return self._spread(name, compute, argument)
        if tf.inside_function():
            return self._mean(compute, argument)
        if name not in self._functions:
            self._functions[name] = tf.function(
                lambda argument: self._mean(compute, argument),
                input_signature=[
                    tf.TensorSpec((None,) * (len(argument.shape) - 1) + argument.shape[-1:], self.dtype)
                ],
                autograph=False,
            )
        try:
            return self._functions[name](argument)
        except tf.errors.InvalidArgumentError as error:
            explained = self.explained(error)
            raise explained from (error if explained is error else None)

    def _spread(self, name: str, compute, argument: tf.Tensor) -> tf.Tensor:
        """As `_mean`, each batch shared by the strategy's replicas."""

        def share(batch, argument):
            size = _examples(batch)
            value = compute(self._at(batch), argument)
            return tf.where(size > 0, tf.cast(size, self.dtype) * value, tf.zeros_like(value)), size

        if name not in self._functions:
            self._functions[name] = tf.function(
                lambda batch, argument: self._strategy.run(share, (batch, argument)), autograph=False
            )
        total, count = tf.zeros_like(argument), 0
        try:
            for batch in self._strategy.experimental_distribute_dataset(self._data):
                value, size = self._functions[name](batch, argument)
                total += self._strategy.reduce("SUM", value, axis=None)
                count += int(self._strategy.reduce("SUM", size, axis=None))
        except tf.errors.InvalidArgumentError as error:
            explained = self.explained(error)
            raise explained from (error if explained is error else None)
        return total / tf.cast(count, self.dtype)


class SymmetricOperator(Operator):
    """An operator with real eigenvalues; `curvature.spectrum` has more to ask of it than the methods here."""

    def eigenvalues(self, k: int | None = None) -> np.ndarray:
        """The k eigenvalues of largest magnitude, that first; see `spectrum.eigenpairs`. None: all."""
        from keras_gen.curvature import spectrum

        return spectrum.eigenpairs(self, self.shape[0] if k is None else k).values

    def trace(self, samples: int | None = None, seed: int = 0) -> float:
        """The trace: exact for up to 1,024 rows where samples is left out, else `spectrum.hutch_plus_plus`.

        Args:
            samples: products to spend on an estimate; None takes 96, where the exact trace is not affordable.
            seed: an integer, for the random vectors.
        """
        from keras_gen.curvature import spectrum

        if samples is None and self.shape[0] <= spectrum.EXACT:
            return float(tf.linalg.trace(tf.cast(self.dense(), tf.float64)))
        return spectrum.hutch_plus_plus(self, 96 if samples is None else samples, seed).value

    def spectral_density(self, **options: Any):
        """The density of the eigenvalues; see `spectrum.density`."""
        from keras_gen.curvature import spectrum

        return spectrum.density(self, **options)


@contextlib.contextmanager
def _enough_derivatives() -> Iterator[None]:
    try:
        yield
    except LookupError as error:
        raise NotImplementedError(
            f"This loss cannot be differentiated often enough for its curvature. TensorFlow says: {error}. "
            "Replace the operation that it names."
        ) from error


def _examples(batch: Any) -> tf.Tensor:
    return tf.shape(tf.nest.flatten(batch)[0], tf.int64)[0]


def _dataset(data: Any) -> tf.data.Dataset:
    if isinstance(data, list) and data:
        batches = data
        first = tf.nest.map_structure(tf.convert_to_tensor, batches[0])
        signature = tf.nest.map_structure(lambda t: tf.TensorSpec((None, *t.shape[1:]), t.dtype), first)
        return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=signature)
    if not isinstance(data, tf.data.Dataset):
        raise ValueError(
            f"data must be a tf.data.Dataset or a list of batches, not empty; received {type(data).__name__}."
        )
    count = int(data.cardinality())
    if count in (0, tf.data.INFINITE_CARDINALITY):
        raise ValueError(
            f"data must be finite and not empty: each product runs through all of it; received a data set of "
            f"{'no batches' if count == 0 else 'endless batches, take(n) some'}."
        )
    return data
