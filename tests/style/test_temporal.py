"""The temporal loss: flows, what a steady painting costs, and that training by it steadies one."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from style_examples import paintings, photographs

from keras_gen.image import dense_image_warp
from keras_gen.networks.style_coder import small_encoder, style_decoder
from keras_gen.networks.transformer_net import transformer_net
from keras_gen.random import RandomStream
from keras_gen.style import AdaINStyleTransfer, FastStyleTransfer
from keras_gen.style.perceptual import mean_variation
from keras_gen.style.temporal import moved, random_flow, temporal_losses


def test_flows_are_smooth_and_repeat_themselves():
    images = tf.constant(photographs(64))
    flow = random_flow(RandomStream(3, 5), images).numpy()
    np.testing.assert_array_equal(flow, random_flow(RandomStream(3, 5), images))
    assert flow.shape == (64, 32, 32, 2)
    middle = flow.mean((1, 2))
    assert 2 < np.abs(middle).max() < 32 / 8 + 3 * 1.5
    large = random_flow(RandomStream(3, 5), tf.zeros((8, 512, 512, 3)))
    assert 24 < np.abs(np.mean(large, (1, 2))).max() < 32 + 3 * 1.5
    assert np.abs(np.diff(flow, axis=1)).max() < 1 < np.ptp(flow, axis=(1, 2)).mean()
    alone = random_flow(RandomStream(3, 5), images[:1])
    np.testing.assert_allclose(alone[0], flow[0], atol=1e-5)  # each example's own


def test_what_moves_along_costs_nothing():
    images = tf.constant(photographs(2))
    flow = tf.constant(np.stack([np.full((32, 32, 2), 3.0), np.full((32, 32, 2), -1.5)]).astype("float32"))
    along = dense_image_warp(images, flow).numpy()
    np.testing.assert_allclose(temporal_losses(images, along, flow), [0, 0], atol=1e-10)
    np.testing.assert_allclose(temporal_losses(images, along + 0.5, flow), [0.25, 0.25], rtol=1e-5)
    along[0, :3], along[0, :, :3] = 9, 9  # came into view: what is there is no one's fault
    np.testing.assert_allclose(temporal_losses(images, along, flow), [0, 0], atol=1e-10)
    away = tf.fill((2, 32, 32, 2), 40.0)
    np.testing.assert_array_equal(temporal_losses(images, along, away), [0, 0])


def test_frames_are_moved_with_noise_and_stay_in_range():
    images = tf.zeros((4, 64, 64, 3))
    noise = moved(RandomStream(0, 0), images, tf.zeros((4, 64, 64, 2))).numpy()
    assert np.std(noise) == pytest.approx(0.02, rel=0.05)
    assert np.abs(moved(RandomStream(0, 0), images + 1, tf.zeros((4, 64, 64, 2)))).max() <= 1


def test_what_is_moved_in_is_mirrored():
    images = tf.constant(photographs(1))
    frame = moved(RandomStream(0, 0), images, tf.fill((1, 32, 32, 2), 3.0)) - images
    still = moved(RandomStream(0, 0), images, tf.zeros((1, 32, 32, 2))) - images
    wanted = np.pad(images, ((0, 0), (3, 0), (3, 0), (0, 0)), "reflect")[:, :32, :32]
    np.testing.assert_allclose(frame + images, np.clip(wanted + still, -1, 1), atol=0.12)
    np.testing.assert_allclose(np.mean(frame + images - wanted), 0, atol=2e-3)


def fast_model(weight):
    keras.utils.set_random_seed(0)
    network = transformer_net(2, width=8, separable=True, blocks=1, textured=False)
    model = FastStyleTransfer(
        network, ["stripes", "plain"], temporal_weight=weight, features={"backbone": "random"}, seed=3
    )
    model.compile(keras.optimizers.Adam(0.01))
    model.adapt(paintings())
    return model


@pytest.mark.slow
def test_training_by_it_steadies_the_painting():
    """Beside one whose calm pictures learn without it; of noise, which is hard to paint steadily."""
    images, weights = tf.constant(photographs(4)), tf.one_hot([0, 1, 0, 1], 2)
    found = []
    for weight in (1e4, 1e-6):
        model = fast_model(weight)
        history = model.fit(photographs(16, 16), batch_size=4, epochs=6, verbose=0).history
        assert history["calm"][-1] < 0.5 * history["calm"][0]
        motion = model.motion(images, RandomStream(0, 0))
        losses = model.losses_of(model.network, images, weights, None, *motion)
        found.append(float(losses["temporal"]))
    assert found[0] < 0.25 * found[1]
    plain = fast_model(0.0).fit(photographs(4, 16), batch_size=4, verbose=0).history
    assert not {"temporal", "calm"} & set(plain)


def test_it_is_theirs_who_are_painted_without_texture():
    network = transformer_net(2, width=8, separable=True, blocks=1)
    options = {"features": {"backbone": "random"}, "seed": 3}
    model = FastStyleTransfer(network, ["stripes", "plain"], temporal_weight=3.0, **options)
    model.adapt(paintings())
    table = network.get_layer("texture").textures
    table.assign(np.random.default_rng(0).normal(0, 0.1, table.shape))
    images, weights = tf.constant(photographs(2)), tf.one_hot([0, 1], 2)
    frames, flow = model.motion(images, RandomStream(0, 0))
    both = model.losses_of(network, images, weights, None, frames, flow)
    each = [
        model.losses_of(
            network,
            *(part[i : i + 1] for part in (images, weights)),
            None,
            frames[i : i + 1],
            flow[i : i + 1],
        )
        for i in range(2)
    ]
    for name, value in both.items():
        np.testing.assert_allclose(value, (each[0][name] + each[1][name]) / 2, rtol=1e-4)
    calm = [
        np.stack([model.stylize(picture, i, texture=0) for i, picture in enumerate(pictures.numpy())])
        for pictures in (images, frames)
    ]
    np.testing.assert_allclose(both["temporal"], np.mean(temporal_losses(*calm, flow)), rtol=1e-3)
    alone = model.losses_of(network, images, weights)
    textured = np.stack([model.stylize(picture, i, texture=1) for i, picture in enumerate(images.numpy())])
    assert np.abs(textured - calm[0]).mean() > 1e-3
    np.testing.assert_allclose(both["total_variation"], mean_variation(textured), rtol=1e-3)
    for name, value in alone.items():
        if name != "loss":
            np.testing.assert_allclose(both[name], value, rtol=1e-5)
    wanted = alone["loss"] + both["calm"] + 3 * both["temporal"]
    np.testing.assert_allclose(both["loss"], wanted, rtol=1e-5)


def test_any_style_has_it_too():
    options = {"features": {"backbone": "random"}, "seed": 0}
    model = AdaINStyleTransfer(small_encoder(4), style_decoder(32, width=4), temporal_weight=2.0, **options)
    assert model.get_config()["temporal_weight"] == 2
    images = tf.constant(photographs(2))
    images, paintings, origins, noise, *motion = model.examples((images, images), RandomStream(0, 0))
    found = model.losses_of(model.network, images, paintings, origins, noise, *motion)
    alone = model.losses_of(model.network, images, paintings, origins)
    assert set(found) == {*alone, "calm", "temporal"}
    np.testing.assert_allclose(
        found["loss"], alone["loss"] + found["calm"] + 2 * found["temporal"], rtol=1e-5
    )
    with pytest.raises(ValueError, match="temporal_weight must be a number of at least 0"):
        AdaINStyleTransfer(small_encoder(4), style_decoder(32, width=4), temporal_weight=-1.0)
