"""Krylov methods on any linear operator: Lanczos, Arnoldi, conjugate gradients, MINRES.

An operator is an object with `shape` (n, n) and `matvec`, from a vector (n,) to a vector (n,), in TensorFlow
or NumPy operations. Where it also has `linearize`, a function that gives such a product with all work that
no vector enters done already, a whole run shares that work.

Vectors take the dtype of an operator that has one, or keep theirs, float32 as a rule; inner products and
norms are taken in float64.

Called eagerly, a run is traced into one graph, kept with the operator; within a graph, it becomes part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from keras_gen.distribute import replica_count

Product = Callable[[tf.Tensor], tf.Tensor]

# The most numbers in a basis of which each orthogonalization makes a float64 copy.
_WIDE = 2**22
# In units of the dtype's rounding: a remainder this small beside the operator is no new direction.
_BREAKDOWN = 64.0


class LinearOperator(Protocol):
    """What these methods need of an operator."""

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n)."""

    def matvec(self, vector: Any) -> Any:
        """The product with a vector (n,)."""


class Lanczos(NamedTuple):
    """An orthonormal basis of a Krylov space, and the operator in it.

    With Q (n, m) the first m rows of `basis` as columns, q its last row, and T = `tridiagonal(…)`:
    H Q = Q T + off_diagonal[m − 1] q eᵀ. Behind a breakdown (an invariant subspace) all three are zero.
    """

    basis: tf.Tensor  #: (m + 1, n)
    diagonal: tf.Tensor  #: float64 (m,)
    off_diagonal: tf.Tensor  #: float64 (m,)
    products: tf.Tensor  #: int32, how many were spent


class Arnoldi(NamedTuple):
    """An orthonormal basis of a Krylov space, and the operator in it: A Q = [Q q] H.

    Q (n, m) are the first m rows of `basis` as columns, q is its last row. Behind a breakdown both are zero.
    """

    basis: tf.Tensor  #: (m + 1, n)
    hessenberg: tf.Tensor  #: float64 (m + 1, m), H
    products: tf.Tensor  #: int32, how many were spent


class Solution(NamedTuple):
    """The outcome of a linear solve."""

    solution: tf.Tensor  #: (n,)
    iterations: tf.Tensor  #: int32, one product each, and one more for the residual
    residual: tf.Tensor  #: float64, ‖b − A x‖ / ‖b‖ of that very solution; 0 where b is zero


def tridiagonal(diagonal: tf.Tensor, off_diagonal: tf.Tensor) -> tf.Tensor:
    """The symmetric (m, m) matrix with that diagonal (m,), and beside it the first m − 1 of off_diagonal."""
    size = diagonal.shape[0]
    upper = tf.linalg.diag(off_diagonal[: size - 1], k=1, num_rows=size, num_cols=size)
    return tf.linalg.diag(diagonal) + upper + tf.transpose(upper)


def lanczos(
    operator: LinearOperator, start: Any, iterations: int, *, restart: bool = False, seed: int = 0
) -> Lanczos:
    """Lanczos tridiagonalization of a symmetric operator, with full reorthogonalization.

    Each new vector is orthogonalized against all before it, a second time where the first took much away.

    Args:
        operator: symmetric, of shape (n, n).
        start: the first direction (n,); of zeros, the result is all zeros.
        iterations: the most products to spend, m; above n, n are.
        restart: whether to go on, where the vectors span an invariant subspace, in a random direction
            orthogonal to it: repeated eigenvalues are then found as often as they occur.
        seed: an integer, for those directions.

    Returns:
        A `Lanczos`.

    Raises:
        ValueError: iterations below one, or a start that does not fit.

    Reference: Golub and Van Loan, Matrix Computations, 2013, sections 10.1 to 10.3.
    """
    start = _vector(operator, start)
    options = {"iterations": min(_counted(iterations), operator.shape[0]), "restart": bool(restart)}
    return _traced(_lanczos, operator, (start,), seed=int(seed), **options)


