"""Style transfer by optimization, on a tiny network of random weights."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.callbacks import Preview
from keras_gen.curvature import SingularityCorrection
from keras_gen.image import gaussian_blur, load_image
from keras_gen.optimizers import LBFGS, Adam
from keras_gen.processor import on_cpu
from keras_gen.style import GatysStyleTransfer, gatys_stylize
from keras_gen.style.color import luminance

LAYERS = ("shallow", "deep")


@pytest.fixture(scope="module")
def backbone():
    keras.utils.set_random_seed(0)
    images = keras.Input((None, None, 3))
    shallow = keras.layers.Conv2D(8, 3, padding="same", activation="softplus", name="a")(images)
    deep = keras.layers.AveragePooling2D(2)(shallow)
    deep = keras.layers.Conv2D(12, 3, padding="same", activation="softplus", name="b")(deep)
    return keras.Model(images, {"shallow": shallow, "deep": deep})


def _picture(seed, height=40, width=48):
    noise = np.random.default_rng(seed).standard_normal((1, height, width, 3)).astype("float32")
    smooth = gaussian_blur(noise, 7, 1.0 + seed).numpy()[0]
    return np.clip(smooth / np.abs(smooth).max(), -0.8, 0.8)


def _model(backbone, styles=None, **options):
    options = {
        "backbone": backbone,
        "content_layers": ("deep",),
        "style_layers": LAYERS,
        "style_weight": 1.0,
        "total_variation_weight": 0.01,
        "seed": 0,
        **options,
    }
    return GatysStyleTransfer(_picture(0), _picture(1) if styles is None else styles, **options)


def _gradient(model):
    pixels = tf.convert_to_tensor(model.canvas.pixels.value)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        loss = model.objective(pixels, model.targets)["loss"]
    return tape.gradient(loss, pixels).numpy()[0]


@pytest.mark.parametrize("style_loss", ["gram", "mean_std"])
def test_gradient_equals_finite_differences(backbone, style_loss):
    # From the style, where the content's loss has a slope; without variation, which has kinks.
    model = _model(
        backbone, style_loss=style_loss, init="style", total_variation_weight=0.0, content_weight=9.0
    )
    pixels, gradient = model.canvas.pixels.numpy(), _gradient(model)
    direction = gaussian_blur(
        np.random.default_rng(3).standard_normal(pixels.shape).astype("float32"), 5
    ).numpy()

    def loss(step):
        return float(model.objective(tf.constant(pixels + step * direction), model.targets)["loss"])

    slope = (loss(0.02) - loss(-0.02)) / 0.04
    np.testing.assert_allclose(np.sum(gradient * direction[0]), slope, rtol=5e-3)


def test_losses_vanish_for_what_is_compared_with_itself(backbone):
    model = _model(backbone, styles=_picture(0))
    measured = model.measure()
    assert measured["content_loss"] < 1e-10
    assert measured["style_loss"] < 1e-10
    content = _picture(0)
    steps = sum(np.abs(np.diff(content, axis=axis)).sum() for axis in (0, 1))
    np.testing.assert_allclose(measured["variation"], steps / content.size, rtol=1e-5)


def test_losses_are_relative_to_pictures_of_zero_features():
    """A network that gives nothing is at distance one from any target."""
    images = keras.Input((None, None, 3))
    network = keras.Model(images, {"x": keras.layers.ReLU()(images)})
    model = GatysStyleTransfer(
        np.abs(_picture(0)), np.abs(_picture(1)), backbone=network, content_layers=["x"], style_layers=["x"]
    )
    measured = model.measure(-np.ones((40, 48, 3), "float32"))
    np.testing.assert_allclose([measured["content_loss"], measured["style_loss"]], 1.0, rtol=1e-5)


@pytest.mark.parametrize("optimizer", [None, "lbfgs"])
def test_fit_lowers_the_loss_and_stays_in_range(backbone, optimizer):
    model = _model(backbone, style_weight=10.0)
    before = model.measure()
    model.compile(optimizer)
    history = model.fit(25, verbose=0).history
    after = model.measure()
    assert after["loss"] < 0.2 * before["loss"]
    assert len(history["loss"]) == 3
    assert int(model.step.numpy()) == 25
    assert model.image.shape == (40, 48, 3)
    assert model.image.dtype == np.float32
    assert np.abs(model.image).max() <= 1


def test_lbfgs_needs_fewer_steps_than_adam(backbone):
    losses = []
    for optimizer in (Adam(0.03), LBFGS()):
        model = _model(backbone, style_weight=10.0)
        model.compile(optimizer)
        model.fit(30, verbose=0)
        losses.append(model.measure()["loss"])
    assert losses[1] < losses[0]


def test_last_report_is_of_the_picture(backbone):
    model = _model(backbone)
    model.compile("lbfgs")
    logs = model.fit(4, report_every=1, verbose=0).history
    np.testing.assert_allclose(logs["loss"][-1], model.measure()["loss"], rtol=1e-5)
    np.testing.assert_allclose(logs["style_loss"][-1], model.measure()["style_loss"], rtol=1e-5)


@pytest.mark.parametrize(
    "compiled",
    [
        {},
        pytest.param({"optimizer": "lbfgs"}, marks=pytest.mark.slow),
        pytest.param(
            {"correction": {"damping": 1.0, "iterations": 3}, "gradient_clip_norm": 0.5},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["adam", "lbfgs", "correction"],
)
def test_saved_and_loaded_goes_on_exactly(backbone, compiled, tmp_path):
    """Over a change of scale, with masks, and in the midst of a report."""
    compiled = dict(compiled)
    if "correction" in compiled:
        compiled["correction"] = SingularityCorrection(**compiled["correction"])
    left = np.zeros((40, 48)) + (np.arange(48) < 24)
    model = _model(
        backbone,
        styles=[_picture(1), _picture(2, 50, 60)],
        masks=[left, 1 - left],
        scales=(0.8, 1.0),
        steps_per_scale=4,
        preserve_color="histogram",
    )
    model.compile(**compiled)
    model.fit(3, verbose=0)
    model.save(tmp_path / "a.keras")
    again = keras.saving.load_model(tmp_path / "a.keras")
    np.testing.assert_array_equal(again.image, model.image)
    for one in (model, again):
        one.fit(4, verbose=0)
        assert one.canvas.pixels.shape == (1, 40, 48, 3)
    np.testing.assert_array_equal(again.image, model.image)
    again.save(tmp_path / "b.keras")
    last = keras.saving.load_model(tmp_path / "b.keras")
    for one in (model, last):
        one.fit(2, verbose=0)
    np.testing.assert_array_equal(last.image, model.image)
    assert int(last.step.numpy()) == 9


def test_loads_in_a_new_process_by_importing_the_package(backbone, tmp_path):
    model = _model(backbone)
    model.save(tmp_path / "a.keras")
    code = "import keras, keras_gen, sys; print(keras.saving.load_model(sys.argv[1]).image.sum())"
    command = [sys.executable, "-c", code, str(tmp_path / "a.keras")]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    np.testing.assert_allclose(float(found.split()[-1]), model.image.sum(), rtol=1e-5)


def test_saved_by_luminance_and_loaded_goes_on(backbone, tmp_path):
    """Its style has one channel, made of three."""
    model = _model(backbone, preserve_color="luminance")
    model.compile()
    model.fit(2, verbose=0)
    model.save(tmp_path / "a.keras")
    again = keras.saving.load_model(tmp_path / "a.keras")
    for one in (model, again):
        one.fit(2, verbose=0)
    np.testing.assert_array_equal(again.image, model.image)


@pytest.mark.parametrize(
    "weights", [{"content_weight": np.nan}, {"style_weight": np.inf}, {"style_weights": [np.inf]}]
)
def test_weights_that_are_not_finite_are_refused(backbone, weights):
    with pytest.raises(ValueError, match="received"):
        _model(backbone, **weights)


def test_a_picture_is_not_spread_over_devices(backbone):
    with (
        tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"]).scope(),
        pytest.raises(ValueError, match="outside"),
    ):
        _model(backbone)


def test_in_parts_equals_at_once(backbone):
    images = []
    for parts in ((7,), (3, 4)):
        model = _model(backbone, scales=(0.8, 1.0), steps_per_scale=4)
        model.compile("lbfgs")
        for part in parts:
            model.fit(part, verbose=0)
        images.append(model.image)
    np.testing.assert_array_equal(*images)


def test_scales_go_from_coarse_to_fine(backbone):
    sizes = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            sizes.append(self.model.canvas.pixels.shape[1:3])

    model = _model(backbone, scales=(0.8, 0.9, 1.0), steps_per_scale=2)
    assert model.image.shape == (40, 48, 3)
    model.compile()
    model.fit(6, callbacks=[Watch()], verbose=0)
    assert sizes == [(32, 38)] * 2 + [(36, 43)] * 2 + [(40, 48)] * 2


def test_masks_confine_the_style(backbone):
    left = np.zeros((40, 48), "float32")
    left[:, :20] = 1
    model = _model(backbone, masks=[left], total_variation_weight=0.0)
    gradient = np.abs(_gradient(model)).max((0, 2))
    # Features of a pixel reach three pixels further, and masks of the coarse layer one.
    assert gradient[:20].max() > 0
    assert gradient[26:].max() == 0


def test_masks_of_nothing_are_refused(backbone):
    with pytest.raises(ValueError, match="all are 0 everywhere"):
        _model(backbone, masks=[np.zeros((40, 48))])
    with pytest.raises(ValueError, match=r"received one array of shape \(40, 48\): put it into a list"):
        _model(backbone, masks=np.ones((40, 48)))
    with pytest.raises(ValueError, match="the painting has 48x3 beside the content's 48x40"):
        _model(backbone, styles=_picture(1)[:3])


def test_a_mask_of_all_is_no_mask_and_equal_halves_are_two_pictures(backbone):
    model, masked = (
        _model(backbone, masks=masks, total_variation_weight=0.0) for masks in (None, [np.ones((40, 48))])
    )
    np.testing.assert_allclose(model.measure()["style_loss"], masked.measure()["style_loss"], rtol=1e-5)
    np.testing.assert_allclose(_gradient(model), _gradient(masked), atol=1e-6)


def test_style_weights_blend(backbone):
    styles = [_picture(1), _picture(2)]
    alone = [_model(backbone, styles=style).measure()["style_loss"] for style in styles]
    blend = _model(backbone, styles=styles, style_weights=(3, 1)).measure()["style_loss"]
    np.testing.assert_allclose(blend, 0.75 * alone[0] + 0.25 * alone[1], rtol=1e-5)
    first = _model(backbone, styles=styles, style_weights=(1, 0)).measure()["style_loss"]
    np.testing.assert_allclose(first, alone[0], rtol=1e-5)


def test_luminance_keeps_chroma(backbone):
    model = _model(backbone, preserve_color="luminance", style_weight=10.0)
    model.compile("lbfgs")
    model.fit(8, verbose=0)
    content, image = _picture(0), model.image
    assert np.abs(luminance(image) - luminance(content)).max() > 0.1
    inside = np.abs(image).max(-1) < 1
    assert inside.mean() > 0.9
    chroma, kept = (x - luminance(x) for x in (content, image))
    np.testing.assert_allclose(kept[inside], chroma[inside], atol=1e-5)


def test_histogram_gives_the_style_the_contents_colours(backbone):
    model = _model(backbone, preserve_color="histogram")
    style, content = (x.reshape(-1, 3) for x in (model.styles[0].numpy(), _picture(0)))
    np.testing.assert_allclose(style.mean(0), content.mean(0), atol=1e-5)
    np.testing.assert_allclose(np.cov(style.T), np.cov(content.T), rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("init", ["content", "style", "noise", "picture"])
def test_starts_where_asked(backbone, init):
    given = _picture(5) if init == "picture" else init
    model = _model(backbone, init=given)
    expected = {"content": _picture(0), "style": _picture(1), "picture": _picture(5)}.get(init)
    if init == "noise":
        np.testing.assert_allclose(model.image.std(), 0.3, rtol=0.05)
        np.testing.assert_array_equal(model.image, _model(backbone, init="noise").image)
    else:
        np.testing.assert_array_equal(model.image, expected)


def test_styles_are_fitted_to_the_content(backbone):
    assert _model(backbone, styles=_picture(1, 120, 90)).styles[0].shape == (48, 36, 3)
    assert _model(backbone, styles=_picture(1, 50, 60), style_scale=2.0).styles[0].shape == (80, 96, 3)


def test_correction_lowers_the_loss_and_says_what_it_did(backbone):
    model = _model(backbone, style_weight=10.0)
    before = model.measure()["loss"]
    model.compile(keras.optimizers.SGD(1.0), correction=SingularityCorrection(damping=1e-3, saddle_free=True))
    logs = model.fit(10, verbose=0).history
    assert model.measure()["loss"] < 0.5 * before
    assert logs["image_products"] == [8.0]
    assert logs["image_largest_ritz"][0] > 0


def test_previews_are_pictures(backbone, tmp_path):
    model = _model(backbone)
    model.compile()
    model.fit(5, callbacks=[Preview(tmp_path, every=2)], verbose=0)
    files = sorted(path.name for path in (tmp_path / "previews").iterdir())
    assert files == ["step-00002.png", "step-00004.png", "step-00005.png"]
    np.testing.assert_allclose(load_image(tmp_path / "previews" / files[-1]), model.image, atol=1 / 127)


def test_one_call(backbone):
    """Half of these pictures is too small: it is as if no scales had been asked for."""
    options = {"backbone": backbone, "content_layers": ["deep"], "style_layers": LAYERS, "style_weight": 10.0}
    image = gatys_stylize(_picture(0), _picture(1), steps=4, scales=(0.5, 1.0), **options)
    model = _model(backbone, style_weight=10.0, total_variation_weight=1.0)
    model.compile("lbfgs")
    model.fit(4, verbose=0)
    np.testing.assert_array_equal(image, model.image)


def test_in_bfloat16_the_picture_and_losses_are_float32():
    model = GatysStyleTransfer(
        _picture(0), _picture(1), backbone="random", style_layers=["relu1_1", "relu2_1"],
        content_layers=["relu2_2"], precision="bfloat16",
    )  # fmt: skip
    assert model.backbone.get_layer("block2_conv1").compute_dtype == "bfloat16"
    model.compile("lbfgs")
    before = model.measure()["loss"]
    model.fit(8, verbose=0)
    assert model.canvas.pixels.dtype == "float32"
    assert model.measure()["loss"] < 0.5 * before


def test_vgg_is_called_as_in_training_where_it_is_faster_and_other_backbones_are_not(backbone):
    def operators(model, size):
        run = tf.function(model._features).get_concrete_function(tf.TensorSpec((1, size, size, 3)))
        return {operation.type for operation in run.graph.get_operations()}

    own = _model("random", content_layers=("relu3_2",), style_layers=("relu1_1",))
    for model in (own, GatysStyleTransfer.from_config(own.get_config())):
        assert ("GatherV2" in operators(model, 128)) == on_cpu()
    dropped = {name: keras.layers.Dropout(0.5)(output) for name, output in backbone.output.items()}
    model = _model(keras.Model(backbone.input, dropped))
    assert "StatelessRandomUniformV2" not in operators(model, 40)
    first, second = (model._features(model.canvas.pixels)["deep"] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_loss_that_is_not_finite_stops(backbone):
    for optimizer in (None, "lbfgs"):
        model = _model(backbone)
        model.compile(optimizer)
        model.canvas.pixels.assign(np.full((1, 40, 48, 3), np.nan))
        with pytest.raises(FloatingPointError, match="image"):
            model.fit(1, verbose=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"style_loss": "cosine"}, "cosine"),
        ({"preserve_color": "hue"}, "hue"),
        ({"style_weight": -1.0}, "0 or more"),
        ({"scales": (1.0, 0.5)}, "grow"),
        ({"scales": (0.5, 1.0)}, "32 pixels"),
        ({"scales": ()}, "grow"),
        ({"steps_per_scale": 0}, "steps_per_scale"),
        ({"init": "zeros"}, "zeros"),
        ({"init": np.zeros((4, 4, 3))}, r"\(40, 48, 3\)"),
        ({"styles": []}, "one style"),
        ({"styles": _picture(1) * 127.5 + 127.5}, "load_image"),
        ({"styles": _picture(1)[..., 0]}, "shape"),
        ({"style_weights": (1, 2)}, "one style"),
        ({"masks": [np.zeros((3, 3))]}, r"\(40, 48\)"),
        ({"masks": [np.full((40, 48), 2.0)]}, r"\[0, 1\]"),
        ({"style_layers": {"deep": -1.0}}, "Layers"),
    ],
    ids=str,
)
def test_settings_out_of_range(backbone, options, message):
    with pytest.raises(ValueError, match=message):
        _model(backbone, **options)


def test_lbfgs_has_no_correction_and_no_clipping(backbone):
    for options in ({"correction": SingularityCorrection()}, {"gradient_clip_norm": 1.0}):
        with pytest.raises(ValueError, match="leave correction"):
            _model(backbone).compile("lbfgs", **options)
    model = _model(backbone)
    model.compile()
    with pytest.raises(ValueError, match="steps"):
        model.fit(0)
