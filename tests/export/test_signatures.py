"""Signatures: what each model is exported with gives what its methods give."""

import numpy as np
import pytest
import tensorflow as tf

from keras_gen import precision
from keras_gen.export import signatures as module
from keras_gen.export.signatures import examples, signatures

NAMES = {
    "gan": ["generate", "sample"],
    "vae": ["decode", "encode", "reconstruct", "sample", "embed"],
    "conditional-vae": ["decode", "encode", "reconstruct", "sample", "embed"],
    "vq-vae": ["decode", "encode", "reconstruct", "sample"],
    "fast": ["stylize"],
    "adain": ["stylize", "encode_style", "stylize_encoded"],
}
IMAGES = np.random.default_rng(0).uniform(-1, 1, (3, 28, 28, 1)).astype("float32")
PHOTOGRAPHS = np.random.default_rng(1).uniform(-1, 1, (2, 37, 50, 3)).astype("float32")


def _run(model, name, **inputs):
    """The outputs of a signature, in a graph whose sizes are free, as exporters trace it."""
    signature = signatures(model)[name]
    specs = {p.name: tf.TensorSpec((None, *p.shape), p.dtype, name=p.name) for p in signature.inputs}
    traced = tf.function(lambda **each: signature.function(**each), autograph=False)
    outputs = traced.get_concrete_function(**specs)(**{name: tf.constant(x) for name, x in inputs.items()})
    for port in signature.outputs:
        assert outputs[port.name].dtype == port.dtype
        assert tf.TensorShape((None, *port.shape)).is_compatible_with(outputs[port.name].shape)
    assert set(outputs) == {port.name for port in signature.outputs}
    return {key: value.numpy() for key, value in outputs.items()}


@pytest.mark.parametrize("name", NAMES)
def test_every_model_has_its_signatures_and_takes_its_examples(models, name):
    table = signatures(models(name))
    assert list(table) == NAMES[name]
    for signature in table.values():
        inputs = examples(signature, 3, seed=0)
        again = examples(signature, 3, seed=0)
        for port in signature.inputs:
            np.testing.assert_array_equal(inputs[port.name], again[port.name])
        function = tf.function(signature.function, autograph=False)
        outputs = function(**{key: tf.constant(value) for key, value in inputs.items()})
        assert all(len(value) == 3 and np.isfinite(value).all() for value in outputs.values())


@pytest.mark.parametrize("name", ["gan", "vae", "conditional-vae", "vq-vae"])
def test_a_request_of_seed_and_index_is_sample(models, name):
    model = models(name)
    label = {"label": np.array([0, 1, 2, 0], "int32")} if model.labelled else {}
    seeds, indices = np.array([7, 7, 7, 2**40]), np.array([0, 1, 2, 1])
    images = _run(model, "sample", seed=seeds, index=indices, **label)["image"]
    np.testing.assert_allclose(images[:3], model.sample(3, seed=7), atol=1e-6)
    other = {"labels": [1, 0]} if model.labelled else {}
    np.testing.assert_allclose(images[3], model.sample(2, seed=2**40, **other)[1], atol=1e-6)


def test_generate_is_of_the_moving_average(models):
    model = models("gan")
    latents = model.latents(2, seed=0)
    images = _run(model, "generate", latent=latents)["image"]
    np.testing.assert_allclose(images, model.ema_network(latents), atol=1e-6)
    assert np.abs(images - model.generator(latents)).max() > 1e-3


@pytest.mark.parametrize("name", ["vae", "conditional-vae"])
def test_autoencoders(models, name):
    model = models(name)
    labels = np.array([2, 0, 1], "int32") if model.labelled else None
    given = {"label": labels} if model.labelled else {}
    mean, log_variance = model.encode(IMAGES, labels)
    encoded = _run(model, "encode", image=IMAGES, **given)
    np.testing.assert_allclose(encoded["mean"], mean, atol=1e-5)
    np.testing.assert_allclose(encoded["log_variance"], log_variance, atol=1e-5)
    np.testing.assert_allclose(_run(model, "embed", image=IMAGES, **given)["embedding"], mean, atol=1e-5)
    decoded = _run(model, "decode", latent=mean, **given)["image"]
    np.testing.assert_allclose(decoded, model.decode(mean, labels), atol=1e-5)
    made = _run(model, "reconstruct", image=IMAGES, **given)["image"]
    np.testing.assert_allclose(made, model.reconstruct(IMAGES, labels), atol=1e-5)


