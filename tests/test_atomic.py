import pytest

from keras_gen import atomic


def test_the_file_appears_whole(tmp_path):
    path = tmp_path / "a" / "b.json"
    with atomic.replacing(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.suffix == ".json"
    assert path.read_text() == "new"
    assert [p.name for p in path.parent.iterdir()] == ["b.json"]


def test_an_error_leaves_the_file_of_before(tmp_path):
    path = tmp_path / "b.txt"
    atomic.write_text(path, "before")

    def fail():
        with atomic.replacing(path) as temporary:
            temporary.write_text("half")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["b.txt"]


def test_leftovers_of_killed_processes_are_removed_and_nothing_else(tmp_path):
    names = ["last.keras", ".last-123.keras", "history.csv", ".history-9.csv", ".lock", ".notes.json"]
    (tmp_path / "samples").mkdir()
    for name in (*names, "samples/epoch-0001.png", "samples/.epoch-0002-77.png"):
        (tmp_path / name).touch()
    atomic.remove_leftovers(tmp_path)
    kept = {"last.keras", "history.csv", ".lock", ".notes.json", "epoch-0001.png"}
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == kept


def test_errors_name_the_file_that_was_asked_for(tmp_path):
    with pytest.raises(OSError) as error, atomic.replacing(tmp_path / "a.txt") as temporary:
        temporary.rename(tmp_path / "elsewhere")
    assert error.value.filename == str(tmp_path / "a.txt")


def test_long_names_are_written(tmp_path):
    atomic.write_text(tmp_path / ("n" * 251 + ".txt"), "a")
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]
