"""The command `keras-gen`: its commands, and errors as one sentence and an exit code."""

from __future__ import annotations

from typing import Annotated

import typer
from typer.core import TyperGroup

from keras_gen.cli import (
    benchmark,
    curvature,
    demo,
    embed,
    errors,
    evaluate,
    export,
    interpolate,
    list_,
    reconstruct,
    sample,
    stylize,
    train,
    train_style,
    traverse,
    video,
)
from keras_gen.cli.console import show


class _Group(TyperGroup):
    """Ends with a sentence on standard error and a non-zero exit code where a command fails."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            received = getattr(error, "received", None)
            show(str(error) or "Interrupted.", kind="Stopped", style="yellow")
            raise typer.Exit(errors.INTERRUPTED if received is None else 128 + received) from None
        except Exception as error:
            # Typer's own are its way to end and to explain wrong usage.
            if type(error).__module__.split(".")[0] == "typer" or errors.traceback_wanted():
                raise
            show(errors.explain(error))
            raise typer.Exit(errors.FAILED) from None


app = typer.Typer(
    cls=_Group,
    name="keras-gen",
    help="Generative image models on Keras 3 and TensorFlow.",
    epilog="KERAS_GEN_TRACEBACK=1 shows the traceback of an error.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from keras_gen import __version__

        typer.echo(f"keras-gen {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


app.command("demo")(demo.demo)
app.command("train")(train.train)
app.command("list")(list_.list_)
app.command("sample")(sample.sample)
app.command("evaluate")(evaluate.evaluate)
app.command("reconstruct")(reconstruct.reconstruct)
app.command("interpolate")(interpolate.interpolate)
app.command("traverse")(traverse.traverse)
app.command("embed")(embed.embed)
app.command("curvature")(curvature.curvature)
app.command("export")(export.export)
app.command("stylize")(stylize.stylize)
app.command("train-style")(train_style.train_style)
app.command("video")(video.video)
app.command("benchmark")(benchmark.benchmark)


def main() -> None:
    """The entry point."""
    app()


if __name__ == "__main__":
    main()
