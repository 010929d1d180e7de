"""Far and uneven destinations: latency, by nbdkit's delay filter and by a delayed TCP stream, and one slow destination
beside a fast one."""
import datetime
import json
import re
import shlex
import subprocess
import time

import peers
from measure import Ended, Ending, run_commands
from model import GIB, KIB, MIB, OTHER, OURS, Case, Contender, Failed, Goal, Shape, Variant
from shapes_copy import case_of, file_export, prefault

DELAY_MS = 10
RESERVATION_BYTES = 16 * MIB  # of who is held against what the delay allows
WITHIN = f"kcopyd {peers.size_text(RESERVATION_BYTES)}"
SAME_MEMORY = ((2, 32, 256 * KIB), (1, 64, 256 * KIB), (2, 16, 512 * KIB))
SKIP_BYTES = GIB
FULL_PART = 0.9
LINE = re.compile(r"^(\S+ \S+) connection=(\d+) (\.\.\.)?(Read|Write) id=(\d+)"
    r"(?: offset=0x[0-9a-f]+ count=0x([0-9a-f]+))?")


class Log:
    """What nbdkit's log filter wrote since the last look: [(seconds, start?, bytes)] of one operation."""

    def __init__(self, path, operation):
        self.path, self.operation, self.at, self.open = path, operation, 0, {}

    def take(self):
        events = []
        with open(self.path, encoding="ascii") as log:
            log.seek(self.at)
            lines = log.read()
            self.at = log.tell()
        for line in lines.split("\n"):
            match = LINE.match(line)
            if not match or match[4] != self.operation:
                continue
            when = datetime.datetime.fromisoformat(match[1]).timestamp()
            key = (match[2], match[5])
            if match[3]:
                events.append((when, False, self.open.pop(key, 0)))
            else:
                self.open[key] = int(match[6], 16)
                events.append((when, True, self.open[key]))
        return sorted(events)


def steady_rate(writes, total_bytes):
    """Bytes a second once the first part is over, by the destination's answers."""
    skip, done, start = min(SKIP_BYTES, total_bytes // 2), 0, None
    answers = [(when, size) for when, is_start, size in writes if not is_start]
    for when, size in answers:
        if start is None and done >= skip:
            start = (when, done)
        done += size
    if start is None or not done > start[1] or answers[-1][0] <= start[0]:
        return 0.0
    return (done - start[1]) / (answers[-1][0] - start[0])


def window(reads, writes, round_trip_s):
    """(round trips until 90 % of the window is in use, its bytes). The window is what is between a read's start and its
    write's end; a round trip is that of one side."""
    steps = sorted([(when, size) for when, start, size in reads if start] +
        [(when, -size) for when, start, size in writes if not start])
    now, levels = 0, []
    for when, change in steps:
        now += change
        levels.append((when, now))
    if not levels:
        return 0.0, 0
    most = max(level for _, level in levels)
    full = next(when for when, level in levels if level >= FULL_PART * most)
    return (full - levels[0][0]) / round_trip_s, most


def latency(relayed):
    def prepare(lab, size_bytes):
        size_bytes = lab.fit(size_bytes, 2)
        logs = [lab.name("log"), lab.name("log")]
        filters = ["log"] if relayed else ["log", "delay"]
        delays = [[], []] if relayed else [[f"rdelay={DELAY_MS}ms"], [f"wdelay={DELAY_MS}ms"]]
        near = [file_export(lab, size_bytes, filters, f"logfile={log}", *delay) for log, delay in zip(logs, delays)]
        files = [name for _, name in near]
        source, to = (lab.relay(DELAY_MS, uri) if relayed else uri for uri, _ in near)
        prefault(lab, files[0], files[1:])
        reads, writes = Log(logs[0], "Read"), Log(logs[1], "Write")
        # A byte is in memory while it is read and while it is written: one round trip each.
        round_trip_s = DELAY_MS / 1000 * (2 if relayed else 1)
        allowed = RESERVATION_BYTES / (2 * round_trip_s)

        def measured(variant):
            def run():
                reads.take()
                writes.take()
                figures = run_commands(variant.commands)
                answers = writes.take()
                figures["steady"] = steady_rate(answers, size_bytes)
                figures["allowed"] = figures["steady"] / allowed
                if not relayed:
                    figures["ramp"], figures["window"] = window(reads.take(), answers, round_trip_s)
                return figures
            return Variant(variant.label, variant.commands, run)

        contenders = [peers.ours(source, to), peers.ours_within(RESERVATION_BYTES, source, to),
            peers.nbdcopy(source, to), peers.nbdcopy_tuned(source, to, peers.NBDCOPY_FAR_TUNINGS),
            peers.limit(lab, source, to, tunings=SAME_MEMORY)]
        for contender in contenders:
            contender.variants = [measured(variant) for variant in contender.variants]
        return case_of(lab, files[0], files[1:], contenders, size_bytes, key="steady", higher=True, notes=[
            f"allowed: {RESERVATION_BYTES // MIB} MiB in flight for two round trips of "
            f"{round_trip_s * 1000:.0f} ms: {allowed / MIB:.0f} MiB/s; the limit and {WITHIN} have as much",
            "steady: by the destination's answers, after the first GiB (or half)"])
    return prepare


def first_done(command):
    """Run kcopyctl --json; figures with the time at which destination 0 had ended."""
    start = time.monotonic()
    fast = None
    with Ending([subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)]) as [process]:
        for line in process.stdout:
            event = json.loads(line)
            if fast is None and event["event"] == "destination" and event["index"] == 0:
                fast = time.monotonic() - start
        process.stdout.close()
        ended = Ended(process)
    wall = time.monotonic() - start
    if process.returncode != 0:
        raise Failed(f"exit status {process.returncode}: {shlex.join(command)}")
    return {"wall": wall, "cpu": ended.cpu, "fast": wall if fast is None else fast}


