"""Weights at a URL: which URLs are taken, and where their copies lie."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from minifold_core.errors import RequestError
from minifold_core.home import home

LOCAL = ("localhost", "127.0.0.1", "::1")
"""Hosts that plain http may name: what it carries never leaves the machine."""


def is_url(location: str) -> bool:
    """Whether a location is a URL, of any kind, and no path."""
    return "://" in location


def check_url(url: str) -> None:
    """Refuse what could be changed on its way.

    Raises:
        RequestError: the URL is neither https nor http to this machine, or is none.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host:
        raise RequestError(f"{url} is no URL")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOCAL):
        raise RequestError(f"{url}: give an https URL (http is for localhost alone)")


def cache() -> Path:
    """The directory of fetched weights."""
    return home() / "weights"


def copy_of(url: str, sha256: str) -> Path:
    """Where the copy of a URL's file lies: the hash decides, its own name is kept for reports."""
    return cache() / sha256[:16] / file_name(url)


def file_name(url: str) -> str:
    """The last part of a URL's path, safe as a file's name."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    return re.sub(r"[^\w.-]", "_", name).lstrip(".") or "weights.safetensors"


def fetch(url: str, sha256: str) -> Path:
    """Fetch weights whose hash is known, with progress, unless they are here.

    Raises:
        RequestError: no https URL.
        MinifoldError: no connection, no such file, or no room.
        ProtectedError: the file there has another hash.
    """
    from minifold_core.download import download

    check_url(url)
    return download(url, copy_of(url, sha256), sha256)
