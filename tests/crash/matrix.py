#!/usr/bin/python3
"""The failure matrix: whoever takes part in a detached copy fails, in every way, at every moment of it. One table says what
each came to; the observer of crash.py says whether that is true.

    matrix.py [--only WORD...] [--workers N]

Both ends are files behind an NBD server that holds, fails or answers each request as it is told (tests/lib/faulty.c); so a
moment is one that the job cannot pass by. Where it makes no difference to the job by then, it completes. The store's disk fails
as the daemon sees it: strace answers its system calls, as nothing else of this daemon writes or flushes files. What is not in
the table, nobody can do: to read takes no space, a program has no medium, and a Unix socket tells a reset from a death no more
than a link tells one that hangs from one that is down."""
import argparse
import concurrent.futures
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import crash
from crash import SIZE, Alarm, kill, wait_for

MOMENTS = ("before the first write", "in the middle", "at a checkpoint", "at the flush", "at the completion", "at its cancel")
WAYS = {
    "client": ("dies", "hangs"),
    "daemon": ("dies", "hangs"),
    "source": ("dies", "hangs", "resets", "EIO"),
    "destination": ("dies", "hangs", "resets", "EIO", "ENOSPC", "flush fails once"),
    "network": ("link down",),
    "store's disk": ("ENOSPC", "EIO", "hangs", "flush fails once"),
}
# How strace does it, and what it says of it.
STORE_FAULTS = {
    "EIO": ("pwrite64,fdatasync,fsync:error=EIO", "INJECTED"),
    "hangs": ("fdatasync,fsync:delay_enter=2200000:when=1", "DELAYED"),
    "flush fails once": ("fdatasync,fsync:error=EIO:when=1", "INJECTED"),
}
MIDDLE = SIZE // 2
TIMEOUT_S = 1.0
HANG_S = 2.2
RETRY_S = 60
PLUGIN = pathlib.Path(os.environ.get("KCOPY_TEST_LIB", crash.BIN / "../tests")) / "nbdkit-faulty-plugin.so"
ALL_DONE = {"completed"}
NAMESPACES = threading.Lock()


