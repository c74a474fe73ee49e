"""Adam in one pass over each variable."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_gen")
class Adam(keras.optimizers.Adam):
    """Drop-in for `keras.optimizers.Adam`: same arguments, state and formula, one kernel per variable.

    Keras writes the update as a dozen tensor operations, each a pass over memory; TensorFlow has it as one.
    On the networks of `benchmarks/train_throughput.py` that is several per cent of a step on a CPU.

    Reference: Adam: A Method for Stochastic Optimization, 2014, arXiv:1412.6980.
    """

    def update_step(self, gradient, variable, learning_rate):
        if self.amsgrad or isinstance(gradient, tf.IndexedSlices) or variable.dtype != tf.float32:
            super().update_step(gradient, variable, learning_rate)
            return
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, tf.float32)

        def raw(state):
            # Under a strategy, a mirrored variable's own copy on this device.
            state = getattr(state, "value", state) if isinstance(state, keras.Variable) else state
            return state._get_on_device_or_primary() if hasattr(state, "_get_on_device_or_primary") else state

        tf.raw_ops.ResourceApplyAdam(
            var=raw(variable).handle,
            m=raw(self._momentums[index]).handle,
            v=raw(self._velocities[index]).handle,
            beta1_power=tf.pow(tf.constant(self.beta_1), step),
            beta2_power=tf.pow(tf.constant(self.beta_2), step),
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, tf.float32),
            use_locking=False,
        )
