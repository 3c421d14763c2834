"""Print what registry.toml records of weights that ship.

    python scripts/record_weights.py ID:SIZE EVALUATION NOTE PACK...

EVALUATION is what ``minifold evaluate ID:SIZE --data HELD_OUT --out EVALUATION`` wrote, with any
number of samples but no other options of sampling, since the models' pages say that the recipe's
are used. NOTE is what the weights were trained on, and for how long. From the PACKs trained on, a
frozen encoder's among them, follows which chains of the demo set they know.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import tomli_w
from model_pages import FLOOR, SHUFFLED

from minifold_core.data.dataset import open_dataset
from minifold_core.data.leakage import with_relatives
from minifold_core.weights.digest import file_sha256
from minifold_core.weights.known import lookup

SCORES = ("tm", "gdt_ts", "lddt", "precision_L_24", "helix_recall", "strand_recall")


def main(name: str, evaluation: str, note: str, *packs: str) -> None:
    known = lookup(name)
    found = json.loads((Path(evaluation) / "evaluation.json").read_text(encoding="utf-8"))
    rows = {row["name"]: row for row in found["rows"]}
    metrics = {}
    for score in SCORES:
        floor = max(row[score] for of, row in rows.items() if of.startswith("floor: "))
        metrics[score] = rows["model"][score]
        metrics[f"{score}{SHUFFLED}"] = rows["shuffled sequence"][score]
        metrics[f"{score}{FLOOR}"] = floor
    train = [open_dataset(pack).subset("train") for pack in packs]
    familiar = sorted({n for split in train for n in with_relatives(open_dataset(), split)})
    record = {
        "tag": known.entry.tag,
        "sha256": file_sha256(known.file),
        "note": note,
        "familiar": familiar,
        "metrics": {score: round(value, 3) for score, value in metrics.items()},
    }
    print(tomli_w.dumps({"models": {known.id: {"weights": [record]}}}))


if __name__ == "__main__":
    main(*sys.argv[1:])
