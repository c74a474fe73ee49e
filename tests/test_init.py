"""What `import keras_gen` brings in, and what it says without TensorFlow."""

import os
import subprocess
import sys

import pytest

HEAVY = ("matplotlib", "PIL", "scipy", "tensorflow_datasets", "rich", "typer")


def _python(code: str, **environment) -> subprocess.CompletedProcess:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)


def test_import_brings_in_nothing_heavy_beyond_tensorflow_and_keras():
    code = f"""
import sys, tensorflow, keras
before = set(sys.modules)
import keras_gen
keras_gen.build, keras_gen.list_models()
print([name for name in {HEAVY} if name in sys.modules and name not in before])
"""
    done = _python(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_another_backend_is_refused_in_a_sentence():
    # Keras's other backends need packages that are not here: this is what keras_gen sees of one that is.
    done = _python("import keras; keras.backend.backend = lambda: 'numpy'; import keras_gen")
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: keras-gen trains on TensorFlow, but Keras's backend is 'numpy'")
    assert "KERAS_BACKEND=tensorflow" in last


def test_public_names():
    import keras_gen as kg

    for name in kg.__all__:
        assert getattr(kg, name) is not None
        assert name in dir(kg)
    with pytest.raises(AttributeError, match="no attribute 'WGANPG'"):
        _ = kg.WGANPG


def test_a_saved_model_loads_after_importing_the_package_alone():
    code = """
import keras_gen, keras
for name in ("GAN", "DCGAN", "WGAN", "WGANGP", "AdversarialModel", "Conv2D", "UpSamplingConv2D", "Adam"):
    assert keras.saving.get_registered_object(f"keras_gen>{name}") is not None, name
"""
    done = _python(code)
    assert done.returncode == 0, done.stderr
