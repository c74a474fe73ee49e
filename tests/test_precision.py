"""Choosing bfloat16 where the hardware has it, and restoring the policy."""

import keras
import pytest

from keras_gen import precision, processor


@pytest.fixture
def cpu(monkeypatch):
    def pretend(*flags):
        monkeypatch.setattr(processor, "cpu_flags", lambda: frozenset(flags))
        monkeypatch.setattr(precision.tf.config, "list_physical_devices", lambda kind=None: [])

    return pretend


@pytest.mark.parametrize("asked", ["float32", "bfloat16"])
def test_what_is_asked_for_is_taken(asked, cpu):
    cpu("avx2", "avx512_bf16")
    assert precision.resolve(asked) == (asked, f"Computing in {asked}, as asked.")


def test_bfloat16_without_hardware_is_taken_and_said_to_be_slower(cpu):
    cpu("avx2")
    chosen, reason = precision.resolve("bfloat16")
    assert chosen == "bfloat16"
    assert reason.endswith("this hardware has no units for it: float32 is as fast.")


def test_auto_takes_float32_without_hardware_and_says_so(cpu):
    cpu("avx2", "avx512f")
    chosen, reason = precision.resolve("auto")
    assert chosen == "float32"
    assert "no bfloat16" in reason


@pytest.mark.parametrize(("flag", "unit"), [("amx_bf16", "AMX"), ("avx512_bf16", "AVX512-BF16")])
def test_auto_takes_bfloat16_on_cpus_that_have_it(flag, unit, cpu):
    cpu("avx2", flag)
    chosen, reason = precision.resolve("auto")
    assert chosen == "bfloat16"
    assert f"CPU with {unit}" in reason


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "float32"), ((8, 0), "bfloat16")])
def test_a_gpu_decides_before_the_cpu(capability, expected, monkeypatch):
    config = precision.tf.config
    monkeypatch.setattr(processor, "cpu_flags", lambda: frozenset({"amx_bf16"}))
    monkeypatch.setattr(config, "list_physical_devices", lambda kind=None: ["gpu"] if kind == "GPU" else [])
    monkeypatch.setattr(
        config.experimental, "get_device_details", lambda device: {"compute_capability": capability}
    )
    assert precision.resolve("auto")[0] == expected


def test_this_machines_flags_are_read():
    assert precision.resolve("auto")[0] in ("float32", "bfloat16")
    assert all(isinstance(flag, str) for flag in processor.cpu_flags())


def test_scope_sets_the_policy_and_restores_it():
    before = keras.config.dtype_policy().name
    with precision.scope("bfloat16") as reason:
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        assert "bfloat16" in reason
        layer = keras.layers.Dense(1)
        layer.build((None, 2))
    assert (layer.compute_dtype, layer.kernel.dtype) == ("bfloat16", "float32")
    with pytest.raises(KeyError), precision.scope("bfloat16"):
        raise KeyError
    assert keras.config.dtype_policy().name == before


@pytest.mark.parametrize("wrong", ["float16", "half", "", None])
def test_unknown_precision(wrong):
    with pytest.raises(ValueError, match="auto, float32, bfloat16; received"):
        precision.resolve(wrong)
