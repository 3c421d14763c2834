"""Write the generated pages of docs/: python scripts/build_docs.py [--check]"""

from __future__ import annotations

import sys
from pathlib import Path

import loss_page
import model_pages
import plugin_reference

from minifold_core.catalogue import natural
from minifold_core.discovery import VersionPackage, find_versions
from minifold_core.recipe import load_recipe

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    check = "--check" in sys.argv[1:]
    stale = {path: text for path, text in pages().items() if not is_current(path, text)}
    for path, text in stale.items():
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        print(f"{path}{' is out of date; run scripts/build_docs.py' if check else ''}")
    if check and stale:
        sys.exit(1)


def pages() -> dict[Path, str]:
    """Every generated page with its text."""
    packages = versions()
    made = {DOCS / "models" / f"{package.id}.md": model_pages.page(package) for package in packages}
    made[DOCS / "models" / "README.md"] = model_pages.index(packages)
    made[DOCS / "losses.md"] = loss_page.page(packages)
    made[DOCS / "plugins" / "reference.md"] = plugin_reference.page()
    return made


def versions() -> list[VersionPackage]:
    """The built-in versions in natural order, those that fold before those that only encode."""
    own = [p for p in find_versions().items.values() if p.origin.distribution == "minifold"]
    return sorted(own, key=lambda p: (load_recipe(p.id).process is None, natural(p.id)))


def is_current(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    main()
