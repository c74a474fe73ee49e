import subprocess
import sys
import types

import pytest

import keras_gen
from keras_gen.cli import console, errors
from keras_gen.cli.console import parse_assignments
from keras_gen.data import SPECS
from keras_gen.models import list_models
from keras_gen.networks import PRESETS


def test_help_and_version_do_not_import_tensorflow():
    code = (
        "import sys; sys.argv[0] = 'keras-gen'\n"
        "from keras_gen.cli.main import app\n"
        "app(['train', '--help'], standalone_mode=False); app(['--version'], standalone_mode=False)\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--resume" in done.stdout
    assert "[default: 64]" in done.stdout
    assert keras_gen.__version__ in done.stdout


def test_list_shows_every_model_preset_and_data_spec(cli):
    result = cli("list")
    assert result.exit_code == 0
    for name in (*list_models(), *PRESETS, *SPECS, "penalty_weight=10.0"):
        assert name in result.stdout


def test_errors_name_options_as_the_command_line_does():
    said = errors.explain(ValueError("Load the data with another image_size; gradient_clip_norm is 0."))
    assert said == "Load the data with another --image-size; --gradient-clip is 0."
    assert errors.explain(ValueError("crop is 'center'")) == "--crop is 'center'"
    assert errors.explain(ValueError("image_shape=(8, 8, 1)")) == "image_shape=(8, 8, 1)"


def test_a_log_has_a_line_of_progress_each_minute(monkeypatch, capsys):
    clock = iter([0, 30, 61, 90, 125])
    monkeypatch.setattr(console, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))
    with console.bar("training") as advance:
        for done in (1, 2, 3):
            advance(done, 9)
        advance(4, None)
    assert capsys.readouterr().err == "training: 2 of 9, 0:03:37 left\ntraining: 4\n"


def test_an_unknown_command_is_wrong_usage(cli):
    assert cli("trian").exit_code == 2


def test_assignments_are_python_literals_or_text():
    assert parse_assignments(["a=3", "b=0.5", "c=true", "d=None", "e=lion", "f-g=(1, 2)", "h=x=y"]) == {
        **{"a": 3, "b": 0.5, "c": True, "d": None},
        **{"e": "lion", "f_g": (1, 2), "h": "x=y"},
    }
    for wrong in (["a"], ["=3"], ["a=1", "a=2"]):
        with pytest.raises(ValueError, match="--set"):
            parse_assignments(wrong)
