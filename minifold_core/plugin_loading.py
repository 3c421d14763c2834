"""Load one plugin, or say what is wrong with it and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from reprlib import repr as shortly
from typing import TYPE_CHECKING, Any

from minifold_core.errors import MinifoldError, did_you_mean
from minifold_core.version import PLUGIN_API

if TYPE_CHECKING:
    from minifold_core.components import ComponentSpec

API = "minifold_api"
UPGRADE = "pip install -U minifold"


class PluginFault(MinifoldError):
    """A plugin cannot be used.

    Attributes:
        mend: what to do; None: mend or uninstall it.
    """

    def __init__(self, cause: str, mend: str | None = None) -> None:
        super().__init__(cause)
        self.mend = mend


@dataclass(frozen=True)
class Plugin:
    """What one plugin offers.

    Attributes:
        components: its components.
        commands: command name to ``"package.module:app"``.
    """

    components: list[ComponentSpec]
    commands: dict[str, str]


def load_plugin(point: EntryPoint) -> Plugin:
    """Import a plugin's module and call its hooks, each plugin in a manager of its own.

    Raises:
        PluginFault: whatever is wrong with it, in words.
    """
    import pluggy

    from minifold_core import hookspecs

    module = _import(point)
    _check_api(module, point.module)
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    hooks = [name for name in vars(hookspecs) if name.startswith("minifold_")]
    try:
        manager.register(module, name=point.name)
    except pluggy.PluginValidationError as error:
        raise PluginFault(" ".join(str(error).split()), "see minifold_core.hookspecs") from error
    for caller in manager.get_hookcallers(module) or ():
        if not caller.has_spec():
            raise PluginFault(
                f"unknown hook '{caller.name}'; {did_you_mean(caller.name, hooks)}",
                f"rename the function in {point.module}",
            )
    components = [
        spec for given in _call(manager.hook.minifold_components) for spec in _specs(given)
    ]
    commands = {
        name: target
        for given in _call(manager.hook.minifold_commands)
        for name, target in _commands(given)
    }
    names = [f"{spec.kind}/{spec.name}" for spec in components]
    if twice := [name for name in names if names.count(name) > 1]:
        raise PluginFault(f"it offers '{twice[0]}' twice")
    marked = [name for name in hooks if manager.parse_hookimpl_opts(module, name) is not None]
    if bare := [name for name in hooks if name in vars(module) and name not in marked]:
        raise PluginFault(f"{bare[0]} has no decorator", f"write @hookimpl above {bare[0]}")
    if not components and not commands:
        raise PluginFault(f"it offers nothing: no @hookimpl function {' or '.join(hooks)}")
    return Plugin(components, commands)


def _import(point: EntryPoint) -> Any:
    try:
        return point.load()
    except (Exception, SystemExit) as error:  # a stranger's module may do anything on import
        said = " ".join(str(error).split())
        cause = f"importing {point.module} raises {type(error).__name__}: {said}"
        raise PluginFault(cause, _mend_import(error, point)) from error


def _mend_import(error: BaseException, point: EntryPoint) -> str | None:
    """What to install, where an import fails for want of it."""
    if not isinstance(error, ImportError) or not error.name:
        return None
    package = error.name.partition(".")[0]
    if package == point.module.partition(".")[0]:
        return f"reinstall {point.dist.name}" if point.dist else None
    if package == "minifold_core":
        return f"it may need another minifold: {UPGRADE}"
    return f"pip install {package}" if isinstance(error, ModuleNotFoundError) else None


def _check_api(module: Any, name: str) -> None:
    """Refuse a plugin of another plugin API, or of none that it says."""
    api = getattr(module, API, None)
    if api is None:
        line = f"{API} = {PLUGIN_API}"
        raise PluginFault("it does not say which plugin API it needs", f"add {line} to {name}")
    if not isinstance(api, int) or isinstance(api, bool) or api < 1:
        raise PluginFault(f"{API} = {api!r} is no plugin API; this minifold has {PLUGIN_API}")
    if api > PLUGIN_API:
        raise PluginFault(f"it needs plugin API {api}, this minifold has {PLUGIN_API}", UPGRADE)


def _call(hook: Any) -> Iterator[Any]:
    """What each implementation of a hook returns."""
    for implementation in hook.get_hookimpls():
        function: Callable[[], Any] = implementation.function
        try:
            yield function()
        except (Exception, SystemExit) as error:
            said = " ".join(str(error).split())
            raise PluginFault(f"{hook.name}() raises {type(error).__name__}: {said}") from error


def _specs(given: Any) -> Iterator[ComponentSpec]:
    from minifold_core.components import ComponentSpec

    if not isinstance(given, list | tuple):
        raise PluginFault(f"minifold_components() returned {shortly(given)}, which is no list")
    for spec in given:
        if not isinstance(spec, ComponentSpec):
            raise PluginFault(
                f"minifold_components() returned {shortly(spec)}, which is no ComponentSpec"
            )
        yield spec


def _commands(given: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(given, dict):
        raise PluginFault(f"minifold_commands() returned {shortly(given)}, which is no dict")
    for name, target in given.items():
        if not isinstance(name, str) or not isinstance(target, str) or ":" not in target:
            raise PluginFault(
                f"minifold_commands() returned {shortly({name: target})}; it takes names and "
                "'package.module:app'"
            )
        yield name, target
