"""AdversarialModel: the alternating step against one written by hand, configs, errors, the joint pass."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gen as kg
from keras_gen.random import RandomStream

SHAPE = (8, 8, 1)
LATENT = 4
IMAGES = np.random.default_rng(0).uniform(-1, 1, (6, *SHAPE)).astype("float32")


def _networks(seed=0):
    keras.utils.set_random_seed(seed)
    return kg.networks.mlp_generator(SHAPE, LATENT, (16,)), kg.networks.mlp_discriminator(SHAPE, (16,))


LOSSES = [
    kg.losses.NonSaturating(),
    kg.losses.Minimax(),
    kg.losses.LeastSquares(),
    kg.losses.Hinge(),
    kg.losses.Wasserstein(),
    kg.losses.RelativisticAverage(),
]


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_step_is_the_one_written_by_hand(loss):
    """Two discriminator updates, each with new fakes and both kinds of penalty, then one of the generator."""
    rate, settings = 0.1, {"loss": loss, "discriminator_steps": 2, "seed": 5}
    penalties = [kg.penalties.GradientPenalty(2.0), kg.penalties.R1(0.5), kg.penalties.R2(0.25)]
    model = kg.AdversarialModel(*_networks(), LATENT, penalties=penalties, **settings)
    model.compile(keras.optimizers.SGD(rate), keras.optimizers.SGD(rate))
    model.fit(IMAGES, batch_size=6, verbose=0, shuffle=False)

    generator, critic = _networks()
    stream, real = RandomStream(5, 0), tf.constant(IMAGES)

    def descend(network, tape, value):
        variables = [v.value for v in network.trainable_variables]
        gradients = tape.gradient(value, variables, unconnected_gradients="zero")
        for variable, gradient in zip(variables, gradients, strict=True):
            variable.assign_sub(rate * gradient)

    for _ in range(2):
        fake = generator(stream.normal(6, (LATENT,)))
        between = kg.penalties.interpolate(real, fake, stream.uniform(6, (1, 1, 1)))
        with tf.GradientTape() as tape:
            value = loss.discriminator(critic(real)[:, 0], critic(fake)[:, 0])
            value += 2.0 * kg.penalties.gradient_penalty(critic, between)
            value += 0.5 * kg.penalties.r1(critic, real) + 0.25 * kg.penalties.r2(critic, fake)
        descend(critic, tape, value)
    with tf.GradientTape() as tape:
        fake = generator(stream.normal(6, (LATENT,)))
        value = loss.generator(critic(fake)[:, 0], critic(real)[:, 0])
    descend(generator, tape, value)
    for ours, by_hand in ((model.generator, generator), (model.discriminator, critic)):
        for a, b in zip(ours.get_weights(), by_hand.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_joint_pass_equals_separate_passes():
    joint, separate = (kg.GAN(*_networks(), LATENT, seed=5) for _ in range(2))
    assert joint._joint_scores
    separate._joint_scores = False
    for model in (joint, separate):
        model.compile()
        model.fit(IMAGES, batch_size=3, epochs=2, verbose=0, shuffle=False)
    for a, b in zip(joint.get_weights(), separate.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_discriminator_with_batch_normalization_sees_real_and_fake_apart():
    layers = keras.layers
    discriminator = keras.Sequential(
        [keras.Input(SHAPE), layers.Flatten(), layers.BatchNormalization(momentum=0.0), layers.Dense(1)]
    )
    model = kg.GAN(_networks()[0], discriminator, LATENT, seed=5)
    assert not model._joint_scores
    fake = model.generator(tf.ones((6, LATENT)))
    model._scores(tf.constant(IMAGES), fake, training=True)
    # The statistics left behind are those of the fakes alone, which came last.
    np.testing.assert_allclose(
        discriminator.layers[1].moving_mean, np.mean(fake, 0).ravel(), rtol=1e-4, atol=1e-5
    )


def test_constraints_bind_after_every_update():
    model = kg.AdversarialModel(
        *_networks(), LATENT, constraints=[kg.constraints.ClipWeights(0.02), keras.constraints.NonNeg()]
    )
    model.compile()
    model.fit(IMAGES, batch_size=2, verbose=0)
    for weight in model.discriminator.get_weights():
        assert weight.min() >= 0
        assert weight.max() <= np.float32(0.02)
    assert min(weight.min() for weight in model.generator.get_weights()) < 0


def test_generator_is_not_trained_by_the_discriminators_step_nor_the_other_way():
    for still, moving in (("generator", "discriminator"), ("discriminator", "generator")):
        model = kg.GAN(*_networks(), LATENT, seed=5)
        model.compile(**{f"{still}_optimizer": keras.optimizers.SGD(0.0)})
        before = {name: network.get_weights() for name, network in model.players.items()}
        model.fit(IMAGES, batch_size=2, verbose=0)
        assert all(
            (a == b).all() for a, b in zip(before[still], model.players[still].get_weights(), strict=True)
        )
        assert any(
            (a != b).any() for a, b in zip(before[moving], model.players[moving].get_weights(), strict=True)
        )


def test_frozen_layers_stay():
    generator, discriminator = _networks()
    generator.layers[1].trainable = False
    before = generator.layers[1].get_weights()
    model = kg.GAN(generator, discriminator, LATENT)
    model.compile()
    model.fit(IMAGES, batch_size=2, verbose=0)
    for a, b in zip(before, generator.layers[1].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_optimizer_for_both_is_an_error():
    optimizer = kg.optimizers.Adam()
    with pytest.raises(ValueError, match="same optimizer object; each needs one of its own"):
        kg.GAN(*_networks(), LATENT).compile(optimizer, optimizer)


def test_optimizers_by_name_are_two():
    model = kg.GAN(*_networks(), LATENT)
    model.compile("adam", "adam")
    assert model.generator_optimizer is not model.discriminator_optimizer
    model.fit(IMAGES, verbose=0)


def test_config_round_trip():
    model = kg.AdversarialModel(
        *_networks(),
        LATENT,
        loss=kg.losses.Hinge(),
        penalties=[kg.penalties.R1(3.0), kg.penalties.GradientPenalty(1.0, 0.0, True)],
        constraints=[kg.constraints.ClipWeights(0.3)],
        discriminator_steps=4,
        seed=9,
        name="own",
    )
    again = kg.AdversarialModel.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert again.loss_function == kg.losses.Hinge()
    assert [type(p) for p in again.penalties] == [kg.penalties.R1, kg.penalties.GradientPenalty]
    assert (again.constraints[0].limit, again.discriminator_steps, again.seed, again.name) == (
        0.3,
        4,
        9,
        "own",
    )


@keras.saving.register_keras_serializable(package="test_adversarial")
class Ragan(kg.AdversarialModel):
    """A variant of a user's own: ten lines."""

    options = ("slope",)

    def __init__(self, generator, discriminator, latent_dim=LATENT, slope=1.0, **settings):
        penalty = kg.penalties.R1(slope)
        loss = kg.losses.RelativisticAverage()
        super().__init__(generator, discriminator, latent_dim, loss=loss, penalties=[penalty], **settings)
        self.slope = slope


