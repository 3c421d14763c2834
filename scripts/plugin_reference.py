"""The page docs/plugins/reference.md: what plugins may rely on, read from the sources themselves.

Nothing is imported but light modules: signatures and docstrings come from the syntax trees, so
the page is made without torch.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from textwrap import indent

from model_pages import GENERATED

from minifold_core.entry_points import PLUGIN_GROUP, VERSION_GROUP
from minifold_core.plugin_choice import VARIABLE
from minifold_core.version import PLUGIN_API

CORE = Path(__file__).parents[1] / "minifold_core"
ALL: tuple[str, ...] = ()
"""Every public name of a module."""

PUBLIC: dict[str, dict[str, tuple[str, ...]]] = {
    "What a plugin offers": {
        "hookspecs": ("hookimpl", "minifold_components", "minifold_commands"),
        "components": ("Kind", "ComponentSpec", "ComponentConfig", "LossFacts"),
        "ports": ALL,
    },
    "What a component implements": {"interfaces": ALL},
    "What it is given": {"batch": ALL, "residues": ALL, "units": ALL},
    "What helps": {
        "geometry.frames": ALL,
        "geometry.angles": ALL,
        "errors": ("MinifoldError", "RequestError", "ProtectedError", "did_you_mean"),
        "files": ("atomic",),
        "data.dataset": ("open_dataset",),
        "data.batching": ("collate",),
        "data.atoms": ("read_atoms",),
        "data.breaks": ("residue_index", "MAX_C_N"),
        "data.conformers": ("choose_conformers",),
        "structures": ("PDB_LAST_RESIDUE",),
        "structure_headers": ("pdb_remarks",),
        "data.files": ("format_of", "open_binary"),
        "cli.platform": ("DeviceOption", "choose_device"),
    },
    "Models and their weights": {
        "recipe": ("load_recipe",),
        "assembly": ("assemble",),
        "model": ("FoldModel",),
        "discovery": ("version_package", "VersionPackage"),
        "weights.find": ("find_weights",),
        "weights.io": ("load_model",),
        "weights.shipped": ("shipped_weights",),
    },
    "From Python": {
        "": ("Target", "fold", "judge", "list_models", "pack", "write_structure"),
    },
    "The conformance kit": {
        "testing": (
            *("Case", "Check", "ConformanceError"),
            *("cases", "check_component", "checks", "command", "draw", "perturb"),
        ),
    },
}
"""By heading and module, the names that plugins may use; "" is ``minifold_core`` itself."""

HOMES = {
    "": ("__init__", "folding", "evaluation.judge", "catalogue", "data.packing", "structures"),
    "testing": tuple(
        f"testing.{module}" for module in ("__init__", "suite", "subject", "inputs", "commands")
    ),
}
"""Of packages that hand names on, the modules that have them."""

METHODS = {"FoldModel": ("trunk", "denoise", "scale", "read_out", "part")}
"""Of a class that offers more than it promises, what it promises."""

PROMISE = f"""\
What a plugin may rely on: this page, [the kit](../conformance.md) and the files of a
[version](../versions.md). Whatever is not here may change on any day. How to begin is in the
[tutorial](tutorial.md).

## The promise

A plugin's module says `minifold_api = {PLUGIN_API}`: it was written for plugin API {PLUGIN_API},
which is this page. It is imported from an entry point in the group `{PLUGIN_GROUP}`; versions are
in `{VERSION_GROUP}`:

```toml
[project.entry-points."{PLUGIN_GROUP}"]
burial = "minifold_burial.plugin"

[project.entry-points."{VERSION_GROUP}"]
wide = "minifold_wide"
```

**What stays.** While `minifold_core.version.PLUGIN_API` is {PLUGIN_API}, names on this page keep
their signatures and what they return, ports their names, shapes and units, and the attributes of a
config, a batch or a `Truth` their meaning. The weights of a plugin's components load as long as
the plugin itself leaves their names and shapes alone.

**What may be added without a new number.** A hook, a kind of component, a port, a method that is
not abstract, a field or an argument with a default. New checks of the kit may ask only for what is
promised already; one may find a fault that nobody had seen.

**What raises the number.** Anything here that goes, or comes to mean something else. First it is
deprecated: for one minor release at least it works as before, warns with `DeprecationWarning` and
says what to use instead, and the change log names it. Only then is `PLUGIN_API` raised.

**What happens to a plugin.** One that asks for a newer API than is installed is not loaded:
`minifold plugins list` says so and how to mend it, and everything else goes on. One that was
written for an older API is loaded; `minifold plugins check` tells whether it still holds. One that
says no number is not loaded.

**Which are used.** All that are installed; or, with `{VARIABLE}=NAME,NAME` in the environment,
those that it names (a plugin, a version or a distribution) and minifold's own.
`minifold --no-plugins` uses minifold's own alone. A name that is not installed is warned of, and
`minifold plugins list` and `minifold doctor` say which was perhaps meant.

