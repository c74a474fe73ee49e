"""The curvature of a generative model: each player's loss, and the game between two of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from keras_gen.curvature import krylov, spectrum
from keras_gen.curvature.operators import GameJacobian, Hessian
from keras_gen.random import RandomStream

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class PlayersCurvature:
    """What the losses of a model's players are like around its weights, on some batches of data.

    Batch statistics are those of the batches, as in training; random numbers are the same at each product,
    and at each call.

    Args:
        model: with `players`, `player_losses` and `rivals`, as those of `keras_gen.models`.
        batches: a few batches as the model is trained on: images, or (images, labels). Of a single one all
            products of a run share the passes that no vector enters.

    Raises:
        ValueError: no batches, or a model without `player_losses`.
    """

    def __init__(self, model: Any, batches: Sequence):
        self.model = model
        batches = list(batches)
        if not batches:
            raise ValueError("Curvature needs a batch of data at least; received none.")
        single = batches[0] if len(batches) == 1 else None
        data = None if single is not None else [(batch, _rows(batch, i)) for i, batch in enumerate(batches)]

        def losses(*given) -> dict[str, tf.Tensor]:
            batch, number = (single, 0) if single is not None else (given[0][0], given[0][1][0])
            with RandomStream(model.seed, -1 - tf.cast(number, tf.int64)).scope() as stream:
                try:
                    return model.player_losses(batch, stream)
                except NotImplementedError as error:
                    raise ValueError(
                        f"There is no curvature of a {type(model).__name__}: {error}."
                    ) from error

        def loss_of(player: str) -> Callable:
            return lambda *batch: losses(*batch)[player]

        weights = {name: network.trainable_variables for name, network in model.players.items()}
        #: each player's Hessian, by its name
        self.hessians = {name: Hessian(loss_of(name), weights[name], data) for name in weights}
        #: the Jacobian of the game between the model's rivals; None where there are none
        self.game: GameJacobian | None = None
        if rivals := getattr(model, "rivals", None):
            first, second = rivals

            def both(*batch):
                values = losses(*batch)
                return values[first], values[second]

            self.game = GameJacobian(both, weights[first], weights[second], data)

    def measure(
        self,
        *,
        probes: int = 2,
        iterations: int = 24,
        top: int = 5,
        damping: float | None = None,
        seed: int = 0,
        say: Callable[[str], None] = lambda message: None,
    ) -> dict[str, Any]:
        """Everything at the weights as they are.

        Args:
            probes, iterations: of the density, by stochastic Lanczos quadrature; the game's Jacobian is
                reduced by as many iterations as both make together.
            top: how many eigenvalues of largest magnitude.
            damping: μ of the correction's filter; None takes that of the player's own correction, or 1.
            seed: an integer, for the random vectors.
            say: is told what is being done, a line at a time.

        Returns:
            What JSON takes. For each of `players`: parameters; gradient_norm; top_eigenvalues, with their
            residuals, found to a hundredth of the largest; trace and its standard_error; smallest and
            largest, of all eigenvalues seen; negative_share, of eigenvalues below zero by more than a
            thousandth of the largest size, and null_share, of those within it; density, where (eigenvalues)
            and how much; damping and filter, λ / (λ² + μ²) there; products. For `game`, or None: players;
            eigenvalues, pairs of real and imaginary part, approximate, the outermost best; rotation, the
            largest |imaginary part| / |λ| among those at least a tenth as large as the largest; products.

        Raises:
            ValueError: fewer than one probe, iteration or eigenvalue.
            FloatingPointError: a loss that is NaN or infinite.
        """
        if min(probes, iterations, top) < 1:
            raise ValueError(
                f"probes, iterations and top must be 1 or more; received {probes}, {iterations} and {top}."
            )
        players = {}
        for name, hessian in self.hessians.items():
            say(f"{name}: {hessian.shape[0]:,} weights")
            mu = damping
            if mu is None:
                mu = getattr(getattr(self.model, f"{name}_correction", None), "damping", 1.0)
            players[name] = _spectrum(hessian, probes, iterations, top, float(mu), seed)
        game = None
        if self.game is not None:
            say(f"the game between {' and '.join(self.model.rivals)}: {self.game.shape[0]:,} weights")
            game = {"players": list(self.model.rivals), **_rotation(self.game, probes * iterations, seed)}
        return {"players": players, "game": game}


def _rows(batch: Any, number: int) -> tf.Tensor:
    """The batch's number, once for each example, since data are examples."""
    return tf.fill([tf.shape(tf.nest.flatten(batch)[0])[0]], number)


