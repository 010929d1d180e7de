#!/usr/bin/python3
"""The daemon is killed at the N-th system call of a kind, and its destination loses power with it or not; then an observer
who knows nothing of its code looks at what is left.

    crash.py [--points N | --all] [--seed S] [--workers N]
    crash.py --point KIND:N[+KIND:N] [--power] [--keep]     one again, as the last line of a failure says it
    crash.py --alarm                                        a destination that lies about flush: the observer has to see it

A point: a detached copy, submitted under a key by a client that tries until it is told a number; strace kills the daemon
at that call of one of its threads (and, of some points, the next daemon while it recovers). The destination is an NBD
server that keeps in its cache what was not flushed; `power` kills it together with the daemon.

After every death, from the files alone (SQLite's own library, and the destination's backing file):
  - the store is sound, and has the job that a client was told of; its events are numbered from 1 without a gap
  - what the checkpoint calls written is in the backing file
And at the end: there is one job of the key, which has completed, once; the client was told so; every byte is there."""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

BIN = pathlib.Path(os.environ.get("KCOPY_BIN", "build/bin"))
SIZE = 4 << 20
RATE = 6 << 20
CHECKPOINT_S = 0.04
# What the daemon does to the world: the store's file, the destination's socket, its clients' sockets.
KINDS = ("pwrite64", "fdatasync", "fsync", "ftruncate", "sendmsg", "sendto", "write", "writev", "openat", "unlink", "close")
DEADLINE_S = 60
DEATHS_OF_ITS_OWN = ("Sanitizer", "runtime error:", "Assertion")
COPIED, ZEROED = 0, 1
COMPLETED, FAILED, CANCELLED = 5, 6, 7


class Alarm(Exception):
    """Something is lost, or said that is not so."""


# ---------------------------------------------------------------- the observer


def schema(folder):
    """The store's schema, by protoc's own Python."""
    proto = pathlib.Path(__file__).resolve().parents[2] / "proto"
    out = folder / "schema"
    out.mkdir(exist_ok=True)
    subprocess.run(["protoc", f"--python_out={out}", f"-I{proto}", "kcopy.proto", "kcopy_store.proto"], check=True)
    sys.path.insert(0, str(out))
    import kcopy_pb2
    import kcopy_store_pb2
    return kcopy_pb2, kcopy_store_pb2


class Observer:
    def __init__(self, folder):
        self.wire, self.stored = schema(folder)

    def jobs(self, state):
        """Rows of the store, from a copy of its files: nothing is touched."""
        if not (state / "jobs.db").exists():
            return []
        with tempfile.TemporaryDirectory() as copy:
            for name in ("jobs.db", "jobs.db-wal"):
                if (state / name).exists():
                    shutil.copy(state / name, copy)
            with sqlite3.connect(f"{copy}/jobs.db") as db:
                if db.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                    raise Alarm("the store is damaged")
                if db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'job'").fetchone() == (0,):
                    return []
                rows = db.execute("SELECT id, key, state, next_seq, ended_ms, mark, result FROM job").fetchall()
                events = collections.defaultdict(list)
                for job, seq, body in db.execute("SELECT job, seq, body FROM event ORDER BY job, seq"):
                    events[job].append((seq, self.wire.ServerMessage.FromString(body)))
            db.close()
        return [(*row, events[row[0]]) for row in rows]

    def written(self, mark):
        """(start, end) of the job, of the only destination, that the checkpoint calls written."""
        if mark is None:
            return
        fates = self.stored.Mark.FromString(mark).ends[1].fates
        written = fates.sums_bytes[COPIED] + fates.sums_bytes[ZEROED] if fates.sums_bytes else 0
        if fates.settled_bytes and written == fates.settled_bytes:
            yield 0, fates.settled_bytes
        at = fates.settled_bytes
        for gap, length, fate in zip(fates.ranges[0::3], fates.ranges[1::3], fates.ranges[2::3]):
            at += gap
            if fate in (COPIED, ZEROED):
                yield at, at + length
            at += length

    def look(self, state, source, backing, told):
        """After a death, or at the end. Returns the one job, or None."""
        jobs = self.jobs(state)
        if len(jobs) > 1:
            raise Alarm(f"{len(jobs)} jobs of one key")
        if told and (not jobs or jobs[0][0] != told):
            raise Alarm(f"the client was told of job {told}, and the store has {[job[0] for job in jobs]}")
        if not jobs:
            return None
        job, _, job_state, next_seq, ended, mark, result, events = jobs[0]
        if [seq for seq, _ in events] != list(range(1, next_seq)):
            raise Alarm(f"job {job}: events {[seq for seq, _ in events]}, and the next is {next_seq}")
        for seq, event in events:
            if event.seq != seq:
                raise Alarm(f"job {job}: event {seq} says that it is {event.seq}")
        ends = [event.completion for _, event in events if event.WhichOneof("body") == "completion"]
        if len(ends) > 1 or bool(ends) != (ended is not None) or bool(ends) != (result is not None):
            raise Alarm(f"job {job}: {len(ends)} completions, ended {ended}")
        if ends and events[-1][1].WhichOneof("body") != "completion":
            raise Alarm(f"job {job}: an event after its end")
        if ends and ends[0].state != job_state:
            raise Alarm(f"job {job}: ended as {ends[0].state}, and its state is {job_state}")
        want, have = source.read_bytes(), backing.read_bytes()
        spans = [(0, len(want))] if ends and ends[0].durable else self.written(mark)
        for start, end in spans:
            if want[start:end] != have[start:end]:
                lost = sum(a != b for a, b in zip(want[start:end], have[start:end]))
                raise Alarm(f"job {job}: {lost} bytes of [{start}, {end}) are called written, and are not there")
        return jobs[0]


