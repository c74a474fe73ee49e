import numpy as np
import pytest

from keras_gen.runs import Settings, first_images


@pytest.fixture
def settings(tmp_path):
    """Twelve images for training and five for tests, whose pixels are their places in the file."""
    pixels = np.arange(17, dtype=np.uint8).reshape(-1, 1, 1, 1) * np.ones((1, 4, 4, 1), np.uint8)
    labels = np.arange(17) % 2
    np.savez(
        tmp_path / "a.npz", x_train=pixels[:12], y_train=labels[:12], x_test=pixels[12:], y_test=labels[12:]
    )
    return Settings("vae", f"npz:{tmp_path / 'a.npz'}", seed=0)


def places(images):
    return np.round((images[:, 0, 0, 0] + 1) * 127.5).astype(int).tolist()


def test_the_test_splits_first_in_order(settings):
    images, labels = first_images(settings, 3)
    assert images.shape == (3, 4, 4, 1)
    assert places(images) == [12, 13, 14]
    assert labels is None
    assert places(first_images(settings, 100)[0]) == [12, 13, 14, 15, 16]


def test_another_split_and_labels(settings):
    images, labels = first_images(settings, 4, "train", labels=True)
    assert places(images) == [0, 1, 2, 3]
    assert labels.tolist() == [0, 1, 0, 1]


def test_what_cannot_be_is_refused(settings):
    with pytest.raises(ValueError, match="1 or more; received 0"):
        first_images(settings, 0)
    with pytest.raises(ValueError, match="did you mean 'test'"):
        first_images(settings, 1, "tset")
