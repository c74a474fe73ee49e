"""GenerativeModel: fit as in Keras, checks, clipping, moving average, precision."""

import re
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gen as kg
from keras_gen.processor import on_cpu
from keras_gen.startup import has_onednn

SHAPE = (8, 8, 1)
LATENT = 4


def _images(count=40, shape=SHAPE):
    return np.random.default_rng(0).uniform(-1, 1, (count, *shape)).astype("float32")


def _data(count=40, batch=4):
    return tf.data.Dataset.from_tensor_slices(_images(count)).batch(batch)


def _networks(seed=0):
    keras.utils.set_random_seed(seed)
    return kg.networks.mlp_generator(SHAPE, LATENT, (16,)), kg.networks.mlp_discriminator(SHAPE, (16,))


def _model(kind=kg.GAN, compiled=None, **options):
    model = kind(*_networks(), LATENT, **{"seed": 1, **options})
    model.compile(**(compiled or {}))
    return model


def _same(a, b, **tolerance):
    for pair in zip(a, b, strict=True):
        arrays = [each.numpy() if hasattr(each, "numpy") else each for each in pair]
        np.testing.assert_allclose(*arrays, **{"rtol": 1e-5, "atol": 1e-6, **tolerance})


def _slots(model):
    return [*model.generator_optimizer.variables, *model.discriminator_optimizer.variables]


# fit, evaluate, predict, callbacks.


@pytest.mark.skipif(not (on_cpu() and has_onednn()), reason="of oneDNN's gradient")
@pytest.mark.parametrize(
    ("kind", "options", "warns"),
    [
        (keras.layers.Conv2D, {"strides": 2}, True),
        (keras.layers.Conv2DTranspose, {"strides": (1, 2)}, True),
        (kg.layers.Conv2D, {"strides": 2}, False),
        (keras.layers.Conv2D, {}, False),
        (keras.layers.Conv2D, {"strides": 2, "trainable": False}, False),
    ],
)
def test_fit_warns_of_kernels_whose_gradient_tensorflow_gets_wrong(kind, options, warns):
    generator, _ = _networks()
    images = keras.Input(SHAPE)
    logits = keras.layers.Dense(1)(keras.layers.Flatten()(kind(3, 1, name="pixels", **options)(images)))
    model = kg.GAN(generator, keras.Model(images, logits), LATENT, seed=1)
    model.compile()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(_data(), epochs=0, verbose=0)
    assert any("pixels" in str(each.message) for each in caught) == warns


def test_fit_evaluate_predict_and_callbacks():
    model, seen = _model(), []
    callback = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append((batch, set(logs))),
        on_epoch_end=lambda epoch, logs: seen.append(int(model.epoch.numpy())),
    )
    history = model.fit(_data(), epochs=2, verbose=0, callbacks=[callback], validation_data=_data(8)).history
    assert int(model.step.numpy()) == 20
    assert [each for each in seen if isinstance(each, int)] == [1, 2]
    names = set(model.log_names)
    assert seen[0] == (0, names)
    assert set(history) == names | {f"val_{name}" for name in model.evaluated_names}
    assert np.isfinite(list(history.values())).all()
    scores = model.evaluate(_data(8), verbose=0, return_dict=True)
    assert set(scores) == set(model.evaluated_names)
    assert model.evaluate(_data(8), verbose=0) == [scores[name] for name in model.evaluated_names]
    images = model.predict(model.latents(7, seed=0), batch_size=3, verbose=0)
    np.testing.assert_allclose(images, model.sample(7, seed=0), atol=1e-6)


def test_logs_are_means_over_the_epoch():
    model, norms = _model(kg.WGANGP, discriminator_steps=3), []
    log = model.log
    model.log = lambda **values: (norms.append(values), log(**values))[1]
    model.compile(run_eagerly=True)
    history = model.fit(_data(12), verbose=0).history
    for name in model.log_names:
        values = [float(each[name]) for each in norms if name in each]
        assert len(values) == (3 if name.startswith("generator") else 9)
        np.testing.assert_allclose(history[name], [np.mean(values)], rtol=1e-5, atol=1e-6, err_msg=name)


def test_evaluate_changes_nothing_and_repeats_itself():
    model = _model(kg.WGANGP, {"ema_decay": 0.9}, discriminator_steps=1)
    model.fit(_data(8), verbose=0)
    before = [w.numpy() for w in model.weights]
    scores = model.evaluate(_data(), verbose=0)
    _same(before, model.weights, rtol=0, atol=0)
    assert scores == model.evaluate(_data(), verbose=0)