def _spectrum(hessian: Hessian, probes, iterations, top, damping, seed) -> dict[str, Any]:
    pairs = spectrum.eigenpairs(hessian, min(top, hessian.shape[0]), tolerance=0.01, seed=seed)
    trace = spectrum.hutchinson(hessian, 8, seed)
    density = spectrum.density(hessian, probes, iterations, seed=seed)
    seen = np.concatenate([density.nodes, pairs.values])
    threshold = 1e-3 * np.abs(seen).max()
    grid = density.eigenvalues
    return {
        "parameters": hessian.shape[0],
        "gradient_norm": float(tf.norm(hessian.gradient())),
        "top_eigenvalues": pairs.values.tolist(),
        "residuals": pairs.residuals.tolist(),
        "trace": trace.value,
        "standard_error": trace.standard_error,
        "smallest": float(seen.min()),
        "largest": float(seen.max()),
        "negative_share": float(density.weights[density.nodes < -threshold].sum()),
        "null_share": float(density.weights[np.abs(density.nodes) <= threshold].sum()),
        "eigenvalues": grid.tolist(),
        "density": density.density.tolist(),
        "damping": damping,
        "filter": (grid / (grid**2 + damping**2)).tolist(),
        "products": pairs.products + trace.products + density.products,
    }


def _rotation(jacobian: GameJacobian, iterations: int, seed: int) -> dict[str, Any]:
    start = np.random.default_rng(seed).standard_normal(jacobian.shape[0])
    run = krylov.arnoldi(jacobian, start, iterations)
    count = int(run.products)
    values = np.linalg.eigvals(np.asarray(run.hessenberg)[:count, :count])
    values = values[np.argsort(-np.abs(values), kind="stable")]
    outer = values[np.abs(values) >= 0.1 * np.abs(values[0])]
    share = np.abs(outer.imag) / np.maximum(np.abs(outer), 1e-30)
    return {
        "eigenvalues": [[float(value.real), float(value.imag)] for value in values],
        "rotation": float(share.max()),
        "products": count,
    }


def draw(measured: dict[str, Any]) -> Figure:
    """A figure of what `PlayersCurvature.measure` gave, for `savefig`.

    For each player: the density (logarithmic), the largest eigenvalues as ticks, and the filter; and the
    game's eigenvalues in the complex plane.
    """
    # The figure by itself, without pyplot: no display, and the caller's figures stay as they are.
    from matplotlib.figure import Figure

    players, game = measured["players"], measured["game"]
    panels = len(players) + (game is not None)
    figure = Figure(figsize=(5 * panels, 4), layout="constrained")
    subplots = figure.subplots(1, panels, squeeze=False)[0]
    for axes, (name, found) in zip(subplots, players.items(), strict=False):
        grid, density = np.array(found["eigenvalues"]), np.array(found["density"])
        axes.semilogy(grid, np.maximum(density, 1e-6 * density.max()), label="density")
        axes.plot(found["top_eigenvalues"], [1e-6 * density.max()] * len(found["top_eigenvalues"]), "k|")
        axes.set(
            title=f"{name}: trace {found['trace']:.3g} ± {found['standard_error']:.2g}, "
            f"largest {found['top_eigenvalues'][0]:.3g}",
            xlabel="eigenvalue λ",
            ylabel="density",
        )
        axes.title.set_fontsize("medium")
        mu, beside = found["damping"], axes.twinx()
        fine = np.union1d(np.linspace(grid[0], grid[-1], 400), mu * np.linspace(-8, 8, 161))
        fine = fine[(fine >= grid[0]) & (fine <= grid[-1])]
        beside.plot(fine, fine / (fine**2 + mu**2), color="C1", linewidth=1)
        beside.set_ylabel(f"filter λ / (λ² + {mu:g}²)", color="C1")
    if game is not None:
        values = np.array(game["eigenvalues"])
        axes = subplots[-1]
        axes.scatter(values[:, 0], values[:, 1], s=10)
        axes.axhline(0, color="0.7", linewidth=0.8)
        axes.axvline(0, color="0.7", linewidth=0.8)
        axes.set(title=f"game, rotation {game['rotation']:.2f}", xlabel="real part", ylabel="imaginary part")
        axes.title.set_fontsize("medium")
    return figure


def png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG, 120 dots an inch."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()
