"""Does the Hessian singularity correction help? Its settings against Adam, L-BFGS and a plain gradient step.

(a) an ill-conditioned and a singular quadratic, (b) Rosenbrock's function and a saddle, (c) a Dirac-GAN and a
ring of eight Gaussians, (d) a digit fitted by a small network, and a picture optimized for content
and style, (e) WGAN-GP on digits. The contenders:

* Adam, of several rates;
* the correction, its step taken as it is, and its step handed to Adam;
* the same, saddle-free;
* the exact corrected step, from the dense Hessian, where there are few weights;
* L-BFGS of SciPy, where the loss is deterministic;
* the tutorial's recipe: H + H⁻¹ is computed, and then a plain gradient step is taken, as its code does.

In (a), (b), (d) and the Dirac-GAN every setting of a contender runs until the target or for `--budget`
seconds, tracing left out, and the best setting counts; the ring and (e) train for equal wall-clock.

    pip install -e .
    python benchmarks/correction.py --out FOLDER

prints one JSON line a run and a table of Markdown, and draws correction.png into the folder.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras_gen as kg
from keras_gen.curvature import Hessian, SingularityCorrection, corrected_hessian, corrected_step
from keras_gen.networks.vgg import vgg
from keras_gen.style.objective import Objective
from keras_gen.style.pictures import resized

import keras
import numpy as np
import tensorflow as tf

RATES = (0.001, 0.01, 0.1, 1.0)
#: damping and trust radius of the correction
SETTINGS = ((1.0, None), (0.1, None), (0.01, None), (0.1, 0.5), (0.01, 0.5))


class Problem(NamedTuple):
    """A deterministic problem; a game where there are two losses, each of its own variable."""

    name: str
    losses: Callable[[], list[tf.Tensor]]
    variables: list[keras.Variable]
    start: list[np.ndarray]
    target: float
    measured: Callable[[], tf.Tensor]


def quadratic(name: str, eigenvalues: np.ndarray) -> Problem:
    """½ xᵀHx with H of those eigenvalues in a random basis; the target is a millionth of the first loss."""
    random = np.random.default_rng(0)
    basis, _ = np.linalg.qr(random.standard_normal((len(eigenvalues),) * 2))
    matrix = tf.constant((basis * eigenvalues) @ basis.T, tf.float32)
    start = random.standard_normal(len(eigenvalues)).astype("float32")
    x = keras.Variable(start)

    def loss():
        return 0.5 * tf.tensordot(x.value, tf.linalg.matvec(matrix, x.value), 1)

    return Problem(name, lambda: [loss()], [x], [start], 1e-6 * float(loss()), loss)


def rosenbrock() -> Problem:
    """In ten dimensions, from (−1.2, 1, −1.2, …)."""
    start = np.tile(np.float32([-1.2, 1.0]), 5)
    x = keras.Variable(start)

    def loss():
        a, b = x.value[:-1], x.value[1:]
        return tf.reduce_sum(100 * (b - a**2) ** 2 + (1 - a) ** 2)

    return Problem("(b) Rosenbrock, n = 10", lambda: [loss()], [x], [start], 1e-4, loss)


def saddle() -> Problem:
    """½x² − ½y² + ¼y⁴ from beside the saddle at zero; the minima are −¼, at y = ±1."""
    start = np.float32([1.0, 1e-3])
    x = keras.Variable(start)

    def loss():
        a, b = tf.unstack(x.value)
        return a**2 / 2 - b**2 / 2 + b**4 / 4

    return Problem("(b) saddle", lambda: [loss()], [x], [start], -0.2499, loss)


def dirac() -> Problem:
    """The Dirac-GAN of non-saturating losses; the measure is the distance from its equilibrium."""
    start = [np.float32([1.0]), np.float32([1.0])]
    theta, psi = (keras.Variable(value) for value in start)

    def losses():
        score = tf.reduce_sum(theta.value * psi.value)
        return [tf.nn.softplus(-score), tf.nn.softplus(score)]

    def distance():
        return tf.sqrt(tf.reduce_sum(theta.value**2 + psi.value**2))

    return Problem("(c) Dirac-GAN", losses, [theta, psi], start, 0.1, distance)


def fitted_digit() -> Problem:
    """A 28×28 digit as a function of the place: a network of 2, 24, 24 and 1 units, by the squared error."""
    digit = tf.constant(next(iter(kg.data.load("digits", shuffle=False, batch_size=1)))[0, ..., 0])
    line = np.linspace(-1, 1, 28)
    places = tf.constant(np.stack(np.meshgrid(line, line), -1).reshape(-1, 2), tf.float32)
    shapes = [(2, 24), (24,), (24, 24), (24,), (24, 1), (1,)]
    random = np.random.default_rng(0)
    parts = [random.standard_normal(s) * (2.0 / math.sqrt(s[0]) if len(s) > 1 else 1.0) for s in shapes]
    start = np.concatenate([part.ravel() for part in parts]).astype("float32")
    x = keras.Variable(start)

    def loss():
        pieces = tf.split(x.value, [math.prod(shape) for shape in shapes])
        w1, b1, w2, b2, w3, b3 = (tf.reshape(p, s) for p, s in zip(pieces, shapes, strict=True))
        hidden = tf.tanh(tf.tanh(places @ w1 + b1) @ w2 + b2)
        return tf.reduce_mean((tf.reshape(hidden @ w3 + b3, (28, 28)) - digit) ** 2)

    return Problem("(d) a digit fitted by a network, n = 697", lambda: [loss()], [x], [start], 0.02, loss)


def styled_picture() -> Problem:
    """64×64 pixels in three colours of a digit, in the style of sixteen coloured ones: Gatys's optimization.

    Features are of VGG-16 with random weights to its third block. The loss is multiplied by the pixels, so
    that curvature is of the size of one; the target is a twentieth of the first loss.
    """
    keras.utils.set_random_seed(0)
    digits = next(iter(kg.data.load("digits", shuffle=False, batch_size=17))).numpy()
    tint = np.float32([0.9, 0.5, -0.7])
    content = resized(np.repeat(digits[0], 3, -1), (64, 64))
    sheet = digits[1:].reshape(4, 4, 28, 28).swapaxes(1, 2).reshape(112, 112, 1)
    layers = {"relu1_1": 1.0, "relu2_1": 1.0, "relu3_1": 1.0}
    network = vgg("vgg16", tuple(layers), backbone="random", pooling="average", dtype="float32")
    objective = Objective(network, {"relu3_1": 1.0}, layers, 0.02, 1.0, 0.0)
    targets = objective.targets(content, [resized(sheet * tint, (64, 64))], [1.0])
    x = keras.Variable(content[None])

    def loss():
        return 64.0 * 64.0 * objective(x.value, targets)["loss"]

    name = "(d) a picture in a style, n = 12,288"
    return Problem(name, lambda: [loss()], [x], [content[None]], 0.05 * float(loss()), loss)


def run(problem: Problem, method: str, rate: float, setting, budget: float) -> dict[str, Any]:
    """Steps until the target or for so many seconds; how many, and the curve of the measure."""
    for variable, value in zip(problem.variables, problem.start, strict=True):
        variable.assign(value)
    corrections: list[SingularityCorrection | None] = [None] * len(problem.variables)
    if setting is not None:
        damping, radius = setting
        options = {"damping": damping, "trust_radius": radius, "saddle_free": "saddle-free" in method}
        corrections = [SingularityCorrection(**options) for _ in problem.variables]
    rule = keras.optimizers.Adam if "Adam" in method else keras.optimizers.SGD
    optimizers = [rule(rate) for _ in problem.variables]
    for variable, optimizer, correction in zip(problem.variables, optimizers, corrections, strict=True):
        optimizer.build([variable])
        if correction is not None:
            correction.prepare([variable])

    def loss_of(i):
        return lambda: problem.losses()[i]

    @tf.function(autograph=False)
    def step():
        values = [variable.value for variable in problem.variables]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(values)
            losses = problem.losses()
        products = tf.constant(0.0)
        steps = []
        for i, (variable, correction) in enumerate(zip(problem.variables, corrections, strict=True)):
            gradient = tape.gradient(losses[i], values[i])
            if correction is not None:
                (gradient,), logs, _ = correction.correct([gradient], [variable], loss_of(i))
                correction.keep()
                products += logs["products"]
            steps.append(gradient)
        with tf.control_dependencies(steps):
            for gradient, variable, optimizer in zip(steps, problem.variables, optimizers, strict=True):
                optimizer.apply([gradient], [variable])
        return products

    measure = tf.function(problem.measured, autograph=False)
    step.get_concrete_function()
    hessians = [Hessian(loss_of(i), [variable]) for i, variable in enumerate(problem.variables)]
    recipe = method == "tutorial's recipe"
    if recipe:
        for hessian in hessians:
            hessian.dense()
    curve, products, reached, begun = [(0.0, float(measure()))], 0.0, False, time.perf_counter()
    while not reached and time.perf_counter() - begun < budget and math.isfinite(curve[-1][1]):
        try:
            for hessian in hessians if recipe else ():
                corrected_hessian(hessian, 1.0)  # and not used
                products += hessian.shape[0]
        except FloatingPointError:  # it has diverged
            curve.append((time.perf_counter() - begun, math.nan))
            break
        products += float(step())
        curve.append((time.perf_counter() - begun, float(measure())))
        reached = curve[-1][1] <= problem.target
    return _line(problem, method, rate, setting, curve, products, reached)


def run_exact(problem: Problem, method: str, setting, budget: float) -> dict[str, Any]:
    """The corrected step of the whole Hessian, by its eigenvectors, taken as it is."""
    (x,), (damping, radius) = problem.variables, setting
    x.assign(problem.start[0])
    hessian = Hessian(lambda: problem.losses()[0], [x])
    measure = tf.function(problem.measured, autograph=False)
    hessian.dense()
    hessian.gradient()
    curve, products, begun = [(0.0, float(measure()))], 0, time.perf_counter()
    while (
        curve[-1][1] > problem.target and time.perf_counter() - begun < budget and math.isfinite(curve[-1][1])
    ):
        try:
            gradient = hessian.gradient()
            step = corrected_step(hessian, gradient, damping, "dense", saddle_free="saddle-free" in method)
        except FloatingPointError:  # it has diverged
            curve.append((time.perf_counter() - begun, math.nan))
            break
        products += hessian.shape[0]
        if radius is not None:
            step = step * min(1.0, radius / max(float(tf.norm(step)), 1e-30))
        x.assign_sub(step)
        curve.append((time.perf_counter() - begun, float(measure())))
    reached = curve[-1][1] <= problem.target
    return _line(problem, method, None, setting, curve, products, reached)


def run_lbfgs(problem: Problem, budget: float) -> dict[str, Any]:
    """SciPy's L-BFGS; its steps are evaluations of loss and gradient."""
    from scipy.optimize import minimize

    (x,) = problem.variables
    x.assign(problem.start[0])

    @tf.function(autograph=False)
    def evaluate():
        with tf.GradientTape() as tape:
            tape.watch(x.value)
            loss = problem.measured()
        return loss, tape.gradient(loss, x.value)

    evaluate.get_concrete_function()
    curve, begun = [(0.0, float(problem.measured()))], time.perf_counter()

    class Reached(Exception):
        pass

    def function(value):
        x.assign(value.astype("float32").reshape(x.shape))
        loss, gradient = evaluate()
        curve.append((time.perf_counter() - begun, float(loss)))
        if curve[-1][1] <= problem.target or curve[-1][0] > budget:
            raise Reached
        return float(loss), np.asarray(gradient, float).ravel()

    try:
        options = {"maxiter": 10**6, "maxfun": 10**6, "ftol": 0, "gtol": 0}
        minimize(
            function, problem.start[0].astype(float).ravel(), jac=True, method="L-BFGS-B", options=options
        )
    except Reached:
        pass
    reached = curve[-1][1] <= problem.target
    return _line(problem, "L-BFGS", None, None, curve, 0.0, reached)