def _lanczos(operator, start, iterations, restart, seed) -> Lanczos:
    product = linear_product(operator, start)
    norm = _norm(start)
    basis = tf.pad(_normalized(start, norm)[None], [[0, iterations], [0, 0]])
    zeros = tf.zeros((iterations,), tf.float64)

    def body(j, _, basis, diagonal, off_diagonal, scale):
        current = basis[j]
        image = product(current)
        along = _dot(current, image)
        before = basis[j - 1], off_diagonal[j - 1]  # in the first round both are zero
        remainder = image - _scaled(current, along) - _scaled(*before)
        remainder = _reorthogonalized(remainder, basis)
        beta = _norm(remainder)
        scale = tf.maximum(scale, _norm(image))
        new = beta > _BREAKDOWN * rounding(start) * scale
        beta = tf.where(new, beta, tf.zeros_like(beta))
        following = _normalized(remainder, beta)
        if restart:
            following = tf.cond(
                tf.logical_or(new, j + 1 >= iterations),
                lambda: following,
                lambda: _random_direction(basis, tf.stack([seed, j])),
            )
        return (
            j + 1,
            tf.logical_or(new, restart),
            tf.tensor_scatter_nd_update(basis, [[j + 1]], following[None]),
            tf.tensor_scatter_nd_update(diagonal, [[j]], along[None]),
            tf.tensor_scatter_nd_update(off_diagonal, [[j]], beta[None]),
            scale,
        )

    state = (tf.constant(0), norm > 0, basis, zeros, zeros, tf.zeros((), tf.float64))
    products, _, basis, diagonal, off_diagonal, _ = _loop(body, state, iterations)
    return Lanczos(basis, diagonal, off_diagonal, products)


def arnoldi(operator: LinearOperator, start: Any, iterations: int) -> Arnoldi:
    """Arnoldi's reduction of an operator that need not be symmetric, orthogonalized twice.

    Args:
        operator: of shape (n, n).
        start: the first direction (n,); of zeros, the result is all zeros.
        iterations: the most products to spend, m; above n, n are.

    Returns:
        An `Arnoldi`.

    Raises:
        ValueError: iterations below one, or a start that does not fit.

    Reference: Arnoldi, The Principle of Minimized Iterations in the Solution of the Matrix Eigenvalue
    Problem, 1951.
    """
    start = _vector(operator, start)
    return _traced(_arnoldi, operator, (start,), iterations=min(_counted(iterations), operator.shape[0]))


def _arnoldi(operator, start, iterations) -> Arnoldi:
    product = linear_product(operator, start)
    norm = _norm(start)
    basis = tf.pad(_normalized(start, norm)[None], [[0, iterations], [0, 0]])
    columns = tf.zeros((iterations, iterations + 1), tf.float64)

    def body(j, _, basis, columns):
        image = product(basis[j])
        remainder = _reorthogonalized(image, basis)
        beta = _norm(remainder)
        new = beta > _BREAKDOWN * rounding(start) * _norm(image)
        beta = tf.where(new, beta, tf.zeros_like(beta))
        inner = tf.cast(tf.linalg.matvec(basis, image - remainder), tf.float64)
        column = inner + beta * tf.one_hot(j + 1, iterations + 1, dtype=tf.float64)
        return (
            j + 1,
            new,
            tf.tensor_scatter_nd_update(basis, [[j + 1]], _normalized(remainder, beta)[None]),
            tf.tensor_scatter_nd_update(columns, [[j]], column[None]),
        )

    products, _, basis, columns = _loop(body, (tf.constant(0), norm > 0, basis, columns), iterations)
    return Arnoldi(basis, tf.transpose(columns), products)


def conjugate_gradients(
    operator: LinearOperator, right: Any, iterations: int | None = None, tolerance: float = 1e-6
) -> Solution:
    """Solves A x = b for a symmetric positive (semi-)definite operator, from x = 0.

    Stops at the tolerance, and where a direction has no positive curvature, as in the null space of a
    singular operator; `residual` tells which.

    Args:
        operator: A, of shape (n, n).
        right: b (n,).
        iterations: the most of them; None is n.
        tolerance: the relative residual to stop at, as the recurrence estimates it.

    Returns:
        A `Solution`.

    Raises:
        ValueError: iterations below one, a tolerance that is not positive, or a vector that does not fit.

    Reference: Hestenes and Stiefel, Methods of Conjugate Gradients for Solving Linear Systems, 1952.
    """
    return _solve(_conjugate_gradients, operator, right, iterations, tolerance)


