"""Runs: a folder that holds everything about one training, from its settings to its last checkpoint."""

from keras_gen.runs.evaluation import evaluate
from keras_gen.runs.folder import Run
from keras_gen.runs.images import first_images
from keras_gen.runs.settings import Settings
from keras_gen.runs.training import train

__all__ = ["Run", "Settings", "evaluate", "first_images", "train"]
