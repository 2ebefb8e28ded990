"""The HTML itself: pieces that escape what they are given, and the page around them.

A page asks nothing of any network: its style is inside, its pictures are data, and its policy
forbids all else. It has one heading of each section, tables with captions and headers that scroll
on their own where a screen is narrow, and a text for each picture.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Section",
    "clean",
    "escaped",
    "items",
    "number",
    "page",
    "paragraph",
    "quoted",
    "table",
]

#: What a browser does not show, or a file in UTF-8 can not hold.
_UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; color: #1a1a1a; background: #fff; line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main, header, nav, footer { max-width: 60rem; margin: 0 auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 1.5rem 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2rem 0 .5rem; border-bottom: 2px solid #d0d0d0; }
h3 { font-size: 1.05rem; margin: 1.25rem 0 .25rem; overflow-wrap: anywhere; }
a { color: #004f7c; }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1rem; }
nav a { display: inline-block; padding: .4rem 0; }
p, li { overflow-wrap: anywhere; }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: .5rem; background: #fff; padding: .5rem; }
:focus-visible { outline: 3px solid #0072b2; outline-offset: 2px; }
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .25rem 0; color: #444; }
th, td { padding: .35rem .6rem; text-align: left; border-bottom: 1px solid #d0d0d0; }
thead th { border-bottom: 2px solid #767676; vertical-align: bottom; }
tbody th { font-weight: 600; }
td.n, th.n { text-align: right; white-space: nowrap; }
figure { margin: 1rem 0; }
img { max-width: max(100%, 34rem); height: auto; }
figcaption { color: #444; font-size: .92rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f5f5f5; padding: .75rem;
  border-left: 4px solid #767676; margin: .5rem 0; font-size: .92rem; }
footer { margin-top: 2rem; padding-bottom: 2rem; color: #444; font-size: .92rem; }
@media print { nav, .skip { display: none; } h2, h3 { break-after: avoid; } }
"""


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes:
        name: what it is called in the page's own addresses.
        title: its heading.
        body: its HTML; headings in it are of the third level.
    """

    name: str
    title: str
    body: str


def clean(value: Any) -> str:
    r"""A value as text that any browser shows, a stand-in for each character that none does.

    Example:
        >>> clean("a\x00b") == "a\ufffdb"
        True
    """
    return _UNSHOWN.sub("\ufffd", str(value).replace("\r\n", "\n"))


def escaped(value: Any) -> str:
    """A value as text in HTML.

    Example:
        >>> escaped("<b> & 'c'")
        '&lt;b&gt; &amp; &#x27;c&#x27;'
    """
    return html.escape(clean(value))


def number(value: float) -> str:
    """A number with four digits that count.

    Example:
        >>> number(0.123456), number(float("nan")), number(-1234567.0), number(float("inf"))
        ('0.1235', '–', '−1,234,567', '∞')
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else f"{value:.4g}"
    return text.replace("-", "−")


def paragraph(text: str) -> str:
    """Plain text as a paragraph."""
    return f"<p>{escaped(text)}</p>"


def items(lines: Iterable[str]) -> str:
    """Plain texts as a list."""
    return "<ul>" + "".join(f"<li>{escaped(line)}</li>" for line in lines) + "</ul>"


def quoted(text: str) -> str:
    """A text as it is, its line ends kept."""
    # the parser drops a line end that stands first
    return f"<pre>\n{escaped(text)}</pre>"


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], caption: str) -> str:
    """A table whose first column names the rows, in a frame that scrolls.

    Args:
        columns: their headers.
        rows: of strings and numbers; numbers are set to the right.
        caption: what it shows.
    """
    body = [list(row) for row in rows]
    numeric = [
        all(isinstance(row[i], (int, float)) for row in body) and bool(body)
        for i in range(len(columns))
    ]
    kinds = [' class="n"' if right else "" for right in numeric]
    head = "".join(
        f'<th scope="col"{kind}>{escaped(name)}</th>'
        for name, kind in zip(columns, kinds, strict=True)
    )
    lines = []
    for row in body:
        cells = [f'<th scope="row">{escaped(row[0])}</th>']
        pairs = zip(row[1:], kinds[1:], strict=True)
        cells += [f"<td{kind}>{_cell(value)}</td>" for value, kind in pairs]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escaped(caption)}"><table>'
        f"<caption>{escaped(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _cell(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return escaped(value)
    return f"{value:,}".replace("-", "−") if isinstance(value, int) else number(value)


def page(title: str, about: str, sections: Iterable[Section], end: str) -> str:
    """The whole page.

    Args:
        title: its heading, and its name in the browser.
        about: a line below the heading.
        sections: its parts, in order.
        end: the line at its foot.
    """
    parts = list(sections)
    links = "".join(f'<li><a href="#{p.name}">{escaped(p.title)}</a></li>' for p in parts)
    body = "\n".join(
        f'<section aria-labelledby="{p.name}"><h2 id="{p.name}">{escaped(p.title)}</h2>\n'
        f"{p.body}\n</section>"
        for p in parts
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{escaped(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header><h1>{escaped(title)}</h1>
{paragraph(about)}</header>
<nav aria-label="Parts of this page"><ul>{links}</ul></nav>
<main id="content">
{body}
</main>
<footer>{paragraph(end)}</footer>
</body>
</html>
"""
