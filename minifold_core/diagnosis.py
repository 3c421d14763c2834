"""What ``minifold doctor`` looks at."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import requires, version

from minifold_core import catalogue
from minifold_core.core_needed import unmet
from minifold_core.discovery import Origin, find_components, find_versions, version_package
from minifold_core.errors import MinifoldError
from minifold_core.plugin_check import look_closer


@dataclass(frozen=True)
class Finding:
    """One thing that was checked."""

    what: str
    ok: bool
    result: str


def diagnose() -> list[Finding]:
    """Check software, devices, plugins, versions and the demo set; nothing is changed."""
    findings = [Finding("python", True, f"{platform.python_version()} on {platform.platform()}")]
    findings += _software()
    findings.append(_checked("devices", _devices))
    findings += _plugins()
    findings += [
        _checked(f"version {name}", partial(_version, name)) for name in find_versions().items
    ]
    findings.append(_checked("demo set", _demo))
    return findings


def _checked(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look())
    except (MinifoldError, ImportError, OSError) as error:
        return Finding(what, False, str(error))


def _software() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    for text in requires("minifold") or ():
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate():
            continue
        try:
            there = version(requirement.name)
        except ImportError:
            yield Finding(requirement.name, False, f"missing; pip install '{requirement}'")
            continue
        fits = requirement.specifier.contains(there, prereleases=True)
        yield Finding(
            requirement.name,
            fits,
            there if fits else f"{there}, but minifold needs {requirement.specifier}",
        )


def _devices() -> str:
    import torch

    names = [f"cpu ({torch.get_num_threads()} threads)"]
    names += [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    names += ["mps"] if torch.backends.mps.is_available() else []
    return ", ".join(names)


def _plugins() -> Iterator[Finding]:
    found = find_components()
    for origin in sorted(found.in_use, key=lambda o: o.name):
        yield _checked(f"plugin {origin}", partial(_configs, origin))
    installed = [*found.load_ms, *(version.origin for version in find_versions().items.values())]
    needs = [problem for origin in installed if (problem := unmet(origin))]
    for problem in dict.fromkeys((*found.problems, *catalogue.problems(), *needs)):
        yield Finding(f"plugin {problem.origin}", False, f"{problem.cause}; {problem.mend}")


def _configs(origin: Origin) -> str:
    if problem := look_closer(origin):
        raise MinifoldError(f"{problem.cause}; {problem.mend}")
    specs = [offer.spec for offer in find_components().items.values() if offer.origin == origin]
    for spec in specs:
        spec.config_class()
    names: dict[str, list[str]] = {}
    for spec in specs:
        names.setdefault(spec.kind, []).append(spec.name)
    return "; ".join(f"{kind} {', '.join(sorted(same))}" for kind, same in names.items())


def _version(name: str) -> str:
    from minifold_core.assembly import wire
    from minifold_core.cards import card_of
    from minifold_core.recipe import load_recipe
    from minifold_core.recipe_tree import read_source

    card_of(version_package(name))
    sizes = read_source(name).sizes
    for size in sizes:
        wire(load_recipe(name, size))
    return f"recipe and ports fit ({', '.join(sizes)})"


def _demo() -> str:
    from minifold_core.data.dataset import open_dataset

    return str(open_dataset())
