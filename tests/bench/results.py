"""The figures as JSON: everything that was measured, by round, so that others can judge anew; and back."""
import dataclasses
import json
import os

import stats
from model import Goal
from race import Judged, Outcome


def contender(outcome, name):
    role, label, commands = outcome.chosen[name]
    return {"role": role, "variant": label, "commands": commands, "median": outcome.medians(name),
        "samples": outcome.samples[name]}


def goal(judged):
    return {"text": judged.goal.text(), **dataclasses.asdict(judged.goal), "against_whom": judged.against,
        "measured": judged.estimate and dataclasses.asdict(judged.estimate), "verdict": judged.verdict}


def outcome_object(outcome):
    return {"name": outcome.shape.name, "title": outcome.shape.title, "skipped": outcome.skipped,
        "size_bytes": outcome.size_bytes, "key": outcome.key, "higher": outcome.higher, "rounds": outcome.rounds, "seconds": round(outcome.seconds, 1),
        "servers": outcome.servers, "notes": outcome.notes,
        "contenders": {name: contender(outcome, name) for name in outcome.chosen},
        "goals": [goal(judged) for judged in outcome.judged]}


def write(path, mode, ran_on, outcomes):
    """Whole or not at all: it is written after every shape."""
    part = f"{path}.part"
    with open(part, "w", encoding="utf-8") as out:
        json.dump({"mode": mode, "ran_on": ran_on, "shapes": [outcome_object(o) for o in outcomes]}, out, indent=1,
            ensure_ascii=False)
        out.write("\n")
    os.replace(part, path)


def judged_of(written):
    fields = {field.name: written[field.name] for field in dataclasses.fields(Goal)}
    measured = written["measured"] and stats.Estimate(**written["measured"])
    return Judged(Goal(**fields), measured, written["verdict"], written["against_whom"])


def outcome_of(written, shape):
    contenders = written["contenders"]
    return Outcome(shape, written["skipped"], written["size_bytes"], written["key"], written["higher"], written["rounds"],
        written["seconds"], written["servers"], written["notes"],
        {name: (c["role"], c["variant"], c["commands"]) for name, c in contenders.items()},
        {name: c["samples"] for name, c in contenders.items()}, [judged_of(goal) for goal in written["goals"]])


def read(paths, shapes):
    """(mode, what it ran on, outcomes) of what `write` has written: a shape's as the last file has it, all else as the
    first. Raises OSError, ValueError or KeyError for what is none."""
    known, found, first = {shape.name: shape for shape in shapes}, {}, None
    for path in paths:
        with open(path, encoding="utf-8") as file:
            written = json.load(file)
        first = first or written
        found.update({one["name"]: outcome_of(one, known[one["name"]]) for one in written["shapes"]})
    return first["mode"], first["ran_on"], [found[shape.name] for shape in shapes if shape.name in found]
