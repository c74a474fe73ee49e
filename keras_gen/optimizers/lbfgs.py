"""L-BFGS: Newton's method by the last few gradients, for losses without chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

_DECREASE, _CURVATURE = 1e-4, 0.9  # the Wolfe conditions' usual constants


class Iteration(NamedTuple):
    """What an iteration came to; see `LBFGS.minimize`."""

    loss: tf.Tensor  #: at the new place
    reported: Any  #: what else `loss_fn` gave at the place that was tried last
    gradient_norm: tf.Tensor  #: float64, at the old place
    evaluations: tf.Tensor  #: int32, of the loss and its gradient
    moved: tf.Tensor  #: whether a lower loss was found


class _Trial(NamedTuple):
    """A place on the line, and the interval that is known to hold a better one."""

    step: tf.Tensor
    low: tf.Tensor
    high: tf.Tensor
    low_loss: tf.Tensor
    low_slope: tf.Tensor
    accepted: tf.Tensor
    evaluations: tf.Tensor
    loss: tf.Tensor
    gradient: tf.Tensor
    reported: Any


@keras.saving.register_keras_serializable(package="keras_gen")
class LBFGS(keras.optimizers.Optimizer):
    """Limited-memory BFGS with a line search for the weak Wolfe conditions; an iteration is one graph call.

    It needs the loss again at every place that it tries, so it is driven by :meth:`minimize` and refuses
    `apply`. The loss must be the same function each time: no batches, no dropout. Inner products are summed
    in float64. All state, the last gradient included, is in variables: a saved optimizer goes on exactly.

    Args:
        memory: pairs of steps and gradient changes that are kept; each takes twice the variables' size.
        evaluations: the most that one line search spends.
        first_step: root mean square of the change that is tried where nothing is known of the curvature.
        name: the optimizer's name.

    Raises:
        ValueError: a setting that is not positive.

    Reference: Nocedal and Wright, Numerical Optimization, 2006, algorithm 7.4; the line search is of Lewis
    and Overton, Nonsmooth optimization via quasi-Newton methods, 2013.
    """

    def __init__(
        self, memory: int = 10, evaluations: int = 20, first_step: float = 0.01, name: str | None = None
    ):
        super().__init__(learning_rate=1.0, name=name)
        if memory < 1 or evaluations < 1 or not first_step > 0:
            raise ValueError(
                "memory and evaluations must be 1 or more and first_step above zero; received "
                f"memory={memory}, evaluations={evaluations}, first_step={first_step}."
            )
        self.memory, self.evaluations, self.first_step = int(memory), int(evaluations), float(first_step)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Makes the state for variables of one floating-point type."""
        if self.built:
            return
        super().build(list(variables))
        dtype = variables[0].dtype
        size = sum(int(variable.value.shape.num_elements()) for variable in variables)

        def state(name, shape, dtype=dtype):
            return self.add_variable(shape=shape, dtype=dtype, name=name)

        self._steps, self._changes = (
            state("steps", (self.memory, size)),
            state("changes", (self.memory, size)),
        )
        self._gradient, self._loss = state("gradient", (size,)), state("loss", ())
        self._known, self._pairs = state("known", (), "bool"), state("pairs", (), "int64")

    def apply(self, grads, trainable_variables=None):
        """Refused: a gradient alone is not enough."""
        raise TypeError("LBFGS needs the loss, not a gradient alone: call minimize(loss_fn, variables).")

    def minimize(
        self, loss_fn: Callable[[], tuple[tf.Tensor, Any]], variables: Sequence[keras.Variable]
    ) -> Iteration:
        """One iteration: a direction, a line search along it, and the variables at the place found.

        Where no lower loss is found the variables stay as they are, and what was known of the curvature is
        forgotten, so that the next iteration is one of steepest descent. Where the loss or its gradient is
        not finite is no place to go to. Graph operations throughout: call it within a `tf.function`.

        Args:
            loss_fn: gives the loss, a scalar of the variables' type, and tensors to report, of any structure.
            variables: those that `build` was called with.
        """
        self.build(variables)
        sources = [variable.value for variable in variables]
        sizes = [source.shape.num_elements() for source in sources]

        def flat(tensors):
            return tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], 0)

        def go_to(place):
            for source, part in zip(sources, tf.split(place, sizes), strict=True):
                source.assign(tf.reshape(part, source.shape))

        def evaluate():
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(sources)
                loss, reported = loss_fn()
            gradient = tape.gradient(loss, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            return tf.cast(loss, dtype), flat(gradient), reported

        start = flat(sources)
        dtype = start.dtype
        loss, gradient = tf.cond(
            self._known.value,
            lambda: (tf.identity(self._loss.value), tf.identity(self._gradient.value)),
            lambda: evaluate()[:2],
        )
        direction = self._direction(gradient)
        slope = _dot(gradient, direction)

        def attempt(trial: _Trial) -> _Trial:
            go_to(start + tf.cast(trial.step, dtype) * direction)
            there, gradient, reported = evaluate()
            value, new_slope = tf.cast(there, tf.float64), _dot(gradient, direction)
            finite = tf.math.is_finite(value) & tf.math.is_finite(new_slope)
            low_enough = finite & (value <= tf.cast(loss, tf.float64) + _DECREASE * trial.step * slope)
            accepted = low_enough & (new_slope >= _CURVATURE * slope)
            width = trial.step - trial.low
            # The lowest point of the parabola through the lower end, its slope, and this place.
            rise = value - trial.low_loss - trial.low_slope * width
            lowest = tf.math.divide_no_nan(-0.5 * trial.low_slope * width, rise)
            nearer = trial.low + width * tf.where(finite, tf.clip_by_value(lowest, 0.1, 0.5), 0.1)
            further = tf.where(tf.math.is_inf(trial.high), 4 * trial.step, 0.5 * (trial.step + trial.high))
            return _Trial(
                tf.where(accepted, trial.step, tf.where(low_enough, further, nearer)),
                tf.where(low_enough, trial.step, trial.low),
                tf.where(low_enough, trial.high, trial.step),
                tf.where(low_enough, value, trial.low_loss),
                tf.where(low_enough, new_slope, trial.low_slope),
                accepted,
                trial.evaluations + 1,
                there,
                gradient,
                reported,
            )

        zero, one = tf.zeros((), tf.float64), tf.ones((), tf.float64)
        endless = tf.constant(float("inf"), tf.float64)
        begun = (one, zero, endless, tf.cast(loss, tf.float64), slope, False, 0, loss, gradient, ())
        first = attempt(_Trial(*begun))
        trial = tf.while_loop(
            lambda trial: ~trial.accepted & (trial.evaluations < self.evaluations),
            lambda trial: (attempt(trial),),
            (first,),
        )[0]
        moved = trial.accepted | (trial.loss < loss)
        place = flat(sources)
        loss_now = tf.where(moved, trial.loss, loss)
        with tf.control_dependencies([place, slope]):
            go_to(tf.where(moved, place, start))
            self._remember(moved, place - start, trial.gradient - gradient)
            self._gradient.assign(tf.where(moved, trial.gradient, gradient))
            self._loss.assign(loss_now)
            self._known.assign(tf.math.is_finite(loss))
            self._iterations.assign_add(1)
        norm = tf.sqrt(_dot(gradient, gradient))
        spent = trial.evaluations
        return Iteration(loss_now, trial.reported, norm, spent, moved)

    def _direction(self, gradient: tf.Tensor) -> tf.Tensor:
        """Minus the gradient times the inverse Hessian that the pairs tell of; empty ones are zeros."""
        dtype = gradient.dtype
        newest = [(self._pairs.value - 1 - i) % self.memory for i in range(self.memory)]
        pairs = [(tf.gather(self._steps.value, i), tf.gather(self._changes.value, i)) for i in newest]
        inverses = [tf.math.divide_no_nan(tf.ones((), tf.float64), _dot(s, y)) for s, y in pairs]
        direction, weights = -gradient, []
        for (step, change), inverse in zip(pairs, inverses, strict=True):
            weights.append(inverse * _dot(step, direction))
            direction -= tf.cast(weights[-1], dtype) * change
        step, change = pairs[0]
        size = tf.cast(tf.size(gradient), tf.float64)
        cautious = self.first_step * tf.sqrt(tf.math.divide_no_nan(size, _dot(gradient, gradient)))
        scale = tf.where(
            inverses[0] > 0, tf.math.divide_no_nan(_dot(step, change), _dot(change, change)), cautious
        )
        direction *= tf.cast(scale, dtype)
        for (step, change), inverse, weight in reversed(list(zip(pairs, inverses, weights, strict=True))):
            direction += tf.cast(weight - inverse * _dot(change, direction), dtype) * step
        return direction

    def _remember(self, moved: tf.Tensor, step: tf.Tensor, change: tf.Tensor) -> None:
        # A pair of no positive curvature, as a search that was broken off may leave, is worth nothing.
        useful = moved & (_dot(step, change) > 1e-10 * _dot(change, change))
        index = self._pairs.value % self.memory

        def put(state, value):
            value = tf.where(useful, value, tf.gather(state.value, index))
            # All is forgotten where no step was found.
            state.value.assign(
                tf.cond(
                    moved,
                    lambda: tf.tensor_scatter_nd_update(state.value, [[index]], [value]),
                    lambda: tf.zeros_like(state.value),
                )
            )

        put(self._steps, step)
        put(self._changes, change)
        self._pairs.assign(self._pairs.value + tf.cast(useful, tf.int64))

    def get_config(self) -> dict:
        """The arguments that make an equal optimizer."""
        names = ("memory", "evaluations", "first_step", "name")
        return {name: getattr(self, name) for name in names}


def _dot(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(a, tf.float64) * tf.cast(b, tf.float64))
