"""What a symmetric operator's spectrum is like, from products alone: eigenpairs, trace, norm, density.

All take any operator with `matvec` and `shape`, and use `matmat` where it has one. Random vectors are drawn
from a seed; estimates carry the standard error of their mean over those vectors.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from keras_gen.curvature import krylov
from keras_gen.curvature.krylov import LinearOperator

#: Up to this many rows, all eigenvalues and the trace are computed from the whole matrix.
EXACT = 1024
_TOGETHER = 8  # products in one call of matmat


class Eigenpairs(NamedTuple):
    """Eigenvalues of largest magnitude, that first."""

    values: np.ndarray  #: float64 (k,)
    vectors: np.ndarray  #: (n, k), of unit length, columns
    residuals: np.ndarray  #: (k,), ‖H v − λ v‖, of these very pairs
    products: int


class Estimate(NamedTuple):
    """A mean over random vectors."""

    value: float
    standard_error: float
    products: int


class Density(NamedTuple):
    """A spectral density: what share of the eigenvalues lies where."""

    eigenvalues: np.ndarray  #: (points,), where the density is given, ascending
    density: np.ndarray  #: (points,), its integral is 1
    nodes: np.ndarray  #: (probes × iterations,), the quadrature's nodes,
    weights: np.ndarray  #: and their weights, which sum to 1
    products: int


class Conditioning(NamedTuple):
    """How close to singular an operator is, as far as Lanczos sees."""

    largest: float  #: the largest |λ|
    smallest: float  #: the smallest |λ| seen; the true one may be smaller
    condition: float  #: their ratio, infinite for a singular operator: a lower bound
    null_share: float  #: estimated share of eigenvalues with |λ| ≤ threshold · largest
    null_dimension: float  #: the same as a number of dimensions
    products: int


def eigenpairs(operator: LinearOperator, k: int, tolerance: float = 1e-5, seed: int = 0) -> Eigenpairs:
    """The k eigenpairs of largest magnitude, by Lanczos runs of growing length, or densely where n is small.

    Args:
        operator: symmetric, of shape (n, n).
        k: how many, up to n.
        tolerance: the largest residual of a pair, relative to the largest |λ|, that ends the runs.
        seed: an integer, for the first vector.

    Returns:
        `Eigenpairs`. Among repeated eigenvalues of large operators some copies may be missing.

    Raises:
        ValueError: k below one or above n.

    Reference: Golub and Van Loan, Matrix Computations, 2013, chapter 10.
    """
    size = operator.shape[0]
    if not 1 <= k <= size:
        raise ValueError(f"k must be from 1 to {size}, the operator's size; received {k}.")
    if size <= EXACT:
        matrix = np.asarray(_products(operator, np.eye(size, dtype=_dtype(operator))), float)
        values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
        order = np.argsort(-np.abs(values), kind="stable")[:k]
        values, vectors = values[order], vectors[:, order]
        residuals = np.linalg.norm(matrix @ vectors - vectors * values, axis=0)
        return Eigenpairs(values, vectors, residuals, size)
    spent, iterations = 0, min(size, max(2 * k + 1, 32))
    start = np.random.default_rng(seed).standard_normal(size).astype(_dtype(operator))
    while True:
        run = krylov.lanczos(operator, start, iterations, restart=True, seed=seed)
        spent += int(run.products)
        values, vectors = np.linalg.eigh(krylov.tridiagonal(run.diagonal, run.off_diagonal))
        residuals = np.abs(float(run.off_diagonal[-1]) * vectors[-1])
        order = np.argsort(-np.abs(values), kind="stable")[:k]
        scale = np.abs(values).max()
        if iterations == size or residuals[order].max() <= tolerance * scale:
            break
        iterations = min(size, 2 * iterations)
    basis = np.asarray(run.basis[:-1])
    ritz = (basis.T @ vectors[:, order].astype(basis.dtype)).astype(basis.dtype)
    ritz /= np.linalg.norm(ritz, axis=0)
    errors = np.linalg.norm(np.asarray(_products(operator, ritz), float) - ritz * values[order], axis=0)
    return Eigenpairs(values[order], ritz, errors, spent + k)


def hutchinson(operator: LinearOperator, samples: int = 32, seed: int = 0) -> Estimate:
    """The trace as the mean of zᵀHz over random signs z.

    Args:
        operator: of shape (n, n).
        samples: how many vectors, one product each; two or more.
        seed: an integer.

    Returns:
        An `Estimate`.

    Raises:
        ValueError: fewer than two samples.

    Reference: Hutchinson, A Stochastic Estimator of the Trace of the Influence Matrix, 1990.
    """
    signs = _signs(operator, _enough(samples, 2), seed)
    forms = np.einsum("ij,ij->j", signs, _products(operator, signs), dtype=float)
    return Estimate(float(forms.mean()), _standard_error(forms), samples)


def hutch_plus_plus(operator: LinearOperator, samples: int = 96, seed: int = 0) -> Estimate:
    """The trace: exact in the range that a third of the products finds, Hutchinson's estimate beside it.

    Its error falls as 1 / samples where Hutchinson's falls as 1 / √samples.

    Args:
        operator: symmetric, of shape (n, n).
        samples: how many products to spend; six or more. From 3 n on, the trace is exact.
        seed: an integer.

    Returns:
        An `Estimate`; the standard error is that of the estimated part.

    Raises:
        ValueError: fewer than six samples.

    Reference: Hutch++: Optimal Stochastic Trace Estimation, 2020, arXiv:2010.09649.
    """
    size, third = operator.shape[0], _enough(samples, 6) // 3
    sketch = np.asarray(_products(operator, _signs(operator, min(third, size), seed)))
    basis, _ = np.linalg.qr(sketch)
    exact = np.einsum("ij,ij->", basis, _products(operator, basis), dtype=float)
    spent = 2 * basis.shape[1]
    if basis.shape[1] == size:
        return Estimate(float(exact), 0.0, spent)
    rest = _signs(operator, samples - spent, seed + 1)
    rest = rest - basis @ (basis.T @ rest)
    forms = np.einsum("ij,ij->j", rest, _products(operator, rest), dtype=float)
    return Estimate(float(exact + forms.mean()), _standard_error(forms), samples)


def frobenius_norm(operator: LinearOperator, samples: int = 32, seed: int = 0) -> Estimate:
    """‖H‖_F, the root of the mean of ‖H z‖² over random signs z.

    Args:
        operator: of shape (n, n).
        samples: how many vectors, one product each; two or more.
        seed: an integer.

    Returns:
        An `Estimate`; the standard error is carried over through the root.

    Raises:
        ValueError: fewer than two samples.
    """
    images = _products(operator, _signs(operator, _enough(samples, 2), seed))
    squares = np.sum(np.square(images, dtype=float), axis=0)
    norm = float(np.sqrt(squares.mean()))
    return Estimate(norm, _standard_error(squares) / (2 * norm) if norm else 0.0, samples)


def density(
    operator: LinearOperator,
    probes: int = 4,
    iterations: int = 64,
    points: int = 512,
    width: float | None = None,
    seed: int = 0,
) -> Density:
    """The density of the eigenvalues by stochastic Lanczos quadrature.

    Each probe's Lanczos run gives nodes and weights of a Gaussian quadrature of the spectrum; a Gaussian
    around each node makes a curve of them.

    Args:
        operator: symmetric, of shape (n, n).
        probes: random vectors.
        iterations: products for each.
        points: of the curve.
        width: the Gaussians' standard deviation, in units of eigenvalues; None is a hundredth of the range.
        seed: an integer.

    Returns:
        A `Density`.

    Raises:
        ValueError: probes, iterations, points or width below their least.

    Reference: Approximating Spectral Densities of Large Matrices, 2013, arXiv:1308.5467; of networks: An
    Investigation into Neural Net Optimization via Hessian Eigenvalue Density, 2019, arXiv:1901.10159.
    """
    nodes, weights, spent = _quadrature(operator, _enough(probes, 1), _enough(iterations, 1), seed)
    low, high = nodes.min(), nodes.max()
    extent = max(high - low, 1e-3 * max(abs(low), abs(high)), 1e-12)
    width = extent / 100 if width is None else float(width)
    if not width > 0 or points < 2:
        raise ValueError(
            f"width must be above zero and points 2 or more; received width={width}, points={points}."
        )
    grid = np.linspace(low - 5 * width, high + 5 * width, points)
    curve = np.exp(-0.5 * np.square((grid[:, None] - nodes) / width)) @ weights / (width * np.sqrt(2 * np.pi))
    return Density(grid, curve, nodes, weights, spent)


def conditioning(
    operator: LinearOperator, threshold: float = 1e-4, probes: int = 4, iterations: int = 64, seed: int = 0
) -> Conditioning:
    """Estimates the condition number and the near-null space.

    Args:
        operator: symmetric, of shape (n, n).
        threshold: how small, relative to the largest |λ|, counts as null.
        probes, iterations, seed: as for `density`.

    Returns:
        A `Conditioning`.

    Raises:
        ValueError: probes or iterations below one.
    """
    nodes, weights, spent = _quadrature(operator, _enough(probes, 1), _enough(iterations, 1), seed)
    sizes = np.abs(nodes)
    largest, smallest = float(sizes.max()), float(sizes.min())
    share = float(weights[sizes <= threshold * largest].sum())
    singular = smallest <= np.finfo(_dtype(operator)).eps * largest
    condition = float("inf") if singular else largest / smallest
    return Conditioning(largest, smallest, condition, share, share * operator.shape[0], spent)


def _quadrature(operator, probes, iterations, seed) -> tuple[np.ndarray, np.ndarray, int]:
    nodes, weights, spent = [], [], 0
    for probe in _signs(operator, probes, seed).T:
        run = krylov.lanczos(operator, probe, iterations)
        count = int(run.products)
        t = krylov.tridiagonal(run.diagonal[:count], run.off_diagonal[:count])
        values, vectors = np.linalg.eigh(t)
        nodes.append(values)
        weights.append(np.square(vectors[0]) / probes)
        spent += count
    return np.concatenate(nodes), np.concatenate(weights), spent


def _products(operator, matrix: np.ndarray) -> np.ndarray:
    """The products with a matrix's columns, a few at a time."""
    parts = [matrix[:, i : i + _TOGETHER] for i in range(0, matrix.shape[1], _TOGETHER)]
    if hasattr(operator, "matmat"):
        return np.concatenate([np.asarray(operator.matmat(part)) for part in parts], axis=1)
    return np.stack([np.asarray(operator.matvec(column)) for column in matrix.T], axis=1)


def _dtype(operator) -> Any:
    dtype = getattr(operator, "dtype", np.float32)
    return np.dtype(getattr(dtype, "as_numpy_dtype", dtype))


def _signs(operator, count: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed).integers(0, 2, (operator.shape[0], count))
    return (2 * random - 1).astype(_dtype(operator))


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def _enough(count: int, least: int) -> int:
    if count < least:
        raise ValueError(
            f"At least {least} random vectors, products or iterations are needed; received {count}."
        )
    return int(count)
