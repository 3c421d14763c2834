"""What long work says of itself."""

from __future__ import annotations

from itertools import count, pairwise

import pytest

from minifold_core import console


def test_progress_without_a_terminal_is_told_ever_more_rarely(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = count()
    monkeypatch.setattr(console.time, "monotonic", lambda: float(next(clock)))
    total, before = 1200, 7
    with console.progress("training", total, before) as advance:
        for _ in range(before, total):
            advance(1, "loss 2.5")
    told = capsys.readouterr().err.splitlines()
    # A step takes a second here, so that the steps told of are times too.
    done = [int(line.removeprefix("training: ").split("/")[0]) for line in told]
    gaps = [after - first for first, after in pairwise(done)]
    assert done[0] - before == gaps[0] == 10
    assert gaps == sorted(gaps)
    assert gaps[-1] == 60
    assert len(told) < 30
    left = f"0:{(total - done[-1]) // 60:02}:{(total - done[-1]) % 60:02}"
    assert told[-1] == f"training: {done[-1]}/{total} · {left} left · loss 2.5"
