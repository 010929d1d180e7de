"""Running commands and measuring them: wall time, CPU seconds, anonymous memory.

CPU is user + system time of a process and of those it has waited for, from wait4: kcopyctl waits for its private
daemon, so that is in it. Of a daemon that goes on it is its CPU clock, all threads, ended ones included. Anonymous memory
is the sum of Anonymous in smaps_rollup over the tree of processes, sampled; only in runs that are not timed."""
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import threading
import time

from model import Failed, Skip

SAMPLE_S = 0.01
NOT_HERE = 77


class Ended:
    def __init__(self, process):
        _, status, self.usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.cpu = self.usage.ru_utime + self.usage.ru_stime


class Ending:
    """Processes that do not outlive an interrupted bench."""

    def __init__(self, processes):
        self.processes = processes

    def __enter__(self):
        return self.processes

    def __exit__(self, *_):
        for process in self.processes:
            if process.returncode is None:
                process.terminate()
                process.wait()


def run_commands(commands):
    """Run the commands at once; figures until the last has ended."""
    for command in commands:
        if not shutil.which(command[0]):
            raise Skip(f"{command[0]} is not installed")
    start = time.monotonic()
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    with Ending([subprocess.Popen(command, **quiet) for command in commands]) as processes:
        ended = [Ended(process) for process in processes]
    seconds = time.monotonic() - start
    for process in processes:
        if process.returncode == NOT_HERE:
            raise Skip(f"{shlex.join(process.args)}: not possible here")
        if process.returncode != 0:
            raise Failed(f"exit status {process.returncode}: {shlex.join(process.args)}")
    return {"wall": seconds, "cpu": sum(e.cpu for e in ended)}


def run_for_json(command):
    """Run a command that prints one JSON object; that object and the run's figures."""
    with Ending([subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)]) as [process]:
        text = process.stdout.read()
        process.stdout.close()
        ended = Ended(process)
    if process.returncode == NOT_HERE:
        raise Skip(f"{shlex.join(command)}: not possible here")
    if process.returncode != 0:
        raise Failed(f"exit status {process.returncode}: {shlex.join(command)}")
    return json.loads(text), {"cpu": ended.cpu}


def cpu_clock_s(pid):
    return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)


def children(pid):
    found = []
    try:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    except OSError:
        pass  # it has ended
    return found


def anonymous_bytes(pid):
    """Of the process and all that descend from it."""
    total = 0
    try:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().split("\n"):
            if line.startswith("Anonymous:"):
                total = int(line.split()[1]) * 1024
    except OSError:
        return 0
    return total + sum(anonymous_bytes(child) for child in children(pid))


class MemoryWatch:
    """The highest anonymous memory of `pids()` while it is open, in `peak_bytes`."""

    def __init__(self, pids):
        self.pids, self.peak_bytes, self.over = pids, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while True:
            self.peak_bytes = max(self.peak_bytes, sum(anonymous_bytes(pid) for pid in self.pids()))
            if self.over.wait(SAMPLE_S):
                return

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def watch_children(known):
    """Memory of what this process starts from now on; `known` are the servers that run already."""
    me = os.getpid()
    return MemoryWatch(lambda: [pid for pid in children(me) if pid not in known])
