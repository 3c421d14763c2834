"""Write the packer's manifest, from which listings tell its parameters without torch.

python scripts/make_manifest.py
"""

from minifold_core.discovery import version_package
from minifold_core.manifest import NAME, build_manifest, dump_manifest
from minifold_core.recipe_tree import read_source

if __name__ == "__main__":
    text = dump_manifest(build_manifest("packer", read_source("packer").sizes))
    (version_package("packer").directory / NAME).write_text(text, encoding="utf-8")
