"""How good samples are: distances between sets of images, and the feature spaces they are taken in."""

from keras_gen.metrics.classifier import classifier_features, train_classifier
from keras_gen.metrics.features import feature_extractor, inception_features, projection_features
from keras_gen.metrics.frechet import FrechetDistance, frechet_distance, frechet_distance_of_moments

__all__ = [
    "FrechetDistance",
    "classifier_features",
    "feature_extractor",
    "frechet_distance",
    "frechet_distance_of_moments",
    "inception_features",
    "projection_features",
    "train_classifier",
]
