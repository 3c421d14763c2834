"""Which checks a component must pass, and running them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from minifold_core.components import ComponentConfig, ComponentSpec, Kind
from minifold_core.discovery import find_components
from minifold_core.errors import RequestError, did_you_mean
from minifold_core.plugin_choice import HOW
from minifold_core.testing import measure, network, process, symmetry
from minifold_core.testing.config import config
from minifold_core.testing.subject import ConformanceError, Subject, small, subjects


class Check(NamedTuple):
    """One property.

    Attributes:
        name: one word for it.
        claim: what holds of a component that passes.
        test: raises unless it holds; may return a word on what was covered.
        every_size: whether it is asked of the full size too where there are smaller ones.
    """

    name: str
    claim: str
    test: Callable[[Subject], str | None]
    every_size: bool = False


_CONFIG = Check(
    "config",
    "comes back from TOML, refuses unknown settings, imports nothing heavy",
    config,
    every_size=True,
)
_NETWORK = (
    _CONFIG,
    Check("ports", "gives exactly what it declares", network.ports, every_size=True),
    Check("padding", "padding, batch mates and their order change nothing", network.padding),
    Check("finite", "finite at thin, coincident and huge inputs", network.finite_values),
    Check("symmetry", "moves with its input", symmetry.network_symmetry),
    Check("gradients", "reach every weight, checkpointed or not", network.gradients),
    Check("autocast", "finite in half precision", network.autocast),
    Check("determinism", "the same seed gives the same numbers", network.determinism),
    Check("placement", "follows the device of its inputs", network.placement),
)
_DENOISER = (
    *_NETWORK,
    Check("prepared", "what it prepares of the trunk changes nothing", network.prepared),
)
_METRIC = (
    _CONFIG,
    Check("ports", "one value per protein from what it declares", measure.ports),
    Check("padding", "padding, batch mates and their order change nothing", measure.padding),
    Check("finite", "finite at thin, coincident and huge inputs", measure.finite_values),
    Check("symmetry", "blind to a common motion", symmetry.measure_symmetry),
    Check("autocast", "full precision whatever autocast says", measure.autocast),
    Check("determinism", "two calls agree", measure.determinism),
    Check("placement", "follows the device of its inputs", measure.placement),
)
_LOSS = (*_METRIC, Check("gradients", "are those of its value", measure.gradients))
_PROCESS = (
    _CONFIG,
    Check("levels", "noise grows with time, trajectories descend", process.levels),
    Check("noise", "states are centred and masked", process.noise),
    Check("variance", "signal and noise are what snr says, of variance 1", process.variance),
    Check("steps", "lead to the prediction", process.steps),
    Check("temperature", "it scales the noise that steps add", process.temperature),
    Check("independence", "each protein has its own noise", process.independence),
    Check("placement", "follows the device of its inputs", process.placement),
)
CHECKS: dict[Kind, tuple[Check, ...]] = {
    "encoder": _NETWORK,
    "pair_stack": _NETWORK,
    "denoiser": _DENOISER,
    "head": _NETWORK,
    "loss": _LOSS,
    "metric": _METRIC,
    "process": _PROCESS,
}


@dataclass(frozen=True)
class Case:
    """One check of one component."""

    spec: ComponentSpec
    check: Check
    configs: tuple[ComponentConfig, ...] = ()

    @property
    def component(self) -> str:
        """The component as ``kind/name``."""
        return f"{self.spec.kind}/{self.spec.name}"

    def __str__(self) -> str:
        return f"{self.component}-{self.check.name}"

    def run(self) -> str:
        """Check every config, with and without optional ports.

        Returns:
            What holds, for a listing.

        Raises:
            ConformanceError: naming the component, the property and what was seen.
        """
        noted = None
        try:
            found = subjects(self.spec, self.configs)
            self.spec.implementation_class()
        except Exception as error:
            raise self._failure(self.component, error) from error
        for subject in found if self.check.every_size else small(self.spec, found):
            try:
                noted = self.check.test(subject)
            except (Exception, SystemExit) as error:  # a stranger's may raise anything
                raise self._failure(str(subject), error) from error
        return f"{self.check.claim} ({noted})" if noted else self.check.claim

    def _failure(self, who: str, error: BaseException) -> ConformanceError:
        seen = str(error)
        if not isinstance(error, ConformanceError):
            said = " ".join(seen.split())
            seen = f"it raises {type(error).__name__}: {said[:300]}"
        return ConformanceError(f"{who}, {self.check.name}: {seen}")


def checks(kind: Kind) -> tuple[Check, ...]:
    """What a component of that kind must satisfy."""
    return CHECKS[kind]


def cases(what: str | ComponentSpec, configs: Sequence[ComponentConfig] = ()) -> list[Case]:
    """Every check of a component or of all components of a plugin.

    Args:
        what: a component; or the name of a plugin, or ``kind/name`` of a component, as installed.
        configs: further configs of the component to check.

    Raises:
        RequestError: nothing of that name is installed, or it cannot be used.
    """
    specs = [what] if isinstance(what, ComponentSpec) else _named(what)
    return [Case(spec, check, tuple(configs)) for spec in specs for check in checks(spec.kind)]


def _named(name: str) -> list[ComponentSpec]:
    found = find_components()
    offers = {k: o for k, o in found.items.items() if name in (k, o.origin.name)}
    if offers:
        return [offer.spec for offer in offers.values()]
    for problem in found.problems:
        if problem.origin.name == name or f"'{name}'" in problem.cause:
            raise RequestError(f"'{name}' cannot be used: {problem}")
    if off := [origin for origin in found.off if origin.name == name]:
        raise RequestError(f"plugin {off[0]} is switched off ({HOW})")
    known = {offer.origin.name for offer in found.items.values()} | set(found.items)
    raise RequestError(f"unknown plugin or component '{name}'; {did_you_mean(name, known)}")


def check_component(what: str | ComponentSpec, configs: Sequence[ComponentConfig] = ()) -> None:
    """Run every check; the arguments are those of :func:`cases`.

    Raises:
        ConformanceError: at the first property that a component lacks.
    """
    for case in cases(what, configs):
        case.run()
