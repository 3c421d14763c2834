"""Weights that have a name, ``ID:TAG``: those that ship, those published, and the user's own."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minifold_core.discovery import Found, Origin, Problem, VersionPackage, find_versions
from minifold_core.errors import MinifoldError, ProtectedError, RequestError, did_you_mean
from minifold_core.home import home
from minifold_core.registry import WeightsEntry, entry, read_registry
from minifold_core.weights import digest, remote
from minifold_core.weights.layout import read_layout
from minifold_core.weights.shipped import place_of, shipped_weights

PUBLISHED, SHIPPED, OWN = "published", "shipped", "own"
"""Named in the version's registry; beside its recipe; in the user's registry. The last one wins."""
OK, MISSING, DIFFERS, UNREADABLE = "ok", "missing", "differs", "unreadable"
NOT_FETCHED = "not fetched"


@dataclass(frozen=True)
class Known:
    """Named weights.

    Attributes:
        id: the version.
        entry: tag, location and what else is recorded.
        origin: :data:`PUBLISHED`, :data:`SHIPPED` or :data:`OWN`.
    """

    id: str
    entry: WeightsEntry
    origin: str

    @property
    def name(self) -> str:
        """``ID:TAG``."""
        return f"{self.id}:{self.entry.tag}"

    @property
    def remote(self) -> bool:
        """Whether the location is a URL."""
        return remote.is_url(self.entry.location)

    @property
    def file(self) -> Path:
        """The file on this machine; if the location is a URL, the copy, fetched or not."""
        location, sha256 = self.entry.location, self.entry.sha256
        return remote.copy_of(location, sha256) if self.remote else Path(location)

    @property
    def present(self) -> bool:
        """Whether the file is on this machine and can be reached."""
        return os.path.isfile(self.file)  # pathlib raises where a directory cannot be read

    def metrics(self) -> dict[str, float]:
        """The figures of the weights: a registry's, and with what ships also the file's own."""
        if self.origin != SHIPPED:
            return self.entry.metrics
        from minifold_core.weights.header import read_header

        try:
            return read_header(self.file).metrics | self.entry.metrics
        except RequestError:
            return self.entry.metrics

    def state(self) -> str:
        """How the file is, by its hash: :data:`OK`, ..., :data:`NOT_FETCHED`."""
        if not self.present:
            return NOT_FETCHED if self.remote else MISSING
        try:
            return OK if self._is_sound() else DIFFERS
        except OSError:
            return UNREADABLE

    def locate(self) -> Path:
        """The file, checked; fetched first if it has to be.

        Raises:
            RequestError: it is gone or cannot be read.
            ProtectedError: it is not the file that was named.
            MinifoldError: it cannot be fetched.
        """
        state = self.state()
        if state == OK:
            return self.file
        if self.remote:
            return remote.fetch(self.entry.location, self.entry.sha256)
        add = f"minifold weights add {self.name}"
        shipped = f"reinstall the package of {self.id}" if self.origin == SHIPPED else ""
        if state == DIFFERS:
            raise ProtectedError(
                f"{self.name}: {self.file} is not the file that was named, its SHA-256 differs; "
                + (shipped or f"to take it as it is now: {add} {self.file} --replace")
            )
        raise RequestError(
            f"{self.name}: {self.file} is {state}; "
            + (shipped or f"if it lies elsewhere now: {add} FILE")
        )

    def to_json(self) -> dict[str, Any]:
        """What a listing shows; unknown values are null."""
        return {
            "name": self.name,
            "tag": self.entry.tag,
            "origin": self.origin,
            "location": self.entry.location,
            "present": self.present,
            "sha256": self.entry.sha256 or None,
            "bytes": self.entry.bytes or None,
            "size": self.entry.size or None,
            "note": self.entry.note,
        }

    def _is_sound(self) -> bool:
        """Whether the file has the recorded hash, or the one that it carries itself.

        Raises:
            OSError: it cannot be read.
        """
        if self.entry.sha256:
            return digest.file_sha256(self.file) == self.entry.sha256
        try:
            recorded = read_layout(self.file).metadata.get(digest.KEY)
            if recorded is not None:
                digest.check(self.file, recorded)
        except RequestError:
            return False
        return True


def own_registry() -> Path:
    """The user's registry, a file that need not exist."""
    return home() / "registry.toml"


def known_weights() -> Found[Known]:
    """All named weights by name, and what is wrong with the user's registry.

    Registries of installed versions that cannot be read are left out; listings of versions tell
    of them.
    """
    found: Found[Known] = Found()
    for package in find_versions().items.values():
        try:
            recorded = entry(package).weights
        except MinifoldError:
            continue
        _put(found, PUBLISHED, package.id, (each for each in recorded if each.location))
        beside = {each.tag: each for each in recorded if not each.location}
        unrecorded = {size: WeightsEntry(tag=size) for size in shipped_weights(package)}
        ships = (unrecorded | beside).values()
        _put(found, SHIPPED, package.id, (_located(each, package) for each in ships))
    path = own_registry()
    if path.is_file():
        try:
            for name, own in read_registry(path).items():
                _put(found, OWN, name, own.weights)
        except MinifoldError as error:
            origin = Origin("your weights", str(path), "registry", "of your own")
            found.problems.append(Problem(origin, str(error), "mend the file"))
    return found


def lookup(name: str) -> Known:
    """The weights of that name.

    Raises:
        RequestError: there are none.
    """
    found = known_weights()
    if name in found.items:
        return found.items[name]
    lost = "".join(f"; not usable: {problem}" for problem in found.problems)
    raise RequestError(f"unknown weights '{name}'; {did_you_mean(name, found.items)}{lost}")


def weights_of(version: str) -> dict[str, Known]:
    """All named weights of a version, by tag."""
    named = known_weights().items.values()
    return {known.entry.tag: known for known in named if known.id == version}


def _put(found: Found[Known], origin: str, version: str, entries: Iterable[WeightsEntry]) -> None:
    for known in (Known(version, weights, origin) for weights in entries):
        found.items[known.name] = known


def _located(shipped: WeightsEntry, package: VersionPackage) -> WeightsEntry:
    path = place_of(package, shipped.tag)
    size = path.stat().st_size if path.is_file() else 0
    found = {"location": str(path), "bytes": size, "size": shipped.tag}
    return shipped.model_copy(update=found)
