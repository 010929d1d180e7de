"""What a person reads: the list of shapes, what each came to, and the goals at the end."""
from model import FIGURES


def show(figure, value):
    _, form, unit = FIGURES[figure]
    return form.format(value * unit)


def size_text(size_bytes):
    for unit, name in ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB")):
        if size_bytes >= unit:
            return f"{size_bytes / unit:g} {name}"
    return ""


def listing(shapes):
    for shape in shapes:
        yield f"{shape.name:14} {shape.title}{'' if shape.quick else ' (not in --quick)'}"
        for goal in shape.goals:
            yield f"{'':16} {goal.text()}"


def grid(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [f"{cell:<{width}}" if i < 2 else f"{cell:>{width}}" for i, (cell, width) in enumerate(zip(row, widths))]
        yield "  " + "  ".join(cells).rstrip()


def estimate_text(judged):
    """median (low to high), as a ratio or in the figure's unit"""
    if judged.estimate is None:
        return "-", "-"
    form = "{:.3f}".format if judged.goal.against else lambda value: show(judged.goal.figure, value)
    found = judged.estimate
    if found.n == 1:
        return form(found.median), "one run"
    share = "" if found.share >= 0.95 else f" [{found.share:.0%}]"
    return form(found.median), f"{form(found.low)} to {form(found.high)}{share}"


def shape_lines(outcome):
    size = size_text(outcome.size_bytes)
    yield f"== {outcome.shape.name}: {outcome.shape.title}{f', {size}' if size else ''}"
    if outcome.skipped:
        yield f"  skipped: {outcome.skipped}"
        return
    for line in outcome.servers:
        yield f"  $ {line}"
    for name, (_, label, commands) in outcome.chosen.items():
        for command in commands:
            yield f"  {name} ({label}): {command}"
    for note in outcome.notes:
        yield f"  note: {note}"
    present = [f for f in FIGURES if any(f in samples for samples in outcome.samples.values())]
    rows = [["", "", *(FIGURES[f][0] for f in present)]]
    for name, (_, label, _) in outcome.chosen.items():
        medians = outcome.medians(name)
        rows.append([name, label, *(show(f, medians[f]) if f in medians else "" for f in present)])
    yield from grid(rows)
    compared = "every result compared equal" if outcome.shape.compared else "nothing to compare"
    yield f"  rounds: {outcome.rounds}; {outcome.seconds:.0f} s; {compared}"


def verdict_text(judged):
    few = judged.estimate and judged.estimate.n > 1 and judged.estimate.share < 0.95
    return judged.verdict + (", but few rounds" if few else "")


def goal_lines(outcomes, judged_at_all):
    rows = [["shape", "goal", "measured", "95 % interval", "verdict"]]
    for outcome in outcomes:
        if outcome.skipped:
            rows.append([outcome.shape.name, f"skipped: {outcome.skipped}"[:60], "", "", ""])
        for judged in outcome.judged:
            against = f" ({judged.against})" if judged.goal.against == "best peer" and judged.against else ""
            middle, interval = estimate_text(judged)
            rows.append([outcome.shape.name, judged.goal.text() + against, middle, interval,
                verdict_text(judged) if judged_at_all else "not judged"])
    yield from grid(rows)
    verdicts = [judged.verdict for outcome in outcomes for judged in outcome.judged]
    if judged_at_all:
        yield "  " + ", ".join(f"{verdicts.count(v)} {v}" for v in ("met", "likely met", "likely not met", "not met", "not measured"))
