"""What was measured: a table for people, and a plot."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from scaling.measuring import RANKINGS, Measured, quantile

REFERENCE = 10_000


def table(measured: Sequence[Measured], total: int) -> str:
    """A line for each tenant and ranking, as Markdown. Ratios are to the tenant of 10,000, or what is left of it."""
    left = next((m.messages for m in measured if m.tenant == name(REFERENCE)), REFERENCE)
    lines = [
        "| messages of the tenant | ranking | bare scan ms | exact ms (p95) | pool ms (p95) | served by "
        f"| ratio to {left:,} | recall@10 (questions) | whole call ms (p95) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    reference = {m.ranking: statistics.median(m.served) for m in measured if m.tenant == name(REFERENCE)}
    for m in measured:
        ratio = f"{statistics.median(m.served) / reference[m.ranking]:.2f}" if m.ranking in reference else ""
        bare = f"{statistics.median(m.bare):.1f}" if m.bare else ""
        recall = f"{m.recall:.4f} ({len(m.recalls)})" if m.recalls else "exact"
        lines.append(
            f"| {m.messages:,} ({m.messages / total:.2%}) | {m.ranking} | {bare} | {_ms(m.exact)} | {_ms(m.pool)} "
            f"| {'pool' if m.pool else 'scan'} | {ratio} | {recall} | {_ms(m.calls)} |"
        )
    return "\n".join(lines)


def plot(measured: Sequence[Measured], file: Path) -> None:
    """Median times against the size of the tenant, as an SVG without scripts; recall stands with the points."""
    import pygal  # of the development tools, and needed for nothing else

    chart = pygal.XY(
        pygal.Config(js=(), legend_at_bottom=True, height=420, explicit_size=True),
        title="A search of a large tenant; at the pools, their recall@10",
        x_title="messages of the tenant",
        logarithmic=True,
        xrange=(800, 1_300_000),
        range=(0.5, 20_000),
        x_labels=(1_000, 10_000, 100_000, 1_000_000),
        y_labels=(1, 10, 100, 1_000, 10_000),
        truncate_label=12,
        print_labels=True,
        y_title="milliseconds",
        disable_xml_declaration=True,
        x_value_formatter=lambda value: f"{value:,.0f}",
        value_formatter=lambda value: f"{value:,.0f}",
    )
    for ranking in RANKINGS:
        rows = [m for m in measured if m.ranking == ranking]
        exact = [(m.messages, statistics.median(m.exact)) for m in rows if m.exact]
        pool = [{"value": (m.messages, statistics.median(m.pool)), "label": f"{m.recall:.3f}"} for m in rows if m.pool]
        chart.add(f"{ranking}, exact", exact, stroke_style={"dasharray": "4, 4"})
        chart.add(f"{ranking}, pool", pool)
    file.write_text(chart.render(is_unicode=True) + "\n", encoding="utf-8")


def name(size: int) -> str:
    """The tenant of so many messages."""
    return f"t{size // 1_000_000}m" if size % 1_000_000 == 0 else f"t{size // 1000}k"


def _ms(times: Sequence[float]) -> str:
    return f"{statistics.median(times):.1f} ({quantile(times, 0.95):.1f})" if times else ""
