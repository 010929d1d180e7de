"""Two pictures: throughput of dense copies as bars, and every ratio with its interval and its goal."""
import math
from xml.sax.saxutils import escape

WIDTH = 860
LEFT = 250
INK, FAINT = "#6b7280", "#9ca3af"  # readable on white and on dark
COLOURS = {"kcopyd": "#2563eb", "limit": "#9ca3af", "tuned": "#f59e0b", "other": "#d97706"}
VERDICT_COLOURS = {"met": "#16a34a", "likely met": "#84cc16", "likely not met": "#ca8a04", "not met": "#dc2626"}
BAR, GAP = 14, 14
STYLE = "<style>text{font:12px system-ui,sans-serif}</style>"


def text(x, y, words, anchor="start", colour=INK, weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-weight="{weight}">'
        f"{escape(words)}</text>")


def line(x1, y1, x2, y2, colour=FAINT, width=1.0, dash=""):
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width}"{dashed}/>')


def picture(height, parts):
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
        f'viewBox="0 0 {WIDTH} {height:.0f}">', STYLE, *parts, "</svg>"]) + "\n"


def caption(ran_on, mode):
    kernel = ran_on["kernel"].split("-")[0]
    return f"{ran_on['cpu']}, {ran_on['cores']} cores, Linux {kernel}; ./run bench{mode}"


def bar_colour(name, role):
    if role in ("ours", "limit"):
        return COLOURS["kcopyd" if role == "ours" else "limit"]
    return COLOURS["tuned" if name.endswith("tuned") else "other"]


def throughput(outcomes, footer):
    """Bars of bytes a second, one group a shape: whole copies only."""
    groups = []
    for outcome in outcomes:
        rated = {name: outcome.medians(name)["rate"] / (1 << 20) for name in outcome.chosen
            if "rate" in outcome.samples[name]}
        if "kcopyd" in rated and outcome.shape.dense:
            groups.append((outcome, rated))
    if not groups:
        return None
    most = max(max(rated.values()) for _, rated in groups)
    parts, y = [text(0, 16, "Source bytes copied a second (MiB/s), longer is better", weight="bold")], 40.0
    for outcome, rated in groups:
        parts.append(text(0, y + BAR - 3, outcome.shape.title, weight="bold"))
        y += BAR + 4
        for name, rate in rated.items():
            length = rate / most * (WIDTH - LEFT - 70)
            parts.append(text(LEFT - 8, y + BAR - 3, name, "end"))
            parts.append(f'<rect x="{LEFT}" y="{y:.1f}" width="{length:.1f}" height="{BAR - 2}" rx="2" '
                f'fill="{bar_colour(name, outcome.chosen[name][0])}"/>')
            parts.append(text(LEFT + length + 6, y + BAR - 3, f"{rate:.0f}"))
            y += BAR + 2
        y += GAP
    parts.append(text(0, y + 4, footer, colour=FAINT))
    return picture(y + 16, parts)


def ratios(outcomes, footer):
    """One line a goal that is a ratio: its interval, its median, its goal; logarithmic, and 1 is where both are equal."""
    judged = [(outcome, j) for outcome in outcomes for j in outcome.judged if j.estimate and j.goal.against]
    if not judged:
        return None
    left, right = 390, WIDTH - 60
    values = [v for _, j in judged for v in (j.estimate.low, j.estimate.high, j.goal.value) if 0 < v < math.inf]
    low, high = math.log(min([0.25, *values])), math.log(max([2.0, *values]))

    def place(value):
        return left + (math.log(min(max(value, math.exp(low)), math.exp(high))) - low) / (high - low) * (right - left)

    height = 52 + len(judged) * 18 + 34
    parts = [text(0, 16, "kcopyd against the others: median of paired ratios, 95 % interval; the tick is the goal",
        weight="bold")]
    for tick in (0.125, 0.25, 0.5, 1, 2, 4, 8):
        if low <= math.log(tick) <= high:
            parts += [line(place(tick), 34, place(tick), height - 30, dash="" if tick == 1 else "2 4"),
                text(place(tick), 30, f"{tick:g}", "middle")]
    y, last = 50.0, None
    for outcome, j in judged:
        colour = VERDICT_COLOURS.get(j.verdict, FAINT)
        if outcome.shape.name != last:
            parts.append(text(0, y + 4, outcome.shape.name, weight="bold"))
            last = outcome.shape.name
        parts += [text(110, y + 4, j.goal.text()),
            line(place(j.estimate.low), y, place(j.estimate.high), y, colour, 3),
            f'<circle cx="{place(j.estimate.median):.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>',
            line(place(j.goal.value), y - 7, place(j.goal.value), y + 7, INK, 2),
            text(right + 8, y + 4, f"{j.estimate.median:.2f}", colour=colour)]
        y += 18
    parts.append(text(0, y + 12, footer, colour=FAINT))
    return picture(height, parts)


def write(folder, mode, ran_on, outcomes):
    """Returns the paths."""
    footer, written = caption(ran_on, "" if mode == "full" else f" --{mode}"), []
    for name, draw in (("throughput", throughput), ("ratios", ratios)):
        drawn = draw(outcomes, footer)
        if drawn:
            written.append(f"{folder}/{name}.svg")
            with open(written[-1], "w", encoding="utf-8") as out:
                out.write(drawn)
    return written
