"""A curve in block characters, for terminals and pipes alike."""

from __future__ import annotations

from collections.abc import Mapping

_BLOCKS = " ▁▂▃▄▅▆▇█"
_HEIGHT = 3
_MARGIN = 10
_SMALL = 48


def curve(points: Mapping[int, float], best: int | None, width: int) -> list[str]:
    """Draw values over epochs, with an axis below that marks one of them.

    Epochs without a value stay blank. A short history gives an epoch up to three columns; a long
    one shares a column among epochs and shows their mean.

    Args:
        points: epoch to value; at least one.
        best: the epoch to mark.
        width: columns at most, labels of the values included.

    Returns:
        The lines, the highest values first.
    """
    first, last = min(points), max(points)
    span = last - first + 1
    columns = min(span * max(1, min(3, _SMALL // span)), width - _MARGIN)
    shared: dict[int, list[float]] = {}
    for epoch, value in points.items():
        begin, end = ((epoch + n - first) * columns // span for n in (0, 1))
        for column in range(begin, max(end, begin + 1)):
            shared.setdefault(column, []).append(value)
    means = {column: sum(values) / len(values) for column, values in shared.items()}
    least, most = min(means.values()), max(means.values())
    labels = [f"{most:.3f}", *[""] * (_HEIGHT - 2), f"{least:.3f}"]
    lines = [
        f"{label:>{_MARGIN - 2}} │{bars}"
        for label, bars in zip(labels, _bars(means, least, most, columns), strict=True)
    ]
    axis = ["─"] * columns
    if best is not None and first <= best <= last:
        axis[(2 * (best - first) + 1) * columns // (2 * span)] = "▲"
    ends = f"{first:<{max(columns - len(str(last)), len(str(first)) + 1)}}{last}"
    lines += [f"{'└':>{_MARGIN}}{''.join(axis)}", " " * _MARGIN + ends]
    return [line.rstrip() for line in lines]


def _bars(means: Mapping[int, float], least: float, most: float, columns: int) -> list[str]:
    """The rows of a bar chart, the top one first; the least value still shows."""
    steps = (_HEIGHT * 8 - 1) / ((most - least) or 1)
    levels = [
        1 + round(steps * (means[column] - least)) if column in means else 0
        for column in range(columns)
    ]
    return [
        "".join(_BLOCKS[min(max(level - 8 * row, 0), 8)] for level in levels)
        for row in reversed(range(_HEIGHT))
    ]
