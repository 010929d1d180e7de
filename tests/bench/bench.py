#!/usr/bin/python3
"""kcopyd side by side with its peers, for every shape of work: ./run bench [--quick] [--only NAME...]

A shape (shapes_*.py) is a kind of work, with its goals as data; race.py says how it is run and judged, stats.py what
the intervals are, measure.py what is measured, peers.py who takes part. C programs beside them do what nobody else can:
limit (a bare loop, the floor), jobs (loads on a daemon), check (fills, spoils, compares), relay (delays a stream).

  --smoke   tiny, every shape, one round: that all of it works and every copy is right; nothing is judged. For CI
  --quick   a subset, small, 6 rounds
  (full)    everything, 21 rounds and more
  --json FILE   every figure of every round;  --svg DIR   two pictures and the tables

Every copied result is compared, in every mode. Exit status: 1 if a copy failed or differs, otherwise 0, goals met or
not; 77 if the programs are not built."""
import argparse
import math
import os
import pathlib
import signal
import sys

sys.dont_write_bytecode = True

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
from model import Failed

SHAPES = [*shapes_copy.SHAPES, *shapes_far.SHAPES, *shapes_jobs.SHAPES]
ROUNDS = {"smoke": 1, "quick": 6, "full": 21}


def say(words=""):
    print(words, flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", help="folder of the build")
    parser.add_argument("--smoke", dest="mode", action="store_const", const="smoke", default="full")
    parser.add_argument("--quick", dest="mode", action="store_const", const="quick")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these shapes, or those that begin so")
    parser.add_argument("--list", action="store_true", help="print the shapes and their goals, and leave")
    parser.add_argument("--rounds", type=int, help="rounds of every shape")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--svg", metavar="DIR")
    parser.add_argument("--dir", help="where files and loop devices' files live (memory, if there is room)")
    return parser.parse_args()


def choose(args):
    shapes = [s for s in SHAPES if not args.only or any(s.name.startswith(name) for name in args.only)]
    if args.mode == "quick" and not args.only:
        shapes = [s for s in shapes if s.quick]
    if not shapes:
        sys.exit(f"bench: no shape begins with {' or '.join(args.only)}")
    return shapes


def announce(args, shapes, ran_on):
    say(f"kcopyd's bench, {args.mode}: {len(shapes)} shapes")
    for key, value in ran_on.items():
        if key != "versions":
            say(f"  {key.replace('_', ' ')}: {value}")
    for program, version in ran_on["versions"].items():
        say(f"  {program}: {version}")
    if args.mode != "smoke":
        seconds = estimates.total_s(shapes, args.mode, args.rounds, ROUNDS[args.mode])
        say(f"  will take about {math.ceil(seconds / 60)} min on two cores that have nothing else to do")
    say()


def run_all(args, shapes, build, folder):
    """([outcome], how many failed)"""
    outcomes, failed = [], 0
    budget_bytes = servers.memory_available_bytes() // 2
    for shape in shapes:
        if args.rounds:
            shape.rounds = {args.mode: args.rounds}
        lab = servers.Lab(build, folder, budget_bytes, args.mode)
        try:
            outcome = race.run_shape(lab, shape, args.mode, ROUNDS[args.mode], say)
        except Failed as reason:
            failed += 1
            say(f"== {shape.name}: FAILED: {reason}\n")
            continue
        outcomes.append(outcome)
        for line in table.shape_lines(outcome):
            say(line)
        say()
    return outcomes, failed


def main():
    args = parse()
    shapes = choose(args)
    if args.list:
        say("\n".join(table.listing(SHAPES if not args.only else shapes)))
        return 0
    build = os.path.abspath(args.build)
    if not os.path.exists(f"{build}/bin/kcopyctl") or not os.path.exists(f"{build}/tests/bench/limit"):
        print("bench: not built: ./run bench builds it", file=sys.stderr)
        return 77
    os.environ.pop("KCOPYD_SERVER", None)
    os.environ["PATH"] = f"{build}/bin:{os.environ['PATH']}:/usr/sbin:/sbin"
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # so that everything is put away
        signal.signal(number, lambda *_: sys.exit(1))
    folder = servers.choose_folder(args.dir)
    ran_on = host.describe(folder)
    announce(args, shapes, ran_on)
    outcomes, failed = run_all(args, shapes, build, folder)
    say("Goals")
    for line in table.goal_lines(outcomes, args.mode != "smoke"):
        say(line)
    if args.json:
        results.write(args.json, args.mode, ran_on, outcomes)
    if args.svg:
        pathlib.Path(args.svg).mkdir(parents=True, exist_ok=True)
        say("  pictures: " + " ".join([*svg.write(args.svg, args.mode, ran_on, outcomes), markdown.write(args.svg, outcomes)]))
    if failed:
        say(f"  {failed} shapes FAILED")
    return 1 if failed else 0


sys.exit(main())