def uneven(lab, size_bytes):
    size_bytes = lab.fit(size_bytes, 3)
    rate_file, log_file = lab.name("rate"), lab.name("log")
    source = lab.memory(size_bytes, filters=["log"], args=[f"logfile={log_file}"])
    fast, fast_file = file_export(lab, size_bytes, [])
    slow, slow_file = file_export(lab, size_bytes, ["rate"], "rate=800G", f"rate-file={rate_file}", "burstiness=0.1")
    prefault(lab, source, [fast_file, slow_file])
    copy = ["kcopyctl", "--json", "copy", "--progress", "none", f"--pages={RESERVATION_BYTES // MIB}MiB", source]
    alone = min(first_done([*copy, fast])["wall"] for _ in range(3))
    with open(rate_file, "w", encoding="ascii") as rate:
        rate.write(f"{int(size_bytes / alone / 10 * 8)}\n")

    reads = Log(log_file, "Read")

    def contender(name, role, to, files):
        def run():  # each has destinations of its own
            lab.check("spoil", 1, *files)
            reads.take()
            figures = first_done([*copy, *to])
            figures["reads"] = sum(size for _, start, size in reads.take() if start) / size_bytes
            lab.check("same", source, *files)
            return figures
        return Contender(name, role, [Variant("16 MiB of pages", [[*copy, *to]], run)])

    return Case([contender("kcopyd", OURS, [fast, slow], [fast_file, slow_file]),
        contender("fast alone", OTHER, [fast], [fast_file]),
        contender("slow alone", OTHER, [slow], [slow_file])], size_bytes,
        notes=[f"the slow one at {size_bytes / alone / 10 / MIB:.0f} MiB/s"])


LATENCY_GOALS = [Goal("allowed", ">=", 0.9, of=WITHIN), Goal("steady", ">=", 1.0, "nbdcopy tuned"),
    Goal("steady", ">=", 1.0, "nbdcopy")]
FAR = {"smoke": 32 * MIB, "quick": 256 * MIB, "full": 2 * GIB}

SHAPES = [
    Shape("latency", f"latency {DELAY_MS} ms on each side, nbdkit's delay filter",
        [*LATENCY_GOALS, Goal("ramp", "<=", 6, of=WITHIN)], latency(False), FAR,
        rounds={"quick": 3}),
    Shape("latency-tcp", f"latency {DELAY_MS} ms each way on each side, a delayed TCP stream", LATENCY_GOALS,
        latency(True), FAR, quick=False),
    Shape("uneven", "one fast destination and one at a tenth of its speed",
        [Goal("fast", "<=", 1.2, "fast alone"), Goal("wall", "<=", 1.05, "slow alone")], uneven,
        {"smoke": 16 * MIB, "quick": 128 * MIB, "full": GIB}, rounds={"quick": 3}, quick=False),
]
