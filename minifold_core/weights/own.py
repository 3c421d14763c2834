"""The user's own registry of weights: adding to it and taking from it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tomli_w

from minifold_core.discovery import version_package
from minifold_core.errors import MinifoldError, ProtectedError, RequestError, did_you_mean
from minifold_core.files import atomic
from minifold_core.registry import SCHEMA, WeightsEntry, read_registry
from minifold_core.weights import remote
from minifold_core.weights.digest import file_sha256
from minifold_core.weights.file import open_weights
from minifold_core.weights.known import OWN, Known, known_weights, own_registry

HEX = "0123456789abcdef"


def split_name(name: str) -> tuple[str, str]:
    """Version and tag of ``ID:TAG``.

    Raises:
        RequestError: it is no such name. A tag is any text on one line without slashes, which would
            make it a path, and without spaces round it.
    """
    version, _, tag = name.partition(":")
    fine = version and tag and name.isprintable() and not {"/", "\\"} & {*name}
    if not fine or [version, tag] != [version.strip(), tag.strip()]:
        raise RequestError(
            f"'{name}' is no name for weights; give ID:TAG such as v12b:b30, without slashes"
        )
    return version, tag


def add(
    name: str, source: str, note: str = "", sha256: str | None = None, replace: bool = False
) -> Known:
    """Record a weights file under a name, in the user's registry.

    Args:
        name: ``ID:TAG``.
        source: a file, a run, another name, or an https URL, which is fetched.
        note: what to remember of it.
        sha256: what its hash must be; None: it is taken as it is.
        replace: let the name go over from another file to this one.

    Raises:
        RequestError: a bad name, hash or URL, no such file, no weights, or weights of another
            version than the name says.
        ProtectedError: the hash differs, or the name belongs to another file.
        MinifoldError: it cannot be fetched, or the registry cannot be read or written.
    """
    version, tag = split_name(name)
    if sha256 is not None:
        sha256 = sha256.strip().lower()
        if len(sha256) != 64 or not set(sha256) <= set(HEX):
            raise RequestError(f"--sha256 {sha256}: a SHA-256 is 64 hexadecimal digits")
    if remote.is_url(source):
        entry = _fetched(version, tag, source, sha256)
    else:
        entry = _described(version, tag, source)
        if sha256 not in (None, entry.sha256):
            raise ProtectedError(f"{entry.location}: SHA-256 is {entry.sha256}, not {sha256}")
    known = Known(version, entry.model_copy(update={"note": note}), OWN)
    document = _read()
    if not replace:
        _refuse_clash(known)
    _write(document, version, tag, known.entry)
    return known


def remove(name: str) -> Known:
    """Forget a name of the user's own; the file stays.

    Raises:
        RequestError: there is no such name, or it came with a version.
        MinifoldError: the registry cannot be read or written.
    """
    document = _read()
    found = known_weights().items
    own = [key for key, known in found.items() if known.origin == OWN]
    if name not in own:
        if name in found:
            raise RequestError(f"{name} came with {found[name].id}; only your own can be removed")
        raise RequestError(f"no weights of your own are called '{name}'; {did_you_mean(name, own)}")
    known = found[name]
    _write(document, known.id, known.entry.tag, None)
    return known


def _described(version: str, tag: str, source: str | Path) -> WeightsEntry:
    """What is recorded of a file: its hash is checked, its header says the rest."""
    file = open_weights(source)
    file.check_hash()
    made: dict[str, Any] = file.header.recipe.get("resolved", {}) if file.header else {}
    if not made:
        version_package(version)
    elif made.get("id") != version:
        raise RequestError(
            f"{file.path} holds weights of {made.get('id')}, not of {version}; "
            f"call it {made.get('id')}:{tag}"
        )
    return WeightsEntry(
        tag=tag,
        location=str(file.path.absolute()),
        sha256=file.sha256,
        bytes=file.path.stat().st_size,
        size=made.get("size", ""),
        metrics=file.header.metrics if file.header else {},
    )


def _fetched(version: str, tag: str, url: str, sha256: str | None) -> WeightsEntry:
    """Fetch a file and describe it; only weights come into the cache."""
    from minifold_core.download import download

    remote.check_url(url)
    cache = remote.cache()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache, prefix=".") as folder:
            path = download(url, Path(folder) / remote.file_name(url), sha256)
            try:
                entry = _described(version, tag, path)
            except MinifoldError as error:  # the user knows the URL, not the file
                raise type(error)(str(error).replace(str(path), url)) from None
            copy = remote.copy_of(url, entry.sha256)
            copy.parent.mkdir(exist_ok=True)
            path.replace(copy)
    except OSError as error:
        raise MinifoldError(f"{cache} cannot be written: {error.strerror}") from error
    return entry.model_copy(update={"location": url})


def _refuse_clash(known: Known) -> None:
    """Refuse a name that belongs to another file; the same file elsewhere is no other."""
    old = known_weights().items.get(known.name)
    if old is None:
        return
    if (old.entry.sha256 or file_sha256(old.file)) != known.entry.sha256:
        raise ProtectedError(
            f"{known.name} is {old.entry.location} ({old.origin}), another file; choose another "
            "tag, or --replace"
        )


def _read() -> dict[str, Any]:
    """The user's registry as it is written; a fresh one if there is none."""
    path = own_registry()
    if not path.exists():
        return {"schema": SCHEMA}
    read_registry(path)
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _write(document: dict[str, Any], version: str, tag: str, entry: WeightsEntry | None) -> None:
    """Put an entry in the place of what had its tag, or take it away."""
    models = document.setdefault("models", {})
    table = models.setdefault(version, {})
    table["weights"] = [row for row in table.get("weights", ()) if row["tag"] != tag]
    if entry:
        table["weights"].append(entry.model_dump())
    if not table["weights"]:
        del table["weights"]
    if not table:
        del models[version]
    with atomic(own_registry()) as temporary:
        temporary.write_text(tomli_w.dumps(document), encoding="utf-8")
