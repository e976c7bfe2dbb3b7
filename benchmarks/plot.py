"""Lines over two logarithmic axes, as SVG that stands alone."""

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, FOOT = 760, 420, 64, 190, 34, 30
COLORS = ("#dc2626", "#4f46e5", "#0891b2", "#65a30d", "#d97706", "#9333ea", "#475569", "#0d9488", "#be185d")


def lines(title: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Each series has a name and its points, all above zero."""
    points = [point for line in series.values() for point in line]
    xs, ys = ([math.log10(point[axis]) for point in points] for axis in (0, 1))
    low_x, high_x = min(xs), max(xs)
    low_y, high_y = math.floor(min(ys)), math.ceil(max(ys))

    def x(value: float) -> float:
        return LEFT + (math.log10(value) - low_x) / (high_x - low_x) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - FOOT - (math.log10(value) - low_y) / (high_y - low_y) * (HEIGHT - FOOT - TOP)

    drawn = [f'<text x="{LEFT}" y="18" class="title">{escape(title)}</text>']
    for power in range(low_y, high_y + 1):
        at = y(10.0**power)
        drawn.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        drawn.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:,g}</text>')
    for value in sorted({point[0] for point in points}):
        drawn.append(f'<text x="{x(value):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{value:,g}</text>')
    ends: list[float] = []
    for (name, line), color in zip(series.items(), COLORS, strict=False):
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in line)
        drawn.append(f'<polyline points="{path}" stroke="{color}"/>')
        end = y(line[-1][1])
        while any(abs(end - other) < 13 for other in ends):
            end += 13
        ends.append(end)
        drawn.append(
            f'<text x="{x(line[-1][0]) + 8:.1f}" y="{end + 4:.1f}" fill="{color}">{escape(name)}</text>'
        )
    style = (
        "text{font:12px system-ui,sans-serif;fill:#374151}.title{font-size:14px}"
        "line{stroke:#d1d5db}polyline{fill:none;stroke-width:2}"
    )
    body = "\n".join(drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f'<style>{style}</style><rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n'
    )
