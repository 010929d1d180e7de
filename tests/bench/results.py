"""The figures as JSON: everything that was measured, by round, so that others can judge anew."""
import dataclasses
import json
import os


def contender(outcome, name):
    role, label, commands = outcome.chosen[name]
    return {"role": role, "variant": label, "commands": commands, "median": outcome.medians(name),
        "samples": outcome.samples[name]}


def goal(judged):
    return {"text": judged.goal.text(), **dataclasses.asdict(judged.goal), "against_whom": judged.against,
        "measured": judged.estimate and dataclasses.asdict(judged.estimate), "verdict": judged.verdict}


def outcome_object(outcome):
    return {"name": outcome.shape.name, "title": outcome.shape.title, "skipped": outcome.skipped,
        "size_bytes": outcome.size_bytes, "rounds": outcome.rounds, "seconds": round(outcome.seconds, 1),
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
