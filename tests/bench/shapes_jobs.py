"""Loads on one daemon, through libkcopy (jobs.c): small jobs, many jobs, queued jobs, many connections, memory."""
import json
import shlex
import subprocess
import time

import measure
import peers
from model import GIB, KIB, LIMIT, MIB, OTHER, OURS, Case, Contender, Failed, Goal, Shape, Variant
from shapes_copy import case_of, file_export, prefault

IN_FLIGHT = 64
JOB_BYTES, DESTINATION_BYTES = 1024, 96  # the constants of the goal
BUSY = 10
SLOW_BYTES_PER_S = 32 * MIB


class Load:
    """A run of jobs.c on a daemon. `daemon` is what lab.daemon gave."""

    def __init__(self, lab, daemon, load, options, source, *destinations):
        self.pid, address = daemon[0].pid, daemon[1]
        self.command = [lab.program("jobs"), load, *options, address, source, *destinations]

    def run(self, watch=False):
        """(what it printed, CPU seconds of daemon and client, the daemon's anonymous bytes before, after, at most)"""
        client = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self.read(client)  # "ready"
            before_bytes = measure.anonymous_bytes(self.pid)
            start = self.clocks(client)
            if watch:
                with measure.MemoryWatch(lambda: [self.pid]) as memory:
                    self.go(client)
                    text = self.read(client)
                peak_bytes = memory.peak_bytes
            else:
                self.go(client)
                text = self.read(client)
                peak_bytes = 0
            cpu = [end - begin for begin, end in zip(start, self.clocks(client))]
            after_bytes = measure.anonymous_bytes(self.pid)
            self.go(client)
            if client.wait() != 0:
                self.fail(client)
            return json.loads(text), cpu, (before_bytes, after_bytes, max(peak_bytes, after_bytes))
        finally:
            client.stdin.close()
            client.stdout.close()
            client.wait()

    def clocks(self, client):
        return [measure.cpu_clock_s(self.pid), measure.cpu_clock_s(client.pid)]

    @staticmethod
    def go(client):
        client.stdin.write("\n")
        client.stdin.flush()

    def read(self, client):
        line = client.stdout.readline()
        if not line:
            self.fail(client)
        return line

    def fail(self, client):
        raise Failed(f"exit status {client.wait()}: {shlex.join(self.command)}")


def small_figures(printed, cpu):
    return {"iops": printed["iops"], "rate": printed["bytes_per_s"], "wall": printed["seconds"], "cpu": cpu,
        "p50": printed["p50_us"], "p99": printed["p99_us"], "p999": printed["p999_us"]}


def small(kind, chunk_bytes):
    def prepare(lab, size_bytes):
        size_bytes = lab.fit(size_bytes, 4 if kind == "loop" else 2)
        source, to = (getattr(lab, kind)(size_bytes) for _ in range(2))
        prefault(lab, source, [to])
        load = Load(lab, lab.daemon(), "small", [f"--chunk={chunk_bytes}", f"--flight={IN_FLIGHT}"], source, to)

        def run_ours():
            printed, cpu, (_, after, _) = load.run()
            return {**small_figures(printed, sum(cpu)), "anon": after}

        def bare(direct):
            options = ["--random", "--latency", "--no-flush", *(["--direct"] if direct else [])]
            command = peers.limit_command(lab, source, [to], (1, IN_FLIGHT, chunk_bytes), *options)

            def run():
                printed, figures = measure.run_for_json(command)
                return small_figures(printed, figures["cpu"])
            return Variant("direct" if direct else "buffered" if kind == "loop" else "libnbd", [command], run)

        contenders = [Contender("kcopyd", OURS, [Variant("handles and batches", [load.command], run_ours)]),
            Contender("limit", LIMIT, [bare(direct) for direct in ([False, True] if kind == "loop" else [False])])]
        return case_of(lab, source, [to], contenders, size_bytes, key="iops", higher=True,
            notes=[f"{IN_FLIGHT} in flight over one connection each; nobody flushes; CPU: daemon and client"])
    return prepare


