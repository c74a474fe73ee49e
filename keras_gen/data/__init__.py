"""Real images: `load` a data spec as a `tf.data.Dataset`, `describe` it without loading."""

from keras_gen.data.epochs import set_epoch
from keras_gen.data.pipeline import CACHE_BYTES, Description, describe, load
from keras_gen.data.sources import SPECS

__all__ = ["CACHE_BYTES", "SPECS", "Description", "describe", "load", "set_epoch"]
