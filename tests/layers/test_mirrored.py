import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers.mirrored import mirrored

IMAGES = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype("float32")
PADDING = ((2, 1), (0, 2))


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("sliced", [False, True])
def test_mirrors_as_numpy_does(symmetric, sliced):
    def mirror(images):
        return mirrored(images, PADDING, symmetric=symmetric, sliced=sliced)

    expected = np.pad(IMAGES, ((0, 0), *PADDING, (0, 0)), "symmetric" if symmetric else "reflect")
    unknown = tf.function(mirror, [tf.TensorSpec((None, None, None, 3))])
    np.testing.assert_array_equal(mirror(IMAGES), expected)
    np.testing.assert_array_equal(unknown(IMAGES), expected)


def test_slices_alone_where_they_are_asked_for():
    def operators(**options):
        graph = tf.function(lambda images: mirrored(images, PADDING, **options)).get_concrete_function(
            tf.TensorSpec((1, 5, 4, 3))
        )
        return {operator.type for operator in graph.graph.get_operations()}

    assert "MirrorPad" in operators()
    assert "MirrorPad" not in operators(sliced=True)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("sliced", [False, True])
def test_images_too_small_to_mirror(symmetric, sliced):
    options = {"symmetric": symmetric, "sliced": sliced}
    most = 4 if symmetric else 3
    expected = np.pad(IMAGES, ((0, 0), (0, 0), (most, most), (0, 0)), "symmetric" if symmetric else "reflect")
    np.testing.assert_array_equal(mirrored(IMAGES, ((0, 0), (most, most)), **options), expected)
    for sides in ((most + 1, 0), (0, most + 1)):
        with pytest.raises(ValueError, match=f"of 4 pixels a side cannot be mirrored {most + 1} pixels"):
            mirrored(IMAGES, ((0, 0), sides), **options)