def many(lab, plan):
    size_bytes, numbers = plan
    size_bytes = lab.fit(size_bytes, 2)
    source, to = lab.memory(size_bytes), lab.memory(size_bytes)
    prefault(lab, source, [to])
    daemon = lab.daemon()

    def contender(number):
        load = Load(lab, daemon, "many", [f"--jobs={number}"], source, to)

        def run():
            printed, cpu, (_, after, _) = load.run()
            return {"wall": printed["seconds"], "cpu_gib": cpu[0] / size_bytes * GIB, "anon": after}
        name = "1 job" if number == 1 else f"{number} jobs"
        return Contender(name, OURS if number == max(numbers) else OTHER, [Variant("at once", [load.command], run)])

    return case_of(lab, source, [to], [contender(number) for number in numbers], size_bytes, key="cpu_gib",
        notes=["the same bytes, in so many jobs; CPU: the daemon's"])


def busy(lab, plan):
    size_bytes, idle = plan
    size_bytes = lab.fit(size_bytes, 2)
    source, to = lab.memory(size_bytes), lab.memory(size_bytes)
    prefault(lab, source, [to])
    daemon = lab.daemon("--pages", "262144")

    def contender(name, role, n_idle):
        load = Load(lab, daemon, "busy", [f"--clients={BUSY}", f"--idle={n_idle}"], source, to)

        def run():
            printed, cpu, (_, after, _) = load.run()
            return {"wall": printed["seconds"], "cpu_gib": cpu[0] / size_bytes * GIB, "anon": after}
        return Contender(name, role, [Variant(f"{BUSY} busy", [load.command], run)])

    return case_of(lab, source, [to], [contender("with idle ones", OURS, idle), contender("alone", OTHER, 0)],
        size_bytes, key="cpu_gib", notes=[f"{BUSY} busy connections, {idle} idle ones or none; CPU: the daemon's"])


def queued(lab, number):
    size_bytes = 64 * MIB
    source = lab.memory(size_bytes)
    to = lab.memory(size_bytes)
    prefault(lab, source, [to])

    def run():
        daemon = lab.daemon()
        load = Load(lab, daemon, "queued", [f"--jobs={number}", "--pages=64"], source, to)
        commands[0] = load.command
        printed, _, (before, after, _) = load.run()
        lab.stop(daemon[0])
        names = len(source) + len(to)
        return {"wall": printed["seconds"], "anon": after, "job_bytes": (after - before) / number - names}

    commands = [["jobs", "queued"]]
    return Case([Contender("kcopyd", OURS, [Variant(f"{number} queued", commands, run)])], 0,
        notes=["bytes a job: the daemon's anonymous memory, its two names taken off; a daemon a round",
            f"goal: {JOB_BYTES} B + {DESTINATION_BYTES} B for its one destination"])


def memory(lab, plan):
    size_bytes, number = plan
    size_bytes = lab.fit(size_bytes, 4)
    source = lab.memory(size_bytes)
    slow, slow_file = file_export(lab, size_bytes, ["rate"], f"rate={SLOW_BYTES_PER_S * 8}")
    to = [lab.memory(size_bytes), lab.memory(size_bytes)]
    reached = [*to, slow_file]
    prefault(lab, source, reached)
    commands = [["jobs", "behind"]]

    def run():
        daemon = lab.daemon("--pages", "4096")
        load = Load(lab, daemon, "behind", [f"--jobs={number}", "--pages=4096"], source, *to, slow)
        lab.check("spoil", 1, *reached)
        commands[0] = load.command
        printed, _, (_, _, peak) = load.run(watch=True)
        lab.stop(daemon[0])
        lab.check("same", source, *reached)
        return {"wall": printed["seconds"], "anon": peak}

    return Case([Contender("kcopyd", OURS, [Variant(f"{number} queued", commands, run)])], 0,
        notes=[f"{size_bytes // MIB} MiB to three, one at 32 MiB/s, 16 MiB of pages; a daemon a round"])


