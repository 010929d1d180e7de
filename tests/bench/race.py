"""Runs one shape: warm-up and choice of variants, the alternating rounds, what they come to.

Untimed first: every variant runs from spoiled destinations and is compared; there its memory is sampled. Of several
variants the best takes part (in the full run each has run three times by then). In the timed rounds everybody runs
once, in an order that rotates; before each run the destinations are spoiled, after it they are compared, both untimed."""
import contextlib
import dataclasses
import shlex
import statistics
import time

import stats
from model import PEER, Skip

VARIANTS_MAX = {"smoke": 2, "quick": 2, "full": 100}
HOPELESS = 3  # a peer so many times slower than the best one does not take part, unless a goal names it
MORE_RUNS = {"smoke": 0, "quick": 0, "full": 2}  # of each variant, before one is chosen


@dataclasses.dataclass
class Judged:
    goal: object
    estimate: stats.Estimate | None  # None: the other one is not there
    verdict: str
    against: str | None


@dataclasses.dataclass
class Outcome:
    shape: object
    skipped: str | None = None
    size_bytes: int = 0
    key: str = "wall"
    higher: bool = False
    rounds: int = 0
    seconds: float = 0
    servers: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)
    chosen: dict = dataclasses.field(default_factory=dict)  # contender's name -> (role, label, [command line])
    samples: dict = dataclasses.field(default_factory=dict)  # name -> figure -> [a value a round]
    judged: list = dataclasses.field(default_factory=list)

    def medians(self, name):
        return {figure: statistics.median(values) for figure, values in self.samples[name].items()}


class Race:
    def __init__(self, lab, case, goals, say):
        self.lab, self.case, self.say, self.runs = lab, case, say, 0
        self.named = {goal.against for goal in goals}

    def run(self, variant, watch=False):
        """One run, checked. Returns its figures."""
        self.runs += 1
        self.case.before(self.runs)
        with self.lab.watch_memory() if watch else contextlib.nullcontext() as memory:
            figures = variant.run()
        if watch and memory.peak_bytes:
            figures.setdefault("anon", memory.peak_bytes)
        self.case.after()
        if "wall" in figures and "rate" not in figures and self.case.size_bytes:
            figures["rate"] = self.case.size_bytes / figures["wall"]
        return figures

    def better(self, a, b):
        return a > b if self.case.higher else a < b

    def choose(self, contender, mode):
        """(variant, anonymous bytes, its key figure); None: it cannot run here."""
        best, best_value, best_anon = None, None, 0
        for variant in contender.variants[:VARIANTS_MAX[mode]]:
            try:
                figures = self.run(variant, watch=True)
            except Skip as reason:
                self.say(f"    {contender.name}, {variant.label}: left out: {reason}")
                continue
            value = figures[self.case.key]
            if len(contender.variants) > 1:
                more = [self.run(variant)[self.case.key] for _ in range(MORE_RUNS[mode])]
                value = statistics.median([value, *more])
            if best is None or self.better(value, best_value):
                best, best_value, best_anon = variant, value, figures.get("anon", 0)
        return best and (best, best_anon, best_value)

    def is_hopeless(self, contender, found):
        values = [found[c.name][2] for c in self.case.contenders if c.role == PEER and found[c.name]]
        if contender.role != PEER or contender.name in self.named:
            return False
        best = max(values) if self.case.higher else min(values)
        value = found[contender.name][2]
        times = best / value if self.case.higher else value / best
        if times > HOPELESS:
            self.case.notes.append(f"{contender.name} sat out: {times:.1f} times slower than the best peer")
        return times > HOPELESS

    def race(self, rounds, mode):
        """({name: (role, label, commands)}, {name: {figure: [values]}})"""
        chosen, samples, memory, starters = {}, {}, {}, []
        found = {contender.name: self.choose(contender, mode) for contender in self.case.contenders}
        for contender in self.case.contenders:
            if not found[contender.name] or (mode != "smoke" and self.is_hopeless(contender, found)):
                continue
            variant, anon, _ = found[contender.name]
            commands = [self.lab.show(shlex.join(command)) for command in variant.commands]
            chosen[contender.name] = (contender.role, variant.label, commands)
            starters.append((contender.name, variant))
            samples[contender.name], memory[contender.name] = {}, anon
        for number in range(rounds):
            shift = number % len(starters)
            for name, variant in starters[shift:] + starters[:shift]:
                for figure, value in self.run(variant).items():
                    samples[name].setdefault(figure, []).append(value)
        for name, anon in memory.items():
            if anon:
                samples[name].setdefault("anon", [anon])
        return chosen, samples


def best_peer(outcome, case):
    """Of all peers the fastest; its CPU is what CPU goals are held against."""
    peers = [name for name, (role, _, _) in outcome.chosen.items() if role == PEER]
    pick = max if case.higher else min
    return pick(peers, key=lambda name: outcome.medians(name)[case.key]) if peers else None


def judge(outcome, case, goal):
    against = best_peer(outcome, case) if goal.against == "best peer" else goal.against
    values = outcome.samples.get(goal.of, {}).get(goal.figure)
    others = outcome.samples.get(against, {}).get(goal.figure) if against else None
    if not values or (goal.against and not others):
        return Judged(goal, None, "not measured", against)
    found = stats.estimate(stats.ratios(values, others) if goal.against else values)
    return Judged(goal, found, stats.verdict(found, goal.op, goal.value), against)


def run_shape(lab, shape, mode, rounds, say):
    """Everything about one shape, its servers started and ended."""
    outcome, start = Outcome(shape), time.monotonic()
    outcome.rounds = shape.rounds.get(mode, rounds)
    try:
        with lab:
            case = shape.prepare(lab, shape.sizes[mode])
            outcome.size_bytes, outcome.notes = case.size_bytes, case.notes
            outcome.key, outcome.higher = case.key, case.higher
            outcome.chosen, outcome.samples = Race(lab, case, shape.goals, say).race(outcome.rounds, mode)
            outcome.servers = list(lab.log)
    except Skip as reason:
        outcome.skipped = str(reason)
    else:
        outcome.judged = [judge(outcome, case, goal) for goal in shape.goals]
    outcome.seconds = time.monotonic() - start
    return outcome
