"""`keras-gen list`."""

from __future__ import annotations

from keras_gen.cli.console import console, start_tensorflow


def list_() -> None:
    """Show models with their options, presets of networks, and data specs."""
    start_tensorflow()
    from rich.table import Table
    from rich.text import Text

    from keras_gen.data import SPECS
    from keras_gen.models import MODELS
    from keras_gen.networks import PRESETS

    models = Table("name", "what it is", "options (--set NAME=VALUE)", title="Models", title_justify="left")
    for name, entry in MODELS.items():
        options = "\n".join(
            f"{option}" if option in entry.required else f"{option}={value}"
            for option, value in entry.options.items()
        )
        models.add_row(name, Text(entry.summary), Text(options))
    presets = Table("name", "networks", "of", "latent_dim", title="Presets (--preset)", title_justify="left")
    for name, preset in PRESETS.items():
        presets.add_row(name, Text(preset.summary), ", ".join(preset.makers), str(preset.latent_dim))
    data = Table("spec", "images", title="Data (--data)", title_justify="left")
    for spec, summary in SPECS.items():
        data.add_row(Text(spec), Text(summary))
    for table in (models, presets, data):
        console().print(table, soft_wrap=False)