# ---------------------------------------------------------------- the servers


class Servers:
    def __init__(self, folder, cache):
        self.folder, self.cache, self.processes = folder, cache, []
        self.source, self.backing, self.state = folder / "src", folder / "dst", folder / "state"
        self.address = folder / "k.sock"
        self.source.write_bytes(random.Random(1).randbytes(SIZE))
        self.backing.write_bytes(bytes(SIZE))
        self.state.mkdir()
        self.environment = {**os.environ, "TMPDIR": str(folder), "KCOPYD_SERVER": f"unix:{self.address}",
            "ASAN_OPTIONS": "detect_leaks=0:exitcode=99", "PATH": f"{BIN}:{os.environ['PATH']}"}
        self.nbdkit = self.daemon = None
        self.power_on()

    def start(self, command, log):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=open(self.folder / log, "ab"),
            stderr=subprocess.STDOUT, env=self.environment, start_new_session=True)
        self.processes.append(process)
        return process

    def power_on(self):
        (self.folder / "d.sock").unlink(missing_ok=True)
        self.nbdkit = self.start(["nbdkit", "--exit-with-parent", "-f", "-U", str(self.folder / "d.sock"), "--filter=cache",
            "file", str(self.backing), f"cache={self.cache}"], "nbdkit.log")
        wait_for(lambda: listens(self.folder / "d.sock"), "nbdkit")

    def power_off(self):
        kill(self.nbdkit)

    def boot(self, point=None):
        """Start the daemon, to be killed at a point or not. Returns once it listens, or has died."""
        self.address.unlink(missing_ok=True)
        command = ["kcopyd", "--listen", f"unix:{self.address}", "--state", str(self.state),
            f"--checkpoint-interval={CHECKPOINT_S}", "--lanes=2", "--quarantine=0.2"]
        if point:
            kind, number = point
            command = ["strace", "-f", "-qqq", "-o", os.devnull, "-e", f"trace={kind}", "-e", "signal=none", "-e",
                f"inject={kind}:signal=KILL:when={number}", *command]
        self.daemon = self.start(command, "kcopyd.log")
        wait_for(lambda: listens(self.address) or self.died(), "kcopyd")

    def died(self):
        return self.daemon.poll() is not None

    def client(self, *words):
        """(exit status, lines of JSON)"""
        done = subprocess.run(["kcopyctl", "--json", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=self.environment, timeout=DEADLINE_S, check=False)
        lines = []
        for line in done.stdout.decode().split("\n"):
            try:
                lines.append(json.loads(line))
            except ValueError:
                pass  # cut off
        return done.returncode, lines

    def submit(self):
        """The number that the client is told, or None."""
        status, lines = self.client("copy", "--detach", "--key", "the-one", "--rate", str(RATE), "--no-detect-zeroes",
            str(self.source), f"nbd+unix:///?socket={self.folder}/d.sock")
        told = [line["job"] for line in lines if line.get("event") == "accepted"]
        if status == 0 and len(told) != 1:
            raise Alarm(f"a client that has done its work was told {lines}")
        if status not in (0, 3, 4, 5):
            raise Alarm(f"the client ends with {status}")
        return told[0] if told else None

    def stop(self):
        for process in self.processes:
            kill(process)


def listens(address):
    """A socket is there before anybody listens on it."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(address))
        except OSError:
            return False
    return True


def kill(process):
    """With all that it has started. A tracer is the last to go: then what it has traced is gone, too, and has let go of
    what it had."""
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    traced = children.read_text().split() if process.args[0] == "strace" and process.poll() is None else []
    for child in traced:
        os.kill(int(child), signal.SIGKILL)
    if traced:
        process.wait()
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def wait_for(condition, what):
    end = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > end:
            raise Alarm(f"{what}: not within {DEADLINE_S} s")
        time.sleep(0.005)


# ---------------------------------------------------------------- one point


def ended_in_store(observer, servers):
    jobs = observer.jobs(servers.state)
    return bool(jobs) and jobs[0][4] is not None


def one_life(servers, observer, point, told, power):
    """Boot, submit, and wait until the daemon is dead, or the job has ended. Returns what the client was told."""
    servers.boot(point)
    if not servers.died():
        told = servers.submit() or told
    if told and not servers.died():
        servers.client("wait", str(told))  # until that, or the connection is lost
    if power and servers.died():
        servers.power_off()
    if not servers.died():
        kill(servers.daemon)  # it has not come to the point: then now
    observer.look(servers.state, servers.source, servers.backing, told)
    if servers.nbdkit.poll() is not None:
        servers.power_on()
    return told


def last_life(servers, observer, told):
    """With nothing in its way: what is there at the end, and what is said of it?"""
    servers.boot()
    number = servers.submit()
    if not number or (told and number != told):
        raise Alarm(f"submitted again it is job {number}, and was {told}")
    status, lines = servers.client("wait", str(number))
    ends = [line for line in lines if line.get("event") == "completion"]
    if status != 0 or len(ends) != 1 or ends[0]["state"] != "completed" or not ends[0]["durable"]:
        raise Alarm(f"it ends with {status}: {lines}")
    if sum(ends[0]["destinations"][0]["bytes"].values()) != SIZE:
        raise Alarm(f"the numbers do not add up: {ends[0]}")
    status, lines = servers.client("watch", "--from", "1", str(number))
    if status != 0 or lines[-1]["event"] != "completion":
        raise Alarm(f"its events end with {lines[-1:]}")
    kill(servers.daemon)
    servers.power_off()
    job = observer.look(servers.state, servers.source, servers.backing, number)
    if job[2] != COMPLETED or job[4] is None:
        raise Alarm(f"job {number}: in the end its state is {job[2]}")
    if servers.source.read_bytes() != servers.backing.read_bytes():
        raise Alarm("the destination differs")


def run_point(observer, points, power, keep=False, cache="writeback"):
    """None, or what is wrong. `points`: where the daemon of each life dies."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kcopy-crash."))
    servers, told, wrong = None, None, None
    try:
        servers = Servers(folder, cache)
        for point in points:
            told = one_life(servers, observer, point, told, power)
        last_life(servers, observer, told)
    except (Alarm, subprocess.TimeoutExpired) as alarm:
        wrong = str(alarm)
    finally:
        if servers:
            servers.stop()
        log = folder / "kcopyd.log"
        said = log.read_text(errors="replace") if log.exists() else ""
        if any(words in said for words in DEATHS_OF_ITS_OWN):
            wrong = wrong or "it has died of its own"
        if wrong:
            wrong += "\n" + said[-3000:]
        if keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return wrong


