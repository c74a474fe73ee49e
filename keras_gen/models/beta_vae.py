"""BetaVAE: a weight on the divergence, annealed, or a capacity that it is held at."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_gen.annealing import SCHEDULES
from keras_gen.distribute import global_mean
from keras_gen.models.vae import VAE


@keras.saving.register_keras_serializable(package="keras_gen")
class BetaVAE(VAE):
    """A VAE whose loss is reconstruction + β KL, or, with a capacity C, reconstruction + β |KL − C|.

    The logs' `negative_elbo` is without β, so that it compares with other models.

    Args:
        encoder, decoder, latent_dim: as in `VAE`.
        beta: β.
        annealing: "constant", "warm-up" (from zero to β in `annealing_steps` steps) or "cyclical" (again and
            again in periods of so many steps, the second half of each at β).
        annealing_steps: steps.
        capacity: C, in nats; None sets no target. It grows from zero within `capacity_steps` steps.
        capacity_steps: steps.
        **settings: `likelihood`, `variance`, `seed`, `name`.

    Raises:
        ValueError: a setting out of range, or what `VAE` refuses.

    Reference: beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework, ICLR 2017;
    capacity: Understanding disentangling in beta-VAE, 2018, arXiv:1804.03599; cyclical: Cyclical Annealing
    Schedule, 2019, arXiv:1903.10145.
    """

    options = ("beta", "annealing", "annealing_steps", "capacity", "capacity_steps", *VAE.options)

    def __init__(
        self,
        encoder,
        decoder,
        latent_dim=100,
        *,
        beta: float = 4.0,
        annealing: str = "constant",
        annealing_steps: int = 2000,
        capacity: float | None = None,
        capacity_steps: int = 5000,
        **settings,
    ):
        if not beta >= 0:
            raise ValueError(f"beta must be zero or more; received {beta}.")
        if annealing not in SCHEDULES:
            raise ValueError(f"annealing must be one of {', '.join(SCHEDULES)}; received {annealing!r}.")
        if annealing_steps < 1 or capacity_steps < 1:
            raise ValueError(
                f"annealing_steps and capacity_steps must be 1 or more; received {annealing_steps} and "
                f"{capacity_steps}."
            )
        if capacity is not None and not capacity >= 0:
            raise ValueError(f"capacity must be zero or more, in nats, or None; received {capacity}.")
        super().__init__(encoder, decoder, latent_dim, **settings)
        self.beta, self.annealing, self.annealing_steps = float(beta), annealing, int(annealing_steps)
        self.capacity = None if capacity is None else float(capacity)
        self.capacity_steps = int(capacity_steps)
        self.log_names = (*self.log_names, "beta", *(() if capacity is None else ("capacity",)))

    def kl_term(self, kl):
        step = self.step.value
        beta = self.beta * SCHEDULES[self.annealing](step, self.annealing_steps)
        if self.capacity is None:
            return beta * kl, {"beta": beta}
        capacity = self.capacity * SCHEDULES["warm-up"](step, self.capacity_steps)
        # The sign of the whole batch's excess, so that the replicas' terms add up to its absolute value.
        side = tf.sign(global_mean(tf.stop_gradient(kl)) - capacity)
        return beta * side * (kl - capacity), {"beta": beta, "capacity": capacity}
