"""Callbacks for `fit`: what a run leaves behind, and how it is stopped. Each is useful on its own."""

from keras_gen.callbacks.checkpoint import Checkpoint
from keras_gen.callbacks.curvature import Curvature
from keras_gen.callbacks.frechet import FrechetDistance
from keras_gen.callbacks.history import History, LossPlot, read_history
from keras_gen.callbacks.images import SampleGrid
from keras_gen.callbacks.means import KeepMeans
from keras_gen.callbacks.preview import Preview
from keras_gen.callbacks.progress import Progress
from keras_gen.callbacks.stopping import StopOnSignal, TimeBudget, TrainingInterrupted
from keras_gen.callbacks.tensorboard import TensorBoard

__all__ = [
    "Checkpoint",
    "Curvature",
    "FrechetDistance",
    "History",
    "KeepMeans",
    "LossPlot",
    "Preview",
    "Progress",
    "SampleGrid",
    "StopOnSignal",
    "TensorBoard",
    "TimeBudget",
    "TrainingInterrupted",
    "read_history",
]