# ---------------------------------------------------------------- all of them


def count_calls(observer):
    """How often one thread makes each call, in a run that nothing happens to."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kcopy-crash."))
    servers = Servers(folder, "writeback")
    try:
        log = folder / "calls"
        command = ["strace", "-f", "-qqq", "-o", str(log), "-e", f"trace={','.join(KINDS)}", "-e", "signal=none", "kcopyd",
            "--listen", f"unix:{servers.address}", "--state", str(servers.state),
            f"--checkpoint-interval={CHECKPOINT_S}", "--lanes=2", "--quarantine=0.2"]
        servers.daemon = servers.start(command, "kcopyd.log")
        wait_for(lambda: listens(servers.address), "kcopyd")
        told = servers.submit()
        servers.client("wait", str(told))
        kill(servers.daemon)
        counts = collections.Counter()
        for line in log.read_text(errors="replace").split("\n"):
            words = line.split(maxsplit=1)
            if len(words) == 2 and "(" in words[1]:
                counts[words[0], words[1].split("(")[0]] += 1
        most = collections.Counter()
        for (_, kind), number in counts.items():
            if kind in KINDS:
                most[kind] = max(most[kind], number)
        return most
    finally:
        servers.stop()
        shutil.rmtree(folder, ignore_errors=True)


def choose(calls, number, chance):
    """[(points, power)]: evenly over every call there is, a third of them with a second death in the recovery."""
    everything = [(kind, at) for kind in KINDS for at in range(1, calls[kind] + 1)]
    if number is None:
        first = everything
    else:
        first = [everything[int((i + chance.random()) * len(everything) / number) % len(everything)]
            for i in range(number)]
    return [([point, chance.choice(everything)] if chance.randrange(3) == 0 else [point], chance.randrange(2) == 0)
        for point in first]


def text_of(points, power):
    return f"--point {'+'.join(f'{kind}:{at}' for kind, at in points)}{' --power' if power else ''}"


def alarm(observer):
    """A destination that answers a flush and does not flush: the power goes once a checkpoint is stored."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kcopy-crash."))
    servers = Servers(folder, "unsafe")
    try:
        servers.boot()
        told = servers.submit()

        def has_mark():
            jobs = observer.jobs(servers.state)
            return bool(jobs) and any(end > start for start, end in observer.written(jobs[0][5]))
        wait_for(has_mark, "a checkpoint")
        kill(servers.daemon)
        servers.power_off()
        observer.look(servers.state, servers.source, servers.backing, told)
    except Alarm as seen:
        print(f"seen: {seen}")
        return 0 if "are not there" in str(seen) else 1
    finally:
        servers.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print("a lie was not seen", file=sys.stderr)
    return 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument("--point")
    parser.add_argument("--power", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--alarm", action="store_true")
    args = parser.parse_args()
    for program in ("strace", "nbdkit", "protoc"):
        if not shutil.which(program):
            print(f"skipped: no {program}")
            return 77
    with tempfile.TemporaryDirectory(prefix="kcopy-crash.") as folder:
        observer = Observer(pathlib.Path(folder))
        if args.alarm:
            return alarm(observer)
        if args.point:
            points = [(kind, int(at)) for kind, at in (word.split(":") for word in args.point.split("+"))]
            wrong = run_point(observer, points, args.power, args.keep)
            print(wrong or "fine")
            return 1 if wrong else 0
        chance = random.Random(args.seed)
        calls = count_calls(observer)
        chosen = choose(calls, None if args.all else args.points, chance)
        print("calls: " + ", ".join(f"{kind} {calls[kind]}" for kind in KINDS if calls[kind]))
        n_wrong = 0
        with concurrent.futures.ThreadPoolExecutor(args.workers) as pool:
            runs = {pool.submit(run_point, observer, *one): one for one in chosen}
            for done in concurrent.futures.as_completed(runs):
                wrong = done.result()
                if wrong:
                    n_wrong += 1
                    print(f"crash.py {text_of(*runs[done])}: {wrong}", flush=True)
        deaths = sum(len(points) for points, _ in chosen)
        print(f"{len(chosen)} points, {deaths} deaths, {sum(power for _, power in chosen)} with a power cut: {n_wrong} wrong")
        return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
