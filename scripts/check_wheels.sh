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
versions=$("$bin/minifold" list-models --json | "$bin/python" -c 'import json, sys; print(*(v["id"] for v in json.load(sys.stdin)))')
echo "core wheel: $versions"
before=
for version in $versions; do
  "$bin/minifold" train "$version" --size nano --max-steps 1 --run-dir "run-$version" >/dev/null 2>&1
  if [ -n "$before" ]; then
    "$bin/minifold" compare "$before" "$version" >/dev/null
    "$bin/minifold" migrate "run-$before" --to "$version" --allow-mismatch --out "moved-$version.safetensors" >/dev/null
  fi
  before=$version
done
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