**Recipes, cards, registries and lineages** have a number of their own, `schema = 1` in each file;
a newer one is refused in one sentence. Weights files carry the recipe that made them and the
version of every component.
"""


def page() -> str:
    """The whole page."""
    return f"{GENERATED}# Plugin reference\n\n{PROMISE}\n" + "\n".join(
        f"## {heading}\n\n" + "\n".join(section(*each) for each in modules.items())
        for heading, modules in PUBLIC.items()
    )


def section(module: str, names: tuple[str, ...]) -> str:
    """One module: what it is for, then its names."""
    sources = read(module)
    found = {
        name: described(source, name, *definition)
        for source in sources
        for name, definition in public(ast.parse(source))
    }
    text = [f"### {f'minifold_core.{module}'.rstrip('.')}\n"]
    said = ast.get_docstring(ast.parse(sources[0]))
    if said and (names is ALL or module in HOMES):
        text.append(f"{prose(said)}\n")
    return "\n".join([*text, *(found[name] for name in names or found)])


def read(module: str) -> list[str]:
    """The sources that define a module's names, its own first."""
    paths = [CORE / f"{home.replace('.', '/')}.py" for home in HOMES.get(module, (module,))]
    return [path.read_text(encoding="utf-8") for path in paths]


def names(module: str) -> set[str]:
    """The names of a module that the page lists; none if it is not there."""
    for modules in PUBLIC.values():
        if module in modules:
            found = {name for source in read(module) for name, _ in public(ast.parse(source))}
            return set(modules[module]) or found
    return set()


def public(tree: ast.Module) -> Iterator[tuple[str, tuple[ast.stmt, str]]]:
    """Each public name of a module, with its definition and docstring."""
    for place, node in enumerate(tree.body):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            name, said = node.name, ast.get_docstring(node) or ""
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            name, said = ast.unparse(target), attribute_docstring(tree.body, place)
        else:
            continue
        if name.isidentifier() and not name.startswith("_"):
            yield name, (node, said)


def attribute_docstring(body: list[ast.stmt], place: int) -> str:
    """The string behind an assignment."""
    match body[place + 1 : place + 2]:
        case [ast.Expr(value=ast.Constant(value=str(said)))]:
            return cleandoc(said)
    return ""


def described(source: str, name: str, node: ast.stmt, said: str) -> str:
    """A name's signature or value, and docstring; a class with its public methods."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        shown = signature(node)
    else:
        shown = ast.get_source_segment(source, node) or ""
    text = f"#### {name}\n\n```python\n{shown}\n```\n"
    if said:
        text += f"\n{prose(said)}\n"
    if not isinstance(node, ast.ClassDef):
        return text
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and promised(name, method.name):
            text += f"\n```python\n{signature(method)}\n```\n"
            if told := ast.get_docstring(method):
                text += f"\n{prose(told)}\n"
    return text


def promised(owner: str, method: str) -> bool:
    """Whether the page lists a method."""
    shown = method == "__call__" or not method.startswith("_")
    return method in METHODS.get(owner, (method,)) and shown


def signature(node: ast.FunctionDef | ast.ClassDef) -> str:
    """A definition without its body; for a class also the fields that it declares."""
    if isinstance(node, ast.FunctionDef):
        marks = [f"@{ast.unparse(mark)}" for mark in node.decorator_list]
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        head = f"def {node.name}({ast.unparse(node.args)}){returns}"
        if len(head) > 100:
            given = ast.unparse(node.args).split(", ")
            head = f"def {node.name}(\n    {joined(given)}\n){returns}"
        return "\n".join([*marks, head])
    bases = ", ".join(map(ast.unparse, node.bases))
    lines = [f"class {node.name}({bases}):" if bases else f"class {node.name}:"]
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and not ast.unparse(each.target).startswith("_"):
            lines.append(indent(ast.unparse(each), "    "))
        if (
            isinstance(each, ast.FunctionDef)
            and each.name == "__init__"
            and node.name not in METHODS
        ):
            lines.append(indent(signature(each), "    "))
    return "\n".join(lines) if len(lines) > 1 else lines[0].removesuffix(":")


def joined(arguments: list[str]) -> str:
    """Arguments on lines of their own; a comma inside brackets is no end."""
    lines = [""]
    for argument in arguments:
        open_brackets = lines[-1].count("[") - lines[-1].count("]")
        if open_brackets and lines[-1]:
            lines[-1] += f", {argument}"
        else:
            lines.append(argument)
    return ",\n    ".join(lines[1:]) + ","


PARTS = ("Args", "Attributes", "Returns", "Raises")


def prose(docstring: str) -> str:
    """A docstring as Markdown: literals, roles, sections as lists, ``::`` as code."""
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", docstring).replace("``", "`")
    text = re.sub(r"(?m)::\n\n((?:    .*\n?|\n)+)", code, text)
    return re.sub(rf"(?m)^({'|'.join(PARTS)}):\n((?:    .*(?:\n|\Z))+)", items, text).strip()


def code(match: re.Match[str]) -> str:
    """An indented block, fenced."""
    lines = match.group(1).rstrip("\n").splitlines()
    body = "\n".join(line.removeprefix("    ") for line in lines)
    return f":\n\n```python\n{body}\n```\n\n"


def items(match: re.Match[str]) -> str:
    """A section of a docstring as a list."""
    told = re.sub(r"\n {5,}", " ", match.group(2))
    lines = [line.strip() for line in told.splitlines()]
    if match.group(1) == "Returns":
        return f"Returns {' '.join(lines)}\n"
    rows = [re.sub(r"^([\w ,]+): ", r"`\1`: ", line) for line in lines]
    return f"{match.group(1)}:\n\n" + "\n".join(f"- {row}" for row in rows) + "\n"
