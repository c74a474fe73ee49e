"""Strategies: twenty steps of WGAN-GP on two CPUs, and in two processes, give a single process's weights."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_gen import distribute

WORKER = Path(__file__).with_name("distribute_worker.py")
TIMEOUT = 600  # seconds


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("localhost", 0))
        return [each.getsockname()[1] for each in sockets]


def _run(strategy: str, folder: Path, workers: int = 1) -> dict[str, np.ndarray]:
    """Starts a worker process or several; all are ended when one fails or time is up."""
    out = folder / f"{strategy.replace(':', '-')}.npz"
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    environment.pop("TF_CONFIG", None)
    cluster = {"worker": [f"localhost:{port}" for port in _free_ports(workers)]}
    processes, logs = [], [folder / f"{out.stem}-{i}.log" for i in range(workers)]
    try:
        for i, log in enumerate(logs):
            if workers > 1:
                task = {"type": "worker", "index": i}
                environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
            command = [sys.executable, WORKER, strategy, out]
            processes.append(
                subprocess.Popen(
                    command,
                    env=environment,
                    stdout=log.open("w"),
                    stderr=subprocess.STDOUT,
                    cwd=WORKER.parents[1],
                )
            )
        deadline = time.monotonic() + TIMEOUT
        while any(process.poll() is None for process in processes):
            if any(process.poll() for process in processes) or time.monotonic() > deadline:
                break
            time.sleep(0.1)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    said = "\n".join(log.read_text()[-3000:] for log in logs)
    assert [process.returncode for process in processes] == [0] * workers, said
    with np.load(out) as values:
        return dict(values)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distribute")
    return {
        "none": _run("none", folder),
        "cpu:2": _run("cpu:2", folder),
        "multi-worker": _run("multi-worker", folder, workers=2),
    }


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["cpu:2", "multi-worker"])
@pytest.mark.parametrize("kind", ["weight", "slot", "log", "score", "images", "sample"])
def test_equals_a_single_process(runs, strategy, kind):
    """Weights (networks, moving average, counters), optimizer slots, fit's and evaluate's means, predict."""
    one, many = runs["none"], runs[strategy]
    names = [name for name in one if name.startswith(kind)]
    assert names
    assert names == [name for name in many if name.startswith(kind)]
    for name in names:
        np.testing.assert_allclose(many[name], one[name], rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "tolerance"), [("style", 1e-5), ("correction", 2e-3)])
def test_two_replicas_equal_one(runs, kind, tolerance):
    """Style systems, by a VGG that all replicas share; corrected GANs, and Hessians over shares of data."""
    one, two = ({name: v for name, v in runs[s].items() if name.startswith(kind)} for s in ("none", "cpu:2"))
    assert one.keys() == two.keys() != set()
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=tolerance, atol=min(tolerance, 1e-4), err_msg=name)


@pytest.mark.slow
def test_the_runs_trained(runs):
    for run in runs.values():
        assert run["step"] == 20
        assert run["images"].shape == (17, 28, 28, 1)
        assert np.isfinite(run["log_discriminator_loss"])
    assert any("ema" in name or "moving" in name for name in runs["none"])


@pytest.mark.slow
def test_networks_of_keras_layers_train_on_two_replicas(runs):
    """keras.layers.Dropout and BatchNormalization, clipped weights, two steps an execution."""
    assert runs["cpu:2"]["users_networks"]


@pytest.mark.slow
def test_shares_of_different_size_are_refused_in_training(runs):
    assert "At step 0 a batch could not be shared evenly" in str(runs["cpu:2"]["uneven"])


@pytest.mark.parametrize("name", ["cpu:0", "cpu:", "cpu", "gpu", "", None, "Mirrored"])
def test_unknown_strategy(name):
    with pytest.raises(
        ValueError, match=r"no strategy .*: choose auto, cpu:N .*, mirrored, multi-worker or tpu"
    ):
        distribute.strategy(name)


def test_cpus_asked_for_too_late():
    tf.constant(1)  # TensorFlow has started
    with pytest.raises(ValueError, match="cpu:64 must be asked for before TensorFlow runs anything"):
        distribute.strategy("cpu:64")


def test_auto_with_one_device_is_no_strategy():
    if len(tf.config.list_physical_devices("GPU")) < 2:
        assert distribute.strategy("auto") is tf.distribute.get_strategy()


def test_one_cpu_is_a_mirrored_strategy_of_one():
    strategy = distribute.strategy("cpu:1")
    assert isinstance(strategy, tf.distribute.MirroredStrategy)
    assert strategy.num_replicas_in_sync == 1


def test_means_outside_a_strategy():
    assert distribute.replica_count() == 1
    values = [tf.constant([1.0, 2.0]), tf.constant(3.0)]
    assert distribute.mean_over_replicas(values) is values
    assert distribute.global_mean(tf.constant([1.0, 2.0, 6.0])) == 3.0