class Rig(crash.Servers):
    """Both ends behind faulty servers; the destination's in a network namespace of its own if there is one."""

    def __init__(self, folder, party, number):
        self.party, self.number, self.namespace, self.mounted = party, number, None, False
        self.ends = {}
        super().__init__(folder, None)

    def power_on(self):
        if self.party == "network":
            self.make_network()
        for end in ("src", "dst"):
            self.control(end)
            self.serve(end)

    def make_network(self):
        name = f"kcopy{os.getpid() % 10000}x{self.number}"
        here, there = f"kc{os.getpid() % 10000}a{self.number}", f"kc{os.getpid() % 10000}b{self.number}"
        net = f"10.{120 + self.number // 250}.{self.number % 250}"
        with NAMESPACES:
            for words in (["netns", "add", name], ["link", "add", here, "type", "veth", "peer", "name", there, "netns", name],
                    ["addr", "add", f"{net}.1/24", "dev", here], ["link", "set", here, "up"],
                    ["-n", name, "addr", "add", f"{net}.2/24", "dev", there], ["-n", name, "link", "set", there, "up"],
                    ["-n", name, "link", "set", "lo", "up"]):
                done = subprocess.run(["ip", *words], stderr=subprocess.PIPE, check=False)
                self.namespace = name
                if done.returncode != 0:
                    raise Skipped(done.stderr.decode().strip())
        self.link, self.far = here, f"{net}.2"

    def control(self, end, *lines):
        """What the server of that end does to requests: "OPERATION OFFSET LENGTH ACTION"."""
        new = self.folder / f"{end}.control.new"
        new.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
        new.rename(self.folder / f"{end}.control")

    def trace(self, end):
        path = self.folder / f"{end}.trace"
        return [line.split() for line in path.read_text(encoding="ascii").split("\n") if line] if path.exists() else []

    def serve(self, end):
        name = self.folder / f"{end}.sock"
        name.unlink(missing_ok=True)
        # one thread: with more nbdkit 1.32 aborts when two of them answer a peer that has gone
        command = ["nbdkit", "-f", "-t", "1", str(PLUGIN), f"file={self.folder / end}", f"control={self.folder / end}.control",
            f"trace={self.folder / end}.trace"]
        if end == "dst" and self.namespace:
            command = ["ip", "netns", "exec", self.namespace, *command[:2], "-i", self.far, "-p", "10809", *command[2:]]
        else:
            command[2:2] = ["-U", str(name)]
        self.ends[end] = self.start(command, f"{end}.log")
        if end == "dst" and self.namespace:
            wait_for(lambda: is_open(self.namespace), "nbdkit")
        else:
            wait_for(lambda: crash.listens(name), "nbdkit")

    def uri(self, end):
        if end == "dst" and self.namespace:
            return f"nbd://{self.far}:10809/"
        return f"nbd+unix:///?socket={self.folder}/{end}.sock"

    def boot(self, point=None, checkpoint_s=1000.0):
        self.address.unlink(missing_ok=True)
        self.daemon = self.start(["kcopyd", "--listen", f"unix:{self.address}", "--state", str(self.state),
            f"--checkpoint-interval={checkpoint_s}", "--lanes=2", "--quarantine=0.2", "--cancel-grace=0.3"], "kcopyd.log")
        wait_for(lambda: crash.listens(self.address) or self.died(), "kcopyd")

    def submit(self):
        status, lines = self.client("copy", "--detach", "--rate", str(crash.RATE), "--no-detect-zeroes", "--no-extents",
            f"--retry-for={RETRY_S}", f"--timeout={TIMEOUT_S}", self.uri("src"), self.uri("dst"))
        if status != 0:
            raise Alarm(f"it is not accepted: {status} {lines}")
        return lines[0]["job"]

    def fill_disk(self):
        try:
            with open(self.state / "ballast", "wb", buffering=0) as ballast:
                while True:
                    ballast.write(bytes(4096))
        except OSError:
            pass

    def fail_store(self, way, meanwhile, is_sure):
        """Its disk fails until it has been seen to, and for a second more, or for half a second if that is not sure."""
        fault, seen = STORE_FAULTS[way]
        calls, log = fault.split(":")[0], self.folder / "strace"
        strace = self.start(["strace", "-f", "-o", str(log), "-p", str(self.daemon.pid), "-e", f"trace={calls}", "-e", "signal=none",
            "-e", f"inject={fault}"], "strace.log")
        said = self.folder / "strace.log"
        wait_for(lambda: "attached" in said.read_text(errors="replace") or strace.poll() is not None, "strace")
        if strace.poll() is not None:
            raise Skipped(said.read_text(errors="replace").strip())
        meanwhile()
        if is_sure:
            wait_for(lambda: seen in log.read_text(errors="replace"), f"{way} of the store's disk")
        time.sleep(1 if is_sure else 0.5)
        strace.send_signal(signal.SIGINT)
        strace.wait()

    def stop(self):
        super().stop()
        if self.namespace:
            with NAMESPACES:
                subprocess.run(["ip", "netns", "del", self.namespace], stderr=subprocess.DEVNULL, check=False)
                subprocess.run(["ip", "link", "del", getattr(self, "link", "none")], stderr=subprocess.DEVNULL, check=False)
        if self.mounted:
            subprocess.run(["umount", str(self.state)], check=False)


class Skipped(Exception):
    """It cannot be done on this machine."""