def _line(problem, method, rate, setting, curve, products, reached) -> dict[str, Any]:
    last = curve[-1][1]
    return {
        "problem": problem.name,
        "method": method,
        "rate": rate,
        **dict(zip(("damping", "trust_radius"), setting or (None, None), strict=True)),
        "reached": reached,
        "steps": len(curve) - 1,
        "products": round(products),
        "seconds": round(curve[-1][0], 3),
        "value": last if math.isfinite(last) else None,
        "curve": curve[:: max(1, len(curve) // 200)],
    }


def contenders(problem: Problem, budget: float, report: Callable) -> None:
    """Every setting of every contender on a problem."""
    for rate in RATES:
        report(run(problem, "Adam", rate, None, budget))
    for method in ("correction", "saddle-free correction"):
        for setting in SETTINGS:
            report(run(problem, method, 1.0, setting, budget))
    for rate in RATES[1:3]:
        report(run(problem, "correction, then Adam", rate, (0.1, None), budget))
    few = sum(value.size for value in problem.start) <= 1000  # for a dense Hessian
    for rate in RATES if few else ():
        report(run(problem, "tutorial's recipe", rate, None, budget))
    if len(problem.variables) == 1:
        for method in ("exact correction", "saddle-free exact correction"):
            for setting in SETTINGS if few else ():
                report(run_exact(problem, method, setting, budget))
        report(run_lbfgs(problem, budget))


# Equal wall-clock.


class _Clock(keras.callbacks.Callback):
    """Ends training after so many seconds, of which the first step, with its tracing, is none."""

    def __init__(self, seconds: float):
        super().__init__()
        self.seconds, self.steps, self.spent = seconds, 0, 0.0
        self._begun: float | None = None

    def on_train_batch_end(self, batch, logs=None):
        if self._begun is None:
            self._begun = time.perf_counter()
            return
        self.steps += 1
        self.spent = time.perf_counter() - self._begun
        if self.spent >= self.seconds:
            self.model.stop_training = True


def ring_data() -> tf.data.Dataset:
    """Eight Gaussians of deviation 0.02 on a circle of radius 0.8, as images of a pixel and two channels."""
    random = np.random.default_rng(0)
    angles = 2 * np.pi * random.integers(0, 8, 8192) / 8
    points = 0.8 * np.stack([np.cos(angles), np.sin(angles)], -1) + 0.02 * random.standard_normal((8192, 2))
    return (
        tf.data.Dataset.from_tensor_slices(points.astype("float32").reshape(-1, 1, 1, 2)).repeat().batch(128)
    )


def ring_model() -> kg.GAN:
    """A GAN of two hidden layers of 32 units for points of the plane."""
    layers = kg.layers
    hidden = [layers.Dense(32, activation="tanh") for _ in range(4)]
    generator = [
        keras.Input((4,)),
        *hidden[:2],
        layers.Dense(2, activation="tanh"),
        layers.Reshape((1, 1, 2)),
    ]
    discriminator = [keras.Input((1, 1, 2)), layers.Flatten(), *hidden[2:], layers.Dense(1)]
    return kg.GAN(keras.Sequential(generator), keras.Sequential(discriminator), latent_dim=4, seed=0)


def ring_quality(model: kg.GAN) -> dict[str, float]:
    """Modes with at least a hundredth of the samples, and the mean distance from the closest mode."""
    points = model.sample(2000, seed=0).reshape(-1, 2)
    angles = 2 * np.pi * np.arange(8) / 8
    modes = 0.8 * np.stack([np.cos(angles), np.sin(angles)], -1)
    distances = np.linalg.norm(points[:, None] - modes, axis=-1)
    near = np.bincount(distances.argmin(1)[distances.min(1) < 0.1], minlength=8)
    return {"modes": int((near >= 20).sum()), "value": float(distances.min(1).mean())}


def digits_model() -> kg.WGANGP:
    """WGAN-GP of small dense networks."""
    layers = kg.layers
    generator = [
        keras.Input((16,)),
        layers.Dense(64, activation="tanh"),
        layers.Dense(784, activation="tanh"),
    ]
    discriminator = [keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(64, activation="tanh")]
    return kg.WGANGP(
        keras.Sequential([*generator, layers.Reshape((28, 28, 1))]),
        keras.Sequential([*discriminator, layers.Dense(64, activation="tanh"), layers.Dense(1)]),
        latent_dim=16,
        discriminator_steps=3,
        seed=0,
    )


def digits_quality(model: kg.WGANGP) -> dict[str, float]:
    """The Fréchet distance of 2,000 samples in the features of a fixed random projection."""
    features = kg.metrics.projection_features((28, 28, 1))
    real = np.concatenate(list(kg.data.load("digits", batch_size=500, shuffle=False).as_numpy_iterator()))
    fake = model.sample(2000, seed=0)
    return {"value": float(kg.metrics.frechet_distance(features(real[:2000]), features(fake)))}


def train(name: str, make: Callable, data, quality: Callable, seconds: float, report: Callable) -> None:
    """Adam, and the correction of each player and both, for the same time."""

    def correction(**options):
        return lambda: SingularityCorrection(iterations=4, warm_start=False, **options)

    both = ("generator", "discriminator")
    for method, players, wanted in (
        ("Adam", (), None),
        ("correction of both, then Adam", both, correction(damping=0.1)),
        ("correction of the discriminator, then Adam", both[1:], correction(damping=0.1)),
        ("saddle-free correction of both, then Adam", both, correction(damping=0.1, saddle_free=True)),
        ("correction every 10, then Adam", both, correction(damping=0.1, every=10)),
    ):
        keras.utils.set_random_seed(0)
        model, clock = make(), _Clock(seconds)
        model.compile(**{f"{player}_correction": wanted() for player in players if wanted})
        logs = model.fit(data, steps_per_epoch=10**6, callbacks=[clock], verbose=0).history
        products = sum(logs.get(f"{player}_products", [0.0])[-1] for player in players)
        report(
            {
                "problem": name,
                "method": method,
                "seconds": round(clock.spent, 1),
                "steps": clock.steps,
                "products": round(products * clock.steps),
                **quality(model),
            }
        )


# What is printed and drawn.


def _bests(lines: list[dict]) -> list[dict]:
    """The best setting of each contender on each problem: the soonest at the target, else the lowest."""

    def rank(line):
        low = math.inf if line["value"] is None else line["value"]
        return (0, line["seconds"]) if line.get("reached") else (1, low)

    kinds: dict[tuple, list[dict]] = {}
    for line in lines:
        kinds.setdefault((line["problem"], line["method"]), []).append(line)
    return [min(kind, key=rank) for kind in kinds.values()]


def table(lines: list[dict]) -> str:
    """A row of Markdown a contender, a column a problem: steps, products and seconds to the target."""

    def cell(line: dict | None) -> str:
        if line is None:
            return ""
        spent = f"{line['steps']:,} · {line['products']:,} · {line['seconds']:.2g} s"
        if line.get("reached"):
            return spent
        begun = line["curve"][0][1] if "curve" in line else math.inf
        if line["value"] is None or line["value"] > 10 * abs(begun):
            return "diverges"
        modes = f", {line['modes']} modes" if "modes" in line else ""
        return f"({spent}: {line['value']:.2g}{modes})"

    problems = list(dict.fromkeys(line["problem"] for line in lines))
    found = {(line["problem"], line["method"]): line for line in _bests(lines)}
    rows = ["| | " + " | ".join(problems) + " |", "|" + "---|" * (len(problems) + 1)]
    for method in dict.fromkeys(line["method"] for line in lines):
        rows.append(
            f"| {method} | " + " | ".join(cell(found.get((name, method))) for name in problems) + " |"
        )
    return "\n".join(rows)


def draw(lines: list[dict], path: Path) -> None:
    """The measure over seconds, of the best setting of each contender, where there are curves."""
    from matplotlib.figure import Figure

    problems = list(dict.fromkeys(line["problem"] for line in lines if "curve" in line))
    figure = Figure(figsize=(9, 5), layout="constrained")
    grid = figure.subplots(2, 3).ravel()
    for axes, problem in zip(grid, problems, strict=False):
        for line in _bests([line for line in lines if line["problem"] == problem]):
            seconds, values = np.array(line["curve"], float).T
            axes.plot(
                np.maximum(seconds, 1e-3), values + (0.25 if "saddle" in problem else 0), label=line["method"]
            )
        axes.set(xscale="log", yscale="log", title=problem, xlabel="seconds")
        axes.xaxis.label.set_fontsize("x-small")
        axes.title.set_fontsize("small")
        axes.tick_params(labelsize="x-small")
    for axes in grid[len(problems) :]:
        axes.set_axis_off()
    if problems:
        figure.legend(
            *grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize="x-small"
        )
    figure.savefig(path, dpi=80)


def main() -> None:
    """Runs all that is wanted; see the module's text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("correction"), help="folder (default correction)")
    parser.add_argument("--budget", type=float, default=5.0, help="most seconds of a setting (default 5)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of training in (c) and (e) (default 60)")
    parser.add_argument("--only", default="abcde", help="which parts (default abcde)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    lines: list[dict] = []

    def report(line: dict) -> None:
        lines.append(line)
        print(json.dumps({k: v for k, v in line.items() if k != "curve"}, ensure_ascii=False), flush=True)

    spread = np.logspace(-2, 2, 100)
    makers = {
        "a": [
            lambda: quadratic("(a) quadratic, condition 10⁴, n = 100", spread),
            lambda: quadratic(
                "(a) singular quadratic, rank 50 of 100", np.where(np.arange(100) % 2, spread, 0)
            ),
        ],
        "b": [rosenbrock, saddle],
        "c": [dirac],
        "d": [fitted_digit, styled_picture],
    }
    for part in options.only:
        for make in makers.get(part, []):
            contenders(make(), options.budget, report)
    if "c" in options.only:
        name = "(c) ring of Gaussians: distance to a mode"
        train(name, ring_model, ring_data(), ring_quality, options.seconds, report)
    if "e" in options.only:
        digits = kg.data.load("digits", batch_size=64).repeat()
        name = "(e) WGAN-GP on digits: Fréchet distance, random projection"
        train(name, digits_model, digits, digits_quality, options.seconds, report)
    print(table(lines))
    draw(lines, options.out / "correction.png")


if __name__ == "__main__":
    main()
