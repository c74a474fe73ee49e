"""FastStyleTransfer: what it learns, saves, blends and refuses."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from matplotlib import cbook
from style_examples import paintings, photographs

from keras_gen import style
from keras_gen.curvature import SingularityCorrection
from keras_gen.image import load_image
from keras_gen.layers import ImageOrigin, PatternStrength
from keras_gen.networks.transformer_net import transformer_net
from keras_gen.precision import scope
from keras_gen.random import RandomStream
from keras_gen.runs.folder import Run
from keras_gen.style import FastStyleTransfer, gram_loss, gram_matrix, pack, painter, pretrained
from keras_gen.style.faint import evened, evened_batch
from keras_gen.style.perceptual import (
    blotch_losses,
    checkerboard_losses,
    content_losses,
    grain_losses,
    mean_variation,
    palette,
    palette_losses,
    structure_losses,
    style_losses,
    tone_losses,
)
from keras_gen.style.training import resumed

RANDOM = {"backbone": "random"}


def fast_model(**options):
    network = transformer_net(2, width=8, separable=True, blocks=1)
    model = FastStyleTransfer(network, ["stripes", "plain"], features=RANDOM, seed=3, **options)
    model.compile(ema_decay=0.9)
    return model


def test_learns_the_style_of_each_painting():
    model = fast_model(content_weight=0.0)
    model.compile(keras.optimizers.Adam(0.02))
    model.adapt(paintings())
    history = model.fit(photographs(16), batch_size=4, epochs=4, verbose=0).history
    assert history["style"][-1] < 0.5 * history["style"][0]
    first, second = (model.stylize(photographs(1)[0], style) for style in ("stripes", "plain"))
    assert np.abs(first - second).max() > 0.01


def test_losses_are_relative_to_painting_and_photograph():
    model = fast_model(
        style_weight=[2.0, 3.0], tone_weight=0.7, checkerboard_weight=1e4, total_variation_weight=0.5
    )
    model.adapt(paintings())
    images, weights = tf.constant(photographs(2)), tf.one_hot([1, 0], 2)
    losses = model.losses_of(model.network, images, weights)
    # What is trained is what is used, borders included.
    pairs = zip(images.numpy(), (1, 0), strict=True)
    pictures = np.stack([model.stylize(image, style) for image, style in pairs])
    content, found = model.vgg_features(images), model.vgg_features(pictures)
    style = []
    for i, name in enumerate(["plain", "stripes"]):
        wanted = {tap: gram_matrix(f) for tap, f in model.vgg_features(paintings()[name][None]).items()}
        style.append(
            [
                gram_loss(gram_matrix(found[tap][i : i + 1]), gram) / np.mean(np.square(gram))
                for tap, gram in wanted.items()
            ]
        )
    style = np.mean(style, (1, 2))
    photograph, picture = content["relu3_3"].numpy(), found["relu3_3"].numpy()
    relative = np.square(picture - photograph).mean((1, 2, 3)) / np.square(photograph).mean((1, 2, 3))
    variation = sum(np.abs(np.diff(pictures, axis=axis)).mean() for axis in (1, 2))
    np.testing.assert_allclose(losses["style"], style.mean(), rtol=1e-3)
    np.testing.assert_allclose(losses["content"], relative.mean(), rtol=1e-3)
    np.testing.assert_allclose(losses["total_variation"], variation, rtol=1e-4)
    tone = tone_losses(pictures, images)
    checkerboard = checkerboard_losses(pictures)
    np.testing.assert_allclose(losses["tone"], np.mean(tone), rtol=1e-3)
    np.testing.assert_allclose(losses["checkerboard"], np.mean(checkerboard), rtol=1e-3)
    expected = np.mean(relative + [3.0, 2.0] * style + 0.7 * tone + 1e4 * checkerboard) + 0.5 * variation
    np.testing.assert_allclose(losses["loss"], expected, rtol=1e-3)


def test_textures_are_learned_in_all_their_parts():
    model = fast_model()
    model.adapt(paintings())
    images, weights, origins = model.examples(tf.constant(photographs(16)), RandomStream(0, 0))
    assert origins.shape == (16, 2)
    assert not np.any(origins % 32)
    assert len(np.unique(origins)) > 8
    assert np.min(origins) >= 0
    assert np.max(origins) < 512
    textures = model.network.get_layer("texture").textures
    textures.assign(np.random.default_rng(0).normal(0, 0.1, textures.shape))
    losses = [
        float(model.losses_of(model.network, images[:1], weights[:1], origin)["loss"])
        for origin in (None, [[0, 0]], [[512, 0]], [[256, 64]])
    ]
    np.testing.assert_allclose(losses[:3], losses[0], rtol=1e-5)
    assert abs(losses[3] - losses[0]) > 1e-3 * losses[0]


def test_a_saved_model_goes_on_exactly(tmp_path):
    images = photographs()
    straight, broken = (fast_model(checkerboard_weight=7.0, restraint_weight=0.3) for _ in range(2))
    broken.set_weights(straight.get_weights())
    for model in (straight, broken):
        keras.utils.set_random_seed(1)  # of VGG, which is random here and not in the file
        model.adapt(paintings())
    straight.fit(images, batch_size=4, epochs=2, verbose=0, shuffle=False)
    broken.fit(images, batch_size=4, epochs=1, verbose=0, shuffle=False)
    broken.save(tmp_path / "a.keras")
    again = keras.saving.load_model(tmp_path / "a.keras")
    assert again.features.options["backbone"] == "random"
    assert again.checkerboard_weight == broken.checkerboard_weight == 7
    assert again.restraint_weight == broken.restraint_weight == 0.3
    np.testing.assert_array_equal(again.stylize(images[0], 1), broken.stylize(images[0], 1))
    again.features = broken.features
    again.fit(images, batch_size=4, epochs=1, verbose=0, shuffle=False)
    for a, b in zip(straight.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_stylizes_any_size():
    model = fast_model()
    for size in ((32, 32), (37, 50), (3, 5), (1, 1)):
        picture = model.stylize(np.zeros((*size, 3), "float32"), 0)
        assert picture.shape == (*size, 3)
        assert np.abs(picture).max() <= 1


def test_styles_by_name_index_and_weights():
    model = fast_model()
    layers = [layer for layer in model.network.layers if "normalization" in layer.name]
    for layer in layers:
        layer.beta.assign(np.random.default_rng(1).standard_normal(layer.beta.shape))
    model.compile()
    image = photographs(1)[0]
    by_name = model.stylize(image, "plain")
    np.testing.assert_array_equal(by_name, model.stylize(image, 1))
    np.testing.assert_array_equal(by_name, model.stylize(image, {"plain": 2}))
    np.testing.assert_array_equal(by_name, model.stylize(image[None], [0, 0.5])[0])
    assert np.abs(by_name - model.stylize(image, "stripes")).max() > 0.01
    blend = model.stylize(image, {"plain": 1, "stripes": 1})
    assert np.abs(by_name - blend).max() > 0


def test_strength_goes_from_the_image_to_the_picture():
    model, image = fast_model(), photographs(1)[0]
    whole = model.stylize(image, 0)
    np.testing.assert_array_equal(model.stylize(image, 0, strength=0), image)
    np.testing.assert_allclose(model.stylize(image, 0, strength=0.5), (image + whole) / 2, atol=1e-6)


def test_texture_goes_from_none_to_the_learned_one():
    model, image = fast_model(), photographs(1)[0]
    textures = model.sampler.get_layer("texture").textures
    textures.assign(np.random.default_rng(0).standard_normal(textures.shape))
    whole = model.stylize(image, 0)
    np.testing.assert_array_equal(model.stylize(image, 0, texture=1), whole)
    for strength in (0.0, 0.5):
        with PatternStrength(strength):  # of noise as well
            expected = model.losses_of(model.sampler, image[None], tf.one_hot([0], 2))["total_variation"]
        found = model.stylize(image, 0, texture=strength)
        np.testing.assert_allclose(mean_variation(found[None]), expected, rtol=1e-4)
        assert np.abs(whole - found).max() > 0.01
    calm = model.stylize(image, 0, texture=0)
    textures.assign(0 * textures)
    np.testing.assert_array_equal(model.stylize(image, 0, texture=0), calm)


def test_who_has_learned_calm_pictures_paints_them():
    keras.utils.set_random_seed(0)
    network = transformer_net(2, width=8, separable=True, blocks=1, calm=True)
    model, image = FastStyleTransfer(network, ["stripes", "plain"], features=RANDOM), photographs(1)[0]
    assert model.default_texture == 0
    for texture in (0, 1):
        found = model.stylize(image, 1, texture=np.array(texture))
        np.testing.assert_array_equal(found, model.stylize(image, 1, texture=float(texture)))
    model.adapt(paintings())
    with pytest.raises(ValueError, match="one for calm pictures, which learns by a temporal weight alone"):
        model.fit(photographs(2))
    np.testing.assert_array_equal(model.stylize(image, 1), model.stylize(image, 1, texture=0))
    assert np.abs(model.stylize(image, 1) - model.stylize(image, 1, texture=1)).mean() > 0.02
    assert fast_model().default_texture == 1


@pytest.mark.parametrize("calm", [False, True])
def test_predict_paints_as_stylize_does(calm):
    keras.utils.set_random_seed(0)
    network = transformer_net(2, width=8, separable=True, blocks=1, calm=calm)
    model = FastStyleTransfer(network, ["stripes", "plain"], features=RANDOM)
    images = photographs(2)[:, :27]
    expected = model.stylize(images, "plain")
    found = model.predict([images, tf.one_hot([1, 1], 2)], verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    blend = np.float32([[2, 6], [0.5, 0]])  # by their proportions
    expected = [model.stylize(image, weights) for image, weights in zip(images, blend, strict=True)]
    np.testing.assert_allclose(model.predict([images, blend], verbose=0), expected, atol=1e-5)
    pairs = tf.data.Dataset.from_tensor_slices((images, np.eye(2, dtype=int)[[1, 1]])).batch(1)
    np.testing.assert_allclose(model.predict(pairs, verbose=0), model.stylize(images, "plain"), atol=1e-5)
    with PatternStrength(1.0):  # says otherwise
        textured = model([images, tf.one_hot([1, 1], 2)])
    np.testing.assert_allclose(textured, model.stylize(images, "plain", texture=1), atol=1e-5)
    with PatternStrength(1.0), ImageOrigin((64, 64)):  # where other noise lies
        assert np.abs(model([images, tf.one_hot([1, 1], 2)]) - textured).max() > 1e-3


@pytest.mark.parametrize("name", ["patterned", "calm"])
def test_a_gradient_that_is_not_finite_is_found_in_either_network(name):
    """Their weights have the same paths."""
    network = transformer_net(2, width=8, separable=True, blocks=1, calm=True)
    model = FastStyleTransfer(network, ["stripes", "plain"], temporal_weight=1.0, features=RANDOM)
    model.compile()
    before = model.get_weights()

    @tf.custom_gradient
    def broken(kernel):
        return tf.reduce_sum(kernel), lambda upstream: kernel * float("nan")

    blend = network.get_layer("blend")
    with tf.GradientTape() as tape:
        kernels = {each: getattr(blend, each).get_layer("down1").kernel for each in ("patterned", "calm")}
        loss = tf.add_n(
            [(broken if each == name else tf.reduce_sum)(kernel.value) for each, kernel in kernels.items()]
        )
    with pytest.raises(tf.errors.InvalidArgumentError, match="the gradient of the model by down1/kernel"):
        model.update("model", loss, tape)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("own", "weight"), [(0.0, 1.0), (0.4, 1.0), (2.0, 2.0)])
def test_calm_pictures_learn_what_keeps_them_plain_besides(own, weight):
    network = transformer_net(2, width=8, separable=True, blocks=1, calm=True)
    options = {"temporal_weight": 0.5, "restraint_weight": own, "features": RANDOM, "seed": 0}
    model = FastStyleTransfer(network, ["stripes", "plain"], style_weight=[3.0, 5.0], **options)
    model.adapt(paintings())
    images, weights = tf.constant(photographs(2)), tf.one_hot([0, 1], 2)
    motion = model.motion(images, RandomStream(0, 0))
    found = model.losses_of(network, images, weights, None, *motion)
    with_patterns = model.losses_of(network, images, weights)

    pictures = tf.stack([model.stylize(images[i].numpy(), i, texture=0) for i in range(2)])
    each = [model.vgg_features(paintings()[style][None]) for style in model.styles]
    grams = {tap: tf.concat([gram_matrix(one[tap]) for one in each], 0) for tap in each[0]}
    palettes = tf.concat([palette(paintings()[style][None], 256) for style in model.styles], 0)
    expected = content_losses(model.vgg_features(pictures), model.vgg_features(images))
    expected += [3.0, 5.0] * style_losses(model.vgg_features(pictures), grams)
    expected += 0.3 * tone_losses(pictures, images) + 100 * checkerboard_losses(pictures)
    restraint = 0.24 * structure_losses(pictures, images) + 5 * palette_losses(pictures, palettes)
    restraint += 9 * blotch_losses(pictures, images) + 80 * grain_losses(pictures, images)
    expected = np.mean(expected + weight * restraint) + (0.02 + 0.18 * weight) * mean_variation(pictures)
    np.testing.assert_allclose(found["calm"], expected, rtol=1e-4)
    total = with_patterns["loss"] + found["calm"] + 0.5 * found["temporal"]
    np.testing.assert_allclose(found["loss"], total, rtol=1e-5)
    assert set(found) == {*with_patterns, "calm", "temporal"}
    assert ("restraint" in with_patterns) == (own > 0)


def test_bfloat16_keeps_losses_and_pictures_in_float32():
    with scope("bfloat16"):
        network = transformer_net(2, width=8, blocks=1)
    model = FastStyleTransfer(network, ["stripes", "plain"], features={"backbone": "random"}, seed=0)
    model.compile()
    model.adapt(paintings())
    logs = model.fit(photographs(4), batch_size=2, verbose=0).history
    assert np.isfinite(logs["loss"][0])
    assert all(weight.dtype == "float32" for weight in network.weights)
    assert model.stylize(photographs(1)[0], 0).dtype == np.float32
    losses = model.losses_of(network, tf.constant(photographs(2)), tf.one_hot([0, 1], 2))
    assert all(value.dtype == tf.float32 for value in losses.values())
    # VGG computes in bfloat16, from weights that machines can send each other.
    assert model.vgg_features(tf.zeros((1, 32, 32, 3)))["relu3_3"].dtype == tf.bfloat16
    (vgg,) = model.features._models.values()
    assert {weight.dtype for weight in vgg.weights} == {"float32"}


@pytest.mark.slow
def test_the_correction_acts_before_the_optimizer():
    model = fast_model()
    model.compile("adam", correction=SingularityCorrection(damping=1.0, iterations=2))
    model.adapt(paintings())
    logs = model.fit(photographs(2, 16), batch_size=2, verbose=0).history
    assert logs["model_products"][0] > 0
    config = model.get_compile_config()
    assert {"optimizer", "correction"} <= config.keys()


@pytest.mark.parametrize("restraint_weight", [0.0, 0.5])
def test_evaluation_repeats_itself_and_changes_nothing(restraint_weight):
    model = fast_model(restraint_weight=restraint_weight)
    model.adapt(paintings())
    before = model.get_weights()
    first, second = (
        model.evaluate(photographs(), batch_size=3, verbose=0, return_dict=True) for _ in range(2)
    )
    assert first == second
    parts = {"content", "style", "tone", "checkerboard", "total_variation"}
    assert set(first) == {"loss", *parts, *(["restraint"] if restraint_weight else [])}
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_colour_becomes_one_colour_without_patterns():
    """Not the lattice that rounding would be normalized to."""
    network = transformer_net(2, width=8, separable=True, blocks=1, calm=True)
    model, black = FastStyleTransfer(network, ["stripes", "plain"]), np.full((40, 32, 3), -1, "float32")
    weights = np.array([[0.0, 1.0]], "float32")
    picture = model.stylize(black, 1)
    np.testing.assert_array_equal(picture, np.broadcast_to(picture[0, 0], picture.shape))
    np.testing.assert_allclose(model([black[None], weights])[0], picture, atol=1e-5)
    assert model.stylize(black, 1, texture=1).std((0, 1)).min() > 0.01
    in_bytes = painter.fast(model, {"plain": 1.0})(np.zeros((40, 32, 3), np.uint8))
    np.testing.assert_array_equal(in_bytes, np.broadcast_to(in_bytes[0, 0], in_bytes.shape))
    assert np.abs(in_bytes[0, 0] / 127.5 - 1 - picture[0, 0]).max() < 0.005


def test_contrast_comes_with_that_of_the_image():
    image, picture = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)
    image[::2], picture[::2] = 2, 200  # a standard deviation of one level: half of the contrast
    np.testing.assert_array_equal(evened(picture, image, 0)[:2, 0, 0], [150, 50])
    np.testing.assert_allclose(
        evened(picture / 127.5 - 1, image / 127.5 - 1, 0)[:2, 0, 0], np.array([150, 50]) / 127.5 - 1
    )
    assert evened(picture, image, 0.5) is picture
    image[::2] = 60
    assert evened(picture, image, 0) is picture
    image[::2] = 0
    np.testing.assert_array_equal(evened(picture, image, 0), 100)


def test_contrast_in_a_graph_is_that_of_single_pictures():
    random = np.random.default_rng(3)
    noise, pictures = random.standard_normal((5, 9, 8, 3)), random.uniform(-1, 1, (5, 9, 8, 3))
    images = 0.3 + np.array([0, 0.5, 1, 2, 30])[:, None, None, None] * noise * 2 / 255
    both = tf.constant(pictures, tf.float32), tf.constant(images, tf.float32)
    expected = [evened(*each, 0) for each in zip(pictures, images, strict=True)]
    shares = [
        np.ptp(each - each.mean((0, 1))) / np.ptp(picture - picture.mean((0, 1)))
        for each, picture in zip(expected, pictures, strict=True)
    ]
    assert shares[0] < 1e-6 < shares[1] < shares[2] < shares[3] < 1 == shares[4]
    for found in (evened_batch(*both, 0.0), evened_batch(*both, tf.constant(0.0))):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    mixed = evened_batch(*both, tf.constant([0.0, 0.5, 0.0, 1.0, 1.0]))
    plain = np.array([True, False, True, False, False])[:, None, None, None]
    np.testing.assert_allclose(mixed, np.where(plain, expected, pictures), atol=1e-5)
    assert evened_batch(*both, 0.5) is both[0]


def test_packed_styles_paint_the_same_to_rounding(tmp_path):
    model = fast_model()
    textures = model.sampler.get_layer("texture").textures
    textures.assign(np.random.default_rng(0).normal(0, [[0.01], [0.1]], textures.shape))
    pack(model, tmp_path / "two.npz")
    packed = pretrained(tmp_path / "two.npz")
    assert packed.styles == model.styles
    image = photographs(1, 64)[0]
    for style_ in (0, 1):
        np.testing.assert_allclose(packed.stylize(image, style_), model.stylize(image, style_), atol=0.02)
    # Eight bits by a scale for each style: half a step at most is lost.
    found, wanted = packed.network.get_layer("texture").textures.numpy(), textures.numpy()
    steps = np.abs(wanted).max(axis=1, keepdims=True) / 127
    assert 0 < (np.abs(found - wanted) / steps).max() < 0.51
    # Of kernels by a scale for each filter.
    found, wanted = (each.network.get_layer("up1").kernel.numpy() for each in (packed, model))
    steps = np.abs(wanted).max(axis=(0, 1, 2)) / 127
    assert 0.4 < (np.abs(found - wanted) / steps).max() < 0.51
    packed.compile()
    with pytest.raises(ValueError, match="call adapt"):
        packed.fit(photographs(2))
    whole = (tmp_path / "two.npz").read_bytes()
    turned = bytearray(whole)
    turned[200:260] = bytes(60)
    for content in (b"none", b"", whole[:-300], bytes(turned)):
        (tmp_path / "damaged.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"not a file of packed styles, or is damaged: [^ ]"):
            pretrained(tmp_path / "damaged.npz")
    with np.load(tmp_path / "two.npz") as archive:
        stored = {name: archive[name] for name in archive.files if name != "weight_3"}
    last = len(model.network.weights) - 1
    stored["weight_3"] = stored.pop(f"weight_{last}")  # a weight fewer, as other networks have
    np.savez(tmp_path / "older.npz", **stored)
    with pytest.raises(ValueError, match=r"older\.npz holds other weights than its network has"):
        pretrained(tmp_path / "older.npz")
    deeper = {"calm": True, "calm_blocks": 2}
    bare, one_coat = {"calm": True, "coats": 0}, {"calm": True, "coats": 1}
    for options in ({"textured": False}, bare, deeper, {"calm": True}, one_coat):
        other = FastStyleTransfer(transformer_net(2, width=8, blocks=1, **options), ["a", "b"])
        pack(other, tmp_path / "other.npz")
        again = pretrained(tmp_path / "other.npz")
        for texture in (0.0, 0.5, 1.0):
            picture = again.stylize(image, 1, texture=texture)
            np.testing.assert_allclose(picture, other.stylize(image, 1, texture=texture), atol=0.02)
    assert again.temporal_weight == 10  # it can be trained further
    with np.load(tmp_path / "other.npz") as archive:
        stored = dict(archive)
    config = json.loads(str(stored["config"]))
    config["network"]["underpainted"] = bool(config["network"].pop("coats"))  # as files had it before
    np.savez(tmp_path / "underpainted.npz", **{**stored, "config": np.array(json.dumps(config))})
    older = pretrained(tmp_path / "underpainted.npz")
    np.testing.assert_array_equal(older.stylize(image, 1), again.stylize(image, 1))
    plain, styled = keras.Input((None, None, 3)), keras.Input((2,))
    other = FastStyleTransfer(keras.Model([plain, styled], plain), ["a", "b"], features=RANDOM)
    with pytest.raises(ValueError, match="Only a transformer_net can be packed"):
        pack(other, tmp_path / "other.npz")
    with pytest.raises(FileNotFoundError, match="eight-styles"):
        pretrained("nine-styles")


def test_runs_of_networks_that_saw_zeros_are_refused(tmp_path):
    model = fast_model()
    model.network.get_layer("up1").padding = "same"  # as it is in their files
    with pytest.raises(ValueError, match="The model is of an earlier version"):
        pack(model, tmp_path / "old.npz")
    assert not (tmp_path / "old.npz").exists()
    model.save(tmp_path / "old.keras")
    with pytest.raises(ValueError, match=r"old\.keras is of an earlier version .* Train it anew"):
        painter.load(tmp_path / "old.keras")
    run = Run(tmp_path / "run")
    run.checkpoints.mkdir(parents=True)
    model.save(run.checkpoints / "last.keras")
    with pytest.raises(ValueError, match=r"last\.keras is of an earlier version"):
        resumed(run, FastStyleTransfer, 9)


def test_files_of_networks_that_saw_zeros_are_refused(tmp_path):
    pack(fast_model(), tmp_path / "new.npz")
    with np.load(tmp_path / "new.npz") as archive:
        stored = dict(archive)
    config = json.loads(str(stored.pop("config")))
    assert config.pop("padding") == "reflect"
    np.savez(tmp_path / "old.npz", config=np.array(json.dumps(config)), **stored)
    with pytest.raises(ValueError, match=r"old\.npz was packed by an earlier version"):
        pretrained(tmp_path / "old.npz")


def test_the_package_has_eight_styles_in_a_small_file():
    model = pretrained()
    assert len(model.styles) == 8
    assert {"great-wave", "cafe-terrace", "composition-viii"} <= set(model.styles)
    folder = Path(style.__file__).parent / "weights"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2.5e6
    assert model.stylize(photographs(1)[0], "great-wave").shape == (32, 32, 3)


def test_the_package_paints_no_checkerboard():
    model = pretrained()
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        photo = load_image(file.name, max_size=384)
    painted = np.stack([model.stylize(photo, name) for name in model.styles])
    assert np.max(checkerboard_losses(painted)) < 5e-4  # before there was such a loss: up to 5e-3


def test_errors():
    model, image = fast_model(), photographs(1)[0]
    with pytest.raises(ValueError, match="no style 'cubism': choose from stripes, plain"):
        model.stylize(image, "cubism")
    with pytest.raises(ValueError, match="index below 2"):
        model.stylize(image, 2)
    with pytest.raises(ValueError, match="strength must be from 0 to 1"):
        model.stylize(image, 0, strength=1.5)
    with pytest.raises(ValueError, match="texture must be from 0 to 1; received -1"):
        model.stylize(image, 0, texture=-1)
    with pytest.raises(ValueError, match=r"\(height, width, 3\)"):
        model.stylize(image[..., :1])
    with pytest.raises(ValueError, match=r"the path 'photo.jpg': read it with keras_gen.image.load_image"):
        model.stylize("photo.jpg")
    with pytest.raises(ValueError, match=r"painting plain must have at least 16 pixels .* \(1, 32\)"):
        model.adapt({"stripes": image, "plain": image[:1]})
    model.adapt(paintings())
    model.compile()
    with pytest.raises(ValueError, match=r"at least 16 pixels a side; received \(8, 32\)"):
        model.fit(photographs(2)[:, :8])
    with pytest.raises(ValueError, match="one painting for each of stripes, plain; received those of plain"):
        model.adapt({"plain": image})
    with pytest.raises(ValueError, match="no two the same"):
        FastStyleTransfer(model.network, ["a", "a"])
    with pytest.raises(ValueError, match=r"transformer_net\(3\)"):
        FastStyleTransfer(model.network, ["a", "b", "c"])


def test_what_is_no_style_or_no_picture_is_refused():
    network = transformer_net(2, width=8, blocks=1, separable=True)
    model = FastStyleTransfer(network, ["stripes", "plain"], features=RANDOM, seed=0)
    photo = photographs(1)[0]
    for wrong in (True, {"stripes": np.inf}, [np.nan, 1], [np.inf, 1], ["stripes", "plain"], {"plain": "no"}):
        with pytest.raises(ValueError, match=r"^style must be|^There is no style"):
            model.stylize(photo, wrong)
    with pytest.raises(ValueError, match=r"received an array of shape \(32, 32, 3\)\. .* AdaINStyleTransfer"):
        model.stylize(photo, photo)
    with pytest.raises(ValueError, match=r"list of 2, of shapes \(32, 32, 3\), \(8, 32, 3\): paint them one"):
        model.stylize([photo, photo[:8]], 0)
    for strength in ("0.5", None, np.nan, np.array([0.5, 0.6])):
        with pytest.raises(ValueError, match="strength must be from 0 to 1; received"):
            model.stylize(photo, "plain", strength)
    with pytest.raises(ValueError, match="stripes, plain; received 1"):
        model.adapt([photo])
    with pytest.raises(ValueError, match="one for each of 2 styles"):
        FastStyleTransfer(network, ["stripes", "plain"], style_weight=[1, 2, 3], features=RANDOM)
    for values in (np.zeros((16, 16, 3), "uint8"), np.zeros((16, 16, 3), bool)):
        with pytest.raises(ValueError, match=f"floats in .* received {values.dtype}"):
            model.stylize(values, "plain")
    with pytest.raises(ValueError, match="symbolic"):
        tf.function(lambda image: model.stylize(image, "plain"))(photo)