def test_evaluate_draws_anew_for_each_batch():
    model = _model()
    once = model.evaluate(_data(4), verbose=0, return_dict=True)
    twice = model.evaluate(_data(4).repeat(2), verbose=0, return_dict=True)
    assert once["real_score"] == pytest.approx(twice["real_score"], rel=1e-5)
    assert once["fake_score"] != pytest.approx(twice["fake_score"], rel=1e-5)


def test_labels_are_ignored():
    images = _images()
    trained = []
    for data in (
        tf.data.Dataset.from_tensor_slices(images),
        tf.data.Dataset.from_tensor_slices((images, np.arange(40))),
    ):
        model = _model()
        model.fit(data.batch(4), verbose=0)
        model.evaluate(data.batch(4), verbose=0)
        trained.append(model.get_weights())
    _same(*trained, rtol=0, atol=0)


def test_arrays_and_train_on_batch():
    model = _model()
    model.fit(_images(), np.zeros(40), batch_size=8, verbose=0)
    assert int(model.step.numpy()) == 5
    logs = model.train_on_batch(_images(8), return_dict=True)
    assert set(logs) == set(model.log_names)
    assert int(model.step.numpy()) == 6
    assert set(model.test_on_batch(_images(8), return_dict=True)) == set(model.evaluated_names)
    assert model.predict_on_batch(model.latents(3)).shape == (3, *SHAPE)


@pytest.mark.parametrize("options", [{"steps_per_execution": 3}, {"run_eagerly": True}], ids=str)
def test_other_ways_of_running_the_same_steps(options):
    plain, other = _model(kg.WGANGP, discriminator_steps=1), _model(kg.WGANGP, options, discriminator_steps=1)
    histories = [model.fit(_data(40, batch=4), epochs=2, verbose=0).history for model in (plain, other)]
    assert int(other.step.numpy()) == 20  # ten batches are no multiple of three
    _same(plain.get_weights(), other.get_weights(), rtol=1e-4, atol=1e-5)
    for name in plain.log_names:
        np.testing.assert_allclose(histories[0][name], histories[1][name], rtol=1e-3, atol=1e-4, err_msg=name)
    _same(*(model.evaluate(_data(), verbose=0) for model in (plain, other)), rtol=1e-3, atol=1e-4)
    images = other.predict(other.latents(9, seed=0), batch_size=4, verbose=0)
    np.testing.assert_allclose(images, other.sample(9, seed=0), atol=1e-6)


def test_compiling_again():
    model = _model()
    model.fit(_data(8), verbose=0)
    weights = model.generator.get_weights()
    model.compile(generator_optimizer=keras.optimizers.SGD(0.0), ema_decay=0.5)
    assert len([m for m in model.metrics if m.name == "generator_loss"]) == 1
    assert len(model.evaluate(_data(8), verbose=0)) == len(model.evaluated_names)
    model.fit(_data(8), verbose=0)
    _same(model.generator.get_weights(), weights, rtol=0, atol=0)


def test_compiling_again_keeps_one_moving_average():
    model = _model(compiled={"ema_decay": 0.5})
    count, before = len(model.weights), model.sample(2, seed=0)
    model.generator.set_weights([weight + 0.1 for weight in model.generator.get_weights()])
    model.compile(ema_decay=0.9)
    assert len(model.weights) == count
    assert (model.sample(2, seed=0) != before).any()  # it starts at the weights as they are
    model.compile()
    assert len(model.weights) == count - len(model.generator.weights)
    np.testing.assert_array_equal(model.sample(2, seed=0), model(model.latents(2, 0)))


def test_evaluate_weights_a_short_last_batch_by_its_examples():
    model, images = _model(), _images(5)
    scores = model.discriminator.predict(images, verbose=0)
    assert model.evaluate(images, batch_size=4, verbose=0, return_dict=True)["real_score"] == pytest.approx(
        scores.mean(), rel=1e-5
    )


def test_uncompiled():
    model = kg.GAN(*_networks(), LATENT)
    assert model.sample(2).shape == (2, *SHAPE)
    with pytest.raises(ValueError, match="compile"):
        model.fit(_data(), verbose=0)


# sample.


def test_sample():
    model = _model()
    images = model.sample(5, seed=3)
    assert images.shape == (5, *SHAPE)
    assert images.dtype == np.float32
    assert np.abs(images).max() <= 1
    np.testing.assert_array_equal(images, model.sample(5, seed=3))
    assert (images != model.sample(5, seed=4)).any()
    assert (model.sample(5) != model.sample(5)).any()
    np.testing.assert_allclose(images, model.generator(model.latents(5, seed=3)), atol=1e-6)
    np.testing.assert_allclose(images[:2], model.sample(2, seed=3), atol=1e-6)
    assert model.sample(300, seed=3).shape[0] == 300  # more than a batch
    with pytest.raises(ValueError, match="n must be 1 or more; received 0"):
        model.sample(0)