def is_open(namespace):
    done = subprocess.run(["ip", "netns", "exec", namespace, "ss", "-ltn"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return b":10809" in done.stdout


# ---------------------------------------------------------------- moments


def has(rig, end, operation, at=None):
    return any(words[0] == operation and (at is None or int(words[1]) <= at < int(words[1]) + int(words[2]))
        for words in rig.trace(end))


def bar(rig, moment):
    """Before the job is submitted: what it will not pass."""
    if moment == "before the first write":
        rig.control("src", f"read 0 {SIZE} hang")
    elif moment in ("in the middle", "at its cancel"):
        rig.control("dst", f"write {MIDDLE} 1 hang")
    else:
        rig.control("dst", "flush 0 0 hang")


def reach(rig, moment, job):
    if moment == "before the first write":
        wait_for(lambda: has(rig, "src", "read"), moment)
    elif moment in ("in the middle", "at its cancel"):
        wait_for(lambda: has(rig, "dst", "write", MIDDLE), moment)
    else:
        wait_for(lambda: has(rig, "dst", "flush"), moment)
    if moment == "at its cancel":
        rig.client("cancel", str(job))


def lift(rig):
    for end in ("src", "dst"):
        rig.control(end)


# ---------------------------------------------------------------- ways to fail


def fail_store(rig, way, moment):
    if way != "ENOSPC":
        rig.fail_store(way, lambda: lift(rig), moment != "at the completion")
        return
    rig.fill_disk()
    lift(rig)
    time.sleep(1)
    (rig.state / "ballast").unlink(missing_ok=True)


def act(rig, party, way, moment, checkpoint_s, watcher):
    if moment == "at the completion":
        lift(rig)
    if party in ("client", "daemon"):
        process = watcher if party == "client" else rig.daemon
        if way == "dies":
            kill(process)
            lift(rig)
            if party == "daemon":
                rig.boot(checkpoint_s=checkpoint_s)
            return
        os.killpg(process.pid, signal.SIGSTOP)
        lift(rig)
        time.sleep(HANG_S)
        os.killpg(process.pid, signal.SIGCONT)
        return
    if party == "store's disk":
        fail_store(rig, way, moment)
        return
    end = {"source": "src", "destination": "dst"}.get(party)
    if way in ("dies", "resets"):
        kill(rig.ends[end])
        lift(rig)
        time.sleep(0.5 if way == "dies" else 0)
        rig.serve(end)
    elif way == "hangs":
        os.killpg(rig.ends[end].pid, signal.SIGSTOP)
        lift(rig)
        time.sleep(HANG_S)
        os.killpg(rig.ends[end].pid, signal.SIGCONT)
    elif way == "link down":
        subprocess.run(["ip", "link", "set", rig.link, "down"], check=True)
        lift(rig)
        time.sleep(HANG_S)
        subprocess.run(["ip", "link", "set", rig.link, "up"], check=True)
    elif way == "flush fails once":
        n = sum(words[0] == "flush" for words in rig.trace("dst"))
        rig.control("src")
        rig.control("dst", "flush 0 0 EIO")
        until = time.monotonic() + 3
        while time.monotonic() < until and sum(words[0] == "flush" for words in rig.trace("dst")) == n and \
                moment not in ("at a checkpoint", "at the flush"):
            time.sleep(0.01)
        time.sleep(0.1)
        rig.control("dst")
    else:
        rig.control("src", *([f"read 0 {SIZE} {way}"] if party == "source" else []))
        rig.control("dst", *([f"write 0 {SIZE} {way}"] if party == "destination" else []))


def allowed(party, way, moment):
    """What it may end as."""
    if party == "store's disk": # it is waited for
        way = ""
    errors = way in ("EIO", "ENOSPC") and party in ("source", "destination")
    if moment == "at its cancel":
        # an answer that was on its way, or a daemon that died before it had heard of it
        return {"cancelled", "failed"} if errors or way == "flush fails once" else {"cancelled", "completed"}
    if errors:
        return {"failed"} if moment not in ("at the flush", "at the completion") else ALL_DONE
    if way == "flush fails once":
        return {"failed"} if moment != "at the completion" else {"failed", "completed"}
    return ALL_DONE


CLASSES = {"EIO": "media", "ENOSPC": "no_space", "flush fails once": "media"}


def check_end(rig, observer, job, party, way, moment):
    """What it has come to, in a word."""
    status, lines = rig.client("wait", str(job))
    ends = [line for line in lines if line.get("event") == "completion"]
    if len(ends) != 1:
        raise Alarm(f"wait ends with {status}: {lines}")
    end, to = ends[0], ends[0]["destinations"][0]
    if sum(to["bytes"].values()) != SIZE or (end["state"] == "completed") != (status == 0):
        raise Alarm(f"its end: {status} {end}")
    want, have = rig.source.read_bytes(), rig.backing.read_bytes()
    n_equal = sum(a == b for a, b in zip(want, have))
    if to["bytes"]["copied"] > n_equal:
        raise Alarm(f"{to['bytes']['copied']} bytes are said to be copied, and {n_equal} are there")
    if end["state"] == "completed" and (want != have or not end["durable"] or to["error"]):
        raise Alarm(f"complete, and it is not so: {end}")
    if end["state"] != "completed" and not (to["error"] or end["source"]["error"]):
        raise Alarm(f"not complete, and nobody has an error: {end}")
    if end["state"] not in allowed(party, way, moment):
        raise Alarm(f"ended as {end['state']}, and may only as {' or '.join(sorted(allowed(party, way, moment)))}: {end}")
    kill(rig.daemon)
    observer.look(rig.state, rig.source, rig.backing, job)
    if end["state"] != "failed":
        return end["state"]
    error = end["source"]["error"] or to["error"]
    if error["class"] != CLASSES.get(way, error["class"]):
        raise Alarm(f"of class {error['class']}: {end}")
    return f"failed: {error['class']}"


def cell(observer, number, party, way, moment):
    """(what it came to, None) or (…, what is wrong)"""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kcopy-matrix."))
    checkpoint_s = 0.05 if moment == "at a checkpoint" else 1000.0
    rig = wrong = None
    came_to = "?"
    try:
        rig = Rig(folder, party, number)
        if party == "store's disk" and way == "ENOSPC":
            mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(rig.state)], stderr=subprocess.PIPE, check=False)
            if mounted.returncode != 0:
                raise Skipped(mounted.stderr.decode().strip())
            rig.mounted = True
        rig.boot(checkpoint_s=checkpoint_s)
        bar(rig, moment)
        job = rig.submit()
        watcher = rig.start(["kcopyctl", "watch", str(job)], "watcher.log")
        reach(rig, moment, job)
        act(rig, party, way, moment, checkpoint_s, watcher)
        came_to = check_end(rig, observer, job, party, way, moment)
    except Skipped as why:
        return "skipped", f"skipped: {why}"
    except (Alarm, subprocess.TimeoutExpired) as alarm:
        log = folder / "kcopyd.log"
        wrong = f"{alarm}\n{log.read_text(errors='replace')[-2500:] if log.exists() else ''}"
    finally:
        if rig:
            rig.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return came_to, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--workers", type=int, default=4 * (os.cpu_count() or 1))
    args = parser.parse_args()
    for program in ("nbdkit", "protoc", "ip", "ss"):
        if not shutil.which(program):
            print(f"skipped: no {program}")
            return 77
    cells = [(party, way, moment) for party, ways in WAYS.items() for way in ways for moment in MOMENTS]
    cells = [one for one in cells if all(word in " ".join(one) for word in args.only)]
    came_to, n_wrong, n_skipped = {}, 0, 0
    with tempfile.TemporaryDirectory(prefix="kcopy-matrix.") as folder, concurrent.futures.ThreadPoolExecutor(args.workers) as pool:
        observer = crash.Observer(pathlib.Path(folder))
        runs = {pool.submit(cell, observer, number, *one): one for number, one in enumerate(cells)}
        for done in concurrent.futures.as_completed(runs):
            one = runs[done]
            came_to[one], wrong = done.result()
            if wrong and wrong.startswith("skipped"):
                n_skipped += 1
            elif wrong:
                n_wrong += 1
                came_to[one] = "WRONG"
                print(f"{' / '.join(one)}: {wrong}", flush=True)
    print(f"{'':32}" + "".join(f"{moment:24}" for moment in MOMENTS))
    for party, ways in WAYS.items():
        for way in ways:
            line = "".join(f"{came_to.get((party, way, moment), ''):24}" for moment in MOMENTS)
            if line.strip():
                print(f"{f'{party}: {way}':32}{line}".rstrip())
    print(f"{len(cells)} cells, {n_wrong} wrong, {n_skipped} skipped")
    return 1 if n_wrong else 77 if cells and n_skipped == len(cells) else 0


if __name__ == "__main__":
    sys.exit(main())