def _conjugate_gradients(operator, right, iterations, tolerance) -> Solution:
    product = linear_product(operator, right)
    norm = _norm(right)

    def body(j, _, solution, remainder, direction, square):
        image = product(direction)
        curvature = _dot(direction, image)
        usable = curvature > 0
        step = tf.where(usable, tf.math.divide_no_nan(square, curvature), tf.zeros_like(square))
        solution = solution + _scaled(direction, step)
        remainder = remainder - _scaled(image, step)
        following = _dot(remainder, remainder)
        direction = remainder + _scaled(direction, tf.math.divide_no_nan(following, square))
        go_on = tf.logical_and(usable, tf.sqrt(following) > tolerance * norm)
        return j + 1, go_on, solution, remainder, direction, following

    state = (tf.constant(0), norm > 0, tf.zeros_like(right), right, right, tf.square(norm))
    count, _, solution, *_ = _loop(body, state, iterations)
    return _solution(product, right, solution, count)


def minres(
    operator: LinearOperator, right: Any, iterations: int | None = None, tolerance: float = 1e-6
) -> Solution:
    """Solves A x = b for a symmetric operator, indefinite or singular, by the smallest residual, from x = 0.

    Args:
        operator: A, of shape (n, n).
        right: b (n,); outside the range of a singular A, x is a least-squares solution.
        iterations: the most of them; None is n.
        tolerance: the relative residual to stop at, as the recurrence estimates it.

    Returns:
        A `Solution`.

    Raises:
        ValueError: iterations below one, a tolerance that is not positive, or a vector that does not fit.

    Reference: Paige and Saunders, Solution of Sparse Indefinite Systems of Linear Equations, 1975.
    """
    return _solve(_minres, operator, right, iterations, tolerance)


def _minres(operator, right, iterations, tolerance) -> Solution:
    product = linear_product(operator, right)
    norm = _norm(right)
    threshold = _BREAKDOWN * rounding(right)
    zero, one, zeros = tf.zeros((), tf.float64), tf.ones((), tf.float64), tf.zeros_like(right)

    def body(j, _, solution, previous, current, older, old, scalars):
        beta, eta, cosines, sines, scale = scalars
        image = product(current)
        alpha = _dot(current, image)
        scale = tf.maximum(scale, _norm(image))
        remainder = image - _scaled(current, alpha) - _scaled(previous, beta)
        following = _norm(remainder)
        following = tf.where(following > threshold * scale, following, zero)
        # The new column of T, turned by the two rotations before it, and the rotation that ends it.
        inner = cosines[1] * alpha - cosines[0] * sines[1] * beta
        above = sines[1] * alpha + cosines[0] * cosines[1] * beta
        top = sines[0] * beta
        pivot = tf.sqrt(tf.square(inner) + tf.square(following))
        usable = pivot > threshold * scale
        divisor = tf.where(usable, 1 / tf.where(usable, pivot, one), zero)
        cosine, sine = inner * divisor, following * divisor
        direction = _scaled(current - _scaled(older, top) - _scaled(old, above), divisor)
        solution = solution + _scaled(direction, cosine * eta)
        eta = tf.where(usable, -sine * eta, eta)
        go_on = usable & (following > 0) & (tf.abs(eta) > tolerance * norm)
        scalars = (following, eta, (cosines[1], cosine), (sines[1], sine), scale)
        return j + 1, go_on, solution, current, _normalized(remainder, following), old, direction, scalars

    scalars = (zero, norm, (one, one), (zero, zero), zero)
    first = _normalized(right, norm)
    state = (tf.constant(0), norm > 0, zeros, zeros, first, zeros, zeros, scalars)
    count, _, solution, *_ = _loop(body, state, iterations)
    return _solution(product, right, solution, count)


# What the three share.


def _solve(method, operator, right, iterations, tolerance) -> Solution:
    right = _vector(operator, right)
    if not tolerance > 0:
        raise ValueError(f"tolerance must be above zero; received {tolerance}.")
    count = operator.shape[0] if iterations is None else _counted(iterations)
    return _traced(method, operator, (right,), iterations=count, tolerance=float(tolerance))


def _solution(product: Product, right, solution, count) -> Solution:
    residual = tf.math.divide_no_nan(_norm(right - product(solution)), _norm(right))
    return Solution(solution, count, residual)


