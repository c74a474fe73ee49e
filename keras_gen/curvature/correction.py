"""The Hessian singularity correction: Newton's step with H + μ²H⁻¹ in place of H.

For a symmetric H with eigenvalues λ the corrected step has the spectral filter λ / (λ² + μ²): Newton's 1 / λ
where curvature is strong beside the damping μ, λ / μ² where it is weak, and 0 where there is none, with a
largest size of 1 / 2μ at |λ| = μ. It minimizes ‖H p − g‖² + μ²‖p‖², Tikhonov's regularization of Newton's
equation. Saddle-free, the filter is |λ| / (λ² + μ²), which leaves negative curvature in place of seeking it.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_gen.curvature import krylov


class Step(NamedTuple):
    """A corrected step by Lanczos, and what was learnt on the way."""

    step: tf.Tensor  #: (n,)
    before: tf.Tensor  #: (n,), a z with step = H z; the place to start from next time
    products: tf.Tensor  #: int32, Hessian-vector products spent
    residual: tf.Tensor  #: float64, ‖(H² + μ²) z − g‖ / ‖g‖; where saddle-free, sign(H) g in place of g
    smallest: tf.Tensor  #: float64, the smallest Ritz value: curvature seen along the gradient's directions
    largest: tf.Tensor  #: float64, the largest


def corrected_hessian(hessian: Any, damping: float = 1.0) -> Any:
    """H + μ²H⁻¹, whose eigenvalues λ + μ²/λ are never smaller than 2μ in size.

    Where H is singular its inverse is the pseudo-inverse: the null space of H stays one. The step by that
    matrix, too, is zero there, as is the limit of the filter.

    Args:
        hessian: a symmetric matrix (n, n), NumPy or tensor, or an operator with `dense`.
        damping: μ, above zero, in units of eigenvalues.

    Returns:
        The matrix (n, n): NumPy for a NumPy matrix, else a tensor.

    Raises:
        ValueError: a damping that is not positive, or a matrix that is not square or not symmetric.
        FloatingPointError: values that are NaN or infinite.
    """
    damping = _positive(damping)
    matrix = _matrix(hessian)
    values, vectors = np.linalg.eigh(matrix)
    inverse = np.where(_regular(values, hessian), 1 / np.where(values == 0, 1, values), 0)
    result = (vectors * (values + damping**2 * inverse)) @ vectors.T
    return _like(hessian, result)


def corrected_step(
    hessian: Any,
    gradient: Any,
    damping: float = 1.0,
    method: str = "dense",
    saddle_free: bool = False,
    iterations: int | None = None,
) -> Any:
    """The corrected Newton step (H + μ²H⁻¹)⁻¹ g = H (H² + μ²)⁻¹ g; to descend, subtract it.

    Args:
        hessian: a symmetric matrix (n, n), NumPy or tensor, or an operator such as `Hessian`.
        gradient: g (n,), or for a `Hessian` also a list shaped like its variables.
        damping: μ, above zero, in units of eigenvalues.
        method: "dense" by eigendecomposition, for up to a few thousand rows, or "krylov" by products alone.
        saddle_free: whether to take |H| in place of H in front.
        iterations: for "krylov", the most products to spend, two or more; None is n.

    Returns:
        The step, in the form of the gradient: a list for a list, NumPy for NumPy, else a tensor. It is zero
        along the null space of H, and for a gradient of zeros.

    Raises:
        ValueError: an unknown method, a damping that is not positive, or shapes that do not fit.
        FloatingPointError: values that are NaN or infinite.
    """
    damping = _positive(damping)
    if method not in ("dense", "krylov"):
        raise ValueError(f'method must be "dense" or "krylov"; received {method!r}.')
    operator: Any = hessian if hasattr(hessian, "matvec") else None
    flat = operator.flat(gradient) if hasattr(operator, "flat") else tf.convert_to_tensor(gradient)
    if not flat.dtype.is_floating:
        flat = tf.cast(flat, tf.float32)
    if not np.isfinite(flat).all():
        raise FloatingPointError("The gradient holds values that are NaN or infinite: there is no step.")
    if method == "dense":
        matrix = _matrix(hessian)
        if flat.shape != matrix.shape[:1]:
            raise ValueError(
                f"A Hessian of shape {matrix.shape} needs a gradient of shape ({len(matrix)},); received "
                f"shape {tuple(flat.shape)}."
            )
        values, vectors = np.linalg.eigh(matrix)
        values = np.where(_regular(values, hessian), values, 0)
        filtered = (np.abs(values) if saddle_free else values) / (values**2 + damping**2)
        step = tf.constant(vectors @ (filtered * (vectors.T @ np.asarray(flat, float))), flat.dtype)
    else:
        if operator is None:
            matrix = tf.constant(_matrix(hessian), flat.dtype)
            operator = _Product(functools.partial(tf.linalg.matvec, matrix), matrix.shape, flat.dtype)
        count = operator.shape[0] if iterations is None else iterations
        step = lanczos_step(operator, flat, damping, count, saddle_free).step
    if hasattr(operator, "like"):
        step = operator.like(step, gradient)
    return _like(gradient, step) if isinstance(gradient, np.ndarray) else step


def lanczos_step(
    operator: krylov.LinearOperator,
    gradient: tf.Tensor,
    damping: float,
    iterations: int,
    saddle_free: bool = False,
    start: tf.Tensor | None = None,
) -> Step:
    """The corrected step in the Krylov space of the gradient, by the Lanczos function of a matrix.

    With f(λ) = λ h(λ) the step is H z, z = h(T) g in the Lanczos basis: H z costs no further product, lies
    in the range of H whatever was left of g's part in its null space, and the last product makes the
    residual an exact one. H is never squared, nor its condition number.

    Args:
        operator: symmetric, of shape (n, n).
        gradient: g (n,).
        damping: μ.
        iterations: the most products of the Lanczos run, two or more; above n, n are.
        saddle_free: whether to take |H| in place of H in front.
        start: a guess (n,) for z, such as the last step's `before`. It costs two products, and only what it
            leaves over is solved for. For the saddle-free filter there is no such guess.

    Returns:
        A `Step`; graph operations throughout, so that it can be part of a train step.

    Raises:
        ValueError: iterations below two, or a start with saddle_free.

    Reference: Higham, Functions of Matrices, 2008, section 13.2.
    """
    if iterations < 2 and operator.shape[0] > 1:
        raise ValueError(f"iterations must be 2 or more; received {iterations}.")
    if start is not None and saddle_free:
        raise ValueError("A saddle-free step cannot start from a guess: leave start out.")
    right, dtype = gradient, gradient.dtype
    if start is not None:
        product = krylov.linear_product(operator, gradient)
        operator = _Product(product, operator.shape, dtype)  # the same linearization for all products
        image = product(start)
        right = gradient - product(image) - tf.cast(damping**2, dtype) * start
    run = krylov.lanczos(operator, right, iterations)
    size = run.diagonal.shape[0]
    t = krylov.tridiagonal(run.diagonal, run.off_diagonal)
    rest = run.off_diagonal[-1]
    # T with its last row below it: H times the basis, in the basis.
    tall = tf.concat([t, rest * tf.one_hot([size - 1], size, dtype=tf.float64)], 0)
    # Where the space is not invariant, the last direction serves for the residual alone.
    inner = tf.where(rest > 0, size - 1, size)
    mask = tf.cast(tf.range(size) < inner, tf.float64)
    values, vectors = tf.linalg.eigh(t * mask[:, None] * mask)
    length = tf.linalg.norm(tf.cast(right, tf.float64))
    first = vectors[0] * length
    inverse = 1 / (tf.square(values) + damping**2)
    scale = tf.reduce_max(tf.abs(values))
    regular = tf.abs(values) > scale * krylov.rounding(gradient)
    sign = tf.where(regular, tf.sign(values), tf.zeros_like(values))
    filtered = sign * inverse if saddle_free else inverse
    z = tf.linalg.matvec(vectors, filtered * first)
    moved = tf.linalg.matvec(tall, z)  # of size + 1, the last one zero but for an invariant space
    again = tf.linalg.matvec(tall, moved[:size]) + damping**2 * tf.pad(z, [[0, 1]])
    wanted = tf.linalg.matvec(vectors, (sign if saddle_free else 1.0) * first)
    basis = tf.cast(run.basis, dtype)
    step = tf.linalg.matvec(basis, tf.cast(moved, dtype), transpose_a=True)
    before = tf.linalg.matvec(basis[:-1], tf.cast(z, dtype), transpose_a=True)
    products = run.products
    if start is not None:
        step, before, products = step + image, before + start, products + 2
    left = tf.linalg.norm(again - tf.pad(wanted, [[0, 1]]))
    residual = tf.math.divide_no_nan(left, tf.linalg.norm(tf.cast(gradient, tf.float64)))
    seen, _ = tf.linalg.eigh(t)
    return Step(step, before, products, residual, seen[0], seen[-1])


class _Product:
    """A product as an operator."""

    def __init__(self, matvec: krylov.Product, shape: tuple[int, int], dtype: tf.DType):
        self.matvec, self.shape, self.dtype = matvec, shape, dtype


def _matrix(hessian: Any) -> np.ndarray:
    matrix = np.asarray(hessian.dense() if hasattr(hessian, "dense") else hessian, float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"A Hessian must be a square matrix (n, n); received shape {matrix.shape}.")
    if not np.isfinite(matrix).all():
        raise FloatingPointError("The Hessian holds values that are NaN or infinite: it has no spectrum.")
    if np.abs(matrix - matrix.T).max(initial=0) > 1e-3 * np.abs(matrix).max(initial=0):
        raise ValueError("A Hessian must be symmetric; the matrix received is not. Take (H + Hᵀ) / 2.")
    return (matrix + matrix.T) / 2


def _regular(values: np.ndarray, hessian: Any) -> np.ndarray:
    """Which eigenvalues are not zero but for rounding, in the precision that the matrix came in."""
    dtype = getattr(hessian, "dtype", np.float64)
    dtype = np.dtype(getattr(dtype, "as_numpy_dtype", dtype))
    rounding = np.finfo(dtype if dtype.kind == "f" else float).eps
    return np.abs(values) > len(values) * rounding * np.abs(values).max(initial=0)


def _like(given: Any, result: Any) -> Any:
    if isinstance(given, np.ndarray):
        return np.asarray(result, given.dtype if given.dtype.kind == "f" else float)
    dtype = getattr(given, "dtype", tf.float32)
    return tf.cast(result, dtype if tf.as_dtype(dtype).is_floating else tf.float32)


def _positive(damping: float) -> float:
    if not 0 < float(damping) < float("inf"):
        raise ValueError(f"damping must be a number above zero; received {damping}.")
    return float(damping)
