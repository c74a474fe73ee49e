"""Models by name: `build("wgan-gp", image_shape=(28, 28, 1))` gives a compiled one, ready to fit."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import math
import numbers
import operator
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_gen import precision as precisions
from keras_gen.models.beta_vae import BetaVAE
from keras_gen.models.conditional_vae import ConditionalVAE
from keras_gen.models.gan import DCGAN, GAN
from keras_gen.models.latent_variable import LatentVariableModel
from keras_gen.models.vae import VAE
from keras_gen.models.vaegan import VAEGAN
from keras_gen.models.vqvae import VQVAE
from keras_gen.models.wgan import WGAN, WGANGP
from keras_gen.networks import PRESETS, Preset


def is_finite(value: Any) -> bool:
    """Whether a value is a number, neither NaN nor infinite."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


#: For each kind of option whether a value is one, and how errors call it.
_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "bool": (lambda value: isinstance(value, (bool, np.bool_)), "true or false"),
    "int": (_is_whole, "a whole number"),
    "float": (is_finite, "a finite number"),
}


@dataclass(frozen=True)
class Entry:
    """A model that can be built by name.

    Args:
        model: its class.
        summary: one line for lists.
        preset: the networks where the caller names none, by image size; None for any other size.
        defaults: recommended arguments beyond the class's own defaults.
    """

    model: type[LatentVariableModel]
    summary: str
    preset: dict[int | None, str]
    defaults: dict[str, Any] = field(default_factory=dict)

    def preset_for(self, image_shape: tuple[int, int, int]) -> str:
        """The name of the recommended networks for images of that shape."""
        height, width, _ = image_shape
        return self.preset.get(height if height == width else None, self.preset[None])

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The model's own arguments."""
        parameters: dict[str, inspect.Parameter] = {}
        for cls in self.model.__mro__:
            own = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
            parameters = {**own, **parameters}
            if not any(each.kind is each.VAR_KEYWORD for each in own.values()):
                break  # it passes nothing on
        # A named model has decided on a loss, penalties and constraints.
        fixed = {"self", "latent_dim", "seed", "name", "settings", "loss", "penalties", "constraints"}
        own_names = [name for name in parameters if name not in fixed | set(self.model.roles)]
        return {name: parameters[name] for name in own_names}

    @property
    def options(self) -> dict[str, Any]:
        """Their default values; `Parameter.empty` where one must be given."""
        return {name: self.defaults.get(name, each.default) for name, each in self.parameters.items()}

    def check(self, options: dict[str, Any]) -> None:
        """Raises a ValueError where a value is not of its option's kind: as annotated, or the default's."""
        for name, value in options.items():
            parameter = self.parameters[name]
            if value is None and parameter.default is None:
                continue
            annotated = parameter.annotation is not parameter.empty
            kind = str(parameter.annotation) if annotated else type(parameter.default).__name__
            kind = kind.removesuffix(" | None")
            if kind in _KINDS and not _KINDS[kind][0](value):
                raise ValueError(f"{name} must be {_KINDS[kind][1]}; received {value}.")

    @property
    def required(self) -> list[str]:
        """Those of the options that have no default."""
        return [name for name, default in self.options.items() if default is inspect.Parameter.empty]

    @property
    def optimizers(self) -> list[str]:
        """The names of the optimizers that the model's `compile` takes."""
        return [name for name in inspect.signature(self.model.compile).parameters if "optimizer" in name]

    def networks(self, preset: str) -> Preset:
        """The preset of that name, or a ValueError where it is not for this model."""
        fitting = {name: each for name, each in PRESETS.items() if set(self.model.roles) == set(each.makers)}
        if preset in PRESETS and preset not in fitting:
            raise ValueError(
                f"The preset {preset!r} has no {' and '.join(self.model.roles)}; there are: "
                f"{', '.join(fitting)}."
            )
        return look_up("preset", preset, fitting)


_CONVOLUTIONAL: dict[int | None, str] = {28: "dcgan-28", None: "dcgan"}

MODELS = {
    "gan": Entry(GAN, "non-saturating loss, dense networks (Goodfellow et al. 2014)", {None: "mlp"}),
    "dcgan": Entry(
        DCGAN,
        "non-saturating loss, convolutional networks (Radford et al. 2015)",
        {32: "dcgan-32", None: "dcgan"},
    ),
    "wgan": Entry(WGAN, "Wasserstein loss, clipped critic (Arjovsky et al. 2017)", _CONVOLUTIONAL),
    "wgan-gp": Entry(WGANGP, "Wasserstein loss, gradient penalty (Gulrajani et al. 2017)", _CONVOLUTIONAL),
    "vae": Entry(VAE, "variational autoencoder (Kingma and Welling 2013)", {None: "vae"}),
    "beta-vae": Entry(
        BetaVAE, "weighted divergence, annealing, capacity (Higgins et al. 2017)", {None: "vae"}
    ),
    "conditional-vae": Entry(
        ConditionalVAE, "images of a class that is asked for; needs labels (Sohn et al. 2015)", {None: "vae"}
    ),
    "vq-vae": Entry(VQVAE, "a grid of codes with its own prior (van den Oord et al. 2017)", {None: "vq-vae"}),
    "vae-gan": Entry(VAEGAN, "a VAE judged by a discriminator (Larsen et al. 2015)", {None: "vae-gan"}),
}


