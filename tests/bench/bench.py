#!/usr/bin/python3
"""kcopyctl side by side with its peers, NBD to NBD over Unix sockets. See "bench.py --help".

Each round runs every contender once, in an order that rotates; what counts is the ratio of two times in the
same round, and of these the median with its 95 % interval (order statistics: no assumption about the
distribution). CPU is user + system time of the copier and the children it waited for, the private daemon
included. The destinations were written once before (their memory is there); every copy is flushed; at the end
what they hold is compared with the source by another program."""
import argparse
import hashlib
import math
import os
import pathlib
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TUNED = ["--connections=2", "--requests=2", "--request-size=524288"]
MIB = 1 << 20


class Servers:
    """nbdkit memory exports in a temporary folder; ended by pid."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []

    def start(self, name, *args):
        sock, pid = f"{self.folder}/{name}", pathlib.Path(f"{self.folder}/{name}.pid")
        command = ["nbdkit", "-f", "--exit-with-parent", "-P", str(pid), "-U", sock, *args]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        self.processes.append(process)
        while not pid.exists():
            if process.poll() is not None:
                sys.exit(f"bench: ended: {shlex.join(command)}")
            time.sleep(0.01)
        print("  " + shlex.join(command).replace(self.folder, "$tmp"))
        return f"nbd+unix:///?socket={sock}"

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()


def measure(*commands):
    """Run the commands at once: (seconds until the last has ended, CPU seconds of all)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    processes = [subprocess.Popen(c, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) for c in commands]
    failed = [p.args for p in processes if p.wait() != 0]
    seconds = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if failed:
        sys.exit(f"bench: failed: {shlex.join(failed[0])}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def interval(values):
    """Median and the 95 % interval of it, from order statistics."""
    values = sorted(values)
    n, chance, low = len(values), 0.0, 0
    while low < n // 2:
        chance += math.comb(n, low) / 2**n
        if chance > 0.025:
            break
        low += 1
    low = max(low - 1, 0)
    return statistics.median(values), values[low], values[n - 1 - low]


def compare(title, rounds, contenders, size_bytes, folder):
    """contenders: (name, [command…]), ours first. Returns {name: median ratio of our time to its}."""
    print(f"\n{title}")
    for name, commands in contenders:
        for command in commands:
            print(f"  {name}: {shlex.join(command)}".replace(folder, "$tmp"))
    times = {name: [] for name, _ in contenders}
    for number in range(-1, rounds):  # the first one warms up
        shift = number % len(contenders)
        for name, commands in contenders[shift:] + contenders[:shift]:
            result = measure(*commands)
            if number >= 0:
                times[name].append(result)
    ours = contenders[0][0]
    print(f"  {'':24} {'time s':>8} {'MiB/s':>8} {'CPU s':>7}   time of {ours} / its time (95 %)")
    ratios = {}
    for name, _ in contenders:
        seconds = statistics.median(t for t, _ in times[name])
        cpu = statistics.median(c for _, c in times[name])
        line = f"  {name:24} {seconds:8.3f} {size_bytes / MIB / seconds:8.0f} {cpu:7.2f}"
        if name != ours:
            middle, low, high = interval([a[0] / b[0] for a, b in zip(times[ours], times[name])])
            ratios[name] = middle
            line += f"   {middle:.3f} ({low:.3f} to {high:.3f})"
        print(line)
    return ratios


def digest(uri):
    process = subprocess.Popen(["nbdcopy", uri, "-"], stdout=subprocess.PIPE)
    value = hashlib.sha256()
    while data := process.stdout.read(MIB):
        value.update(data)
    if process.wait() != 0:
        sys.exit(f"bench: cannot read {uri} back")
    return value.digest()


def check(source, destinations):
    expected = digest(source)
    for destination in destinations:
        if digest(destination) != expected:
            sys.exit(f"bench: {destination} is not what was copied")
    print(f"  compared: {len(destinations)} destination(s) identical to the source (sha256 through nbdcopy)")


def rss_anon_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().split("\n"):
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    return 0


def memory(servers, build, jobs):
    """Anonymous memory of kcopyd: 16 MiB reserved, 512 MiB to three destinations, one held to 32 MiB/s, JOBS
    more jobs queued behind."""
    print(f"\nmemory: 16 MiB reserved, 512 MiB to three, one of them held to 32 MiB/s, {jobs} more jobs queued")
    source = servers.start("big", "memory", "512M")
    subprocess.run(["nbdcopy", "--", "[", "nbdkit", "--exit-with-parent", "random", "512M", "]", source], check=True)
    to = [servers.start(f"m{i}", "memory", "512M") for i in (1, 2)]
    to.append(servers.start("m3", "--filter=rate", "memory", "512M", "rate=256M"))
    sock = f"{servers.folder}/kcopyd.sock"
    command = [f"{build}/bin/kcopyd", "--listen", f"unix:{sock}", "--state", servers.folder, "--pages", "4096"]
    daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    servers.processes.append(daemon)
    while not os.path.exists(sock):
        if daemon.poll() is not None:
            sys.exit(f"bench: ended: {shlex.join(command)}")
        time.sleep(0.01)
    time.sleep(0.1)
    idle = rss_anon_kib(daemon.pid)
    peak, done = [idle], threading.Event()

    def watch():
        while not done.wait(0.02):
            peak.append(rss_anon_kib(daemon.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    load = subprocess.run([pathlib.Path(__file__).parents[1] / "lib/load.py", str(jobs), source, *to],
        env={**os.environ, "KCOPYD_SERVER": f"unix:{sock}"}, stdout=subprocess.PIPE, text=True, check=False)
    done.set()
    watcher.join()
    print(f"  {load.stdout.strip()}")
    if load.returncode != 0:
        sys.exit("bench: the load failed")
    highest = max(peak) / 1024
    print(f"  anonymous memory: idle {idle / 1024:.1f} MiB, at most {highest:.1f} MiB")
    return highest


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build", help="folder of the release build")
    parser.add_argument("--quick", action="store_true", help="at most two minutes")
    parser.add_argument("--smoke", action="store_true", help="small, to see that everything works")
    parser.add_argument("--rounds", type=int)
    args = parser.parse_args()
    build = os.path.abspath(args.build)
    size_mib, rounds, jobs = (64, 2, 50) if args.smoke else (1024, 7 if args.quick else 25, 1000)
    rounds = args.rounds or rounds
    os.environ.pop("KCOPYD_SERVER", None)
    os.environ["PATH"] = f"{build}/bin:{os.environ['PATH']}"
    if not os.path.exists(f"{build}/bin/kcopyctl"):
        sys.exit("bench: not built: ./run build")

    with tempfile.TemporaryDirectory(prefix="kcopy-bench.") as folder:
        servers = Servers(folder)
        try:
            print(f"{size_mib} MiB of random data, {rounds} rounds, {os.cpu_count()} CPUs, exports in $tmp:")
            source = servers.start("source", "memory", f"{size_mib}M")
            to = [servers.start(f"to{i}", "memory", f"{size_mib}M") for i in (1, 2, 3)]
            fill = ["nbdcopy", "--", "[", "nbdkit", "--exit-with-parent", "random", f"{size_mib}M", "]", source]
            subprocess.run(fill, check=True)
            for uri in to:
                subprocess.run(["nbdcopy", source, uri], check=True)

            ours = ["kcopyctl", "copy", "--progress", "none"]
            one = compare("one to one", rounds, [
                ("kcopyctl", [[*ours, source, to[0]]]),
                ("nbdcopy", [["nbdcopy", "--flush", source, to[0]]]),
                ("nbdcopy, tuned", [["nbdcopy", "--flush", *TUNED, source, to[0]]]),
                ("limit", [[f"{build}/tests/limit", source, to[0]]]),
            ], size_mib * MIB, folder)
            check(source, to[:1])
            three = compare("one to three", rounds, [
                ("kcopyctl", [[*ours, source, *to]]),
                ("three nbdcopy at once", [["nbdcopy", "--flush", source, uri] for uri in to]),
                ("limit", [[f"{build}/tests/limit", "--size=262144", source, *to]]),
            ], size_mib * MIB, folder)
            check(source, to)
            highest = memory(servers, build, jobs) if not args.smoke else None
            print("\ngoals")
            goals = [("no slower than nbdcopy, tuned", one["nbdcopy, tuned"], 1.0),
                ("at most 0.6 x three nbdcopy", three["three nbdcopy at once"], 0.6)]
            if highest is not None:
                goals.append(("anonymous memory, MiB", highest, 32))
            for name, value, limit in goals:
                print(f"  {name}: {value:.3f} of {limit}: {'met' if value <= limit else 'NOT MET'}")
        finally:
            servers.stop()


main()
