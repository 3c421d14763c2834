"""Write the manifest of every built-in version: python scripts/build_manifests.py"""

from minifold_core.discovery import find_versions
from minifold_core.manifest import NAME, build_manifest, dump_manifest
from minifold_core.recipe_tree import read_source


def main() -> None:
    for package in find_versions().items.values():
        if package.origin.distribution == "minifold":
            manifest = build_manifest(package.id, read_source(package.id).sizes)
            (package.directory / NAME).write_text(dump_manifest(manifest), encoding="utf-8")
            print(package.id, {s: t["counts"]["parameters"] for s, t in manifest["sizes"].items()})


if __name__ == "__main__":
    main()
