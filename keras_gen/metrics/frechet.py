"""Fréchet distance: how far apart two sets of images lie, as Gaussians in a feature space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# float64 covariances of two sets at this size take 3.2 GB.
_MOST_FEATURES = 10_000


def frechet_distance(a: Any, b: Any) -> float:
    """Fréchet distance between the Gaussians fitted to two sets of features, in float64.

    ‖μ_a − μ_b‖² + tr(C_a + C_b − 2 (C_a C_b)^½) with unbiased covariances: the "FID" where the features are
    Inception's. It is 0 for equal sets, has the units of the features squared, and shrinks as sets grow, so
    compare numbers of equal set sizes only. Fewer samples than features, and constant features, are fine.

    Args:
        a: (samples, features), at least two samples of any numeric type.
        b: (samples, features); the numbers of samples may differ.

    Returns:
        The distance, at least 0.

    Raises:
        ValueError: Wrong shapes, fewer than two samples, or values that are not finite.

    Reference:
        GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (2017),
        arXiv:1706.08500.
    """
    sets = [_check(features, name) for features, name in ((a, "a"), (b, "b"))]
    if sets[0].shape[1] != sets[1].shape[1]:
        raise ValueError(
            f"a and b must have the same features, received {sets[0].shape[1]} and {sets[1].shape[1]}; "
            "compute both with one extractor."
        )
    (mean_a, covariance_a), (mean_b, covariance_b) = (_moments(features) for features in sets)
    return frechet_distance_of_moments(mean_a, covariance_a, mean_b, covariance_b)


def frechet_distance_of_moments(mean_a: Any, covariance_a: Any, mean_b: Any, covariance_b: Any) -> float:
    """Fréchet distance between two Gaussians given by their moments, for example stored ones of a data set.

    Args:
        mean_a: (features,).
        covariance_a: (features, features), symmetric positive semidefinite; singular is fine.
        mean_b: (features,).
        covariance_b: (features, features).

    Returns:
        The distance, at least 0.

    Raises:
        ValueError: The shapes do not match, or a value is not finite.
    """
    moments = [np.asarray(m, "float64") for m in (mean_a, covariance_a, mean_b, covariance_b)]
    size = moments[0].size
    if [m.shape for m in moments] != [(size,), (size, size)] * 2 or size == 0:
        raise ValueError(
            "Means and covariances must have shapes (features,) and (features, features), received "
            f"{', '.join(str(m.shape) for m in moments)}."
        )
    if not all(np.isfinite(m).all() for m in moments):
        raise ValueError(
            "Means and covariances must be finite, received NaN or infinity; look for its cause."
        )
    mean_a, covariance_a, mean_b, covariance_b = moments
    # With C = F Fᵀ, the eigenvalues of C_a C_b are the squared singular values of F_aᵀ F_b: no root of a
    # matrix that need not be symmetric, and none of the precision that squaring costs.
    root = np.linalg.svd(_factor(covariance_a).T @ _factor(covariance_b), compute_uv=False).sum()
    difference = mean_a - mean_b
    distance = difference @ difference + np.trace(covariance_a) + np.trace(covariance_b) - 2.0 * root
    return max(float(distance), 0.0)


def _check(features: Any, name: str) -> np.ndarray:
    array = np.asarray(features)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(
            f"{name} must have shape (samples, features), received {array.shape}; "
            "images go through a feature extractor first."
        )
    if array.shape[0] < 2:
        raise ValueError(
            f"{name} must hold at least two samples to have a covariance, received {len(array)}."
        )
    array = array.astype("float64")
    if not np.isfinite(array).all():
        bad = np.count_nonzero(~np.isfinite(array).all(axis=1))
        raise ValueError(f"{name} must be finite, received NaN or infinity in {bad} of {len(array)} samples.")
    return array


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = features.mean(axis=0)
    centered = features - mean
    return mean, centered.T @ centered / (len(features) - 1)


def _factor(covariance: np.ndarray) -> np.ndarray:
    """F with F Fᵀ = covariance; eigenvalues that are zero but for rounding, negative ones too, count as 0."""
    values, vectors = np.linalg.eigh(covariance)
    noise = np.finfo("float64").eps * len(values) * max(values[-1], 0.0)
    return vectors * np.sqrt(np.where(values > noise, values, 0.0))


@keras.saving.register_keras_serializable(package="keras_gen")
class FrechetDistance(keras.metrics.Metric):
    """Streaming Fréchet distance between real and generated images.

    The state are float64 sums, taken relative to the first batch's mean so that large means cost no
    precision: any split into batches gives the number of `frechet_distance` on the whole. It works eagerly,
    in a `tf.function` and in the replicas of a `tf.distribute` strategy; there, build it in the strategy's
    scope and give `num_features` unless the extractor is a Keras model, since replicas create no variables.

    Distances compare only within one feature space: report `feature_space` beside the number.

    Args:
        feature_extractor: Callable or Keras model from a batch of images to (batch, features), such as
            `keras_gen.metrics.feature_extractor` builds; None takes the images, flattened, as features.
            Keras models run with `training=False`. Its weights are not saved with the metric.
        num_features: Number of features, where it is to be fixed before the first batch.
        name: Name of the metric.

    Raises:
        ValueError: More than 10,000 features, whose covariance would not fit in memory.

    Reference:
        GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (2017),
        arXiv:1706.08500.
    """

    def __init__(
        self,
        feature_extractor: Callable[[Any], Any] | None = None,
        num_features: int | None = None,
        name: str = "frechet_distance",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        extractor = feature_extractor
        self.feature_space = "pixels" if extractor is None else getattr(extractor, "name", None)
        self.feature_space = self.feature_space or getattr(extractor, "__name__", type(extractor).__name__)
        # A closure, since saving a model walks the attributes of its metrics and would write the extractor.
        if isinstance(extractor, keras.Layer):
            self._extract = lambda images: extractor(images, training=False)
        else:
            self._extract = extractor or (lambda images: images)
        if num_features is None and isinstance(extractor, keras.Model):
            num_features = getattr(extractor, "output_shape", (None,))[-1]
        self._real: _Sums | None = None
        self._fake: _Sums | None = None
        if num_features is not None:
            self._create_sums(num_features)

    def update_state(self, real_images: Any, fake_images: Any, sample_weight: Any = None) -> None:
        """Adds a batch of each side; the two need not be of one size.

        Args:
            real_images: (batch, ...), what the feature extractor takes; at least float32, in [-1, 1] for the
                package's own extractors.
            fake_images: The same for generated images.
            sample_weight: None; the place is there for `compile(metrics=[...])`.

        Raises:
            ValueError: The number of features differs from the batches before, or samples are weighted.
            tf.errors.InvalidArgumentError: Features are NaN or infinite.
        """
        if sample_weight is not None:
            raise ValueError(
                "FrechetDistance counts all samples alike, received sample_weight; leave it out."
            )
        self.update_real(real_images)
        self.update_fake(fake_images)

    def update_real(self, images: Any) -> None:
        """Adds a batch of real images; see `update_state`."""
        features = self._features(images)
        self._real.add(features)  # type: ignore[union-attr]

    def update_fake(self, images: Any) -> None:
        """Adds a batch of generated images; see `update_state`."""
        features = self._features(images)
        self._fake.add(features)  # type: ignore[union-attr]

    def result(self) -> tf.Tensor:
        """The distance of all batches so far, a float64 scalar; NaN with fewer than two images on a side."""
        if self._real is None or self._fake is None:
            return tf.constant(float("nan"), tf.float64)
        state = [*self._real.read(), *self._fake.read()]
        distance = tf.numpy_function(_distance_of_sums, state, tf.float64, stateful=False)
        return tf.ensure_shape(distance, ())

    def get_config(self) -> dict[str, Any]:
        """Name, and the feature space in words: a configuration cannot hold the extractor's weights."""
        return {"name": self.name, "feature_space": self.feature_space}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FrechetDistance:
        if config["feature_space"] != "pixels":
            raise ValueError(
                f"FrechetDistance in the feature space {config['feature_space']!r} cannot be built from a "
                "configuration, which holds no weights; build it with its feature_extractor, and load models "
                "compiled with it by load_model(..., compile=False)."
            )
        return cls(name=config["name"])

    def _features(self, images: Any) -> tf.Tensor:
        features = tf.convert_to_tensor(self._extract(images))
        if features.shape.rank is None or features.shape.rank < 2 or None in features.shape[1:]:
            raise ValueError(
                f"Features must have shape (batch, features) with a known number, received {features.shape}."
            )
        features = tf.cast(tf.reshape(features, (-1, int(np.prod(features.shape[1:])))), tf.float64)
        if self._real is None:
            self._create_sums(features.shape[1])
        if features.shape[1] != self._real.num_features:  # type: ignore[union-attr]
            raise ValueError(
                f"Expected {self._real.num_features} features, "  # type: ignore[union-attr]
                f"received {features.shape[1]}; compute all batches with one extractor."
            )
        return tf.debugging.check_numerics(features, f"Features for {self.name}")

    def _create_sums(self, num_features: int) -> None:
        if num_features > _MOST_FEATURES:
            raise ValueError(
                f"Received {num_features} features, expected at most {_MOST_FEATURES}: give a "
                "feature_extractor, such as keras_gen.metrics.projection_features(image_shape)."
            )
        self._real, self._fake = _Sums(self, "real", num_features), _Sums(self, "fake", num_features)


