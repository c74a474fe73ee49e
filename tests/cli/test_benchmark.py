"""`keras-gen benchmark`: latency of any TFLite file, and what it says of files that are none."""

import re

import pytest
import tensorflow as tf

from keras_gen.export.quiet import quiet


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A file that keras-gen did not write: TensorFlow's converter alone, and an operator not delegated."""

    @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 3), name="picture")], autograph=False)
    def double(picture):
        return 2 * tf.pad(picture, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="REFLECT") + 1

    path = tmp_path_factory.mktemp("files") / "plain.tflite"
    with quiet():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([double.get_concrete_function()])
        path.write_bytes(converter.convert())
    return path


def test_any_file_is_measured_with_one_thread_and_two(cli, plain):
    result = cli("benchmark", plain, "--runs", 5)
    assert result.exit_code == 0, result.output
    head, *lines = result.stdout.splitlines()
    assert head.startswith(str(plain))
    assert head.endswith("takes picture float32 1x8x8x3")
    assert [line.split()[:2] for line in lines] == [["1", "thread"], ["2", "threads"]]
    for line in lines:
        median, fastest = (
            float(ms) for ms in re.search(r"median (\S+) ms, fastest (\S+) ms of 5", line).groups()
        )
        assert median >= fastest >= 0
        assert line.endswith("1 partition, outside of the delegate: 1 MIRROR_PAD")


def test_a_bad_file_among_good_ones_does_not_lose_them(cli, plain, tmp_path):
    (tmp_path / "text.tflite").write_text("hello")
    result = cli("benchmark", tmp_path / "text.tflite", plain, "--runs", 5, "--threads", 1)
    assert result.exit_code == 1
    assert result.stdout.startswith(str(plain))
    assert "text.tflite is not a TFLite file, or it is cut short." in result.stderr
    assert "is a folder" in cli("benchmark", tmp_path).stderr.lower()


def test_what_is_no_file_of_the_kind_is_one_sentence(cli, plain, tmp_path):
    (tmp_path / "text.tflite").write_text("hello")
    (tmp_path / "half.tflite").write_bytes(plain.read_bytes()[:300])
    for name in ("none", "text", "half"):
        result = cli("benchmark", tmp_path / f"{name}.tflite")
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: {tmp_path / name}.tflite")
        assert "Traceback" not in result.output
        assert len(result.stderr.strip().splitlines()) == 1


def test_a_number_of_threads_is_at_least_one(cli, plain):
    assert cli("benchmark", plain, "--threads", 0).exit_code == 2
