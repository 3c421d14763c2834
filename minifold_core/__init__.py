"""minifold: a plugin-based model zoo for protein-structure diffusion models.

What the command line does is here for Python too. Names load when they are first used, so
``import minifold_core`` is cheap::

    import minifold_core as mf

    mf.list_models()
    model = mf.assemble("v13", size="nano")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minifold_core.lazy import exports

if TYPE_CHECKING:
    from minifold_core.assembly import assemble
    from minifold_core.batch import ProteinBatch
    from minifold_core.catalogue import list_models
    from minifold_core.data.dataset import open_dataset
    from minifold_core.data.packing import pack
    from minifold_core.evaluation.judge import judge
    from minifold_core.folding import Target, fold
    from minifold_core.recipe import load_recipe
    from minifold_core.structures import write_structure
    from minifold_core.version import __version__
    from minifold_core.weights.io import load_model

__all__ = [
    "ProteinBatch",
    "Target",
    "__version__",
    "assemble",
    "fold",
    "judge",
    "list_models",
    "load_model",
    "load_recipe",
    "open_dataset",
    "pack",
    "write_structure",
]

_HOMES = {
    "ProteinBatch": "batch",
    "Target": "folding",
    "__version__": "version",
    "assemble": "assembly",
    "fold": "folding",
    "judge": "evaluation.judge",
    "list_models": "catalogue",
    "load_model": "weights.io",
    "load_recipe": "recipe",
    "open_dataset": "data.dataset",
    "pack": "data.packing",
    "write_structure": "structures",
}

__getattr__ = exports(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
