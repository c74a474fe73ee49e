"""GenerativeModel: several networks and optimizers in one `keras.Model`, on every strategy, saved exactly."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from keras_gen import moving_average
from keras_gen.curvature import preconditioner
from keras_gen.curvature.operators import evaluation
from keras_gen.data import set_epoch
from keras_gen.distribute import mean_over_replicas, replica_count
from keras_gen.layers.convolution import warn_of_strided_pixels
from keras_gen.models import checks
from keras_gen.models.replicated import ReplicatedSteps
from keras_gen.random import RandomStream

_TOLERANCE = 1e-3  # rounding of resized or half-precision images


class GenerativeModel(ReplicatedSteps):
    """Base of every model here: a set of *players*, each with networks, an optimizer, and a loss.

    A subclass names its players, its logs, and the network that `sample` runs, and writes `train_step` and
    `test_step`; both get images, or (images, labels, …), and call :meth:`update` for each player in turn.

    Everything that training depends on is a variable or config of the model, so that a saved model goes on
    exactly: networks, optimizers, moving average, `step`, `epoch` and `seed`. Random numbers are drawn from
    `(seed, step)` per example of the global batch, never from a hidden generator.

    Args:
        seed: an integer; None draws one, which is then kept in the config.
        name: the model's name.
    """

    #: Names of the losses, penalties and norms whose running means `fit` shows.
    log_names: tuple[str, ...] = ()

    def __init__(self, *, seed: int | None = None, name: str | None = None):
        super().__init__(name=name, dtype="float32")
        self.seed = random.SystemRandom().randrange(2**31) if seed is None else int(seed)
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed must be an integer from 0 to 2**63 - 1; received {seed}.")
        counter = {"shape": (), "dtype": "int64", "initializer": "zeros", "trainable": False}
        self.step = self.add_weight(**counter, name="step", aggregation="only_first_replica")
        self.epoch = self.add_weight(**counter, name="epoch", aggregation="only_first_replica")
        self.trackers: dict[str, keras.metrics.Mean] = {}
        self.logged_names: tuple[str, ...] = ()
        self.ema_decay: float | None = None
        self.gradient_clip_norm: float | None = None

    # What a subclass says of itself.

    @property
    def players(self) -> dict[str, keras.Model]:
        """Each player's name and network, in the order in which they are updated."""
        raise NotImplementedError(f"{type(self).__name__} must define players")

    @property
    def sampled_network(self) -> keras.Model:
        """The network that makes images, and whose moving average is kept."""
        raise NotImplementedError(f"{type(self).__name__} must define sampled_network")

    # Compiling.

    def compile(
        self,
        *,
        optimizers: dict[str, keras.optimizers.Optimizer],
        corrections: dict[str, preconditioner.SingularityCorrection | None] | None = None,
        gradient_clip_norm: float | None = None,
        ema_decay: float | None = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool = False,
    ) -> None:
        """Sets what training needs beside the networks.

        Args:
            optimizers: one for each player.
            corrections: a `curvature.SingularityCorrection` for any player, one object each; its gradient is
                corrected before clipping and the optimizer.
            gradient_clip_norm: the largest norm of each player's whole gradient; None does not clip.
            ema_decay: decay of the exponential moving average of the sampled network's weights, in [0, 1),
                e.g. 0.999; `sample` then uses the average. None keeps none.
            run_eagerly: run the step op by op, for debugging.
            steps_per_execution: steps in one call of the compiled function.
            jit_compile: compile with XLA. Off: on CPUs XLA is many times slower for the second derivatives
                of strided convolutions.

        Raises:
            ValueError: a decay or norm out of range, or one correction for two players.
        """
        corrections = {player: one for player, one in (corrections or {}).items() if one is not None}
        if len({id(one) for one in corrections.values()}) < len(corrections):
            raise ValueError("Two players got the same correction object; each needs one of its own.")
        if gradient_clip_norm is not None and not gradient_clip_norm > 0:
            raise ValueError(f"gradient_clip_norm must be above zero; received {gradient_clip_norm}.")
        if ema_decay is not None and not 0 <= ema_decay < 1:
            raise ValueError(f"ema_decay must be in [0, 1), as a rule 0.99 to 0.9999; received {ema_decay}.")
        super().compile(
            optimizer=None,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
        )
        self.gradient_clip_norm, self.ema_decay = gradient_clip_norm, ema_decay
        for player, optimizer in optimizers.items():
            optimizer = keras.optimizers.get(optimizer)
            setattr(self, f"{player}_optimizer", optimizer)
            if not optimizer.built:
                optimizer.build(self.players[player].trainable_variables)
        for player in self.players:
            correction = corrections.get(player)
            if correction is not None:
                correction.prepare(self.players[player].trainable_variables)
            if correction is not getattr(self, f"{player}_correction", None):
                self._forget(f"{player}_correction")
                setattr(self, f"{player}_correction", correction)
        names = [f"{player}_{name}" for player in corrections for name in preconditioner.LOG_NAMES]
        self.logged_names = (*self.log_names, *names)
        for name in self.logged_names:  # Keras would go on showing the first ones
            if name not in self.trackers:
                self.trackers[name] = keras.metrics.Mean(name=name)
        self._keep_average(ema_decay is not None)

    def _keep_average(self, wanted: bool) -> None:
        average = getattr(self, "ema_network", None)
        if average is not None and wanted:
            average.set_weights(self.sampled_network.get_weights())
            return
        self._forget("ema_network")
        self.ema_network = _copy(self.sampled_network) if wanted else None

    def _forget(self, attribute: str) -> None:
        if getattr(self, attribute, None) is not None:
            self._layers.remove(getattr(self, attribute))

    def get_compile_config(self) -> dict | None:
        """What `compile` was called with, for saving; None before that."""
        if not self.compiled:
            return None
        optimizers = {
            f"{player}_optimizer": keras.saving.serialize_keras_object(getattr(self, f"{player}_optimizer"))
            for player in self.players
        }
        corrections = {
            f"{player}_correction": keras.saving.serialize_keras_object(correction)
            for player in self.players
            if (correction := getattr(self, f"{player}_correction", None)) is not None
        }
        return {
            **optimizers,
            **corrections,
            "gradient_clip_norm": self.gradient_clip_norm,
            "ema_decay": self.ema_decay,
            "run_eagerly": self.run_eagerly,
            "steps_per_execution": self.steps_per_execution,
            "jit_compile": self.jit_compile,
        }

    def compile_from_config(self, config: dict) -> None:
        """Compiles as the saved model was."""
        self.compile(**{key: keras.saving.deserialize_keras_object(value) for key, value in config.items()})

    # Training.

    @contextlib.contextmanager
    def random_stream(self, step: tf.Tensor | None = None) -> Iterator[RandomStream]:
        """The random numbers of this training step, or of another, also for the layers that run within."""
        with RandomStream(self.seed, self.step.value if step is None else step).scope() as stream:
            yield stream

    def repeatable(self, stream: RandomStream, loss_fn: Callable[[], tf.Tensor]) -> Callable[[], tf.Tensor]:
        """A loss that, called later in the step, has the random numbers that it would have now.

        Then it changes no variable of the networks, and they compute in float32.
        """
        position = stream.position
        states = [(state, tf.identity(state.value)) for state in self._seed_states()]

        def again():
            with stream.repeated(position), evaluation(states):
                return loss_fn()

        return again

    def update(
        self,
        player: str,
        loss: tf.Tensor,
        tape: tf.GradientTape,
        checked: dict[str, tf.Tensor] | None = None,
        again: Callable[[], tf.Tensor] | None = None,
    ) -> None:
        """Takes one optimizer step of a player down its loss, a mean over this replica's examples.

        Gradients are averaged over replicas, checked, clipped, and handed to the player's optimizer. Anything
        that is not finite stops the step before a weight is touched.

        Args:
            player: the player's name.
            loss: a scalar.
            tape: the tape that recorded the loss.
            checked: further scalars, by name, that must be finite.
            again: what `repeatable` made of the loss; a correction needs it.
        """
        variables = self.players[player].trainable_variables
        pairs = zip(tape.gradient(loss, [v.value for v in variables]), variables, strict=True)
        connected = [(gradient, variable) for gradient, variable in pairs if gradient is not None]
        if not connected:
            raise ValueError(f"The {player}'s loss does not depend on any weight of the {player}.")
        gradients = mean_over_replicas([tf.convert_to_tensor(gradient) for gradient, _ in connected])
        variables = [variable for _, variable in connected]
        squares = [tf.reduce_sum(tf.square(tf.cast(gradient, tf.float32))) for gradient in gradients]
        finite = {f"{player}_loss": loss, **(checked or {})}
        for variable, square in zip(variables, squares, strict=True):
            name = f"the gradient of the {player} by {variable.path}"
            # Networks in one network may have weights of the same path.
            finite[name] = finite[name] + square if name in finite else square
        norm = tf.sqrt(tf.add_n(squares))
        correction, logs, length = getattr(self, f"{player}_correction", None), {}, norm
        if correction is not None:
            if again is None:
                raise ValueError(
                    f"The {player}'s correction needs its loss again: pass "
                    "again=self.repeatable(stream, loss_fn)."
                )
            gradients, logs, due = correction.correct(gradients, variables, again)
            length = tf.linalg.global_norm(gradients)
            finite[f"the corrected step of the {player}"] = length
        # The optimizer sums over replicas; these are means already.
        scale = 1.0 / replica_count()
        if self.gradient_clip_norm is not None:
            scale *= tf.minimum(1.0, self.gradient_clip_norm / tf.maximum(length, 1e-12))
        with tf.control_dependencies([self._assert_finite(finite)]):
            if isinstance(scale, float) and scale == 1.0:
                gradients = [tf.identity(gradient) for gradient in gradients]
            else:
                gradients = [gradient * tf.cast(scale, gradient.dtype) for gradient in gradients]
            getattr(self, f"{player}_optimizer").apply(gradients, variables)
            if correction is not None:
                correction.keep()
        for name, value in logs.items():
            weight = 1.0 if name == "products" else due
            self.trackers[f"{player}_{name}"].update_state(value, sample_weight=weight)
        self.log(**{f"{player}_gradient_norm": norm})

    def finish_step(self) -> None:
        """Moves the average and the step counter on; the last call of a `train_step`."""
        if self.ema_network is not None:
            moving_average.update(self.ema_network.weights, self.sampled_network.weights, self.ema_decay)
        # Not before every update has passed its check.
        counts = [getattr(self, f"{player}_optimizer").iterations.value for player in self.players]
        with tf.control_dependencies([tf.convert_to_tensor(count) for count in counts]):
            self.step.assign_add(1)

    def finish_epoch(self, logs: dict[str, float]) -> None:
        """Called by `fit` at an epoch's end with its logs; for a subclass that has something to say."""

    def log(self, **values: tf.Tensor) -> None:
        """Adds values to the running means of those names."""
        for name, value in values.items():
            self.trackers[name].update_state(value)

    def log_examples(self, count: tf.Tensor, **values: tf.Tensor) -> None:
        """Adds means over so many examples to the running means, weighted; of none, nothing."""
        for name, value in values.items():
            value = tf.where(count > 0, value, tf.zeros_like(value))
            self.trackers[name].update_state(value, sample_weight=tf.cast(count, tf.float32))

    def even_shares(self, images: tf.Tensor) -> tf.Tensor:
        """The images, checked to be as many on each replica: gradients are averaged with equal weights."""
        if replica_count() == 1:
            return images
        count = tf.cast(tf.shape(images)[0], tf.float32)
        even = tf.equal(count, mean_over_replicas(count))
        check = tf.debugging.Assert(even, [checks.UNEVEN, count, self.step.value])
        with tf.control_dependencies([check] if check is not None else []):
            return tf.identity(images)

    def results(self, names: tuple[str, ...] | None = None) -> dict[str, tf.Tensor]:
        """The running means over all replicas, of all logs or of those named."""
        names = names or self.logged_names
        if replica_count() == 1:
            return {name: self.trackers[name].result() for name in names}
        # Not the mean of the replicas' means: of an uneven last batch one has seen more than another.
        trackers = [self.trackers[name] for name in names]
        sums = mean_over_replicas(tf.stack([tracker.total.value for tracker in trackers]))
        counts = mean_over_replicas(tf.stack([tracker.count.value for tracker in trackers]))
        return dict(zip(names, tf.unstack(tf.math.divide_no_nan(sums, counts)), strict=True))

    def images_of(self, data) -> tf.Tensor:
        """The images of a batch, with or without labels, checked to be in [-1, 1]."""
        images = data[0] if isinstance(data, (tuple, list)) else data
        images = tf.cast(images, tf.float32)
        largest = tf.reduce_max(tf.abs(images))
        # Written so that NaN fails too.
        check = tf.debugging.Assert(
            largest <= 1 + _TOLERANCE, [checks.OUT_OF_RANGE, largest, self.step.value]
        )
        with tf.control_dependencies([check] if check is not None else []):
            return tf.identity(images)

    def _assert_finite(self, values: dict[str, tf.Tensor]):
        stacked = tf.stack([tf.cast(value, tf.float32) for value in values.values()])
        finite = tf.math.is_finite(stacked)
        first = tf.gather(tf.constant(list(values)), tf.argmin(tf.cast(finite, tf.int32)))
        data = [checks.NON_FINITE, first, self.step.value]
        check = tf.debugging.Assert(tf.reduce_all(finite), data)
        return check if check is not None else tf.no_op()

    def fit(self, x=None, *args, callbacks=None, **kwargs):
        """Trains as `keras.Model.fit` does, on images in [-1, 1], or (images, labels).

        Raises:
            FloatingPointError: a loss, penalty or gradient that is NaN or infinite; names it and the step.
                No weight of that player has been touched.
            ValueError: images outside [-1, 1].
        """
        warn_of_strided_pixels(self)
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            given = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks] if callbacks else []
            callbacks = [_EpochCounter(x), *given]
        if isinstance(x, tf.data.Dataset):
            kwargs.setdefault("shuffle", False)  # a data set is in the order that it is to be in
        with checks.explained():
            return super().fit(x, *args, callbacks=callbacks, **kwargs)

    def evaluate(self, *args, **kwargs):
        """Means of the losses and penalties over a data set, as `keras.Model.evaluate` gives them."""
        with checks.explained():
            return super().evaluate(*args, **kwargs)

    # Saving. Keras leaves out how far its own layers' random numbers have got.

    def save_own_variables(self, store) -> None:
        """Writes the counters, and the states of all random layers that are not this package's."""
        super().save_own_variables(store)
        for i, state in enumerate(self._seed_states()):
            store[f"seed_{i}"] = state.numpy()

    def load_own_variables(self, store) -> None:
        """Reads what `save_own_variables` wrote."""
        stored = {key: store[key] for key in store.keys()}  # noqa: SIM118 (not a dictionary)
        states = {f"seed_{i}": state for i, state in enumerate(self._seed_states())}
        super().load_own_variables({key: value for key, value in stored.items() if key not in states})
        for key in states.keys() & stored.keys():
            states[key].assign(stored[key])

    def _seed_states(self) -> list[keras.Variable]:
        return [generator.state for layer in self._flatten_layers() for generator in layer._seed_generators]

    # Sampling.

    @property
    def sampler(self) -> keras.Model:
        """The network that `sample` runs: the moving average where there is one, else the trained network."""
        average = getattr(self, "ema_network", None)
        return self.sampled_network if average is None else average

    def _generate(self, inputs, batch_size: int = 256) -> np.ndarray:
        """Runs the sampler on inputs (first axis: examples) in batches of bounded memory."""
        network = self.sampler
        if getattr(self, "_generate_network", None) is not network:
            self._generate_network = network
            self._generate_function = tf.function(
                lambda batch: tf.cast(network(batch, training=False), tf.float32), reduce_retracing=True
            )
        count = len(inputs)
        batches = [self._generate_function(inputs[i : i + batch_size]) for i in range(0, count, batch_size)]
        return np.concatenate([batch.numpy() for batch in batches])


def _copy(network: keras.Model) -> keras.Model:
    own = {type(layer).__name__: type(layer) for layer in network._flatten_layers()}
    try:
        config = keras.saving.serialize_keras_object(network)
        # The user's own code, from this process: there is nothing to be safe from.
        copy = keras.saving.deserialize_keras_object(config, custom_objects=own, safe_mode=False)
        copy.set_weights(network.get_weights())
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ValueError(
            f"ema_decay needs a copy of the network {network.name!r}, and {type(network).__name__} could not "
            "be made again from its config: give it a get_config that holds the arguments of its __init__, "
            "let that take **kwargs for the base class, and make its layers there; or leave ema_decay out."
        ) from error
    copy.trainable = False
    return copy


class _EpochCounter(keras.callbacks.Callback):
    """Counts whole epochs into the model, before any other callback saves it, and has the data follow."""

    def __init__(self, data):
        super().__init__()
        self.data = data

    def on_epoch_begin(self, epoch, logs=None):
        if isinstance(self.data, tf.data.Dataset):
            set_epoch(self.data, int(self.model.epoch.numpy()))

    def on_epoch_end(self, epoch, logs=None):
        self.model.epoch.assign_add(1)
        self.model.finish_epoch(logs or {})
