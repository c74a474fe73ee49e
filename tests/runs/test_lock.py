import os
import subprocess
import sys

import pytest

from keras_gen.runs.lock import locked


def test_one_at_a_time(tmp_path):
    said = rf"in use by another process \({os.getpid()}\)"
    with locked(tmp_path), pytest.raises(BlockingIOError, match=said), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_a_process_that_dies_leaves_no_lock(tmp_path):
    code = "import fcntl, os, sys\nh = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
    code += "fcntl.flock(h, fcntl.LOCK_EX)\nprint('locked', flush=True)\nsys.stdin.read()"
    command = [sys.executable, "-c", code, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(BlockingIOError), locked(tmp_path):
            pass
        process.kill()
        process.wait()
        with locked(tmp_path):
            pass


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), locked(tmp_path / "missing"):
        pass