class _Sums:
    """Count, sum and sum of outer products of features, relative to a shift, as variables of a metric.

    All three add up over replicas, as metric variables do when they are read, because all replicas agree on
    the shift: the mean of the first batch over all of them.
    """

    def __init__(self, metric: keras.metrics.Metric, name: str, num_features: int) -> None:
        def variable(suffix: str, *shape: int, aggregation: str = "sum") -> keras.Variable:
            return metric.add_variable(shape, "zeros", "float64", aggregation, name=f"{name}_{suffix}")

        self.num_features = num_features
        with tf.init_scope():
            self.shift = variable("shift", num_features, aggregation="mean")
            self.count = variable("count")
            self.total = variable("total", num_features)
            self.outer = variable("outer", num_features, num_features)

    def add(self, features: tf.Tensor) -> None:
        count = tf.cast(tf.shape(features)[0], tf.float64)
        seen, batch, total = _over_replicas(
            [tf.convert_to_tensor(self.count), count, tf.reduce_sum(features, axis=0)]
        )
        shift = tf.where(seen > 0, tf.convert_to_tensor(self.shift), tf.math.divide_no_nan(total, batch))
        shifted = features - shift
        self.shift.assign(shift)
        self.count.assign_add(count)
        self.total.assign_add(tf.reduce_sum(shifted, axis=0))
        self.outer.assign_add(tf.matmul(shifted, shifted, transpose_a=True))

    def read(self) -> list[tf.Tensor]:
        return [tf.convert_to_tensor(v) for v in (self.shift, self.count, self.total, self.outer)]


def _over_replicas(tensors: list[tf.Tensor]) -> list[tf.Tensor]:
    replica = tf.distribute.get_replica_context()
    return tensors if replica is None else replica.all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def _distance_of_sums(*state: np.ndarray) -> np.float64:
    moments: list[np.ndarray] = []
    for shift, count, total, outer in (state[:4], state[4:]):
        if count < 2:
            return np.float64("nan")
        mean = total / count
        moments += [shift + mean, (outer - count * np.outer(mean, mean)) / (count - 1)]
    return np.float64(frechet_distance_of_moments(*moments))