def list_models() -> dict[str, str]:
    """Every model's name and a line about it."""
    return {name: entry.summary for name, entry in MODELS.items()}


def look_up(kind: str, name: str, table: dict[str, Any]):
    """The entry of that name, or a ValueError that names those that there are, and the nearest."""
    if name in table:
        return table[name]
    near = difflib.get_close_matches(str(name).lower(), table, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"There is no {kind} {name!r}.{hint} There are: {', '.join(table)}.")


def _initialize(network: keras.Model, seed: int) -> None:
    """Draws the kernels again, by the seed alone, leaving Keras's global seed as it is."""
    generator = np.random.default_rng(seed)
    for layer in network._flatten_layers():
        for attribute in ("kernel", "embeddings"):
            initializer: Any = getattr(layer, f"{attribute}_initializer", None)
            variable = getattr(layer, attribute, None)
            if variable is None or not hasattr(initializer, "seed"):
                continue
            config = {**initializer.get_config(), "seed": int(generator.integers(2**31))}
            variable.assign(type(initializer).from_config(config)(variable.shape, dtype=variable.dtype))


def build(
    name: str,
    image_shape: tuple[int, int, int],
    *,
    preset: str | None = None,
    latent_dim: int | None = None,
    precision: str | None = None,
    seed: int | None = None,
    ema_decay: float | None = None,
    gradient_clip_norm: float | None = None,
    **options: Any,
) -> LatentVariableModel:
    """Builds a model with recommended networks, settings and optimizers, compiled.

    Args:
        name: one of `list_models()`, e.g. "wgan-gp".
        image_shape: (height, width, channels) of the images that it will be trained on.
        preset: networks by name, one of `networks.PRESETS`; None takes the model's recommended ones.
        latent_dim: length of the latent vectors; None takes the preset's.
        precision: "float32", "bfloat16", or "auto", which takes bfloat16 where the hardware has it; None
            keeps Keras's current dtype policy.
        seed: an integer that decides initial weights and every later random number; None draws one.
        ema_decay: decay of the moving average of the networks that make images; None keeps none.
        gradient_clip_norm: the largest norm of each player's gradient; None does not clip.
        **options: the model's own, e.g. `penalty_weight=10.0, discriminator_steps=5` for "wgan-gp"; and the
            optimizers that its `compile` takes, e.g. `generator_optimizer`, None for the recommended one.

    Returns:
        A compiled model; `fit`, `sample`, `save` are its methods.

    Raises:
        ValueError: an unknown name, preset or option, one that is missing or of the wrong kind, or a shape
            that the networks cannot make.
    """
    entry = look_up("model", name, MODELS)
    try:
        shape = tuple(operator.index(size) for size in image_shape)
    except TypeError:
        shape = ()
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"image_shape must be (height, width, channels); received {image_shape!r}.")
    chosen = {option: options.pop(option) for option in entry.optimizers if option in options}
    for option in options:
        look_up(f"option of {name}", option, entry.options)
    entry.check(options)
    missing = [option for option in entry.required if option not in options]
    if missing:
        raise ValueError(f"{name} needs the option {missing[0]}.")
    networks = entry.networks(preset or entry.preset_for(shape))
    latent_dim = networks.latent_dim if latent_dim is None else latent_dim
    if not _is_whole(latent_dim) or latent_dim < 1:
        raise ValueError(f"latent_dim must be a whole number, 1 or more; received {latent_dim}.")
    arguments = {**entry.options, **options}

    seed = random.SystemRandom().randrange(2**31) if seed is None else int(seed)
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed must be an integer from 0 to 2**63 - 1; received {seed}.")
    with precisions.scope(precision) if precision else contextlib.nullcontext() as reason:
        if precision == "auto":
            print(reason)
        made = entry.model.make_networks(networks.makers, shape, latent_dim, **arguments)
        for i, network in enumerate(made.values()):
            _initialize(network, (len(made) * seed + i) % 2**63)
        model = entry.model(**made, latent_dim=latent_dim, seed=seed, **arguments)
    model.compile(**chosen, ema_decay=ema_decay, gradient_clip_norm=gradient_clip_norm)
    return model
