"""Tiny models of every kind that is exported, made once for a file of tests."""

import functools

import keras
import numpy as np
import pytest

import keras_gen as kg
from keras_gen.networks.style_coder import small_encoder, style_decoder
from keras_gen.networks.transformer_net import transformer_net

SHAPE, RANDOM = (28, 28, 1), {"backbone": "random"}


def _vae(make=kg.VAE, further=0, **options):
    parts = kg.networks.dense_encoder((28, 28, 1 + further), 4), kg.networks.dense_decoder(SHAPE, 4 + further)
    return make(*parts, 4, seed=1, **options)


def _vq_vae():
    networks = kg.networks.grid_encoder, kg.networks.grid_decoder
    prior = kg.networks.transformer_prior(49, 16, width=8, depth=1, heads=2)
    model = kg.VQVAE(*(make(SHAPE, 8, width=8) for make in networks), prior, 8, num_codes=16, seed=1)
    codebook = np.random.default_rng(0).standard_normal((16, 8)).astype("float32")
    model.network.quantizer.codebook.assign(codebook)
    return model


def _averaged_gan():
    networks = kg.networks.mlp_generator(SHAPE, 6), kg.networks.mlp_discriminator(SHAPE)
    model = kg.GAN(*networks, latent_dim=6, seed=1)
    model.compile(ema_decay=0.9)
    model.ema_network.set_weights([0.5 * weight for weight in model.generator.get_weights()])
    return model


def _fast(calm=False):
    network = transformer_net(3, width=8, separable=True, blocks=1, calm=calm)
    for weight in network.weights:  # as if trained: no two styles alike
        if weight.path.endswith(("gamma", "beta")):
            weight.assign(weight + np.random.default_rng(weight.shape[1]).normal(0, 0.5, weight.shape))
        elif weight.path.startswith("texture/"):
            weight.assign(np.random.default_rng(0).normal(0, 0.1, weight.shape))
    return kg.style.FastStyleTransfer(network, ["waves", "stars", "scream"], features=RANDOM, seed=1)


def _adain(**options):
    networks = small_encoder(4), style_decoder(32, width=8)
    return kg.style.AdaINStyleTransfer(*networks, features=RANDOM, seed=1, **options)


MAKERS = {
    "gan": _averaged_gan,
    "vae": _vae,
    "conditional-vae": functools.partial(_vae, kg.ConditionalVAE, 3, num_classes=3),
    "vq-vae": _vq_vae,
    "fast": _fast,
    "calm": functools.partial(_fast, calm=True),
    "adain": _adain,
    "adain-noise": functools.partial(_adain, restraint_weight=0.0),
}


@pytest.fixture(scope="module")
def models():
    """Models by name, each made when it is first asked for."""

    @functools.cache
    def make(name):
        keras.utils.set_random_seed(0)
        return MAKERS[name]()

    return make
