"""TFLite files: what they hold, what they give, and the exports that are refused."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

import keras_gen as kg
from keras_gen.export import flatbuffer, latency, metadata, tflite, to_tflite, verify
from keras_gen.export.quiet import quiet
from keras_gen.export.signatures import examples, signatures
from keras_gen.export.verify import VerificationError
from keras_gen.networks.transformer_net import transformer_net

ALL = {
    "gan": ("generate",),
    "vae": ("decode", "encode", "reconstruct", "embed"),
    "conditional-vae": ("decode", "encode"),
    "vq-vae": ("decode", "encode", "reconstruct"),
    "fast": ("stylize",),
    "adain": ("stylize", "encode_style", "stylize_encoded"),
}
QUIET = {"threads": (), "verbose": False}


@pytest.fixture(scope="module")
def style(models, tmp_path_factory):
    """The file of a style network, and its report, by format."""
    folder, made = tmp_path_factory.mktemp("style"), {}

    def make(quantization, **options):
        key = (quantization, *sorted(options.items()))
        if key not in made:
            path = folder / f"{len(made)}.tflite"
            made[key] = (
                path,
                to_tflite(models("fast"), path, quantization, image_size=64, **QUIET, **options)[0],
            )
        return made[key]

    return make


def _run(path, inputs):
    interpreter = Interpreter(model_path=str(path))
    (name,) = interpreter.get_signature_list()
    made = interpreter.get_signature_runner(name)(**inputs)
    return {key: np.array(value) for key, value in made.items()}


@pytest.mark.parametrize("name", ALL)
def test_every_signature_gives_what_the_model_gives(models, tmp_path, name):
    """LiteRT, asked by the names of inputs and outputs, without `verify` in between."""
    model = models(name)
    size = 64 if name in ("fast", "adain") else None
    for report in to_tflite(
        model, tmp_path / "a.tflite", "float32", signature=ALL[name], image_size=size, **QUIET
    ):
        signature = signatures(model)[report.signature]
        inputs = examples(signature, 1, 5, size=size and (size, size))
        expected = signature.function(**{key: tf.constant(value) for key, value in inputs.items()})
        for key, value in _run(report.path, inputs).items():
            np.testing.assert_allclose(value, expected[key], atol=1e-4, rtol=1e-4)
        assert len(ALL[name]) == 1 or report.path.endswith(f"a-{report.signature}.tflite")


def test_weights_are_inside_and_shapes_are_static(style):
    """DESIGN's sixth point: variables that the converter leaves would be read empty; and its eighth."""
    path, report = style("float32")
    parsed = flatbuffer.read(path.read_bytes())
    names = {name for name, _ in flatbuffer.operators(parsed)}
    assert not {name for name in names if "VAR" in name or name.startswith("Flex")}
    assert all(not code.customCode for code in parsed.operatorCodes)
    graph = parsed.subgraphs[0]
    assert all(tensor.shapeSignature is None and -1 not in tensor.shape for tensor in graph.tensors)
    assert report.inputs == {
        "image": "float32 1x64x64x3",
        "weights": "float32 1x3",
        "strength": "float32 1",
    }


def test_a_file_that_reads_variables_is_refused(models):
    model = models("gan")
    function = tf.function(lambda latent: {"image": model(latent)}, autograph=False)
    concrete = function.get_concrete_function(tf.TensorSpec((1, 6), name="latent"))
    with quiet():
        content = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model).convert()
    with pytest.raises(ValueError, match=r"from variables \(\w+ of .*freeze"):
        tflite.check_operators(flatbuffer.read(content))


def test_normalization_and_up_sampling_are_lowered(style):
    """DESIGN's seventh point: no reshapes in normalizations, no TILE, no nearest resize.

    One reshape makes the texture a square, another one number an image of the strength.
    """
    _, report = style("float32")
    assert not set(report.operators) & {"TILE", "RESIZE_NEAREST_NEIGHBOR", "BROADCAST_TO", "TRANSPOSE"}
    assert report.operators.get("RESHAPE", 0) <= 2
    assert report.operators["DEPTH_TO_SPACE"] == 2


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fast", {"quantization": "float32"}),
        ("fast", {"quantization": "float16", "uint8": True}),
        ("calm", {"quantization": "float16", "uint8": True}),
        ("adain", {"quantization": "float32", "uint8": True}),
        ("adain", {"quantization": "dynamic"}),
        ("adain-noise", {"quantization": "dynamic"}),
    ],
)
def test_the_delegate_takes_the_graph_in_two_parts_at_most(models, tmp_path, name, options):
    to_tflite(models(name), tmp_path / "a.tflite", image_size=72, **options, **QUIET)
    run = latency.measure(tmp_path / "a.tflite", runs=1)
    assert run.partitions <= 2
    assert set(run.outside) <= {"MIRROR_PAD", "CAST"}


