"""The models, each a `keras.Model` that `fit` trains, and `build`, which makes them by name."""

from keras_gen.models.adversarial import AdversarialModel
from keras_gen.models.autoencoder import AutoencoderModel, Elbo
from keras_gen.models.base import GenerativeModel
from keras_gen.models.beta_vae import BetaVAE
from keras_gen.models.conditional_vae import ConditionalVAE
from keras_gen.models.gan import DCGAN, GAN
from keras_gen.models.latent_variable import LatentVariableModel
from keras_gen.models.registry import MODELS, build, list_models
from keras_gen.models.vae import VAE, LogLikelihood
from keras_gen.models.vaegan import VAEGAN
from keras_gen.models.vqvae import VQVAE
from keras_gen.models.wgan import WGAN, WGANGP

__all__ = [
    "DCGAN",
    "GAN",
    "MODELS",
    "VAE",
    "VAEGAN",
    "VQVAE",
    "WGAN",
    "WGANGP",
    "AdversarialModel",
    "AutoencoderModel",
    "BetaVAE",
    "ConditionalVAE",
    "Elbo",
    "GenerativeModel",
    "LatentVariableModel",
    "LogLikelihood",
    "build",
    "list_models",
]
