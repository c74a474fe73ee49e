"""Full integer files: what they hold, what each layer loses, and layers that stay in float."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from keras_gen.export import flatbuffer, latency, quantize, to_tflite, verify
from keras_gen.export.quiet import quiet
from keras_gen.networks.transformer_net import COATS

_PLAIN = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
QUIET = {"threads": (), "verbose": False}
PHOTOGRAPHS = [
    np.clip(np.sin(np.add.outer(np.arange(40) * (i + 1), np.arange(40))[..., None] / [9, 5, 7]), -1, 1)
    for i in range(6)
]


@pytest.fixture(scope="module")
def made(models, tmp_path_factory):
    """Files of the style network and their reports, by what stays in float."""
    folder = tmp_path_factory.mktemp("int8")
    options = {"image_size": 72, "representative": PHOTOGRAPHS, **QUIET}
    reports = {}
    for name, keep in (("none", ()), ("up1", "up1"), ("auto", "auto")):
        with pytest.MonkeyPatch.context() as patch:
            # Random weights, at so few pixels: what trained ones reach is not what this is about.
            patch.setitem(verify.PSNR, "int8", 10.0)
            path = folder / f"{name}.tflite"
            reports[name] = to_tflite(models("fast"), path, "int8", keep_float=keep, **options)[0]
    return reports


def _operators(path):
    """Operators of a file, each with whether its output is of 8 bits."""
    with quiet():
        interpreter = Interpreter(model_path=path, experimental_op_resolver_type=_PLAIN)
        interpreter.allocate_tensors()
    types = {each["index"]: each["dtype"] for each in interpreter.get_tensor_details()}
    return [
        (each["op_name"], types[each["outputs"][0]] == np.int8) for each in interpreter._get_ops_details()
    ]


def test_weights_and_activations_are_of_eight_bits(made):
    report = made["none"]
    assert report.format == "int8"
    operators = _operators(report.path)
    heavy = [stored for name, stored in operators if "CONV" in name]
    assert len(heavy) == 25
    assert all(heavy)
    assert all(stored for name, stored in operators if name in ("RSQRT", "TANH", "SQUARED_DIFFERENCE"))
    assert report.inputs["image"] == "float32 1x72x72x3"


def test_every_layer_has_an_error_and_the_worst_come_first(models, made):
    found = made["none"].layers
    convolutions = {each.name for each in models("fast").network.layers if "Conv" in type(each).__name__}
    assert convolutions <= {each.layer for each in found}
    assert len({each.layer for each in found}) == len(found)
    assert not any(each.kept for each in found)
    amplified = [each.steps > 0.7 for each in found]
    assert amplified == sorted(amplified, reverse=True)
    # Rounding to the nearest step is off by 1 / sqrt(12) steps, evenly spread.
    steps = {each.layer: each.steps for each in found}
    assert 0.2 < steps["down2"] < 0.4
    assert made["none"].to_json()["layers"][0]["layer"] == found[0].layer


def test_what_eight_bits_do_not_hold_stays_in_float(models, tmp_path, monkeypatch):
    """The logarithm of a variance, which is zero in most of a photograph."""
    monkeypatch.setitem(verify.PSNR, "int8", 10.0)
    plain = [
        np.float32(image) for image in np.linspace(-0.9, 0.9, 6)[:, None, None, None] * np.ones((72, 72, 3))
    ]
    options = {"image_size": 72, "representative": [*PHOTOGRAPHS, *plain], **QUIET}
    report = to_tflite(models("calm"), tmp_path / "calm.tflite", "int8", **options)[0]
    assert [(each.layer, each.steps, each.noise) for each in report.layers if each.kept] == [
        ("underpainting", None, None)
    ]
    assert "underpainting: LOG is not to be had in 8 bits; stays in float" in str(report)
    depthwise = [stored for name, stored in _operators(report.path) if name == "DEPTHWISE_CONV_2D"]
    assert depthwise.count(False) == 4 * COATS


def test_a_named_layer_stays_in_float(made):
    kept = [each.layer for each in made["up1"].layers if each.kept]
    assert kept == ["up1"]
    heavy = [stored for name, stored in _operators(made["up1"].path) if "CONV" in name]
    assert heavy.count(False) == 1


def test_auto_keeps_normalizations_in_float_so_that_the_delegate_takes_the_graph(models, made):
    kept = {each.layer for each in made["auto"].layers if each.kept}
    assert {
        each.name for each in models("fast").network.layers if "Normalization" in type(each).__name__
    } <= kept
    assert made["auto"].differences["image"].psnr > made["none"].differences["image"].psnr
    outside = {}
    for name in ("none", "auto"):
        measured = latency.measure(made[name].path, runs=1)
        outside[name] = (measured.partitions, set(measured.outside))
    assert outside["auto"] == (1, set())
    assert outside["none"][0] > 2
    assert {"RSQRT", "SQUARED_DIFFERENCE"} <= outside["none"][1]


def test_pixels_are_scaled_in_float_around_the_integers(models, tmp_path):
    options = {"image_size": 40, "representative": PHOTOGRAPHS, "keep_float": "auto", **QUIET}
    report = to_tflite(models("fast"), tmp_path / "a.tflite", "int8", uint8=True, **options)[0]
    assert report.inputs["image"] == "uint8 1x40x40x3"
    assert report.differences["image"].psnr > 30


def test_representative_images_may_be_a_data_specification(models, tmp_path):
    report = to_tflite(
        models("vae"), tmp_path / "a.tflite", "int8", signature="encode", representative="digits", **QUIET
    )[0]
    assert report.format == "int8"
    assert report.operators["FULLY_CONNECTED"] == 4


def test_an_unknown_layer_is_named(models, tmp_path):
    with pytest.raises(ValueError, match=r"no layer 'up7'; it has .*up1"):
        to_tflite(
            models("fast"),
            tmp_path / "a.tflite",
            "int8",
            image_size=40,
            representative=PHOTOGRAPHS,
            keep_float=["up1", "up7"],
            **QUIET,
        )


@pytest.mark.parametrize("needed", [0, 1, 3, 6, 7, 9])
def test_the_fewest_that_are_enough(needed):
    asked = []

    def enough(kept):
        asked.append(kept)
        return len(kept) >= needed

    assert quantize._fewest(list("abcdefg"), enough) == list("abcdefg")[:needed]
    assert len(asked) <= 4


def test_graphs_are_told_apart_by_their_tensors(models, made, tmp_path):
    for name in ("float32", "float16", "dynamic"):
        report = to_tflite(models("vae"), tmp_path / f"{name}.tflite", name, **QUIET)[0]
        assert flatbuffer.format_of(flatbuffer.read((tmp_path / f"{name}.tflite").read_bytes())) == name
        assert report.format == name


def test_faint_photographs_stay_as_faint_in_eight_bits(models, tmp_path, monkeypatch):
    """In 8 bits a variance would have steps so large that all faint photographs were of one colour."""
    monkeypatch.setitem(verify.PSNR, "int8", 10.0)
    options = {"image_size": 40, "representative": PHOTOGRAPHS, "keep_float": "auto", **QUIET}
    report = to_tflite(models("calm"), tmp_path / "calm.tflite", "int8", **options)[0]
    with quiet():
        interpreter = Interpreter(model_path=report.path)
    paint = interpreter.get_signature_runner()
    style, strength = np.float32([[0, 1, 0]]), np.ones(1, np.float32)
    pattern = PHOTOGRAPHS[0] - PHOTOGRAPHS[0].mean((0, 1))
    contrasts = {}
    for levels in (0, 0.7, 1, 3):
        image = np.float32(0.2 + levels * 2 / 255 * pattern / pattern.std())
        pictures = (
            paint(image=image[None], weights=style, strength=strength)["image"][0],
            models("calm").stylize(image, "stars"),
        )
        contrasts[levels] = [picture.std((0, 1)).mean() for picture in pictures]
    assert max(contrasts[0]) < 1e-5
    for levels in (0.7, 1, 3):
        found, wanted = contrasts[levels]
        assert found == pytest.approx(wanted, rel=0.1)
    assert contrasts[0.7][0] < 0.4 * contrasts[3][0]