def test_float16_is_half_as_large_and_dynamic_a_quarter(models, tmp_path):
    sizes = {
        name: to_tflite(models("vae"), tmp_path / f"{name}.tflite", name, **QUIET)[0].bytes
        for name in ("float32", "float16", "dynamic")
    }
    assert sizes["float16"] <= 0.52 * sizes["float32"]
    assert sizes["dynamic"] <= 0.27 * sizes["float32"]


def test_depthwise_weights_of_dynamic_files_are_float(tmp_path):
    """As int8 they are for the runtime's own slow kernels; fewer than 1024 the converter leaves alone."""
    network = transformer_net(1, width=24, separable=True, blocks=1)  # 9 * 144 = 1296
    model = kg.style.FastStyleTransfer(network, ["waves"], seed=1)
    to_tflite(model, tmp_path / "a.tflite", "dynamic", image_size=72, **QUIET)
    parsed = flatbuffer.read((tmp_path / "a.tflite").read_bytes())
    types = flatbuffer.runtime("schema_py_generated").TensorType
    kinds = {"DEPTHWISE_CONV_2D": set(), "CONV_2D": set()}
    graph, names = parsed.subgraphs[0], [flatbuffer.name_of(code) for code in parsed.operatorCodes]
    for operator in graph.operators:
        if (name := names[operator.opcodeIndex]) in kinds:
            kernel = graph.tensors[operator.inputs[1]]
            if np.prod(kernel.shape) >= 1024:
                kinds[name].add(kernel.type)
    assert kinds == {"DEPTHWISE_CONV_2D": {types.FLOAT32}, "CONV_2D": {types.INT8}}
    assert flatbuffer.format_of(parsed) == "dynamic"
    assert set(latency.measure(tmp_path / "a.tflite", runs=1).outside) <= {"MIRROR_PAD"}


def test_weights_of_few_inputs_have_one_scale(models, style):
    """A scale and zero point for each output would be more bytes than the texture of three styles."""
    path, _ = style("dynamic")
    parsed = flatbuffer.read(path.read_bytes())
    graph, names = parsed.subgraphs[0], [flatbuffer.name_of(code) for code in parsed.operatorCodes]
    kernels = [
        graph.tensors[operator.inputs[1]]
        for operator in graph.operators
        if names[operator.opcodeIndex] == "FULLY_CONNECTED"
    ]
    types = flatbuffer.runtime("schema_py_generated").TensorType
    found = {tuple(one.shape): one for one in kernels if one.type == types.INT8}
    assert {len(one.quantization.scale) for one in found.values()} == {1}
    texture = found[64 * 64 * 6, 3]
    (scale,) = texture.quantization.scale
    stored = np.asarray(parsed.buffers[texture.buffer].data, np.uint8).view(np.int8)
    exact = models("fast").network.get_layer("texture").textures.numpy().T
    # The layer's own gain is in the file's weights or is not.
    ratio = np.abs(stored * scale).max() / np.abs(exact).max()
    np.testing.assert_allclose(stored.reshape(exact.shape) * scale, ratio * exact, atol=scale)


def test_weights_of_many_inputs_keep_a_scale_for_each_output(models, tmp_path):
    to_tflite(models("vae"), tmp_path / "a.tflite", "dynamic", signature="decode", **QUIET)
    parsed = flatbuffer.read((tmp_path / "a.tflite").read_bytes())
    types = flatbuffer.runtime("schema_py_generated").TensorType
    wide = [
        one
        for one in parsed.subgraphs[0].tensors
        if one.type == types.INT8 and len(one.shape) == 2 and one.shape[1] >= 12
    ]
    assert wide
    for one in wide:
        assert len(one.quantization.scale) == one.shape[0]


def test_pixels_go_in_and_out_as_uint8(models, style):
    path, report = style("float32", uint8=True)
    assert report.inputs["image"] == report.outputs["image"] == "uint8 1x64x64x3"
    photograph = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    inputs = {"image": photograph[None], "weights": np.eye(3, dtype="f4")[:1], "strength": np.ones(1, "f4")}
    painted = _run(path, inputs)["image"][0]
    expected = models("fast").stylize(photograph / np.float32(127.5) - 1, 0)
    assert np.abs(painted - (expected + 1) * 127.5).max() <= 0.51


def test_sizes_each_make_a_file(models, tmp_path):
    reports = to_tflite(models("fast"), tmp_path / "style.tflite", image_size=[48, (40, 64)], **QUIET)
    names = {path.name for path in tmp_path.iterdir()}
    files = {"style-48x48.tflite", "style-40x64.tflite"}
    assert names == files | {f"{name}.json" for name in files}
    assert reports[1].inputs["image"] == "float32 1x40x64x3"
    kept = json.loads((tmp_path / "style-40x64.tflite.json").read_text())
    assert kept["passed"]
    assert kept["format"] == "float16"
    assert kept["differences"]["image"]["largest"] < 5e-3


