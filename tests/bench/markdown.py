"""The table for the README: whole copies against the best peer and the bare loop, everything else by its goals."""
import stats
from model import FIGURES, LIMIT, PEER
from table import estimate_text, show, size_text, verdict_text


def names_of(outcome, role):
    return [name for name, (its, _, _) in outcome.chosen.items() if its == role]


def best(outcome, names):
    pick = max if outcome.higher else min
    return pick(names, key=lambda name: outcome.medians(name)[outcome.key])


def figure_text(outcome, name):
    heading, _, _ = FIGURES[outcome.key]
    unit = heading.split()[-1]
    return f"{show(outcome.key, outcome.medians(name)[outcome.key])} {unit}"


def ratio_text(outcome, name, figure, own="kcopyd"):
    ours, theirs = outcome.samples[own].get(figure), outcome.samples[name].get(figure)
    if not ours or not theirs:
        return ""
    found = stats.estimate(stats.ratios(ours, theirs))
    return f"{found.median:.2f} ({found.low:.2f}–{found.high:.2f})"


def copy_row(outcome):
    peer = best(outcome, names_of(outcome, PEER))
    limits = names_of(outcome, LIMIT)
    like_limit = next((name for name in outcome.chosen if name.startswith("kcopyd ")), "kcopyd")  # with as much memory
    return [f"{outcome.shape.title}, {size_text(outcome.size_bytes)}", figure_text(outcome, "kcopyd"),
        f"{figure_text(outcome, peer)}, {peer}", ratio_text(outcome, peer, outcome.key), ratio_text(outcome, peer, "cpu"),
        ratio_text(outcome, limits[0], outcome.key, like_limit) if limits else ""]


def goal_rows(outcome):
    for judged in outcome.judged:
        middle, interval = estimate_text(judged)
        yield [outcome.shape.title, judged.goal.text(), f"{middle} ({interval})", verdict_text(judged)]


def rows(heads, lines):
    yield "| " + " | ".join(heads) + " |"
    yield "| " + " | ".join(["---"] * len(heads)) + " |"
    for line in lines:
        yield "| " + " | ".join(line) + " |"


def lines(outcomes):
    measured = [outcome for outcome in outcomes if not outcome.skipped]
    copies = [outcome for outcome in measured if names_of(outcome, PEER)]
    yield from rows(["copy", "kcopyd", "best peer", "time (or rate) × best peer", "CPU × best peer", "× bare loop"],
        [copy_row(outcome) for outcome in copies])
    yield ""
    yield from rows(["shape", "goal", "measured (95 %)", ""],
        [row for outcome in measured if not names_of(outcome, PEER) for row in goal_rows(outcome)])


def goals(outcomes):
    yield from rows(["shape", "goal", "measured (95 %)", ""],
        [[outcome.shape.name, *row[1:]] for outcome in outcomes for row in goal_rows(outcome)])


def write(folder, outcomes):
    """Returns the path."""
    path = f"{folder}/table.md"
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join([*lines(outcomes), "", *goals(outcomes)]) + "\n")
    return path
