"""The report of an export: differences as they are, bounds as they are said, and LiteRT's own figures."""

import json

import numpy as np
import pytest

from keras_gen.export import latency, to_tflite, verify
from keras_gen.export.signatures import Port, Signature
from keras_gen.export.verify import Difference, VerificationError, difference

IMAGE = Port("image", "image", (2, 2, 1), bounds=(-1.0, 1.0))
QUIET = {"threads": (), "verbose": False}


@pytest.fixture(scope="module")
def files(models, tmp_path_factory):
    """Two generators' files in float32."""
    folder = tmp_path_factory.mktemp("files")
    to_tflite(models("gan"), folder / "gan.tflite", "float32", **QUIET)
    to_tflite(models("vae"), folder / "vae.tflite", "float32", **QUIET)
    return folder


def test_differences_of_every_kind_of_output():
    expected = np.array([[0.5, -0.5, 1.0, -1.0]], "f4")
    found = difference(IMAGE, expected, expected + np.array([0.02, 0, 0, 0], "f4"))
    assert found.measure == "absolute"
    np.testing.assert_allclose([found.largest, found.mean, found.psnr], [0.02, 0.005, 46.02], rtol=1e-4)

    numbers = Port("mean", "latent", (2,))
    found = difference(numbers, np.array([[10.0, -6.0]]), np.array([[10.0, -5.0]]))
    assert found.measure == "relative"
    np.testing.assert_allclose([found.largest, found.mean], [0.1, 0.05])
    np.testing.assert_allclose(found.psnr, 20 * np.log10(1.6 / np.sqrt(0.005)))

    codes = Port("codes", "codes", (4,), "int32")
    found = difference(codes, np.array([[1, 2, 3, 4]]), np.array([[1, 2, 3, 9]]))
    assert found == Difference("share", 0.25, 0.25, None)

    pixels = Port("image", "image", (2, 2, 1), "uint8", bounds=(0.0, 255.0))
    found = difference(pixels, np.array([0, 255], np.uint8), np.array([1, 255], np.uint8))
    assert found.measure == "pixels"
    np.testing.assert_allclose(found.largest, 1 / 127.5, rtol=1e-6)


def _report(format, found):
    return verify.Report("a.tflite", format, "generate", {}, {}, 4, {"image": found}, {}, 100)


@pytest.mark.parametrize(
    ("format", "found", "passes"),
    [
        ("float32", Difference("absolute", 0.99e-4, 1e-6, 90.0), True),
        ("float32", Difference("absolute", 1.01e-4, 1e-6, 90.0), False),
        ("float16", Difference("absolute", 4.9e-3, 1e-6, 90.0), True),
        ("float16", Difference("absolute", 5.1e-3, 1e-6, 90.0), False),
        ("float16", Difference("absolute", float("nan"), 1e-6, float("nan")), False),
        ("float32", Difference("pixels", 1 / 127.5, 1e-6, 90.0), True),
        ("float32", Difference("pixels", 2 / 127.5, 1e-6, 90.0), False),
        ("int8", Difference("absolute", 1.0, 0.1, 30.01), True),
        ("int8", Difference("absolute", 0.1, 0.1, 29.9), False),
        ("int8", Difference("absolute", 0.0, 0.0, None), True),
        ("dynamic", Difference("absolute", float("nan"), 0.1, float("nan")), False),
        ("float32", Difference("share", 0.002, 0.002, None), False),
        ("int8", Difference("share", 0.04, 0.04, None), True),
    ],
)
def test_the_bounds_of_each_format(format, found, passes):
    report = _report(format, found)
    assert report.passed == passes
    if passes:
        verify.check(report)
    else:
        with pytest.raises(VerificationError, match=f"The {format} file differs too much") as caught:
            verify.check(report)
        assert caught.value.report is report


def test_a_report_says_what_the_interpreter_does(models, files):
    path = files / "gan.tflite"
    report = verify.verify(path, models("gan"), threads=(1, 2), runs=5)
    assert report.bytes == path.stat().st_size
    assert report.operators == {"FULLY_CONNECTED": 3, "LEAKY_RELU": 2, "RESHAPE": 1, "TANH": 1}
    assert [run.threads for run in report.latency] == [1, 2]
    for run in report.latency:
        assert (run.partitions, run.outside, run.runs) == (1, {}, 5)
        assert 0 < run.fastest_ms <= run.median_ms < 1000
        assert 1e5 < run.peak_memory_bytes < 200e6
        assert run.inputs == {"latent": "float32 1x6"}
    plain = json.loads(json.dumps(report.to_json()))
    assert plain["passed"]
    assert plain["bound"] == "at most 0.0001"
    assert plain["latency"][1]["threads"] == 2
    for part in ("gan.tflite", "float32", "generate", "3 FULLY_CONNECTED", "2 threads", "largest"):
        assert part in str(report)


def test_other_weights_are_too_far(models, files):
    model = models("gan")
    kept = model.ema_network.get_weights()
    try:
        model.ema_network.set_weights([weight + 0.01 for weight in kept])
        report = verify.verify(files / "gan.tflite", model, threads=())
    finally:
        model.ema_network.set_weights(kept)
    assert not report.passed
    assert report.differences["image"].largest > 1e-4


def test_a_file_of_another_model_is_refused(models, files):
    with pytest.raises(ValueError, match=r"not an export of this model: it has the signatures \['decode'\]"):
        verify.verify(files / "vae.tflite", models("gan"), threads=())


def test_memory_grows_with_the_file(files):
    """A decoder of two megabytes takes more than a generator of half of one."""
    small, large = (latency.measure(files / f"{name}.tflite", runs=1) for name in ("gan", "vae"))
    assert large.peak_memory_bytes - small.peak_memory_bytes > 1e6


def test_trials_are_like_photographs():
    """As much of them in details of every size, so that no channel is nearly flat; and at whole strength."""
    images = verify.natural((2, 64, 96, 3), seed=3)
    assert images.shape == (2, 64, 96, 3)
    assert np.abs(images).max() <= 1
    differences = [np.std(images[:, step:] - images[:, :-step]) for step in (1, 4, 16)]
    assert 0.3 < differences[0] < differences[1] < differences[2]
    ports = (Port("image", "image", (None, None, 3)), Port("strength", "number", (), bounds=(0.0, 1.0)))
    given = verify.trials(Signature("stylize", None, ports, ()), 3, 0, None, (16, 24))
    assert given["image"].shape == (3, 16, 24, 3)
    np.testing.assert_array_equal(given["strength"], 1)


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"runs": 0}])
def test_measurements_take_numbers_of_at_least_one(files, wrong):
    with pytest.raises(ValueError, match="must be at least 1"):
        latency.measure(files / "gan.tflite", **wrong)
