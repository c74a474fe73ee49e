"""ReplicatedSteps: the functions of `fit`, `evaluate` and `predict`, on several replicas and workers."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf


class ReplicatedSteps(keras.Model):
    """A `keras.Model` whose steps run on every strategy.

    Keras 3 averages scalar logs over workers with axis=0, which fails (keras issue 20585).
    """

    train_function: Callable | None
    test_function: Callable | None
    predict_function: Callable | None

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing: all is built. Keras would add up the replicas' first batches, which may differ in size."""

    def _one_step(self, step, merge):
        strategy = self.distribute_strategy

        def one_step(data):
            outputs = strategy.run(step, args=(data,))
            return outputs if strategy.num_replicas_in_sync == 1 else merge(strategy, outputs)

        return one_step

    def _iterated(self, step):
        one_step = self._one_step(step, _mean)

        def steps(iterator):
            outputs = one_step(next(iterator))
            for _ in range(self.steps_per_execution - 1):
                batch = iterator.get_next_as_optional()
                # The data may end within an execution, which must not break off the steps before.
                outputs = tf.cond(
                    batch.has_value(),
                    lambda batch=batch: one_step(batch.get_value()),
                    lambda outputs=outputs: outputs,
                )
            return outputs

        return self._compiled(steps)

    def _compiled(self, function):
        if self.run_eagerly:
            return function
        return tf.function(function, reduce_retracing=True, jit_compile=self.jit_compile, autograph=False)

    def make_train_function(self, force: bool = False):
        """The function that `fit` calls with an iterator of batches."""
        if self.train_function is None or force:
            self.train_function = self._iterated(self.train_step)
        return self.train_function

    def make_test_function(self, force: bool = False):
        """The function that `evaluate` calls with an iterator of batches."""
        if self.test_function is None or force:
            self.test_function = self._iterated(self.test_step)
        return self.test_function

    def make_predict_function(self, force: bool = False):
        """The function that `predict` calls with a list of batches."""
        if self.predict_function is None or force:
            one_step = self._one_step(self.predict_step, _concatenate)
            self.predict_function = self._compiled(
                lambda data: tf.concat([one_step(batch) for batch in data], 0)
            )
        return self.predict_function


def _mean(strategy, outputs):
    return tf.nest.map_structure(lambda value: strategy.reduce("MEAN", value, axis=None), outputs)


def _concatenate(strategy, outputs):
    return tf.nest.map_structure(lambda value: strategy.gather(value, axis=0), outputs)
