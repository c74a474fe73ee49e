import pytest

from keras_gen.data.splits import is_training, resolve

SIZES = {"train": 80, "test": 20}


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("train", [("train", 0, 80)]),
        ("train[:10]", [("train", 0, 10)]),
        ("train[-10:]", [("train", 70, 80)]),
        ("train[10%:20%]", [("train", 8, 16)]),
        ("train[: 500]", [("train", 0, 80)]),
        ("all", [("train", 0, 80), ("test", 0, 20)]),
        ("all[75:85]", [("train", 75, 80), ("test", 0, 5)]),
        ("train[:5] + test[-5:]", [("train", 0, 5), ("test", 15, 20)]),
    ],
)
def test_resolves(split, expected):
    assert resolve(split, SIZES, "x") == expected


def test_parts_of_percentages_cover_the_whole():
    runs = resolve("train[:33%]+train[33%:66%]+train[66%:]", {"train": 7}, "x")
    assert [i for _, start, stop in runs for i in range(start, stop)] == list(range(7))


def test_other_names_of_validation():
    assert resolve("validation", {"train": 3, "val": 2}, "x") == [("val", 0, 2)]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("tset", "x has no split 'tset' .did you mean 'test'.*'train', 'test', 'all'"),
        ("train[5:5]", r"selects no images: it holds train \(80\), test \(20\)"),
        ("train[5]", "malformed"),
        ("train[:1.5%]", "malformed"),
        ("", "malformed"),
    ],
)
def test_errors_name_what_there_is(split, message):
    with pytest.raises(ValueError, match=message):
        resolve(split, SIZES, "x")


def test_training_splits():
    assert is_training("train[:10]+train[20:]")
    assert is_training("all")
    assert not is_training("train+test")
    assert not is_training("validation")
