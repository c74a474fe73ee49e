import errno
import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import runs
from keras_gen.callbacks import Checkpoint, read_history

_TINY = ("--batch-size", 8, "--seed", 3, "--frechet-samples", 0, "--precision", "float32")


def sentence(result):
    """The one line on standard error, without its label."""
    assert result.exit_code not in (0, None)
    assert "Traceback" not in result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith(("Error: ", "Stopped: "))]
    assert len(lines) == 1, result.stderr
    return lines[0].split(": ", 1)[1]


def test_a_run_folder_holds_all_that_is_promised(trained):
    config = json.loads((trained / "config.json").read_text())
    assert (config["model"], config["seed"], config["preset"], config["precision"]) == (
        "gan",
        3,
        "mlp",
        "float32",
    )
    assert {"python", "tensorflow", "keras", "keras-gen"} <= set(config["versions"])
    assert sorted(p.name for p in (trained / "checkpoints").iterdir()) == ["best.keras", "last.keras"]
    assert sorted(p.name for p in (trained / "samples").iterdir()) == ["epoch-0001.png", "epoch-0002.png"]
    assert (trained / "losses.png").stat().st_size > 1000
    rows = read_history(trained / "history.csv")
    assert [(row["epoch"], row["step"]) for row in rows] == [(1, 5), (2, 10)]
    assert all(np.isfinite(row["frechet_distance"]) for row in rows)
    (events,) = (trained / "logs").iterdir()
    tags = {
        value.tag
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
    }
    assert {"generator_loss", "frechet_distance", "samples"} <= tags


def test_two_and_two_epochs_are_four(cli, images, tmp_path):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    assert (
        cli("train", "gan", "--data", images, "--epochs", 4, "--ema", 0.9, *_TINY, "--out", whole).exit_code
        == 0
    )
    assert (
        cli("train", "gan", "--data", images, "--epochs", 2, "--ema", 0.9, *_TINY, "--out", halves).exit_code
        == 0
    )
    result = cli("train", "--resume", "--epochs", 4, "--out", halves)
    assert result.exit_code == 0, result.output
    for one, other in zip(runs.Run(whole).load().weights, runs.Run(halves).load().weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5, atol=1e-6, err_msg=one.path)
    for one, other in zip(*(read_history(run / "history.csv") for run in (whole, halves)), strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    assert json.loads((halves / "config.json").read_text())["epochs"] == 4


def test_resuming_a_finished_run_changes_nothing(cli, trained):
    before = (trained / "checkpoints" / "last.keras").read_bytes()
    result = cli("train", "--resume", "--out", trained)
    assert result.exit_code == 0
    assert "raise --epochs" in result.output
    assert (trained / "checkpoints" / "last.keras").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--batch-size", 16), "--batch-size 8"),
        (("wgan-gp",), "MODEL gan"),
        (("--data", "digits"), "--data npz:"),
        (("--set", "saturating=true"), "--set saturating False"),
        (("--seed", 4), "--seed 3"),
        (("--epochs", 1), "2 epochs already"),
    ],
)
def test_resume_refuses_what_contradicts_the_run(cli, trained, arguments, named):
    assert named in sentence(cli("train", "--resume", "--out", trained, *arguments))


def test_resume_takes_the_same_options_again(cli, trained, images):
    again = ("gan", "--data", images, "--batch-size", 8, "--precision", "auto", "--set", "saturating=false")
    assert cli("train", *again, "--resume", "--epochs", 3, "--out", trained).exit_code == 0
    assert [row["epoch"] for row in read_history(trained / "history.csv")] == [1, 2, 3]


def test_rows_later_than_the_checkpoint_are_trained_again(cli, trained):
    """As after a process was killed between writing the history and the checkpoint."""
    history = trained / "history.csv"
    last = history.read_text().splitlines()[-1]
    history.write_text(history.read_text() + last.replace("2,10,", "3,15,", 1) + "\n")
    assert cli("train", "--resume", "--epochs", 4, "--out", trained).exit_code == 0
    assert [row["epoch"] for row in read_history(history)] == [1, 2, 3, 4]


