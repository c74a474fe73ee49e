"""WGAN and WGAN-GP."""

from __future__ import annotations

import functools

import keras

from keras_gen import losses, optimizers
from keras_gen.constraints import ClipWeights
from keras_gen.models.adversarial import AdversarialModel
from keras_gen.penalties import GradientPenalty


@keras.saving.register_keras_serializable(package="keras_gen")
class WGAN(AdversarialModel):
    """Wasserstein loss with the critic's weights clipped; RMSprop 5e-5.

    Args:
        generator, discriminator, latent_dim: as in `AdversarialModel`.
        clip: the largest magnitude of a critic's weight.
        discriminator_steps: critic updates for each of the generator.
        **settings: `seed`, `name`.

    Reference: Wasserstein GAN, 2017, arXiv:1701.07875.
    """

    recommended_optimizer = functools.partial(keras.optimizers.RMSprop, 5e-5)
    options = ("clip",)

    def __init__(
        self, generator, discriminator, latent_dim=128, clip: float = 0.01, discriminator_steps=5, **settings
    ):
        super().__init__(
            generator,
            discriminator,
            latent_dim,
            loss=losses.Wasserstein(),
            penalties=(),
            constraints=[ClipWeights(clip)],
            discriminator_steps=discriminator_steps,
            **settings,
        )
        self.clip = float(clip)


@keras.saving.register_keras_serializable(package="keras_gen")
class WGANGP(AdversarialModel):
    """Wasserstein loss with a gradient penalty on interpolates; Adam 2e-4, β₁ 0.5, β₂ 0.9.

    The paper's algorithm has Adam 1e-4 and β₁ 0; the Keras example's 2e-4 and 0.5 get further in minutes.

    Args:
        generator, discriminator, latent_dim: as in `AdversarialModel`; the critic should not normalize over
            the batch, since the penalty is each image's own.
        penalty_weight: λ.
        discriminator_steps: critic updates for each of the generator.
        target: the norm that the critic's gradient is drawn to; 0 gives the zero-centred penalty.
        one_sided: True lets smaller norms be.
        **settings: `seed`, `name`.

    Reference: Improved Training of Wasserstein GANs, 2017, arXiv:1704.00028.
    """

    recommended_optimizer = functools.partial(optimizers.Adam, 2e-4, beta_1=0.5, beta_2=0.9)
    options = ("penalty_weight", "target", "one_sided")

    def __init__(
        self,
        generator,
        discriminator,
        latent_dim=128,
        penalty_weight: float = 10.0,
        discriminator_steps=5,
        target: float = 1.0,
        one_sided: bool = False,
        **settings,
    ):
        super().__init__(
            generator,
            discriminator,
            latent_dim,
            loss=losses.Wasserstein(),
            penalties=[GradientPenalty(penalty_weight, target, one_sided)],
            constraints=(),
            discriminator_steps=discriminator_steps,
            **settings,
        )
        self.penalty_weight, self.target, self.one_sided = (
            float(penalty_weight),
            float(target),
            bool(one_sided),
        )
