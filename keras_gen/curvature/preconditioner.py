"""The Hessian singularity correction as a preconditioner of the gradient in training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from keras_gen.curvature.correction import lanczos_step
from keras_gen.curvature.operators import Hessian
from keras_gen.distribute import replica_count

#: What a correction logs of each update, behind the player's name.
LOG_NAMES = ("products", "residual", "step_ratio", "smallest_ritz", "largest_ritz")


class _InStep(Hessian):
    """A Hessian within a train step, which has checked the loss itself."""

    def _at(self, *batch):
        return self._linearized(*batch)


@keras.saving.register_keras_serializable(package="keras_gen")
class SingularityCorrection(keras.layers.Layer):
    """Puts the corrected Newton step H(H² + μ²)⁻¹g in the gradient's place, before the optimizer sees it.

    H is the Hessian of the player's loss on the step's own batch, with its random numbers, by its weights, in
    float32. See `curvature.correction` for the mathematics; it is handed to `compile`, one for each player.

    What an update costs beside its own gradient. A *linearization*, one a correction, is one gradient more;
    a *product* is a pass back through that, at most twice a gradient's convolutions and matrix products. The
    last column adds them up, in gradients; in time a product is less than two, `benchmarks/curvature.py`
    measures it.

    | iterations | every | warm_start | saddle_free | products an update | gradients an update |
    |---|---|---|---|---|---|
    | 8 | 1 | True | False | 10 | 21 |
    | 8 | 1 | False | False | 8 | 17 |
    | 8 | 1 | True | True | 8 | 17 |
    | 4 | 1 | True | False | 6 | 13 |
    | 2 | 1 | False | False | 2 | 5 |
    | 8 | 4 | True | False | 2.5 | 5.25 |
    | 4 | 10 | False | False | 0.4 | 0.9 |
    | m | k | True | False | (m + 2) / k | (2 m + 5) / k |
    | m | k | False | either | m / k | (2 m + 1) / k |

    Args:
        damping: μ, above zero: curvature smaller than this is not divided by. The step is at most 1 / 2μ
            times as long as the gradient.
        iterations: Lanczos iterations, one product each; two or more.
        every: how many updates to a correction. The updates between take the gradient at the last
            correction's ratio of lengths. Above one it needs a single replica.
        saddle_free: whether to take |H| in front, which moves away from saddle points.
        warm_start: whether to start from where the last correction ended, at two products more; it does
            not apply to saddle-free steps, which always start afresh.
        trust_radius: the largest Euclidean norm of the step, longer ones are scaled to it; None: no limit.
        name: the layer's name.

    Raises:
        ValueError: a setting out of range.
    """

    def __init__(
        self,
        damping: float = 1.0,
        iterations: int = 8,
        every: int = 1,
        saddle_free: bool = False,
        warm_start: bool = True,
        trust_radius: float | None = None,
        name: str | None = None,
    ):
        super().__init__(name=name, dtype="float32", trainable=False)
        if not 0 < damping < float("inf"):
            raise ValueError(f"damping must be a number above zero; received {damping}.")
        if iterations < 2 or every < 1:
            raise ValueError(
                f"iterations must be 2 or more and every 1 or more; received iterations={iterations}, "
                f"every={every}."
            )
        if trust_radius is not None and not trust_radius > 0:
            raise ValueError(f"trust_radius must be above zero, or None; received {trust_radius}.")
        self.damping, self.iterations, self.every = float(damping), int(iterations), int(every)
        self.saddle_free, self.warm_start = bool(saddle_free), bool(warm_start)
        self.trust_radius = None if trust_radius is None else float(trust_radius)
        self.before: keras.Variable | None = None
        self.size: int | None = None

    def prepare(self, variables: Sequence[keras.Variable]) -> None:
        """Makes the state for a player's variables; a second time, for the same, it stays as it is."""
        size = sum(int(variable.value.shape.num_elements()) for variable in variables)
        if self.size is not None:
            if size != self.size:
                raise ValueError(
                    f"This SingularityCorrection is for a player of {self.size} trainable weights, and has "
                    f"been handed to one of {size}: make a new one."
                )
            return
        self.size = size
        self.updates = self._state("updates", (), "zeros", "int64")
        self.ratio = self._state("ratio", (), "ones", "float32")
        if self.warm_start and not self.saddle_free:
            self.before = self._state("before", (size,), "zeros", "float32")
        self.built = True

    def _state(self, name, shape, initializer, dtype):
        return self.add_weight(
            shape=shape,
            initializer=initializer,
            dtype=dtype,
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
            name=name,
        )

    def correct(
        self, gradients: list[tf.Tensor], variables: Sequence[keras.Variable], loss_fn: Callable
    ) -> tuple[list[tf.Tensor], dict[str, tf.Tensor], tf.Tensor]:
        """The step in place of a gradient, within a train step.

        Args:
            gradients: of the global batch, shaped like the variables.
            variables: the player's.
            loss_fn: gives this replica's loss again, with the same random numbers.

        Returns:
            The step, shaped like the variables; what to log, by `LOG_NAMES`; and 1.0 where the step is a
            correction, 0.0 between corrections, which weighs all logs but the products.

        Raises:
            ValueError: `every` above one on several replicas.
        """
        if self.every > 1 and replica_count() > 1:
            raise ValueError(
                f"SingularityCorrection(every={self.every}) needs a single replica, since replicas cannot "
                f"meet within a branch; there are {replica_count()}. Use every=1."
            )
        hessian = _InStep(loss_fn, variables)
        flat = hessian.flatten(gradients)
        length = tf.norm(flat)

        def corrected():
            start = None if self.before is None else tf.convert_to_tensor(self.before.value)
            found = lanczos_step(hessian, flat, self.damping, self.iterations, self.saddle_free, start)
            return found.step, found.before, *(tf.cast(value, tf.float32) for value in found[2:])

        def between():
            before = tf.zeros_like(flat) if self.before is None else tf.convert_to_tensor(self.before.value)
            return flat * self.ratio.value, before, *(tf.zeros(()),) * 4

        if self.every == 1:
            due = tf.constant(True)
            outcome = corrected()
        else:
            due = tf.equal(self.updates.value % self.every, 0)
            outcome = tf.cond(due, corrected, between)
        step, before, products, residual, smallest, largest = outcome
        if self.trust_radius is not None:
            step *= tf.minimum(1.0, self.trust_radius / tf.maximum(tf.norm(step), 1e-30))
        ratio = tf.math.divide_no_nan(tf.norm(step), length)
        logs = dict(zip(LOG_NAMES, (products, residual, ratio, smallest, largest), strict=True))
        self._following = before, tf.where(due & (ratio > 0), ratio, self.ratio.value)
        return hessian.unflatten(step), logs, tf.cast(due, tf.float32)

    def keep(self) -> None:
        """Takes over the state that the last `correct` left, once its step has passed all checks."""
        before, ratio = self._following
        if self.before is not None:
            self.before.assign(before)
        self.ratio.assign(ratio)
        self.updates.assign(self.updates.value + 1)

    def get_config(self) -> dict:
        """The arguments that make an equal correction."""
        names = ("damping", "iterations", "every", "saddle_free", "warm_start", "trust_radius", "name")
        return {name: getattr(self, name) for name in names}
