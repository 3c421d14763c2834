"""Whether a picture can be read."""

from __future__ import annotations

from itertools import combinations

from matplotlib.figure import Figure


def check_layout(figure: Figure, fewest: int = 20) -> None:
    """No text meets another or the edge of the page; there are more than ``fewest``."""
    figure.canvas.draw()
    page, texts = figure.bbox, list(figure.texts)
    for axes in figure.axes:
        texts += [axes.title, *axes.texts]
        if not axes.axison:
            continue
        texts += [axes.xaxis.label, axes.yaxis.label]
        # The locator offers ticks beyond the ends too, which are not drawn.
        ends = sorted(axes.get_xlim()), sorted(axes.get_ylim())
        for way, axis in enumerate((axes.xaxis, axes.yaxis)):
            low, high = ends[way]
            texts += [t for t in axis.get_ticklabels() if low <= t.get_position()[way] <= high]
        texts += axes.get_legend().get_texts() if axes.get_legend() else []
    drawn = [t for t in texts if t.get_visible() and t.get_text().strip()]
    boxes = [(t.get_text(), t.get_window_extent()) for t in drawn]
    assert len(boxes) > fewest
    for text, box in boxes:
        assert page.x0 <= box.x0 < box.x1 <= page.x1, text
        assert page.y0 <= box.y0 < box.y1 <= page.y1, text
    for (one, box), (other, own) in combinations(boxes, 2):
        assert not box.overlaps(own), (one, other)
