"""The metadata FlatBuffer, against one that Google's tflite-support 0.4.4 wrote; and files with it."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from keras_gen.export import flatbuffer, metadata, to_tflite

REFERENCE = Path(__file__).parents[1] / "reference" / "tflite_support.npz"
KNOWN = {
    "name": "style",
    "description": "paints",
    "version": "1",
    "author": "someone",
    "license": "Apache-2.0",
    "min_parser_version": "1.0.0",
    "subgraph_metadata": [
        {
            "name": "stylize",
            "input_tensor_metadata": [
                {
                    "name": "image",
                    "description": "a photograph",
                    "dimension_names": ["batch", "height", "width", "channels"],
                    "content": {
                        "content_properties": {"color_space": 1, "default_size": {"width": 48, "height": 32}}
                    },
                    "process_units": [{"options": {"mean": [127.5], "std": [127.5]}}],
                    "stats": {"max": [1.0], "min": [-1.0]},
                },
                {
                    "name": "weights",
                    "content": {"content_properties": {}},
                    "associated_files": [{"name": "labels.txt", "description": "styles", "type": 2}],
                },
            ],
            "output_tensor_metadata": [{"name": "picture"}],
        }
    ],
}


def test_what_tflite_support_wrote_is_read():
    with np.load(REFERENCE) as archive:
        assert metadata.decode(archive["metadata"].tobytes()) == KNOWN


def test_what_is_written_is_read_again():
    """The reader is proved by the test above, so that this one proves the writer."""
    content = metadata.encode(KNOWN)
    assert content[4:8] == b"M001"
    assert metadata.decode(content) == KNOWN


def test_another_schema_is_refused():
    with pytest.raises(ValueError, match="M001"):
        metadata.decode(b"\0\0\0\0ABCD")


@pytest.fixture(scope="module")
def labelled(models, tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "decoder.tflite"
    options = {"threads": (), "verbose": False, "license": "CC0-1.0"}
    to_tflite(models("conditional-vae"), path, "float32", signature="decode", **options)
    return path.read_bytes()


def test_a_files_metadata(labelled):
    about = metadata.read(labelled)
    assert about["license"] == "CC0-1.0"
    inputs = {each["name"]: each for each in about["subgraph_metadata"][0]["input_tensor_metadata"]}
    assert inputs["label"]["associated_files"][0] == {
        "name": "label-labels.txt",
        "description": "names of the label",
        "type": 3,
    }
    assert inputs["label"]["stats"] == {"max": [2.0], "min": [0.0]}
    (image,) = about["subgraph_metadata"][0]["output_tensor_metadata"]
    assert image["content"]["content_properties"]["color_space"] == 2
    assert about["labels"] == {"label-labels.txt": ["0", "1", "2"]}


def test_labels_are_a_zip_archive_at_the_end(labelled):
    with zipfile.ZipFile(io.BytesIO(labelled)) as archive:
        assert archive.testzip() is None
        assert archive.read("label-labels.txt") == b"0\n1\n2\n"


def test_weights_stand_at_multiples_of_sixteen_bytes(labelled):
    schema = flatbuffer.runtime("schema_py_generated")
    model = schema.Model.GetRootAs(labelled, 0)
    starts = []
    for i in range(model.BuffersLength()):
        buffer = model.Buffers(i)
        if buffer.DataLength() >= 16:
            starts.append(buffer._tab.Vector(buffer._tab.Offset(4)))
    assert len(starts) > 5
    assert all(start % 16 == 0 for start in starts)


def test_what_is_no_tflite_file_is_said():
    with pytest.raises(ValueError, match="not a TFLite file"):
        metadata.read(b"something else")
