# SPDX-License-Identifier: GPL-2.0
"""Curves as SVG, without a library: one chart, some lines, a legend. Readable in light and dark."""
import math

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 80, 20, 50, 60
COLOURS = ["#0b6bcb", "#c2410c", "#15803d", "#7e22ce"]


def nice_top(value):
    """The next 1, 2 or 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(value)) if value > 0 else 1
    return next(m * power for m in (1, 2, 5, 10) if m * power >= value)


def short(v):
    if v >= 1e6:
        return f"{v / 1e6:g} M"
    if v >= 1e3:
        return f"{v / 1e3:g} k"
    return f"{v:g}"


def line_chart(title, x_title, y_title, xs, series, is_log_y=False):
    """`series`: name -> values, as many as `xs`, None where there is none. X positions are evenly spaced."""
    values = [v for row in series.values() for v in row if v]
    top = nice_top(max(values)) if values else 1
    low = 10 ** math.floor(math.log10(min(values))) if is_log_y and values else 0
    plot_w, plot_h = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x_at(i):
        return LEFT + plot_w * (i + 0.5) / len(xs)

    def y_at(v):
        share = math.log10(v / low) / math.log10(top / low) if is_log_y else v / top
        return TOP + plot_h * (1 - share)

    if is_log_y:
        ticks = [low * 10 ** i for i in range(int(round(math.log10(top / low))) + 1)]
    else:
        ticks = [top * i / 5 for i in range(6)]
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
           "<style>text{fill:#333}.g{stroke:#ccc}@media(prefers-color-scheme:dark){text{fill:#ddd}.g{stroke:#555}}</style>",
           f'<text x="{LEFT}" y="22" font-size="16">{title}</text>']
    for t in ticks:
        out.append(f'<line class="g" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y_at(t):.1f}" y2="{y_at(t):.1f}"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y_at(t) + 4:.1f}" text-anchor="end">{short(t)}</text>')
    for i, x in enumerate(xs):
        out.append(f'<text x="{x_at(i):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{x}</text>')
    out.append(f'<text x="{LEFT + plot_w / 2}" y="{HEIGHT - 14}" text-anchor="middle">{x_title}</text>')
    out.append(f'<text x="18" y="{TOP + plot_h / 2}" text-anchor="middle" transform="rotate(-90 18 {TOP + plot_h / 2})">{y_title}</text>')
    for n, (name, row) in enumerate(series.items()):
        colour = COLOURS[n % len(COLOURS)]
        points = " ".join(f"{x_at(i):.1f},{y_at(v):.1f}" for i, v in enumerate(row) if v)
        out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>')
        out += [f'<circle cx="{x_at(i):.1f}" cy="{y_at(v):.1f}" r="3" fill="{colour}"/>' for i, v in enumerate(row) if v]
        out.append(f'<rect x="{LEFT + 130 * n}" y="32" width="12" height="12" fill="{colour}"/>'
                   f'<text x="{LEFT + 130 * n + 17}" y="43">{name}</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"
