"""The ``minifold`` command: its subcommands, and errors as one line and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from minifold_core import plugin_choice
from minifold_core.cli import (
    ablate,
    compare,
    data,
    diagnose,
    doctor,
    evaluate,
    gates,
    judge,
    migrate,
    models,
    plot,
    plugins,
    report,
    resume,
    runs,
    sample,
    slurm,
    train,
    weights,
)
from minifold_core.cli.plugin_commands import Commands
from minifold_core.errors import VALUE_ERROR, MinifoldError, is_out_of_memory

app = typer.Typer(
    name="minifold",
    cls=Commands,
    help="A model zoo for protein-structure diffusion: list, train, sample, evaluate, take apart.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from minifold_core.version import __version__

        print(f"minifold {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    no_plugins: Annotated[
        bool, typer.Option("--no-plugins", help="Use no plugin but minifold's own.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A model zoo for protein-structure diffusion: list, train, sample, evaluate, take apart."""


app.command("list-models")(models.list_models)
app.command("show")(models.show)
app.command("train")(train.train)
app.command("resume")(resume.resume)
app.command("sample")(sample.sample)
app.command("evaluate")(evaluate.evaluate)
app.command("judge")(judge.judge)
app.command("compare")(compare.compare)
app.command("ablate")(ablate.ablate)
app.command("migrate")(migrate.migrate)
app.command("inspect")(migrate.inspect)
app.add_typer(data.app, name="data")
app.add_typer(plugins.app, name="plugins")
app.add_typer(runs.app, name="runs")
app.add_typer(plot.app, name="plot")
app.command("report")(report.report)
app.command("slurm")(slurm.slurm)
app.add_typer(weights.app, name="weights")
app.command("diagnose")(diagnose.diagnose)
app.command("gates")(gates.gates)
app.command("doctor")(doctor.doctor)


def built_in_commands() -> set[str]:
    """The names that no plugin's command may take."""
    commands = {str(command.name) for command in app.registered_commands}
    return commands | {str(group.name) for group in app.registered_groups}


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code: 0, 1, 2, 3 or 128 + signal."""
    debug = "--debug" in arguments or bool(os.environ.get("MINIFOLD_DEBUG"))
    if "--no-plugins" in arguments:
        plugin_choice.switch_all_off()
    arguments = [a for a in arguments if a not in ("--debug", "--no-plugins")]
    try:
        return _call(arguments)
    except MinifoldError as error:
        if debug:
            raise
        return _fail(str(error), error.exit_code)
    except TyperException as error:
        return _fail(_usage(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("stopped; what is written stays", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            raise
        if is_out_of_memory(error):
            return _fail("not enough memory; ask for fewer or shorter chains at a time", 1)
        from minifold_core.cli.blame import blame

        return _fail(f"{type(error).__name__}: {error}; {blame(error, arguments)}", 1)


def main() -> NoReturn:
    """Entry point of the ``minifold`` script."""
    signal.signal(signal.SIGTERM, _terminated)
    # OpenMP threads that spin long for each other stand still beside other load: a nano step took
    # 0.2 s in quiet moments and up to 3 s beside other work; with this, 0.2 to 0.4 s.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    sys.exit(run(sys.argv[1:]))


def _call(arguments: list[str]) -> int:
    try:
        code = int(app(arguments, prog_name="minifold", standalone_mode=False) or 0)
    except TyperException as error:
        if type(error).__name__ != "NoArgsIsHelpError":
            raise
        print(error.format_message())
        code = 0
    sys.stdout.flush()  # here, so that a closed pipe is noticed where it is handled
    return code


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _fail(message: str, code: int) -> int:
    print(f"minifold: error: {message}", file=sys.stderr)
    return code


def _usage(error: TyperException) -> str:
    """Typer's complaint in one line, and where to read on."""
    message = " ".join(error.format_message().split()).rstrip(".").replace(VALUE_ERROR, "")
    context = getattr(error, "ctx", None)
    return f"{message} (see {context.command_path} --help)" if context else message


if __name__ == "__main__":
    main()
