#!/usr/bin/python3
"""kcopyd side by side with its peers, for every shape of work: ./run bench [--quick] [--only NAME...]

A shape (shapes_*.py) is a kind of work, with its goals as data; race.py says how it is run and judged, stats.py what
the intervals are, measure.py what is measured, peers.py who takes part, words.py what the columns mean. C programs
beside them do what nobody else can: limit (a bare loop, the limit), jobs (loads on a daemon), check (fills, spoils,
compares), relay (delays a stream).

  --quick   a subset, small: two minutes. 6 rounds, of some fewer, of start-up 21
  (full)    everything: an hour and a half. 21 rounds, of two shapes 3, of start-up 101
  --smoke   everything, tiny, one round: that all of it works and every copy is right; nothing is judged. For CI

Every copied result is compared, in every mode. Exit status: 1 if a copy failed or differs, otherwise 0, goals met or
not; 2 for a command line that is not right; 77 if the programs are not built; 130 if interrupted: then what was measured
until there is printed and written."""
import contextlib
import math
import os
import pathlib
import signal
import sys

sys.dont_write_bytecode = True

import arguments
import estimates
import host
import markdown
import race
import results
import servers
import shapes_copy
import shapes_far
import shapes_jobs
import svg
import table
import words
from model import Failed

SHAPES = [*shapes_copy.SHAPES, *shapes_far.SHAPES, *shapes_jobs.SHAPES]
ROUNDS = {"smoke": 1, "quick": 6, "full": 21}
PROGRAMS = ("bin/kcopyctl", "bin/kcopyd", *(f"tests/bench/{name}" for name in ("limit", "jobs", "check", "relay")))
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
NOT_BUILT, INTERRUPTED = 77, 128


class Interrupted(BaseException):
    """By a signal. Not an Exception: nobody may take it for a failed copy."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number


def interrupt(number, _):
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)  # everything is put away first
    raise Interrupted(number)


def say(line=""):
    print(line, flush=True)


def announce(args, shapes, ran_on):
    say(f"kcopyd's bench, {args.mode}: {len(shapes)} shape{'' if len(shapes) == 1 else 's'}")
    for key, value in ran_on.items():
        if key != "versions":
            say(f"  {key.replace('_', ' ')}: {value}")
    for program, version in ran_on["versions"].items():
        say(f"  {program}: {version}")
    if args.mode != "smoke":
        seconds = estimates.total_s(shapes, args.mode, args.rounds, ROUNDS[args.mode])
        say(f"  will take about {math.ceil(seconds / 60)} min on two cores that have nothing else to do")
    say()


def tell(args, mode, ran_on, outcomes):
    for line in words.lines():
        say(line)
    say()
    say("Goals")
    for line in table.goal_lines(outcomes, mode != "smoke"):
        say(line)
    if args.json:
        results.write(args.json, mode, ran_on, outcomes)
    if args.svg:
        pathlib.Path(args.svg).mkdir(parents=True, exist_ok=True)
        written = svg.write(args.svg, mode, ran_on, outcomes)
        say("  written: " + " ".join([*written, markdown.write(args.svg, outcomes)]))


def tell_files(args, shapes):
    try:
        mode, ran_on, outcomes = results.read(args.files, shapes)
    except (OSError, ValueError, KeyError, TypeError) as reason:
        print(f"bench: --from: {type(reason).__name__}: {reason}: not what --json has written", file=sys.stderr)
        return 2
    tell(args, mode, ran_on, outcomes)
    return 0


class Run:
    """Everything that was asked for, shape by shape."""

    def __init__(self, args, shapes, build, folder):
        self.args, self.shapes, self.build, self.folder = args, shapes, build, folder
        self.ran_on = host.describe(folder)
        self.outcomes, self.failed, self.interrupted = [], [], None

    def run_one(self, shape, budget_bytes):
        if self.args.rounds:
            shape.rounds = {self.args.mode: self.args.rounds}
        lab = servers.Lab(self.build, self.folder, budget_bytes, self.args.mode)
        try:
            outcome = race.run_shape(lab, shape, self.args.mode, ROUNDS[self.args.mode], say)
        except Failed as reason:
            self.failed.append(shape.name)
            say(f"== {shape.name}: FAILED: {reason}\n")
            return
        self.outcomes.append(outcome)
        for line in table.shape_lines(outcome):
            say(line)
        say()
        self.write_json()

    def run_all(self):
        budget_bytes = servers.memory_available_bytes() // 2
        try:
            for shape in self.shapes:
                self.run_one(shape, budget_bytes)
        except Interrupted as by:
            self.interrupted = by.number
            say(f"interrupted by {signal.Signals(by.number).name} after {len(self.outcomes)} of {len(self.shapes)} shapes\n")

    def write_json(self):
        if self.args.json:
            results.write(self.args.json, self.args.mode, self.ran_on, self.outcomes)

    def tell(self):
        tell(self.args, self.args.mode, self.ran_on, self.outcomes)
        if self.failed:
            say(f"  FAILED: {' '.join(self.failed)}")

    def status(self):
        if self.interrupted:
            return INTERRUPTED + self.interrupted
        return 1 if self.failed else 0


def main():
    args, shapes = arguments.read(__doc__, SHAPES)
    if args.check_arguments:
        return 0
    if args.list:
        say("\n".join([*table.listing(shapes), "", *words.lines()]))
        return 0
    if args.files:
        return tell_files(args, SHAPES)
    build = os.path.abspath(args.build)
    for program in PROGRAMS:
        if not os.access(f"{build}/{program}", os.X_OK):
            print(f"bench: {build}/{program}: not there; ./run bench builds everything that is needed", file=sys.stderr)
            return NOT_BUILT
    os.environ.pop("KCOPYD_SERVER", None)
    os.environ["PATH"] = f"{build}/bin:{os.environ['PATH']}:/usr/sbin:/sbin"
    for number in SIGNALS:
        signal.signal(number, interrupt)
    run = Run(args, shapes, build, servers.choose_folder(args.dir))
    announce(args, shapes, run.ran_on)
    run.run_all()
    run.tell()
    return run.status()


with contextlib.suppress(BrokenPipeError):
    sys.exit(main())