def test_codes(models):
    model = models("vq-vae")
    codes = _run(model, "encode", image=IMAGES)["codes"]
    np.testing.assert_array_equal(codes, model.encode(IMAGES))
    assert len(np.unique(codes)) > 1
    np.testing.assert_allclose(_run(model, "decode", codes=codes)["image"], model.decode(codes), atol=1e-5)
    made = _run(model, "reconstruct", image=IMAGES)["image"]
    np.testing.assert_allclose(made, model.reconstruct(IMAGES), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "size"), [("fast", (37, 50)), ("fast", (64, 64)), ("fast", (5, 9)), ("calm", (37, 50))]
)
def test_fast_style_of_any_size(models, name, size):
    model = models(name)
    photographs = PHOTOGRAPHS[:, :5, :9] if size == (5, 9) else np.resize(PHOTOGRAPHS, (2, *size, 3))
    weights, strength = np.array([[0, 2, 0], [1, 0, 3]], "float32"), np.array([1, 0.25], "float32")
    made = _run(model, "stylize", image=photographs, weights=weights, strength=strength)["image"]
    for i in range(2):
        expected = model.stylize(photographs[i], weights[i], float(strength[i]))
        np.testing.assert_allclose(made[i], expected, atol=2e-5)


@pytest.mark.parametrize("name", ["calm", "adain"])
def test_one_colour_stays_one_colour(models, name):
    photographs = np.stack([np.full((40, 32, 3), -0.9), np.full((40, 32, 3), 0.5)]).astype("float32")
    shades = np.random.default_rng(0).standard_normal((40, 32, 3)) * 1 / 255  # half a level
    photographs[1] += shades.astype("float32")
    weights, style = np.eye(3, dtype="float32")[:2], PHOTOGRAPHS[:, :32, :32]
    given = {"weights": weights} if name == "calm" else {"style": style}
    made = _run(models(name), "stylize", image=photographs, strength=np.ones(2, "float32"), **given)["image"]
    chosen = weights if name == "calm" else style
    for i in range(2):
        expected = models(name).stylize(photographs[i], chosen[i])
        np.testing.assert_allclose(made[i], expected, atol=1e-3)  # noise is normalized, and its rounding
    assert made[0].std((0, 1)).max() < 1e-4


@pytest.mark.parametrize(
    ("name", "painting"), [("adain", (32, 48)), ("adain", (300, 700)), ("adain-noise", (32, 48))]
)
def test_arbitrary_style(models, name, painting):
    model = models(name)
    paintings = np.random.default_rng(2).uniform(-1, 1, (2, *painting, 3)).astype("float32")
    strength = np.array([1, 0.5], "float32")
    made = _run(model, "stylize", image=PHOTOGRAPHS, style=paintings, strength=strength)["image"]
    for i in range(2):
        expected = model.stylize(PHOTOGRAPHS[i], paintings[i], float(strength[i]))
        np.testing.assert_allclose(made[i], expected, atol=2e-5)
    statistics = _run(model, "encode_style", style=paintings)["statistics"]
    parts = {"image": PHOTOGRAPHS, "statistics": statistics, "strength": strength}
    np.testing.assert_allclose(_run(model, "stylize_encoded", **parts)["image"], made, atol=1e-5)


def test_what_was_trained_in_bfloat16_is_exported_in_float32():
    import keras_gen as kg

    model = kg.build("gan", image_shape=(8, 8, 1), precision="bfloat16", latent_dim=4, seed=0)
    latents = model.latents(2, seed=0)
    precision._say_so.cache_clear()  # it is said once in a process, where another test may have been first
    with pytest.warns(UserWarning, match="compute in bfloat16; they are exported in float32"):
        images = _run(model, "generate", latent=latents)["image"]
    twin = kg.build("gan", image_shape=(8, 8, 1), precision="float32", latent_dim=4, seed=0)
    np.testing.assert_allclose(images, twin.generate(latents), atol=1e-6)


def test_a_system_to_come_registers_its_own(models):
    class Inverter:
        pass

    with pytest.raises(TypeError, match=r"Inverter has no export signatures.*register"):
        signatures(Inverter())

    @signatures.register(Inverter)
    def _(model):
        image = module.Port("image", "image", (None, None, 3), multiple=8, bounds=(-1, 1))
        return module.as_table(
            module.Signature("invert", lambda image: {"image": -image}, (image,), (image,))
        )

    signature = signatures(Inverter())["invert"]
    photograph = np.full((2, 37, 50, 3), 0.5, "float32")
    inputs = examples(signature, 2, seed=0, images=photograph)
    assert inputs["image"].shape == (2, 32, 48, 3)
    np.testing.assert_allclose(signature.function(**inputs)["image"], -0.5, atol=1e-6)
    assert examples(signature, 1, seed=0, size=(16, 24))["image"].shape == (1, 16, 24, 3)
