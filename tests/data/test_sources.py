from pathlib import Path

import numpy as np
import pytest

from keras_gen.data.sources import SPECS, open_source


def test_digits():
    train, test = open_source("digits"), open_source("digits", "test")
    assert train.splits == {"train": 4000, "test": 1000}
    assert train.images.shape == (4000, 28, 28, 1)
    assert train.class_names == tuple("0123456789")
    whole = open_source("digits", "all")
    np.testing.assert_array_equal(whole.images, np.concatenate([train.images, test.images]))
    assert np.bincount(whole.labels).tolist() == [500] * 10
    # No class is rare in the test split.
    assert np.bincount(test.labels).min() >= 80


def test_every_form_has_a_line_of_help():
    assert [form.split(":")[0] for form in SPECS] == ["digits", "idx", "folder", "npz", "tfds"]
    assert all(help and "\n" not in help for help in SPECS.values())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "digit",
            r"There is no folder digit\. Unknown data spec 'digit' .did you mean 'digits'.*expected digits, "
            r"idx:FOLDER.*or tfds:NAME.*\.$",
        ),
        ("foldr:x", "did you mean 'folder'"),
        ("", "Unknown data spec ''"),
        ("digits:train", "has too much after 'digits'"),
        ("npz:", "lacks what follows the colon: expected npz:FILE"),
        ("tfds", "lacks what follows the colon: expected tfds:NAME"),
        (3, "A data spec is a string.*received 3"),
        (Path("some") / "where", "write 'folder:some/where'"),
    ],
)
def test_wrong_specs(spec, message):
    with pytest.raises(ValueError, match=message):
        open_source(spec)


def test_a_path_without_its_form(tmp_path):
    with pytest.raises(ValueError, match=r"is a folder: write 'folder:.*' for images or 'idx:"):
        open_source(str(tmp_path))
    np.savez(tmp_path / "a.npz", [0])
    with pytest.raises(ValueError, match=r"is a file: write 'npz:"):
        open_source(str(tmp_path / "a.npz"))


def test_wrong_split():
    with pytest.raises(ValueError, match=r"split is a name such as 'train'.*received None"):
        open_source("digits", None)