def checkpoints(lab, size_bytes):
    """A detached copy, flushed and its progress stored every 10 s, beside an attached one on the same daemon. From a pattern to
    nowhere, so that it lasts long enough on a machine without much memory."""
    source, to = (lab.nbdkit("-t", "128", plugin, f"size={size_bytes}") for plugin in ("pattern", "null"))
    daemon = lab.daemon()
    control = ["kcopyctl", "--server", daemon[1]]
    attached = [*control, "copy", "--progress", "none", source, to]
    detached = [*control, "--json", "copy", "--detach", source, to]

    def measured(run):
        def timed():
            start, cpu = time.monotonic(), measure.cpu_clock_s(daemon[0].pid)
            run()
            return {"wall": time.monotonic() - start, "cpu": measure.cpu_clock_s(daemon[0].pid) - cpu}
        return timed

    def run_attached():
        if subprocess.run(attached, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode != 0:
            raise Failed(shlex.join(attached))

    def run_detached():
        made = subprocess.run(detached, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
        wait = [*control, "wait", str(json.loads(made.stdout)["job"])] if made.returncode == 0 else detached
        if made.returncode != 0 or subprocess.run(wait, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, check=False).returncode != 0:
            raise Failed(shlex.join(wait))

    return Case([Contender("detached", OURS, [Variant("--detach, and wait", [detached], measured(run_detached))]),
        Contender("attached", OTHER, [Variant("on the same daemon", [attached], measured(run_attached))])], size_bytes,
        notes=["CPU: the daemon's"])


SMALL_GOALS = [Goal("iops", ">=", 0.60, "limit")]
SHAPES = [
    *[Shape(f"small-{kind}-{chunk // KIB}k", f"{chunk // KIB} KiB jobs at random places, {title}", SMALL_GOALS,
        small(method, chunk), sizes, quick=chunk == 4 * KIB)
        for kind, title, method in (("nbd", "NBD", "memory"), ("loop", "loop devices", "loop"))
        for chunk, sizes in ((4 * KIB, {"smoke": 2 * MIB, "quick": 64 * MIB, "full": 256 * MIB}),
            (64 * KIB, {"smoke": 8 * MIB, "quick": 256 * MIB, "full": GIB}))],
    Shape("many", "1, 10, 100, 1,000 jobs at once", [Goal("cpu_gib", "<=", 1.05, "1 job", f"{n} jobs")
        for n in (10, 100, 1000)], many, {"smoke": (16 * MIB, (1, 10, 100, 1000)),
        "quick": (256 * MIB, (1, 10, 100, 1000)), "full": (GIB, (1, 10, 100, 1000))}),
    Shape("queued", "100,000 queued jobs", [Goal("job_bytes", "<=", JOB_BYTES + DESTINATION_BYTES)], queued,
        {"smoke": 2000, "quick": 100000, "full": 100000}, rounds={"quick": 1, "full": 3}, compared=False),
    Shape("connections", "10 busy connections among 1,000 idle ones",
        [Goal("cpu_gib", "<=", 1.05, "alone", "with idle ones")], busy,
        {"smoke": (16 * MIB, 50), "quick": (256 * MIB, 1000), "full": (GIB, 1000)}),
    Shape("memory", "memory while 1,000 jobs wait", [Goal("anon", "<=", 32 * MIB)], memory,
        {"smoke": (16 * MIB, 50), "quick": (128 * MIB, 1000), "full": (512 * MIB, 1000)},
        rounds={"quick": 1, "full": 3}, quick=False),
    Shape("checkpoint", "a detached copy, which makes checkpoints", [Goal("wall", "<=", 1.03, "attached", "detached"),
        Goal("cpu", "<=", 1.03, "attached", "detached")], checkpoints, {"smoke": 64 * MIB, "quick": 4 * GIB, "full": 48 * GIB},
        rounds={"full": 7}, quick=False, compared=False),
]