def test_a_run_killed_before_its_first_checkpoint_begins_anew(cli, trained):
    for path in (trained / "checkpoints").iterdir():
        path.unlink()
    assert cli("train", "--resume", "--out", trained).exit_code == 0
    assert [row["epoch"] for row in read_history(trained / "history.csv")] == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("wgan-pg", "--data", "digits"), "Did you mean 'wgan-gp'?"),
        (("gan", "--data", "folder:missing"), "there is no folder"),
        (("gan", "--data", "digts"), "digits"),
        (("gan", "--data", "digits", "--set", "saturatin=1"), "saturating"),
        (("gan", "--data", "digits", "--set", "saturating"), "NAME=VALUE"),
        (("gan", "--data", "digits", "--set", "discriminator_steps=many"), "whole number"),
        (("gan", "--data", "digits", "--preset", "dcgn"), "dcgan"),
        (("gan", "--data", "digits", "--precision", "float16"), "bfloat16"),
        (("gan", "--data", "digits", "--epochs", 0), "--epochs"),
        (("gan", "--data", "digits", "--split", "tset"), "split"),
    ],
)
def test_wrong_requests_are_one_sentence(cli, tmp_path, arguments, said):
    assert said in sentence(cli("train", *arguments, "--out", tmp_path / "run"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gan", "--set", "discriminator_steps=0"), "discriminator_steps must be 1 or more; received 0"),
        (("wgan", "--preset", "mlp", "--set", "clip=-1"), "above zero"),
        (("dcgan", "--preset", "dcgan-28", "--image-size", 32), "28x28"),
        (("dcgan", "--image-size", 256), "28 to 128 pixels"),
        (("gan", "--crop", "middle"), "--crop"),
        (("gan", "--gradient-clip", -1), "--gradient-clip must be a finite number above zero; received -1"),
        (("gan", "--learning-rate", "nan"), "--learning-rate must be a finite number above zero"),
    ],
)
def test_a_refused_start_leaves_nothing(cli, images, tmp_path, arguments, said):
    assert said in sentence(cli("train", *arguments, "--data", images, *_TINY, "--out", tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_run_that_failed_in_its_first_epoch_may_begin_anew(cli, images, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise FloatingPointError("generator_loss is NaN at step 3")

    arguments = ("train", "gan", "--data", images, *_TINY, "--epochs", 1, "--out", tmp_path / "run")
    with monkeypatch.context() as patched:
        patched.setattr(keras.Model, "fit", fail)
        assert "NaN at step 3" in sentence(cli(*arguments))
    assert cli(*arguments, "--learning-rate", 1e-4).exit_code == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["learning_rate"] == 1e-4
    assert "holds a run already" in sentence(cli(*arguments))


def test_missing_arguments_are_named(cli, tmp_path):
    assert "--out" in cli("train", "gan", "--data", "digits").stderr
    assert "--data" in cli("train", "gan", "--out", tmp_path / "run").stderr
    assert cli("train", "--data", "digits", "--out", tmp_path / "run").exit_code == 2
    assert "no model 'ganx'. Did you mean 'gan'?" in sentence(cli("train", "ganx"))


def test_folders_that_hold_something_are_refused(cli, trained, images, tmp_path):
    assert "--resume" in sentence(cli("train", "gan", "--data", images, "--out", trained))
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").touch()
    assert "not empty" in sentence(cli("train", "gan", "--data", images, "--out", other))
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]
    assert "is a file" in sentence(cli("train", "gan", "--data", images, "--out", other / "thesis.txt"))
    assert "not a run folder" in sentence(cli("train", "--resume", "--out", other))


def test_an_unwritable_folder_is_named(cli, images, tmp_path):
    (tmp_path / "file").touch()  # also for the superuser, whom permissions do not stop
    assert "file" in sentence(cli("train", "gan", "--data", images, "--out", tmp_path / "file" / "run"))


def test_a_run_in_use_is_refused(cli, trained):
    with runs.Run(trained).resumed():
        said = sentence(cli("train", "--resume", "--epochs", 3, "--out", trained))
    assert f"in use by another process ({os.getpid()})" in said
    assert cli("train", "--resume", "--epochs", 3, "--out", trained).exit_code == 0


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", None])
def test_a_damaged_checkpoint_is_named(cli, trained, content):
    last = trained / "checkpoints" / "last.keras"
    last.write_bytes(last.read_bytes()[:-5000] if content is None else content)
    said = sentence(cli("train", "--resume", "--epochs", 3, "--out", trained))
    assert "last.keras is damaged" in said
    assert "empty or cut short" in said
    assert "delete it; without it, best.keras is used" in said


def test_without_the_last_checkpoint_the_best_one_takes_its_place(cli, trained):
    (trained / "checkpoints" / "last.keras").unlink()
    result = cli("train", "--resume", "--epochs", 3, "--out", trained)
    assert result.exit_code == 0
    assert "last.keras is not there: using best.keras" in result.stderr
    assert [row["epoch"] for row in read_history(trained / "history.csv")] == [1, 2, 3]


@pytest.mark.parametrize("content", ["garbage", "epoch,step,loss\n1,5,0.3\n", "a,b\n1,2\n", "\0\0\xff"])
def test_a_damaged_history_is_set_aside(cli, trained, content):
    history = trained / "history.csv"
    history.write_text(content, encoding="latin-1")
    result = cli("train", "--resume", "--epochs", 3, "--out", trained)
    assert result.exit_code == 0, result.output
    assert "history.csv is damaged: it is kept as history-damaged-2.csv" in result.stdout
    assert (trained / "history-damaged-2.csv").read_text(encoding="latin-1") == content
    assert [row["epoch"] for row in read_history(history)] == [3]


def test_a_full_disk_leaves_the_checkpoint_of_before(cli, trained, monkeypatch):
    last = trained / "checkpoints" / "last.keras"
    before = last.read_bytes()

    def save(self, path):
        path.write_bytes(b"the first half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(keras.Model, "save", save)
    assert "no space left on the disk" in sentence(cli("train", "--resume", "--epochs", 3, "--out", trained))
    assert last.read_bytes() == before
    assert sorted(p.name for p in (trained / "checkpoints").iterdir()) == ["best.keras", "last.keras"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"), "smaller --batch-size"),
        (
            tf.errors.ResourceExhaustedError(None, None, "logs/x; No space left on device"),
            "space left on the disk",
        ),
        (FloatingPointError("generator_loss is NaN at step 3"), "generator_loss is NaN at step 3"),
        (KeyError("oops"), "Unexpected KeyError"),
    ],
)
def test_errors_in_training_are_one_sentence(cli, images, tmp_path, monkeypatch, error, said):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(keras.Model, "fit", fail)
    assert said in sentence(cli("train", "gan", "--data", images, *_TINY, "--out", tmp_path / "run"))
    monkeypatch.setenv("KERAS_GEN_TRACEBACK", "1")
    result = cli("train", "gan", "--data", images, *_TINY, "--out", tmp_path / "other")
    assert result.exception is error


@pytest.mark.parametrize(
    ("number", "after"), [(signal.SIGINT, 7), pytest.param(signal.SIGTERM, 10, marks=pytest.mark.slow)]
)
def test_interrupted_and_resumed_equals_uninterrupted(cli, images, tmp_path, monkeypatch, number, after):
    """In the middle of an epoch, and after its last step."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    arguments = ("train", "gan", "--data", images, "--epochs", 3, "--ema", 0.9, *_TINY)
    assert cli(*arguments, "--out", whole).exit_code == 0

    batch_end = Checkpoint.on_train_batch_end

    def interrupt(self, batch, logs=None):
        if int(self.model.step.numpy()) == after:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Checkpoint, "on_train_batch_end", interrupt)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    result = cli(*arguments, "--out", broken)
    assert result.exit_code == 128 + number
    assert f"after step {after}" in sentence(result)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    assert int(runs.Run(broken).load().step.numpy()) == after

    monkeypatch.setattr(Checkpoint, "on_train_batch_end", batch_end)
    result = cli("train", "--resume", "--out", broken)
    assert result.exit_code == 0, result.output
    for one, other in zip(runs.Run(whole).load().weights, runs.Run(broken).load().weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5, atol=1e-6, err_msg=one.path)
    for one, other in zip(*(read_history(run / "history.csv") for run in (whole, broken)), strict=True):
        assert one == pytest.approx(other, rel=1e-4)


@pytest.mark.slow
def test_processes_ctrl_c_and_kill(images, tmp_path):
    """Real processes: a second one is refused, Ctrl-C saves, SIGKILL leaves neither lock nor gap."""
    run = tmp_path / "run"
    command = [sys.executable, "-m", "keras_gen.cli.main", "train", "--out", str(run)]

    def start(*arguments):
        return subprocess.Popen(
            [*command, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def wait_for(epochs):
        while len(read_history(run / "history.csv")) < epochs:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)

    process = start("gan", "--data", images, "--epochs", 100_000, *_TINY)
    try:
        wait_for(2)
        second = start("--resume")
        _, refusal = second.communicate(timeout=120)
        assert second.returncode == 1
        assert refusal.startswith("Error: ")
        assert f"in use by another process ({process.pid})" in refusal
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
        assert process.returncode == 128 + signal.SIGINT
        assert said.startswith("Stopped: Training was interrupted by SIGINT after step")
        assert said.count("\n") == 1

        done = len(read_history(run / "history.csv"))
        process = start("--resume")
        wait_for(done + 2)
        process.kill()
        process.communicate(timeout=120)
    finally:
        process.kill()
    with runs.Run(run).resumed():
        rows = read_history(run / "history.csv")
        assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
        assert int(runs.Run(run).load().epoch.numpy()) >= len(rows) - 1
