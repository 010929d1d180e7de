"""What the copies work on: NBD servers, files, loop devices, the delaying relay, a daemon. All of it in one folder, and
ended by pid."""
import contextlib
import fcntl
import os
import pathlib
import shlex
import shutil
import socket
import subprocess
import tempfile
import time

import measure
from model import Failed, Skip

START_S = 20
LOOP_CLR_FD = 0x4C01
BLKFLSBUF = 0x1261
STOP_S = 10


def memory_available_bytes():
    for line in pathlib.Path("/proc/meminfo").read_text().split("\n"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def choose_folder(wanted):
    """Files live in memory, so that no disk is measured, unless there is no room or another place is asked for."""
    if wanted:
        return wanted
    with contextlib.suppress(OSError):
        if shutil.disk_usage("/dev/shm").free >= memory_available_bytes() // 2:
            return "/dev/shm"
    return None


class Lab:
    """Everything of one shape; nothing is left when its `with` ends."""

    def __init__(self, build, folder, budget_bytes, mode):
        self.build, self.parent, self.mode = build, folder, mode
        self.budget_bytes = budget_bytes
        self.stack = contextlib.ExitStack()
        self.pids, self.count, self.log = set(), 0, []

    def __enter__(self):
        self.folder = self.stack.enter_context(
            tempfile.TemporaryDirectory(prefix="kcopy-bench.", dir=self.parent, ignore_cleanup_errors=True))
        return self

    def __exit__(self, *_):
        self.stack.close()

    def fit(self, size_bytes, copies):
        """The size, halved until so many copies of it fit into half of the memory."""
        while size_bytes * copies > self.budget_bytes:
            size_bytes //= 2
        return size_bytes

    def program(self, name):
        return f"{self.build}/tests/bench/{name}"

    def name(self, what):
        self.count += 1
        return f"{self.folder}/{what}{self.count}"

    def show(self, text):
        return text.replace(self.folder, "$tmp").replace(self.build, "$build")

    # ---- processes

    def stop(self, process):
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.pids.discard(process.pid)
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()

    def start(self, command, **popen):
        try:
            process = subprocess.Popen(command, **{"stdin": subprocess.DEVNULL, **popen})
        except FileNotFoundError as error:
            raise Failed(f"{command[0]} is not installed") from error
        self.pids.add(process.pid)
        self.stack.callback(self.stop, process)
        self.log.append(self.show(shlex.join(command)))
        return process

    def wait_for(self, process, condition):
        deadline = time.monotonic() + START_S
        while not condition():
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"did not start: {shlex.join(process.args)}")
            time.sleep(0.005)

    def nbdkit(self, *args, tcp=False):
        """Returns its URI."""
        name = self.name("nbd")
        pid = pathlib.Path(f"{name}.pid")
        command = ["nbdkit", "-f", "--exit-with-parent", "-P", str(pid)]
        if not tcp:
            process = self.start([*command, "-U", name, *args])
            self.wait_for(process, pid.exists)
            return f"nbd+unix:///?socket={name}"
        with socket.create_server(("127.0.0.1", 0)) as listener:  # handed over, so that its port is surely free
            port = listener.getsockname()[1]
            script = f'exec 3<&{listener.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
            process = self.start(["sh", "-c", script, "sh", *command, *args], pass_fds=[listener.fileno()])
            self.log[-1] = f"{self.show(shlex.join([*command, *args]))}  # on 127.0.0.1:{port}"
            self.wait_for(process, pid.exists)
        return f"nbd://127.0.0.1:{port}"

    def memory(self, size_bytes, tcp=False, filters=(), args=()):
        options = [f"--filter={name}" for name in filters]
        return self.nbdkit(*options, "memory", str(size_bytes), *args, tcp=tcp)

    def relay(self, delay_ms, uri):
        """A TCP address that leads, delayed, to the server behind a Unix socket."""
        command = [self.program("relay"), str(delay_ms), uri.split("socket=")[1]]
        process = self.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        port = process.stdout.readline().strip()
        if not port:
            raise Failed(f"did not start: {shlex.join(command)}")
        return f"nbd://127.0.0.1:{int(port)}"

    def daemon(self, *args):
        """Its process and its address; may be stopped before the lab is."""
        sock, state = self.name("kcopyd"), self.name("state")
        os.mkdir(state)
        command = [f"{self.build}/bin/kcopyd", "--listen", f"unix:{sock}", "--state", state, "--log-level", "error",
            *args]
        process = self.start(command)
        self.wait_for(process, lambda: os.path.exists(sock))
        return process, f"unix:{sock}"

    # ---- local devices

    def file(self, size_bytes):
        name = self.name("file")
        with open(name, "wb") as made:
            made.truncate(size_bytes)
        return name

    def loop(self, size_bytes):
        """A loop device over a file. We hold it open and have it let go at the last close: even a bench that is killed
        leaves none behind."""
        name = self.file(size_bytes)
        made = subprocess.run(["losetup", "--find", "--show", name], capture_output=True, text=True, check=False)
        device = made.stdout.strip()
        if made.returncode != 0 or not device:
            raise Skip(f"no loop device: {made.stderr.strip()}")
        try:
            held, asking = (os.open(device, os.O_RDONLY | os.O_CLOEXEC) for _ in range(2))
        except OSError as error:
            subprocess.run(["losetup", "-d", device], check=False)
            raise Skip(f"no loop device: {error}") from error
        self.stack.callback(os.close, held)
        fcntl.ioctl(asking, LOOP_CLR_FD)  # with two openers: once the last is gone
        os.close(asking)
        self.log.append(self.show(f"losetup --find --show {name}  # {device}"))
        return device

    @staticmethod
    def drop_cache(device):
        """What was read of a block device, by whomever, is not in memory any more."""
        opened = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(opened, BLKFLSBUF)
        finally:
            os.close(opened)

    # ---- contents

    def check(self, *args):
        """fill, islands, spoil, same: see check.c."""
        process = subprocess.Popen([self.program("check"), *map(str, args)], stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)
        self.pids.add(process.pid)
        words = process.communicate()[1].strip()
        self.pids.discard(process.pid)
        if process.returncode != 0:
            raise Failed(f"check {args[0]}: {words}")

    def watch_memory(self):
        """Of what is started while it is open, but for what the lab itself starts."""
        return measure.watch_children(self.pids)