def _vector(operator, vector) -> tf.Tensor:
    vector = tf.convert_to_tensor(vector)
    kept = vector.dtype if vector.dtype.is_floating else tf.float32
    vector = tf.cast(vector, getattr(operator, "dtype", kept))
    size = operator.shape[0]
    if vector.shape != (size,):
        raise ValueError(
            f"An operator of shape {tuple(operator.shape)} needs a vector of shape ({size},); received one "
            f"of shape {tuple(vector.shape)}."
        )
    return vector


def _counted(iterations: int) -> int:
    if int(iterations) < 1:
        raise ValueError(f"iterations must be 1 or more; received {iterations}.")
    return int(iterations)


def linear_product(operator, like: tf.Tensor) -> Product:
    """The operator's product as TensorFlow operations, in the dtype of the vectors."""
    linearize = getattr(operator, "linearize", None)
    matvec = operator.matvec if linearize is None else linearize()

    def product(vector):
        try:
            image = tf.convert_to_tensor(matvec(vector))
        except NotImplementedError:  # NumPy, given a tensor without a value
            image = tf.numpy_function(
                lambda value: np.asarray(matvec(value), value.dtype), [vector], like.dtype
            )
        return tf.ensure_shape(tf.cast(image, like.dtype), like.shape)

    return product


def _traced(function, operator, tensors, **options):
    """Runs a function of an operator as one graph, traced once for those options and kept with the operator.

    An operator that cannot run within a graph says so by `in_graph` = False.
    """
    if tf.inside_function() or not getattr(operator, "in_graph", True):
        return function(operator, *tensors, **options)
    kept = getattr(operator, "__dict__", {}).setdefault("_krylov", {})
    key = (function.__name__, *sorted(options.items()))
    if key not in kept:
        kept[key] = tf.function(lambda *given: function(operator, *given, **options), autograph=False)
    try:
        return kept[key](*tensors)
    except tf.errors.InvalidArgumentError as error:
        explained = getattr(operator, "explained", lambda error: error)(error)
        raise explained from None if explained is not error else error


def _loop(body, state, iterations: int):
    """Repeats a body whose state begins with a counter and whether to go on."""
    if replica_count() > 1:
        # Replicas cannot meet within a graph's loop; what has ended goes on with zeros.
        for _ in range(iterations):
            state = body(*state)
        return state
    return tf.while_loop(
        lambda j, go_on, *_: tf.logical_and(j < iterations, go_on), body, state, parallel_iterations=1
    )


def rounding(vector: tf.Tensor) -> float:
    return float(np.finfo(vector.dtype.as_numpy_dtype).eps)


def _dot(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(a, tf.float64) * tf.cast(b, tf.float64))


def _norm(vector: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(_dot(vector, vector))


def _scaled(vector: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    return vector * tf.cast(factor, vector.dtype)


def _normalized(vector: tf.Tensor, norm: tf.Tensor) -> tf.Tensor:
    """vector / norm, zeros where the norm is zero; divided in float64, where 1 / norm cannot overflow."""
    return tf.cast(tf.math.divide_no_nan(tf.cast(vector, tf.float64), norm), vector.dtype)


def _orthogonalized(vector: tf.Tensor, basis: tf.Tensor) -> tf.Tensor:
    if basis.shape.num_elements() <= _WIDE:
        vector, basis, dtype = tf.cast(vector, tf.float64), tf.cast(basis, tf.float64), vector.dtype
    else:
        dtype = vector.dtype
    inner = tf.linalg.matvec(basis, vector)
    return tf.cast(vector - tf.linalg.matvec(basis, inner, transpose_a=True), dtype)


def _reorthogonalized(vector: tf.Tensor, basis: tf.Tensor) -> tf.Tensor:
    """Orthogonalized, and a second time where the first shortened it, and rounding errors weigh more.

    Reference: Daniel, Gragg, Kaufman and Stewart, Reorthogonalization and Stable Algorithms for Updating the
    Gram-Schmidt QR Factorization, 1976.
    """
    once = _orthogonalized(vector, basis)
    enough = _norm(once) > 0.7 * _norm(vector)
    return tf.cond(enough, lambda: once, lambda: _orthogonalized(once, basis))


def _random_direction(basis: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    vector = tf.random.stateless_normal(basis.shape[1:], seed, dtype=tf.float64)
    vector = _orthogonalized(_orthogonalized(tf.cast(vector, basis.dtype), basis), basis)
    return _normalized(vector, _norm(vector))