def test_a_variant_of_ones_own(tmp_path):
    model = Ragan(*_networks(), slope=0.5, seed=2)
    model.compile(ema_decay=0.9)
    model.fit(IMAGES, batch_size=2, verbose=0)
    model.save(tmp_path / "a.keras")
    again = keras.saving.load_model(tmp_path / "a.keras")
    assert type(again) is Ragan
    assert (again.slope, again.penalties[0].weight) == (0.5, 0.5)
    np.testing.assert_array_equal(model.sample(2, seed=0), again.sample(2, seed=0))
    assert isinstance(again.generator_optimizer, kg.optimizers.Adam)


L = keras.layers
FLAT = [keras.Input(SHAPE), L.Flatten()]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda g, d: kg.GAN(g, d, 5), r"latent vectors of shape \(batch, 5\); set latent_dim .* 4"),
        (
            lambda g, d: kg.GAN(keras.Sequential([keras.Input((4,)), L.Dense(9)]), d, 4),
            r"must give images .*; it gave \(2, 9\)",
        ),
        (
            lambda g, d: kg.GAN(g, kg.networks.mlp_discriminator((9, 9, 1)), 4),
            r"does not take the generator's images of shape \(8, 8, 1\)",
        ),
        (lambda g, d: kg.GAN(g, keras.Sequential([*FLAT, L.Dense(2)]), 4), r"one score .*; .* gave \(2, 2\)"),
        (lambda g, d: kg.GAN(d, g, 4), "it takes images: are generator and discriminator swapped"),
        (lambda g, d: kg.GAN(g, d, 4, discriminator_steps=0), "1 or more; received 0"),
        (
            lambda g, d: kg.AdversarialModel(g, d, 4, penalties=[kg.penalties.R1(), kg.penalties.R1(2.0)]),
            r"name of its own.*\['r1', 'r1'\]",
        ),
    ],
    ids=["latent", "not images", "other images", "two scores", "swapped", "no steps", "same names"],
)
def test_what_does_not_fit_is_said(make, said):
    with pytest.raises(ValueError, match=said) as caught:
        make(*_networks())
    assert "\x1b" not in str(caught.value)


def test_a_loss_that_does_not_reach_a_player():
    class Constant(kg.losses.AdversarialLoss):
        def discriminator(self, real_logits, fake_logits):
            return tf.reduce_mean(real_logits)

        def generator(self, fake_logits, real_logits=None):
            return tf.zeros(())

    model = kg.AdversarialModel(*_networks(), LATENT, loss=Constant())
    model.compile()
    with pytest.raises(ValueError, match="generator's loss does not depend on any weight of the generator"):
        model.fit(IMAGES, verbose=0)


def test_a_generator_of_several_outputs_is_named():
    latent = keras.Input((LATENT,))
    image = keras.layers.Reshape(SHAPE)(keras.layers.Dense(64)(latent))
    with pytest.raises(ValueError, match=r"must give images .*; it gave a list"):
        kg.GAN(keras.Model(latent, [image, image]), _networks()[1], LATENT)


@pytest.mark.parametrize("networks", [(None, _networks()[1]), (_networks()[0], "dcgan")], ids=["no", "name"])
def test_what_is_no_network_is_named(networks):
    with pytest.raises(TypeError, match=r"The \w+ must be a Keras model.*received (None|'dcgan')"):
        kg.GAN(*networks, LATENT)


def test_predict_gives_float32_of_networks_that_end_in_bfloat16():
    layers = keras.layers
    with kg.precision.scope("bfloat16"):
        generator = keras.Sequential(
            [keras.Input((LATENT,)), layers.Dense(64, "tanh"), layers.Reshape(SHAPE)]
        )
        model = kg.GAN(generator, kg.networks.mlp_discriminator(SHAPE, (16,)), LATENT)
    model.compile()
    assert generator.compute_dtype == "bfloat16"
    assert model.predict(model.latents(2), verbose=0).dtype == np.float32
