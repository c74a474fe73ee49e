"""The wheel holds every package of the tree."""

import configparser
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_setup_cfg_names_every_package():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    named = set(config["options"]["packages"].split())
    modules = (path.parent.relative_to(ROOT) for path in (ROOT / "keras_gen").rglob("__init__.py"))
    elsewhere = {"keras_gen.export", "keras_gen.export.page"}
    assert named == {".".join(module.parts) for module in modules} | elsewhere