def test_metadata_names_what_goes_in_and_out(style):
    path, _ = style("float32")
    about = metadata.read(path.read_bytes())
    assert about["license"] == "Apache-2.0"
    assert "stylize, float32" in about["description"]
    graph = about["subgraph_metadata"][0]
    tensors = {each["name"]: each for each in graph["input_tensor_metadata"]}
    assert tensors["image"]["stats"] == {"max": [1.0], "min": [-1.0]}
    assert tensors["image"]["content"]["content_properties"]["default_size"] == {"width": 64, "height": 64}
    assert about["labels"] == {"weights-labels.txt": ["waves", "stars", "scream"]}
    # In the order of the graph's own inputs, as apps go through them.
    details = Interpreter(model_path=str(path)).get_input_details()
    assert [each["name"] for each in details] == [each["name"] for each in graph["input_tensor_metadata"]]


class Gamma(keras.layers.Layer):
    """Computes what TFLite has no built-in operator for."""

    def call(self, inputs):
        return tf.math.igamma(tf.exp(inputs), tf.exp(inputs))


def test_an_operator_without_a_built_in_is_named_with_its_layer(tmp_path):
    noise = keras.Input((4,))
    x = Gamma(name="strange")(keras.layers.Dense(4, name="plain")(noise))
    image = keras.layers.Reshape((2, 2, 1))(x)
    generator = keras.Model(noise, image)
    score = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    model = kg.GAN(generator, score, latent_dim=4)
    with pytest.raises(ValueError, match=r"no built-in operator for Igamma, which the layer strange"):
        to_tflite(model, tmp_path / "new" / "a.tflite", **QUIET)
    assert not list(tmp_path.iterdir())


def test_what_is_too_far_leaves_nothing_behind(models, tmp_path, monkeypatch):
    monkeypatch.setitem(tflite.verify.LARGEST, "float16", 1e-9)
    (tmp_path / "a.tflite").write_bytes(b"before")
    with pytest.raises(
        VerificationError, match=r"differs too much from the model: image by .* at most 1e-09"
    ):
        to_tflite(models("gan"), tmp_path / "a.tflite", **QUIET)
    with pytest.raises(VerificationError):
        to_tflite(models("gan"), tmp_path / "new" / "b.tflite", **QUIET)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tflite"]
    assert (tmp_path / "a.tflite").read_bytes() == b"before"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gan", {"quantization": "int4"}, "one of float32, float16, dynamic, int8; received 'int4'"),
        ("gan", {"signature": "sample"}, "draws random numbers.*choose from generate"),
        ("gan", {"signature": "paint"}, "no signature 'paint': choose from generate"),
        ("gan", {"image_size": 64}, "images of 28x28 pixels and takes no other size; received 64x64"),
        ("gan", {"keep_float": "auto"}, "keep_float is for int8"),
        ("fast", {"image_size": (64, 64, 3)}, "image_size must be"),
        ("fast", {"image_size": 0}, "image_size must be"),
        ("fast", {"image_size": [64, 5000]}, "from 1 to 4096"),
        ("fast", {"quantization": "int8", "image_size": 64}, "pass representative"),
    ],
)
def test_what_cannot_be_exported_is_said_at_once(models, tmp_path, name, options, message):
    with pytest.raises(ValueError, match=message):
        to_tflite(models(name), tmp_path / "a.tflite", **QUIET, **options)
    assert not list(tmp_path.iterdir())


def test_a_generator_needs_no_images_for_int8(models, tmp_path):
    (report,) = to_tflite(models("gan"), tmp_path / "a.tflite", "int8", keep_float="auto", **QUIET)
    assert report.passed
    assert report.layers


def test_a_read_only_folder_is_refused_before_the_work(models, tmp_path, monkeypatch):
    monkeypatch.setattr(tflite.os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="cannot be written"):
        to_tflite(models("gan"), tmp_path / "a.tflite", **QUIET)


def test_the_same_model_makes_the_same_file(models, tmp_path):
    for name in ("a", "b"):
        to_tflite(models("conditional-vae"), tmp_path / f"{name}.tflite", **QUIET)
    assert (tmp_path / "a.tflite").read_bytes() == (tmp_path / "b.tflite").read_bytes()


def test_the_package_has_its_styles_for_phones():
    """The file is of the weights beside it."""
    path = Path(kg.style.__file__).parent / "weights" / "eight-styles-512.tflite"
    model, interpreter = kg.style.pretrained(), Interpreter(str(path), num_threads=2)
    stylize = interpreter.get_signature_runner("stylize")
    photograph = np.round(127.5 * (verify.natural((1, 512, 512, 3), seed=3) + 1)).astype("uint8")
    for index in (2, 7):
        weights = np.eye(8, dtype="float32")[[index]]
        painted = stylize(image=photograph, weights=weights, strength=np.ones(1, "float32"))["image"]
        wanted = 127.5 * (model.stylize(photograph / 127.5 - 1, index) + 1)
        error = np.mean(np.square(np.clip(wanted, 0, 255) - painted))
        assert 10 * np.log10(255**2 / error) > 30
