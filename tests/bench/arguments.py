"""The bench's command line. What is wrong with it is said at once, with exit status 2, before anything is built or
measured."""
import argparse
import os
import sys

MODES = ("smoke", "quick", "full")


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number}: at least 1")
    return number


def parser(description):
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    mode = made.add_mutually_exclusive_group()
    mode.add_argument("--smoke", dest="mode", action="store_const", const="smoke", default="full", help="see above")
    mode.add_argument("--quick", dest="mode", action="store_const", const="quick", help="see above")
    made.add_argument("--list", action="store_true", help="print the shapes, their goals and what the words mean")
    made.add_argument("--only", nargs="+", metavar="NAME",
        help="this shape; if none is called so, all those that begin so (fan3, small-nbd)")
    made.add_argument("--rounds", type=positive, metavar="N", help="rounds of every shape; the intervals want at least 6")
    made.add_argument("--json", metavar="FILE", help="every figure of every round, written after each shape")
    made.add_argument("--svg", metavar="FOLDER", help="two pictures and the tables (table.md), written at the end")
    made.add_argument("--from", dest="files", nargs="+", metavar="FILE",
        help="measure nothing: tell and draw (--svg) what --json has written; of a shape that is in several the last counts")
    made.add_argument("--dir", metavar="FOLDER",
        help="where files and loop devices' files live (memory, if there is room)")
    made.add_argument("--build", default="build", metavar="FOLDER", help="of the build (build)")
    made.add_argument("--check-arguments", action="store_true", help=argparse.SUPPRESS)
    return made


def choose(wanted, mode, shapes, refuse):
    """The shapes to run, in their own order, each once."""
    if not wanted:
        return [shape for shape in shapes if mode != "quick" or shape.quick]
    chosen = set()
    for name in wanted:
        found = ([s.name for s in shapes if s.name == name] or
            [s.name for s in shapes if name and s.name.startswith(name)])
        if not found:
            refuse(f"--only {name}: no shape is called so or begins so; there are: "
                f"{' '.join(s.name for s in shapes)}")
        chosen.update(found)
    return [shape for shape in shapes if shape.name in chosen]


def refuse_targets(args, refuse):
    """What is written at the end can be written."""
    if args.dir and not (os.path.isdir(args.dir) and os.access(args.dir, os.W_OK | os.X_OK)):
        refuse(f"--dir {args.dir}: not a folder that can be written to")
    if args.json:
        parent = os.path.dirname(os.path.abspath(args.json))
        if os.path.isdir(args.json) or not os.access(parent, os.W_OK | os.X_OK):
            refuse(f"--json {args.json}: cannot be written: it wants a file's name in a folder that is there")
    if args.svg:
        there = os.path.abspath(args.svg)
        while not os.path.lexists(there):
            there = os.path.dirname(there)
        if not (os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK)):
            refuse(f"--svg {args.svg}: {there} is not a folder that can be written to")


def read(description, shapes):
    """(what was asked for, the shapes chosen)"""
    made = parser(description)
    made.prog = "bench.py"

    def refuse(words):
        print(f"bench: {words}", file=sys.stderr)
        sys.exit(2)

    made.error = lambda words: refuse(f"{words} (--help tells the options)")
    args = made.parse_args()
    chosen = choose(args.only, args.mode, shapes, refuse)
    refuse_targets(args, refuse)
    return args, chosen
