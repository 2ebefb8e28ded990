"""Pictures as data inside of the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from arproc.errors import MissingDependencyError
from arproc.reporting.page import escaped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["picture", "require_matplotlib"]

_DPI = 110


def require_matplotlib() -> None:
    """Say what is missing before the long work, and not after.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot  # noqa: F401
    except ImportError:
        raise MissingDependencyError(
            'a report has pictures, which need matplotlib: pip install "arproc[plot]"'
        ) from None


def picture(draw: Callable[[], Axes], told: str, caption: str) -> str:
    """What a function draws, as HTML.

    Args:
        draw: draws on a new figure, and returns its Axes, as all of `arproc.plot` do.
        told: what is to be seen, for those who do not see it.
        caption: below it.
    """
    import matplotlib.pyplot as plt

    opened = set(plt.get_fignums())
    # the same page whatever the user's style; names of models are no formulas
    with plt.style.context("default"), plt.rc_context({"text.parse_math": False}):
        try:
            figure = draw().get_figure(root=True)
            assert figure is not None
            _lay_out(figure)
            data = io.BytesIO()
            figure.savefig(data, format="png", dpi=_DPI)
            width, height = (round(_DPI * size) for size in figure.get_size_inches())
        finally:
            for left in set(plt.get_fignums()) - opened:
                plt.close(left)
    code = base64.b64encode(data.getvalue()).decode("ascii")
    # on a narrow screen it scrolls, so that its words stay large enough to be read
    return (
        f'<figure><div class="scroll" role="region" tabindex="0" aria-label="{escaped(caption)}">'
        f'<img alt="{escaped(told)}" width="{width}" height="{height}" '
        f'src="data:image/png;base64,{code}"></div>'
        f"<figcaption>{escaped(caption)}</figcaption></figure>"
    )


def _lay_out(figure: Figure) -> None:
    """Settle where all stands, once: saving would do it twice, which takes half of the time."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)
