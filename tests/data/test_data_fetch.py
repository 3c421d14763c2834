"""Downloading, from a server on this machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import biotite.structure.io.pdbx as pdbx
import pytest
from biotite.structure.io.pdb import PDBFile
from typer.testing import CliRunner

from minifold_core.cli.data import app
from minifold_core.cli.main import run
from minifold_core.data import fetch
from minifold_core.data.packing import pack
from minifold_core.errors import MinifoldError, RequestError
from web_site import Site


@pytest.fixture
def site(tmp_path: Path, structures: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The mirror: ``1abc.bcif``, a ``2bad.bcif`` that is none, the two files of a chain set."""
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
        name_mirrors(monkeypatch, serving.url)
        yield serving


def name_mirrors(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for variable in (fetch.RCSB_URL_VARIABLE, fetch.CATH_URL_VARIABLE):
        monkeypatch.setenv(variable, url)


def test_entries_are_fetched_and_what_fails_is_named(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    paths = fetch.fetch_entries(["1ABC", "9xyz", "2bad", "1abc"], out)
    assert paths == [out / "1abc.bcif"]
    assert [p.name for p in out.iterdir()] == ["1abc.bcif"]
    told = capsys.readouterr()
    assert told.out == ""
    assert "9xyz: the server has no such entry" in told.err
    assert "2bad: the server sent no BinaryCIF" in told.err
    assert pack([out], tmp_path / "x.safetensors", workers=1).chains == 1


def test_an_entry_that_is_there_is_not_asked_for(site: Site, tmp_path: Path) -> None:
    for _ in range(2):
        fetch.fetch_entries(["1abc"], tmp_path)
    assert site.asked == ["/1abc.bcif"]


def test_no_entry_at_all_is_a_failure(site: Site, tmp_path: Path) -> None:
    with pytest.raises(MinifoldError, match="none of 1 entries") as error:
        fetch.fetch_entries(["9xyz"], tmp_path)
    assert error.value.exit_code == 1


def test_no_server_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    name_mirrors(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(MinifoldError, match="none of 1 entries"):
        fetch.fetch_entries(["1abc"], tmp_path)
    assert "1abc: cannot be fetched (ConnectionError)" in capsys.readouterr().err
    with pytest.raises(MinifoldError, match="cannot be fetched"):
        fetch.fetch_cath(tmp_path)


@pytest.mark.parametrize("name", ["ubiquitin", "1ub", "../etc", "cath-4.2"])
def test_ids_that_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(RequestError, match="no PDB id"):
        fetch.fetch_entries(["1abc", name], tmp_path)


def test_cath_is_trusted_once_and_checked_ever_after(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cath"
    paths = fetch.fetch_cath(out)
    assert [p.name for p in paths] == ["chain_set.jsonl", "chain_set_splits.json"]
    assert "no hash is published; recorded" in capsys.readouterr().err
    assert (out / "chain_set.jsonl.sha256").read_text().endswith("  chain_set.jsonl\n")

    asked = len(site.asked)
    fetch.fetch_cath(out)
    assert len(site.asked) == asked  # sound files are not fetched again

    paths[0].write_text("damaged")
    fetch.fetch_cath(out)
    assert paths[0].read_text() == "{}\n" * 1000

    paths[0].unlink()
    (site.root / "chain_set.jsonl").write_text("another file")
    with pytest.raises(MinifoldError, match="SHA-256 is not"):
        fetch.fetch_cath(out)
    assert not paths[0].exists()


def test_a_published_hash_rules(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(fetch.CATH_FILES, "chain_set.jsonl", "0" * 64)
    with pytest.raises(MinifoldError, match="SHA-256 is not 0000"):
        fetch.fetch_cath(tmp_path / "cath")


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"chain_set.jsonl\n", None])
def test_a_record_without_a_hash_is_refused_in_words(
    site: Site, tmp_path: Path, content: bytes | None
) -> None:
    record = tmp_path / "chain_set.jsonl.sha256"
    if content is None:
        record.mkdir()
    else:
        record.write_bytes(content)
    with pytest.raises(MinifoldError, match=r"jsonl\.sha256 (holds no SHA-256|cannot be read: Is)"):
        fetch.fetch_cath(tmp_path)
    assert site.asked == []


def test_an_out_that_cannot_be_written_is_said_before_anything_is_asked_for(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "file"
    out.touch()
    for name in ("1abc", "cath-4.2"):
        assert run(["data", "fetch", name, "--out", str(out)]) == 2
        assert f"--out {out} cannot be written: {out} is a file" in capsys.readouterr().err
    with pytest.raises(MinifoldError, match="none of 1 entries"):
        fetch.fetch_entries(["1abc"], out)
    assert f"1abc: {out / '1abc.bcif'} cannot be written: " in capsys.readouterr().err
    with pytest.raises(MinifoldError, match=r"chain_set\.jsonl\S* cannot be (read|written): Not a"):
        fetch.fetch_cath(out)
    assert site.asked == []


LOOK_AS_NOBODY = """
import os, sys
from pathlib import Path
from minifold_core.files import check_writable
if os.getuid() == 0:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
check_writable(Path(sys.argv[1]), "--out")
"""


def test_an_out_that_may_not_be_looked_into_is_refused_in_words(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    call = [sys.executable, "-c", LOOK_AS_NOBODY, str(closed / "in" / "it")]
    said = subprocess.run(call, capture_output=True, text=True).stderr
    assert f"RequestError: --out {closed}/in/it cannot be written: " in said


def test_the_command_line(site: Site, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["fetch", "1abc", "--out", str(out)])
    assert result.exit_code == 0
    assert result.stdout == f"{out / '1abc.bcif'}\n"
    result = CliRunner().invoke(app, ["fetch", "cath-4.2", "--out", str(out)])
    assert result.exit_code == 0
    assert (out / "chain_set.jsonl").exists()
