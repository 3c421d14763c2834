"""Many tensor names as few: whole modules, and ranges of numbered ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable


def ranges(names: Iterable[str], others: Iterable[str] = ()) -> list[str]:
    """The shortest patterns that stand for ``names`` and for none of ``others``.

    A module all of whose tensors are among the names stands for them, and numbered modules of the
    same kind are joined: ``denoiser.blocks.{0-2,5}``.
    """
    split = [tuple(name.split(".")) for name in names]
    covers = _cover(split, {tuple(name.split(".")) for name in others}, 0)
    for place in range(max(map(len, covers), default=0)):
        covers = _join(covers, place)
    return [".".join(cover) for cover in covers]


def _cover(
    names: list[tuple[str, ...]], others: Collection[tuple[str, ...]], depth: int
) -> list[tuple[str, ...]]:
    """The highest modules that hold ``names`` alone; all share their first ``depth`` words."""
    if not names:
        return []
    if len(names) == 1 or (depth and not others):
        return [names[0] if len(names) == 1 else names[0][:depth]]
    words = dict.fromkeys(name[depth] for name in names if len(name) > depth)
    found = []
    for word in words:
        inside = [n for n in names if n[depth : depth + 1] == (word,)]
        found += _cover(inside, {n for n in others if n[depth : depth + 1] == (word,)}, depth + 1)
    return found


def _join(covers: list[tuple[str, ...]], place: int) -> list[tuple[str, ...]]:
    """Join covers that differ in a number at ``place`` alone."""
    kinds: dict[tuple[str, ...], list[int]] = {}
    for cover in covers:
        numbered = len(cover) > place and cover[place].isdigit()
        key = (*cover[:place], "#", *cover[place + 1 :]) if numbered else cover
        kinds.setdefault(key, []).extend([int(cover[place])] if numbered else [])
    return [
        (*key[:place], _numbers(found), *key[place + 1 :]) if found else key
        for key, found in kinds.items()
    ]


def _numbers(found: list[int]) -> str:
    """``{0-2,5}`` for 0, 1, 2 and 5; one number stays as it is."""
    runs: list[list[int]] = []
    for number in sorted(found):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return texts[0] if len(found) == 1 else f"{{{','.join(texts)}}}"
