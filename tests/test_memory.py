"""How much memory a sample takes, against what torch allocates; and what there is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.profiler import profile

from minifold_core.batch import ProteinBatch
from minifold_core.memory import host_memory, least_memory
from weights_files import perturbed

GIB = 2**30


@pytest.mark.parametrize("version", ["v8", "v13"])
def test_the_estimate_is_what_torch_allocates(tmp_path: Path, version: str) -> None:
    model, length = perturbed(version), 90
    with torch.inference_mode(), profile(profile_memory=True) as profiled:
        trunk = model.trunk(ProteinBatch.from_sequences(["A" * length]))
        x_t, level = torch.zeros(1, length, 3), torch.ones(1, dtype=torch.long)
        model.denoise(trunk, x_t, level, level.float(), trunk["mask"], x_t)
    profiled.export_chrome_trace(str(tmp_path / "trace.json"))
    trace = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    events = [event["args"] for event in trace if event["name"] == "[memory]"]
    before = events[0]["Total Allocated"] - events[0]["Bytes"]
    peak = max(event["Total Allocated"] for event in events) - before
    assert least_memory(model, length) == pytest.approx(peak, rel=0.02)


def test_no_length_is_too_much_for_the_estimate() -> None:
    model = perturbed("v13")
    # Logits of axial attention grow as the cube of the length.
    assert 7 < least_memory(model, 20_000) / least_memory(model, 10_000) < 8.01
    assert all(each.isfinite().all() for each in model.parameters())
    with_guidance, without = (least_memory(model, 60, branches) for branches in (2, 1))
    assert with_guidance >= without


def test_a_model_that_reads_its_numbers_has_no_estimate() -> None:
    model = perturbed("v13")

    def reading(batch):
        return {"mask": batch.mask[: int(batch.tokens.sum())]}

    model.trunk = reading
    assert least_memory(model, 50) is None


def write(root: Path, files: dict[str, object]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")


def test_free_memory_is_that_of_the_machine_and_of_every_group(tmp_path: Path) -> None:
    write(tmp_path, {"proc/meminfo": f"MemTotal: 9 kB\nMemAvailable:  {8 * GIB // 1024} kB"})
    assert host_memory(tmp_path) == 8 * GIB
    v2 = "sys/fs/cgroup"
    write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/job/step",
            f"{v2}/job/step/memory.max": "max",
            f"{v2}/job/step/memory.current": 3 * GIB,
            f"{v2}/job/step/memory.stat": "anon 1\ninactive_file 0",
            f"{v2}/job/memory.max": 5 * GIB,
            f"{v2}/job/memory.current": 4 * GIB,
            f"{v2}/job/memory.stat": f"anon 1\ninactive_file {GIB}",
        },
    )
    assert host_memory(tmp_path) == 2 * GIB
    v1 = f"{v2}/memory/lab"
    write(
        tmp_path,
        {
            "proc/self/cgroup": "5:cpu:/\n4:memory:/lab\n0::/",
            f"{v1}/memory.limit_in_bytes": 4 * GIB,
            f"{v1}/memory.usage_in_bytes": GIB,
            f"{v1}/memory.stat": "total_inactive_file 0",
        },
    )
    assert host_memory(tmp_path) == 3 * GIB
    # What a container does not show is no limit.
    write(tmp_path, {"proc/self/cgroup": "4:memory:/elsewhere"})
    assert host_memory(tmp_path) == 8 * GIB
    assert host_memory() > 0
