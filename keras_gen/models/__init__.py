"""The models, each a `keras.Model` that `fit` trains, and `build`, which makes them by name."""

from keras_gen.models.adversarial import AdversarialModel
from keras_gen.models.base import GenerativeModel
from keras_gen.models.gan import DCGAN, GAN
from keras_gen.models.registry import MODELS, build, list_models
from keras_gen.models.wgan import WGAN, WGANGP

__all__ = [
    "DCGAN",
    "GAN",
    "MODELS",
    "WGAN",
    "WGANGP",
    "AdversarialModel",
    "GenerativeModel",
    "build",
    "list_models",
]
