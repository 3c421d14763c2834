"""The pages for authors of plugins: every block runs, the reference is whole, the site builds."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
PROGRAMS = {
    "python": 'exec {python} "$@"',
    "pytest": 'exec {python} -m pytest -p no:cacheprovider "$@"',
    # A test has the time for one epoch, not for sixty.
    "minifold": '[ "$1" = train ] && set -- "$@" --max-steps 4\n'
    'exec {python} -m minifold_core.cli.main "$@"',
    # No network, and nothing of the environment that runs the tests is changed.
    "pip": '[ "$1 $2" = "install -e" ] && set -- install --target {site} "./${{3%[*}}"\n'
    'exec {python} -m pip "$@" --quiet --no-deps --no-build-isolation',
}
"""What stands for the programs that a reader calls."""


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    title: str
    text: str


def blocks(page: str) -> list[Block]:
    """Every block of a page; none is left out."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = [Block(*match.groups(default="")) for match in FENCE.finditer(text)]
    assert len(found) == text.count("\n```") / 2
    return found


@pytest.fixture
def reader(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who follows a page, in an empty directory."""
    programs, site = tmp_path / "bin", tmp_path / "site"
    programs.mkdir()
    for name, text in PROGRAMS.items():
        filled = text.format(python=shlex.quote(sys.executable), site=shlex.quote(str(site)))
        (programs / name).write_text(f"#!/bin/bash\n{filled}\n")
        (programs / name).chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    return os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        # The sources before the installed copies, as an editable install has it.
        "PYTHONPATH": f"{home}/minifold-burial:{home}/minifold-wide:{site}",
        "COLUMNS": "80",
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(home),
    }


@pytest.mark.wheels
@pytest.mark.parametrize("page", ["plugins/tutorial.md", "versions.md"])
def test_every_block_runs_and_says_what_the_page_says(
    page: str, reader: dict[str, str], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    for block in blocks(page):
        if block.title:
            put(home / block.title, block.text)
        else:
            assert block.language == "console", (
                f"{page} has a block that nothing runs:\n{block.text}"
            )
            follow(block.text, home, reader)


def follow(text: str, home: Path, environment: dict[str, str]) -> None:
    """Run each line behind ``$``; every line below it is said, whatever its numbers are."""
    for command, shown in spoken(text):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=home,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}"
        said = {plain(line) for line in done.stdout.splitlines()}
        missing = [line for line in shown if plain(line) not in said]
        assert not missing, f"$ {command}\nsaid\n{done.stdout}\nand not\n" + "\n".join(missing)


def spoken(text: str) -> Iterator[tuple[str, list[str]]]:
    """The commands of a console block with what is shown of their output."""
    first, *rest = re.split(r"(?m)^\$ ", text)
    assert not first.strip()
    for each in rest:
        lines = each.replace("\\\n", "").splitlines()
        yield lines[0], [line for line in lines[1:] if line.strip() not in ("", "...")]


def plain(line: str) -> str:
    """A line without its numbers and widths, which differ between machines and trainings."""
    return " ".join(
        re.sub(r"[-+−]?\d[\d.,:]*|[–─]+|better|worse|differs", "#", line).split()
    ).rstrip("# ")


def put(path: Path, text: str) -> None:
    """Write a file; or what begins with a definition, in the place of that of the same name."""
    if re.match(r"@hookimpl\n|def |class ", text):
        name = ast.parse(text).body[0].name
        old = path.read_text(encoding="utf-8")
        (node,) = (n for n in ast.parse(old).body if getattr(n, "name", "") == name)
        lines = old.splitlines(keepends=True)
        first = min([node.lineno, *(mark.lineno for mark in node.decorator_list)])
        lines[first - 1 : node.end_lineno] = [text]
        text = "".join(lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_the_reference_has_all_that_plugins_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """The full-grown plugin, and what ``plugins new`` writes, use nothing that is not promised."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import plugin_reference

    sources = [
        *(ROOT / "plugins" / "sidechain" / "minifold_sidechain").rglob("*.py"),
        *(ROOT / "minifold_core" / "templates").rglob("*.py.jinja"),
    ]
    assert len(sources) > 20
    strange = set()
    for source in sources:
        for module, names in re.findall(
            r"^ *from minifold_core\.([\w.]+) import (\([^)]*\)|.+)$", source.read_text(), re.M
        ):
            known = plugin_reference.names(module)
            strange |= {f"{module}.{n}" for n in re.findall(r"\w+", names) if n not in known}
    assert not strange


@pytest.mark.slow
def test_the_site_builds_strictly_and_fetches_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pages = [*tmp_path.rglob("*.html")]
    assert len(pages) >= len([*DOCS.rglob("*.md")])
    loads = r'<(?:script|img|iframe|source)[^>]*\ssrc="?https?:|<link[^>]*stylesheet[^>]*https?:'
    for page in pages:
        assert not re.search(loads, page.read_text(encoding="utf-8")), page
