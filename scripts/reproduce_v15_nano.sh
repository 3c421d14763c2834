#!/bin/sh
# Make the shipped weights v15:nano again, and their table: scripts/reproduce_v15_nano.sh CHAINS OUT
#
# CHAINS are chains as CATH 4.2 has them (chain_set.jsonl.gz beside chain_set_splits.json). It calls
# minifold, so activate the environment first. On one of two busy CPU cores it takes an hour and
# three quarters. Called again, it goes on where it stopped.
set -eu
[ $# -eq 2 ] || { echo "usage: scripts/reproduce_v15_nano.sh CHAINS OUT" >&2; exit 2; }
chains=$1 out=$2
mkdir -p "$out"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

# Fragments of long chains teach the trunk what residues look like, but they are not folds.
[ -e "$out/fragments.safetensors" ] ||
  minifold data pack "$chains" --out "$out/fragments.safetensors" --drop-relatives --crop
[ -e "$out/chains.safetensors" ] ||
  minifold data pack "$chains" --out "$out/chains.safetensors" --drop-relatives

# train NAME ARGUMENTS: a training, or what is left of it
train() {
  name=$1
  shift
  if [ -e "$out/$name/state.safetensors" ]; then
    minifold resume "$out/$name"
  else
    minifold train "$@" --size nano --run-dir "$out/$name"
  fi
}

train pre v15-pre --data "$out/fragments.safetensors" --max-epochs 4 \
  --set training.epochs=6 --set training.schedule.constant_epochs=3
train most v15 --data "$out/chains.safetensors" --init-from "$out/pre" --max-epochs 9 \
  --set training.epochs=11 --set training.schedule.constant_epochs=5 \
  --set training.learning_rate_scale.encoder=0.3
train decay v15 --data "$out/chains.safetensors" --init-from "$out/most" --carry-optimizer \
  --set training.epochs=2 --set training.schedule.warmup_epochs=0 \
  --set training.schedule.constant_epochs=0 --set training.learning_rate=4e-4 \
  --set training.learning_rate_scale.encoder=0.3
# Bonds in Å² instead of a hundredth of that, once there is a fold to keep.
train bonds v15 --data "$out/chains.safetensors" --init-from "$out/decay" \
  --set training.epochs=1 --set training.schedule.warmup_epochs=0 \
  --set training.schedule.constant_epochs=0 --set training.learning_rate=4e-4 \
  --set training.learning_rate_scale.encoder=0.3 \
  --set losses.bb_bond.weight=100 --set losses.bb_angle.weight=1
if [ ! -e "$out/evaluation/evaluation.json" ] || [ -e "$out/evaluation/unfinished" ]; then
  minifold evaluate "$out/bonds" --data "$out/chains.safetensors" --count 4 --out "$out/evaluation"
fi
