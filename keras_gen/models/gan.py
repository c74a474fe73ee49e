"""GAN and DCGAN."""

from __future__ import annotations

import keras

from keras_gen import losses
from keras_gen.models.adversarial import AdversarialModel


@keras.saving.register_keras_serializable(package="keras_gen")
class GAN(AdversarialModel):
    """The first GAN: non-saturating loss on logits, or the paper's minimax as a choice; Adam 2e-4, β₁ 0.5.

    Args:
        generator, discriminator, latent_dim: as in `AdversarialModel`.
        saturating: True trains the generator by the minimax loss.
        **settings: `discriminator_steps`, `seed`, `name`.

    Reference: Generative Adversarial Networks, 2014, arXiv:1406.2661.
    """

    options = ("saturating",)

    def __init__(self, generator, discriminator, latent_dim=100, saturating: bool = False, **settings):
        loss = losses.Minimax() if saturating else losses.NonSaturating()
        # All three named, so that a caller's own, which the config would not hold, are refused.
        super().__init__(
            generator, discriminator, latent_dim, loss=loss, penalties=(), constraints=(), **settings
        )
        self.saturating = bool(saturating)


@keras.saving.register_keras_serializable(package="keras_gen")
class DCGAN(GAN):
    """A GAN with convolutional networks (`networks.dcgan`); Adam 2e-4, β₁ 0.5, as in the paper.

    Reference: Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks,
    2015, arXiv:1511.06434.
    """
