"""`build`: every model with every preset that fits, seeds, precision, and what a wrong name is told."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gen as kg
from keras_gen.models import MODELS
from keras_gen.networks import PRESETS

SIZES = {"dcgan-32": 32}  # the others fit 28
REQUIRED = {"conditional-vae": {"num_classes": 3}}
GANS = [name for name in MODELS if MODELS[name].model.roles == ("generator", "discriminator")]
FITTING = [
    (name, preset)
    for name, entry in MODELS.items()
    for preset in PRESETS
    if set(entry.model.roles) == set(PRESETS[preset].makers)
]
# Models that take one step with each set of networks; the others, which train the same way, with their own.
THOROUGH = ("wgan-gp", "vae")
# One model for each set of recommended networks.
DISTINCT = {
    (entry.model.roles, entry.model.labelled, *entry.preset.items()): name for name, entry in MODELS.items()
}.values()


def _batch(shape, count=2):
    return np.random.default_rng(0).uniform(-1, 1, (count, *shape)).astype("float32")


@pytest.mark.parametrize(("name", "preset"), FITTING)
def test_every_model_with_every_preset(name, preset):
    shape = (SIZES.get(preset, 28), SIZES.get(preset, 28), 1)
    # One critic update: the step has been proven elsewhere, and each more is traced.
    options = {"discriminator_steps": 1} if name in GANS else REQUIRED.get(name, {})
    model = kg.build(name, shape, preset=preset, seed=1, **options)
    assert isinstance(model, MODELS[name].model)
    assert model.latent_dim == PRESETS[preset].latent_dim
    assert model.sample(1).shape == (1, *shape)
    if name not in THOROUGH and preset != MODELS[name].preset_for(shape):
        return
    data = tf.data.Dataset.from_tensors((_batch(shape), [0, 2]) if model.labelled else _batch(shape))
    logs = {name: values[0] for name, values in model.fit(data, verbose=0).history.items()}
    assert np.isfinite(list(logs.values())).all()


@pytest.mark.parametrize("name", DISTINCT)
@pytest.mark.parametrize("shape", [(28, 28, 3), (45, 45, 1), (128, 128, 3)], ids=str)
def test_recommended_networks_at_all_sizes(name, shape):
    optimizers = dict.fromkeys(MODELS[name].optimizers, "sgd")
    model = kg.build(name, shape, **optimizers, **REQUIRED.get(name, {}))
    assert model.image_shape == shape
    maker = model.generator if name in GANS else model.decoder
    assert maker.output_shape == (None, *shape)


def test_recommended_presets():
    assert kg.build("wgan-gp", (28, 28, 1)).discriminator.count_params() == (
        kg.networks.example28_discriminator().count_params()
    )
    tutorial = kg.build("dcgan", (32, 32, 3))
    assert [layer.filters for layer in tutorial.generator.layers if hasattr(layer, "filters")] == [
        256,
        128,
        64,
        3,
    ]
    assert kg.build("gan", (10, 20, 1)).latent_dim == 100


def test_seed_decides_initial_weights_and_training():
    def trained(seed):
        model = kg.build("gan", (8, 8, 1), seed=seed)
        initial = model.get_weights()
        model.fit(_batch((8, 8, 1), 8), batch_size=4, verbose=0, shuffle=False)
        return initial, model.get_weights()

    keras.utils.set_random_seed(5)
    first = trained(3)
    keras.utils.set_random_seed(6)
    again, other = trained(3), trained(4)
    for a, b in zip(first, again, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)
    differ = [(x != y).any() for x, y in zip(first[0], other[0], strict=True) if x.ndim > 1]
    assert all(differ)
    assert kg.build("gan", (8, 8, 1)).seed != kg.build("gan", (8, 8, 1)).seed


def test_players_are_not_initialized_alike():
    model = kg.build("gan", (8, 8, 1), seed=0, latent_dim=64)
    a, b = model.generator.get_weights()[0], model.discriminator.get_weights()[0]
    assert a.shape == b.shape
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.1


def test_initial_weights_have_the_initializers_scale():
    model = kg.build("gan", (28, 28, 1), seed=0)
    kernel = model.discriminator.get_weights()[0]
    limit = np.sqrt(6 / sum(kernel.shape))
    assert np.abs(kernel).max() <= limit
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)


@pytest.mark.parametrize("seed", [0, 2**40])
def test_seeds(seed):
    model = kg.build("gan", (8, 8, 1), seed=seed)
    model.fit(_batch((8, 8, 1)), verbose=0)
    assert model.seed == seed


def test_keras_global_seed_is_left_as_it_was():
    keras.utils.set_random_seed(5)
    seed = keras.src.utils.rng_utils.get_random_seed()
    kg.build("gan", (8, 8, 1), seed=3)
    assert keras.src.utils.rng_utils.get_random_seed() == seed == 5
    # What Python draws next is not what the model's seed would have it be.
    draws = []
    for global_seed in (1, 2):
        random.seed(global_seed)
        kg.build("gan", (8, 8, 1), seed=3)
        draws.append(random.random())
    assert draws[0] != draws[1]


def test_settings_reach_the_model():
    optimizer = keras.optimizers.SGD(0.5)
    model = kg.build(
        "wgan-gp",
        (28, 28, 1),
        preset="mlp",
        latent_dim=7,
        generator_optimizer=optimizer,
        ema_decay=0.9,
        gradient_clip_norm=2.0,
        penalty_weight=3.0,
        discriminator_steps=2,
        one_sided=True,
    )
    assert model.generator_optimizer is optimizer
    assert (model.latent_dim, model.ema_decay, model.gradient_clip_norm) == (7, 0.9, 2.0)
    assert (model.penalty_weight, model.discriminator_steps, model.one_sided) == (3.0, 2, True)


@pytest.mark.parametrize(("precision", "dtype"), [("float32", "float32"), ("bfloat16", "bfloat16")])
def test_precision(precision, dtype):
    model = kg.build("dcgan", (28, 28, 1), precision=precision)
    convolutions = [layer for layer in model.discriminator.layers if "conv" in layer.name]
    assert {layer.compute_dtype for layer in convolutions} == {dtype}
    assert {w.dtype for w in model.trainable_weights} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("name", GANS)
def test_round_trip(name, tmp_path):
    model = kg.build(name, (28, 28, 1), preset="mlp", seed=2, ema_decay=0.9)
    again = type(model).from_config(model.get_config())
    assert again.get_config() == model.get_config()
    model.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    assert loaded.ema_decay == 0.9
    np.testing.assert_array_equal(model.sample(2, seed=0), loaded.sample(2, seed=0))


def test_list_models():
    autoencoders = {"vae", "beta-vae", "conditional-vae", "vq-vae", "vae-gan"}
    assert set(kg.list_models()) == set(MODELS) == {"gan", "dcgan", "wgan", "wgan-gp"} | autoencoders
    assert all(kg.list_models().values())


def test_options_of_each_entry():
    assert MODELS["gan"].options == {"saturating": False, "discriminator_steps": 1}
    assert MODELS["dcgan"].options == MODELS["gan"].options
    assert MODELS["wgan"].options == {"clip": 0.01, "discriminator_steps": 5}
    assert MODELS["wgan-gp"].options == {
        "penalty_weight": 10.0,
        "discriminator_steps": 5,
        "target": 1.0,
        "one_sided": False,
    }
    assert MODELS["vae"].options == {"likelihood": "bernoulli", "variance": None}
    assert MODELS["vae-gan"].options == {"similarity_weight": 0.01}
    assert MODELS["conditional-vae"].required == ["num_classes"]
    assert MODELS["vq-vae"].optimizers == ["optimizer", "prior_optimizer"]


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (("wgan_gp", (28, 28, 1)), {}, "no model 'wgan_gp'. Did you mean 'wgan-gp'\\? There are: gan, "),
        (("WGAN", (28, 28, 1)), {}, "Did you mean 'wgan'"),
        (("xyz", (28, 28, 1)), {}, "no model 'xyz'. There are: gan"),
        ((None, (28, 28, 1)), {}, "no model None"),
        (("gan", (8, 8, 1)), {"preset": "mlpp"}, "no preset 'mlpp'. Did you mean 'mlp'"),
        (("wgan-gp", (28, 28, 1)), {"penalty": 1}, "no option of wgan-gp 'penalty'. Did you mean 'penalty_w"),
        (("gan", (28, 28, 1)), {"loss": 1}, "no option of gan 'loss'"),
        (("gan", 28), {}, r"must be \(height, width, channels\); received 28"),
        (("gan", "abc"), {}, "received 'abc'"),
        (("gan", (28, 28)), {}, r"received \(28, 28\)"),
        (("gan", (28, 0, 1)), {}, r"received \(28, 0, 1\)"),
        (("gan", (28.5, 28, 1)), {}, "received"),
        (("gan", (8, 8, 1)), {"latent_dim": 0}, "latent_dim must be a whole number, 1 or more; received 0"),
        (("gan", (8, 8, 1)), {"latent_dim": 1.5}, "latent_dim must be a whole number"),
        (("dcgan", (20, 20, 1)), {}, "28 to 128 pixels"),
        (("wgan", (28, 28, 1)), {"preset": "dcgan-32"}, "makes 32x32"),
        (
            ("vae", (28, 28, 1)),
            {"preset": "mlp"},
            "preset 'mlp' has no encoder and decoder; there are: vae, ",
        ),
        (("gan", (28, 28, 1)), {"preset": "vae"}, "preset 'vae' has no generator and discriminator"),
        (("vae", (20, 20, 1)), {}, "28 to 128 pixels"),
        (("conditional-vae", (28, 28, 1)), {}, "conditional-vae needs the option num_classes"),
        (("vae", (28, 28, 1)), {"likelihood": "poisson"}, "one of bernoulli, gaussian; received 'poisson'"),
        (("vae", (28, 28, 1)), {"likelihood": 3}, "one of bernoulli, gaussian; received 3"),
        (("gan", (8, 8, 1)), {"precision": "float16"}, "auto, float32, bfloat16"),
    ],
)
def test_what_is_wrong_is_said(arguments, options, said):
    with pytest.raises(ValueError, match=said):
        kg.build(*arguments, **options)


@pytest.mark.parametrize(
    ("name", "option", "values", "said"),
    [
        ("gan", "saturating", ("maybe", 1, None), "saturating must be true or false"),
        ("wgan-gp", "one_sided", ("maybe",), "one_sided must be true or false; received maybe"),
        ("wgan-gp", "discriminator_steps", (1.5, True, "many", None), "must be a whole number"),
        ("wgan-gp", "penalty_weight", (np.nan, np.inf, "nan", None, True), "must be a finite number"),
        ("wgan", "clip", (float("1e400"), "wide"), "clip must be a finite number"),
        ("vae", "variance", (np.nan, "learned"), "variance must be a finite number"),
        ("conditional-vae", "num_classes", (2.5, "ten"), "num_classes must be a whole number"),
    ],
)
def test_values_are_of_the_kind_of_their_option(name, option, values, said):
    for value in values:
        with pytest.raises(ValueError, match=said):
            kg.build(name, (28, 28, 1), **{**REQUIRED.get(name, {}), option: value})


def test_numpy_numbers_are_numbers():
    MODELS["wgan-gp"].check({"penalty_weight": np.float32(3), "discriminator_steps": np.int64(2)})
    MODELS["wgan-gp"].check({"penalty_weight": 3, "one_sided": np.True_})
    MODELS["vae"].check({"variance": None, "likelihood": "gaussian"})
