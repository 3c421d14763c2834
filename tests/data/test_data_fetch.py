"""Downloading, from a server on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import biotite.structure.io.pdbx as pdbx
import pytest
from biotite.structure.io.pdb import PDBFile
from typer.testing import CliRunner

from minifold_core.cli.data import app
from minifold_core.data import fetch
from minifold_core.data.packing import pack
from minifold_core.errors import MinifoldError, RequestError
from web_site import Site


@pytest.fixture
def site(tmp_path: Path, structures: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Serves ``1abc.bcif``, a ``2bad.bcif`` that is none, and the two files of a chain set."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    root = tmp_path / "site"
    root.mkdir()
    file = pdbx.BinaryCIFFile()
    pdbx.set_structure(file, PDBFile.read(structures / "1abc.pdb").get_structure(model=1))
    file.write(root / "1abc.bcif")
    (root / "2bad.bcif").write_bytes(b"sorry, busy")
    (root / "chain_set.jsonl").write_text("{}\n" * 1000)
    (root / "chain_set_splits.json").write_text("{}")
    with Site(root) as serving:
        yield serving


def test_entries_are_fetched_and_what_fails_is_named(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    paths = fetch.fetch_entries(["1ABC", "9xyz", "2bad", "1abc"], out, site.url)
    assert paths == [out / "1abc.bcif"]
    assert [p.name for p in out.iterdir()] == ["1abc.bcif"]
    told = capsys.readouterr()
    assert told.out == ""
    assert "9xyz: the server has no such entry" in told.err
    assert "2bad: the server sent no BinaryCIF" in told.err
    assert pack([out], tmp_path / "x.safetensors", workers=1).chains == 1


def test_an_entry_that_is_there_is_not_asked_for(site: Site, tmp_path: Path) -> None:
    for _ in range(2):
        fetch.fetch_entries(["1abc"], tmp_path, site.url)
    assert site.asked == ["/1abc.bcif"]


def test_no_entry_at_all_is_a_failure(site: Site, tmp_path: Path) -> None:
    with pytest.raises(MinifoldError, match="none of 1 entries") as error:
        fetch.fetch_entries(["9xyz"], tmp_path, site.url)
    assert error.value.exit_code == 1


def test_no_server_is_a_failure(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(MinifoldError, match="none of 1 entries"):
        fetch.fetch_entries(["1abc"], tmp_path, "http://127.0.0.1:9")
    assert "1abc: cannot be fetched (ConnectionError)" in capsys.readouterr().err
    with pytest.raises(MinifoldError, match="cannot be fetched"):
        fetch.fetch_cath(tmp_path, "http://127.0.0.1:9")


@pytest.mark.parametrize("name", ["ubiquitin", "1ub", "../etc", "cath-4.2"])
def test_ids_that_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(RequestError, match="no PDB id"):
        fetch.fetch_entries(["1abc", name], tmp_path)


def test_cath_is_trusted_once_and_checked_ever_after(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cath"
    paths = fetch.fetch_cath(out, site.url)
    assert [p.name for p in paths] == ["chain_set.jsonl", "chain_set_splits.json"]
    assert "no hash is published; recorded" in capsys.readouterr().err
    assert (out / "chain_set.jsonl.sha256").read_text().endswith("  chain_set.jsonl\n")

    asked = len(site.asked)
    fetch.fetch_cath(out, site.url)
    assert len(site.asked) == asked  # sound files are not fetched again

    paths[0].write_text("damaged")
    fetch.fetch_cath(out, site.url)
    assert paths[0].read_text() == "{}\n" * 1000

    paths[0].unlink()
    (site.root / "chain_set.jsonl").write_text("another file")
    with pytest.raises(MinifoldError, match="SHA-256 is not"):
        fetch.fetch_cath(out, site.url)
    assert not paths[0].exists()


def test_a_published_hash_rules(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(fetch.CATH_FILES, "chain_set.jsonl", "0" * 64)
    with pytest.raises(MinifoldError, match="SHA-256 is not 0000"):
        fetch.fetch_cath(tmp_path / "cath", site.url)


def test_the_command_line(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fetch.RCSB_URL_VARIABLE, site.url)
    monkeypatch.setenv(fetch.CATH_URL_VARIABLE, site.url)
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["fetch", "1abc", "--out", str(out)])
    assert result.exit_code == 0
    assert result.stdout == f"{out / '1abc.bcif'}\n"
    result = CliRunner().invoke(app, ["fetch", "cath-4.2", "--out", str(out)])
    assert result.exit_code == 0
    assert (out / "chain_set.jsonl").exists()
