"""Commands that plugins add; no plugin is loaded for one of minifold's own."""

from __future__ import annotations

from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from minifold_core.errors import MinifoldError, RequestError
from minifold_core.plugin_choice import HOW


class Commands(TyperGroup):
    """Minifold's commands, and behind them those of plugins."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, for ``--help``."""
        from minifold_core.discovery import find_components

        return [*super().list_commands(ctx), *sorted(find_components().commands)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name; None if there is none.

        Raises:
            RequestError: a plugin of that name is there and cannot be used.
        """
        return super().get_command(ctx, cmd_name) or _added(cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for.

        Raises:
            Abort: it was interrupted and had no word for that; Typer would leave without one too.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Abort from None


def _added(name: str) -> Any:
    """The command of a plugin; None if no plugin adds one of that name."""
    from minifold_core.components import load
    from minifold_core.discovery import find_components

    found = find_components()
    command = found.commands.get(name)
    if command is None:
        for problem in found.problems:
            if problem.origin.name == name:
                raise RequestError(f"no command '{name}': {problem}")
        if off := [origin for origin in found.off if origin.name == name]:
            raise RequestError(f"no command '{name}': plugin {off[0]} is switched off ({HOW})")
        return None
    try:
        return _built(name, load(command.target))
    except Exception as error:  # --help goes on, whatever a stranger's module does
        why = f"command '{name}' of plugin {command.origin}: {error}"
        return _built(
            name,
            _refusing(why),
            help="It cannot be used; call it to see why.",
            context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
        )


def _built(name: str, target: Any, **settings: Any) -> Any:
    """The command that a Typer app, or a function, makes."""
    host = typer.Typer(rich_markup_mode=None, add_completion=False)
    if isinstance(target, typer.Typer):
        host.add_typer(target, name=name, **settings)
    else:
        host.command(name, **settings)(target)
    group = typer.main.get_group(host)
    return group.commands[name]


def _refusing(why: str) -> Any:
    def refuse() -> NoReturn:
        raise MinifoldError(why)

    return refuse
