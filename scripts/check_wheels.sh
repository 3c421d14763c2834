#!/usr/bin/env bash
# The wheels of minifold and of minifold-sidechain, used as strangers use them: in a fresh environment with
# no source tree in reach. Dependencies are borrowed from the environment of the Python that is given.
# scripts/check_wheels.sh PYTHON
set -euo pipefail
python=$(realpath -s "$1")
root=$(realpath "$(dirname "$0")/..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$work/wheels" "$root" "$root/plugins/sidechain"
"$python" -m venv "$work/env"
bin=$work/env/bin
# A path in a .pth file brings packages, but no .pth files of theirs: no editable install.
"$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$("$bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/borrowed.pth"
export OMP_NUM_THREADS=1 MINIFOLD_HOME=$work/home
cd "$work"

"$bin/pip" install --quiet --no-deps --no-index wheels/minifold-0*.whl
"$bin/python" -c "import minifold_core, sys; assert minifold_core.__file__.startswith(sys.prefix), minifold_core.__file__"
"$bin/minifold" list-models
# In one process, for each command alone would import torch anew.
"$bin/python" - >commands.log 2>&1 <<'END' || { cat commands.log; exit 1; }
from itertools import pairwise

from minifold_core.cli.main import run
from minifold_core.discovery import find_versions


def minifold(command: str) -> None:
    print("$ minifold", command, flush=True)
    assert run(command.split()) == 0


line = "contact v8 v9 v10 v11 v11b v12 v12b v13 v14".split()
versions = list(find_versions().items)
assert set(line) <= set(versions), versions
for version in versions:
    minifold(f"train {version} --size nano --max-steps 1 --run-dir run-{version}")
for before, after in pairwise(line):
    minifold(f"compare {before} {after}")
    minifold(f"migrate run-{before} --to {after} --allow-mismatch --out moved-{after}.safetensors")
END
"$bin/minifold" sample run-v14 --sequence MQIFVKTLTGKTITLEVEPS --steps 2 --out core-sample

"$bin/pip" install --quiet --no-deps --no-index wheels/minifold_sidechain-*.whl
"$bin/minifold" plugins check sidechain | tail -n 1
"$bin/minifold" train packer --size nano --max-steps 1 --run-dir run-packer 2>&1 | tail -n 1
"$bin/minifold" train v14 --size nano --max-steps 1 --init-from run-v14 --with heads.sidechain=sidechain \
  --set losses.rotamer.weight=1 --set losses.chi.weight=1 --run-dir run-atoms 2>&1 | tail -n 1
"$bin/minifold" sample run-atoms --sequence MQIFVKTLTGKTITLEVEPS --steps 2 --out atoms
"$bin/minifold" sidechain pack core-sample/sequence.pdb --out packed.pdb
"$bin/minifold" doctor
# Its tests lie in the source tree, the package that they import does not.
"$bin/python" -m pytest -q -n auto -p no:cacheprovider "$root/plugins/sidechain/tests"
# The pages for authors of plugins, followed to the letter where no source tree is in reach.
mkdir -p pages/tests
cp -r "$root/docs" pages/docs
cp "$root/tests/test_plugin_docs.py" pages/tests
"$bin/python" -m pytest -q -n auto -p no:cacheprovider -W ignore::pytest.PytestUnknownMarkWarning \
  -m wheels pages/tests
