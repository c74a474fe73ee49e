"""An encoder and a decoder as one network, so that they are trained, averaged and copied together."""

from __future__ import annotations

import keras

from keras_gen.likelihoods import Likelihood


@keras.saving.register_keras_serializable(package="keras_gen")
class Autoencoder(keras.Model):
    """An encoder, a decoder, and the likelihood that reads the decoder's outputs.

    Args:
        encoder, decoder: networks.
        likelihood: a `Likelihood`.
        **parts: further layers that belong to it, such as a codebook, by the names of their attributes.
    """

    def __init__(self, encoder: keras.Model, decoder: keras.Model, likelihood: Likelihood, **parts):
        names = {"name", "trainable", "dtype"} & parts.keys()
        super().__init__(**{name: parts.pop(name) for name in names})
        self.encoder, self.decoder, self.likelihood = encoder, decoder, likelihood
        self.parts = sorted(parts)
        for name in self.parts:
            setattr(self, name, parts[name])
        self.built = True

    def call(self, inputs, training=False):
        """Images in [-1, 1] of the decoder's inputs."""
        return self.likelihood.images(self.decoder(inputs, training=training))

    def get_config(self) -> dict:
        """The parts, serialized."""
        parts = {name: getattr(self, name) for name in ("encoder", "decoder", "likelihood", *self.parts)}
        serialized = {name: keras.saving.serialize_keras_object(part) for name, part in parts.items()}
        return {**super().get_config(), **serialized}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Autoencoder:
        """A network from its config."""

        def deserialize(value):
            return keras.saving.deserialize_keras_object(value, custom_objects=custom_objects)

        return cls(**{key: deserialize(value) for key, value in config.items()})