def test_sample_uses_the_moving_average():
    model = _model(compiled={"ema_decay": 0.8})
    averages = [w.numpy() for w in model.generator.weights]

    def follow(*_, **__):
        for i, weight in enumerate(model.generator.weights):
            averages[i] = 0.8 * averages[i] + 0.2 * weight.numpy()

    model.fit(_data(), verbose=0, callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=follow)])
    _same(model.ema_network.weights, averages)
    copy = kg.networks.mlp_generator(SHAPE, LATENT, (16,))
    copy.set_weights(averages)
    np.testing.assert_allclose(model.sample(4, seed=0), copy(model.latents(4, seed=0)), atol=1e-5)
    assert np.abs(model.sample(4, seed=0) - model.generator(model.latents(4, seed=0)).numpy()).max() > 1e-4
    assert not model.ema_network.trainable_variables


def test_average_does_not_change_training():
    plain, averaged = _model(), _model(compiled={"ema_decay": 0.9})
    for model in (plain, averaged):
        model.fit(_data(), verbose=0)
    _same(plain.generator.weights, averaged.generator.weights, rtol=0, atol=0)


# Clipping.


def test_clipping_bounds_the_update():
    rate, limit = 0.5, 1e-3
    optimizers = {
        f"{player}_optimizer": keras.optimizers.SGD(rate) for player in ("generator", "discriminator")
    }
    model = _model(compiled={**optimizers, "gradient_clip_norm": limit})
    before = {name: [w.numpy() for w in net.trainable_weights] for name, net in model.players.items()}
    history = model.fit(_data(4), verbose=0).history
    for name, network in model.players.items():
        steps = [w.numpy() - b for w, b in zip(network.trainable_weights, before[name], strict=True)]
        assert history[f"{name}_gradient_norm"][0] > 2 * limit  # what is logged is the norm before
        np.testing.assert_allclose(np.sqrt(sum((step**2).sum() for step in steps)), rate * limit, rtol=1e-3)


def test_clipping_leaves_small_gradients_alone():
    plain, clipped = _model(), _model(compiled={"gradient_clip_norm": 1e6})
    for model in (plain, clipped):
        model.fit(_data(8), verbose=0)
    _same(plain.get_weights(), clipped.get_weights(), rtol=0, atol=0)


# Checks.


class Blowing(kg.losses.NonSaturating):
    """Fine until step 2's third call; then the value or only the gradient is broken."""

    def __init__(self, part, value):
        self.part, self.value = part, value

    def _break(self, loss, scores):
        @tf.custom_gradient
        def broken(x):
            return tf.zeros(()), lambda upstream: self.value * tf.ones_like(x)

        bad = loss + self.value if self.part.endswith("loss") else loss + broken(scores)
        return bad

    def discriminator(self, real_logits, fake_logits):
        loss = super().discriminator(real_logits, fake_logits)
        return self._break(loss, fake_logits) if self.part.startswith("discriminator") else loss

    def generator(self, fake_logits, real_logits=None):
        loss = super().generator(fake_logits)
        return self._break(loss, fake_logits) if self.part.startswith("generator") else loss


@pytest.mark.parametrize(("value", "eager"), [(float("nan"), False), (float("inf"), True)])
@pytest.mark.parametrize(
    ("part", "player", "said"),
    [
        ("generator_loss", "generator", "generator_loss is"),
        ("generator_gradient", "generator", "the gradient of the generator by"),
        ("discriminator_loss", "discriminator", "discriminator_loss is"),
        ("discriminator_gradient", "discriminator", "the gradient of the discriminator by"),
    ],
)
def test_not_finite(part, player, said, value, eager):
    model = _model(compiled={"run_eagerly": eager})
    model.fit(_data(8), verbose=0)
    before = model.players[player].get_weights()
    optimizer = getattr(model, f"{player}_optimizer")
    slots = [v.numpy() for v in optimizer.variables]
    model.loss_function = Blowing(part, value)
    model.make_train_function(force=True)
    with pytest.raises(FloatingPointError, match=f"{re.escape(said)}.*NaN or infinite at step 2"):
        model.fit(_data(8), verbose=0)
    _same(before, model.players[player].get_weights(), rtol=0, atol=0)
    _same(slots, optimizer.variables, rtol=0, atol=0)
    assert int(model.step.numpy()) == 2


