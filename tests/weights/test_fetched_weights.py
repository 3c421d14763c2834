"""Weights at an address: fetched once, checked ever after."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minifold_core.errors import MinifoldError, ProtectedError, RequestError
from minifold_core.home import home
from minifold_core.weights.find import find_weights
from minifold_core.weights.known import own_registry
from minifold_core.weights.own import add
from web_site import Site
from weights_files import sha256

Minifold = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def site(b30: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Serves ``b30.safetensors``, and a page that is no weights."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    root = tmp_path / "served"
    root.mkdir()
    shutil.copy(b30, root)
    (root / "login.html").write_text("<html>please log in</html>")
    with Site(root) as serving:
        yield serving


def cached() -> list[str]:
    """What lies in the cache, file by file."""
    return sorted(path.name for path in (home() / "weights").rglob("*") if path.is_file())


def test_a_url_is_fetched_once_and_checked_ever_after(
    minifold: Minifold, site: Site, b30: Path
) -> None:
    url = f"{site.url}/b30.safetensors?download=true"
    done = minifold("weights", "add", "v12b:b30", url)
    assert done.returncode == 0, done.stderr
    assert "no --sha256 was given" in done.stderr
    (row,) = json.loads(minifold("weights", "list", "v12b", "--json").stdout)
    assert (row["location"], row["sha256"], row["size"]) == (url, sha256(b30), "nano")
    copy = find_weights("v12b:b30")
    assert copy.name == "b30.safetensors"
    assert copy.read_bytes() == b30.read_bytes()
    assert copy.stat().st_mode & 0o777 == b30.stat().st_mode & 0o777
    assert (len(site.asked), cached()) == (1, ["b30.safetensors"])

    copy.write_bytes(b"damaged")
    assert minifold("weights", "verify").returncode == 1
    assert find_weights("v12b:b30").read_bytes() == b30.read_bytes()
    assert len(site.asked) == 2

    copy.unlink()
    done = minifold("weights", "verify")
    assert (done.returncode, done.stdout.count(": not fetched")) == (0, 1)
    (site.root / "b30.safetensors").write_bytes(b"another file")
    with pytest.raises(ProtectedError, match=r"SHA-256 is not .*; nothing was kept"):
        find_weights("v12b:b30")
    (site.root / "b30.safetensors").unlink()
    with pytest.raises(MinifoldError, match="cannot be fetched") as error:
        find_weights("v12b:b30")
    assert error.value.exit_code == 1
    assert cached() == []


def test_what_is_fetched_for_a_name_is_what_was_promised(site: Site, b30: Path) -> None:
    url = f"{site.url}/b30.safetensors"
    with pytest.raises(ProtectedError, match="SHA-256 is not 0000"):
        add("v12b:b30", url, sha256="0" * 64)
    with pytest.raises(RequestError, match=f"{site.url}/login.html is not a weights file"):
        add("v12b:b30", f"{site.url}/login.html")
    with pytest.raises(RequestError, match="64 hexadecimal digits"):
        add("v12b:b30", url, sha256="abc")
    assert cached() == []
    assert not own_registry().exists()
    assert add("v12b:b30", url, sha256=sha256(b30)).entry.location == url


@pytest.mark.parametrize(
    "url", ["http://example.org/a", "ftp://localhost/a", "file:///etc/passwd", "https://", "x://["]
)
def test_urls_that_are_refused(b30: Path, url: str) -> None:
    with pytest.raises(RequestError, match=r"give an https URL|is no URL"):
        add("v12b:b30", url)