def test_not_finite_penalty_is_named():
    class Bad(kg.penalties.R1):
        name = "bad"

        def __call__(self, discriminator, real, fake, stream):
            return super().__call__(discriminator, real, fake, stream) / 0.0

    model = kg.AdversarialModel(*_networks(), LATENT, penalties=[Bad(0.0)])
    model.compile()
    with pytest.raises(FloatingPointError, match=r"(bad|discriminator_loss) is NaN or infinite at step 0"):
        model.fit(_data(8), verbose=0)


@pytest.mark.parametrize("eager", [False, True], ids=["graph", "eager"])
@pytest.mark.parametrize(("value", "said"), [(255.0, "255"), (-1.01, "1.01"), (float("nan"), "nan")])
def test_images_out_of_range(value, said, eager):
    model, images = _model(compiled={"run_eagerly": eager}), _images(8)
    images[5, 0, 0, 0] = value
    before = model.get_weights()
    with pytest.raises(ValueError, match=rf"in \[-1, 1\]; at step 0 the largest magnitude is {said}.*load"):
        model.fit(images, batch_size=8, verbose=0)
    with pytest.raises(ValueError, match=r"in \[-1, 1\]"):
        model.evaluate(images, batch_size=8, verbose=0)
    _same(before, model.get_weights(), rtol=0, atol=0)


def test_rounding_beyond_one_is_let_pass():
    _model().fit(np.clip(2 * _images(8), -1.0005, 1.0005), verbose=0)


def test_wrong_image_shape():
    with pytest.raises(ValueError, match=r"images of shape \(8, 8, 1\); received .*\(None, 9, 9, 1\)"):
        _model().fit(_images(8, (9, 9, 1)), verbose=0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gradient_clip_norm": 0.0}, "above zero"),
        ({"gradient_clip_norm": float("nan")}, "above zero"),
        ({"ema_decay": 1.0}, r"in \[0, 1\)"),
        ({"ema_decay": -0.1}, r"in \[0, 1\)"),
    ],
)
def test_compile_options_out_of_range(options, said):
    with pytest.raises(ValueError, match=said):
        _model(compiled=options)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seeds_out_of_range(seed):
    with pytest.raises(ValueError, match="seed must be an integer from 0"):
        _model(seed=seed)
    with pytest.raises(ValueError, match="seed must be from 0"):
        _model().sample(1, seed=seed)


def test_what_a_subclass_must_define_is_said():
    model = kg.GenerativeModel(seed=1)
    for name in ("players", "sampled_network"):
        with pytest.raises(NotImplementedError, match=f"GenerativeModel must define {name}"):
            getattr(model, name)


def test_seed_decides_everything_but_initial_weights():
    runs = [_model(kg.WGANGP, seed=seed, discriminator_steps=1) for seed in (1, 1, 2)]
    for model in runs:
        model.fit(_data(8), verbose=0)
    a, b, c = (model.get_weights() for model in runs)
    _same(a, b, rtol=0, atol=0)
    assert any((x != y).any() for x, y in zip(a, c, strict=True))
    assert kg.GAN(*_networks(), LATENT).seed != kg.GAN(*_networks(), LATENT).seed


# bfloat16.


def test_bfloat16_keeps_scores_losses_slots_and_statistics_in_float32():
    with kg.precision.scope("bfloat16"):
        model = kg.WGANGP(
            kg.networks.dcgan_generator((28, 28, 1), 8, width=4),
            kg.networks.dcgan_discriminator((28, 28, 1), width=4),
            latent_dim=8,
            discriminator_steps=1,
            seed=1,
        )
    dtypes = {}
    log = model.log
    model.log = lambda **values: (dtypes.update({k: v.dtype for k, v in values.items()}), log(**values))[1]
    model.compile(ema_decay=0.9)
    model.fit(kg.data.load("digits", batch_size=16, split="train[:64]"), verbose=0)
    assert set(dtypes) == set(model.log_names)
    assert set(dtypes.values()) == {tf.float32}
    assert {v.dtype for v in model.weights if "seed" not in v.path and v.name not in ("step", "epoch")} == {
        "float32"
    }
    assert {v.dtype for v in _slots(model) if "iteration" not in v.path} == {"float32"}
    hidden = {layer.compute_dtype for layer in model.generator.layers}
    assert "bfloat16" in hidden
    assert model.sample(2).dtype == np.float32
    assert model.predict(model.latents(2), verbose=0).dtype == np.float32
