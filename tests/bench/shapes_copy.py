"""Whole copies: dense, to one and to many, local devices, sparse ones, and how long a small one takes to start."""
import peers
from model import GIB, MIB, TIB, Case, Goal, Shape

DENSE = {"smoke": 8 * MIB, "quick": 256 * MIB, "full": GIB}
FAN = {"smoke": 4 * MIB, "quick": 64 * MIB, "full": GIB}
FAN8 = {"smoke": 4 * MIB, "quick": 64 * MIB, "full": 512 * MIB}
LOCAL = {"smoke": 8 * MIB, "quick": 128 * MIB, "full": GIB}
SPARSE_PERCENT = 5
SOURCE_SEED, OTHER_SEED = 1, 2


def case_of(lab, source, destinations, contenders, size_bytes, cold=False, **more):
    """`cold`: the page cache holds nothing of the source, a loop device, as of most disks when they are copied; the file
    that backs it is in memory all the same."""
    def before(number):
        lab.check("spoil", number, *destinations)
        if cold:
            lab.drop_cache(source)

    return Case(contenders, size_bytes, before=before, after=lambda: lab.check("same", source, *destinations), **more)


def prefault(lab, source, destinations):
    """Random data in all of them, and not the same."""
    for i, device in enumerate((source, *destinations)):
        lab.check("fill", SOURCE_SEED + i * OTHER_SEED, device)


def file_export(lab, size_bytes, filters, *args):
    """(URI, the file behind it): whoever spoils and compares goes to the file, past the filters."""
    name = lab.file(size_bytes)
    return lab.nbdkit(*[f"--filter={f}" for f in filters], "-t", "128", "file", name, *args), name


def dense(tcp, n):
    def prepare(lab, size_bytes):
        size_bytes = lab.fit(size_bytes, 1 + n)
        source = lab.memory(size_bytes, tcp)
        to = [lab.memory(size_bytes, tcp) for _ in range(n)]
        prefault(lab, source, to)
        contenders = [peers.ours(source, *to), peers.nbdcopy(source, *to)]
        if n == 1:
            contenders += [peers.nbdcopy_tuned(source, *to), peers.qemu_img(source, *to)]
        contenders.append(peers.limit(lab, source, *to))
        return case_of(lab, source, to, contenders, size_bytes)
    return prepare


def local(source_kind, destination_kind):
    """nbd, file and loop, with every peer that can."""
    def prepare(lab, size_bytes):
        size_bytes = lab.fit(size_bytes, 2 + 2 * [source_kind, destination_kind].count("loop"))  # its page cache
        source, to = (getattr(lab, "memory" if kind == "nbd" else kind)(size_bytes)
            for kind in (source_kind, destination_kind))
        prefault(lab, source, [to])
        contenders = [peers.ours(source, to), peers.nbdcopy(source, to), peers.nbdcopy_tuned(source, to),
            peers.qemu_img(source, to)]
        if "nbd" not in (source_kind, destination_kind):
            contenders += [peers.dd(source, to), peers.cp(source, to)]
        contenders.append(peers.limit(lab, source, to))
        cold = source_kind == "loop"
        return case_of(lab, source, [to], contenders, size_bytes, cold,
            notes=["the source's page cache is dropped before each run"] if cold else [])
    return prepare


def sparse(lab, size_bytes):
    size_bytes = lab.fit(size_bytes, 2 / (100 // SPARSE_PERCENT))
    source, to = lab.memory(size_bytes), lab.memory(size_bytes)
    lab.check("islands", SOURCE_SEED, SPARSE_PERCENT, source)
    lab.check("islands", OTHER_SEED, SPARSE_PERCENT, to)
    contenders = [peers.ours(source, to), peers.nbdcopy(source, to), peers.nbdcopy_tuned(source, to),
        peers.qemu_img(source, to)]
    return case_of(lab, source, [to], contenders, size_bytes,
        notes=["no bare loop: it would have to know extents, which is what is measured"])


def empty(lab, size_bytes):
    source, to = lab.memory(size_bytes), lab.memory(size_bytes)
    return case_of(lab, source, [to], [peers.ours(source, to), peers.nbdcopy(source, to)], size_bytes)


def startup(lab, size_bytes):
    source, to = lab.memory(size_bytes), lab.memory(size_bytes)
    prefault(lab, source, [to])
    return case_of(lab, source, [to], [peers.ours(source, to), peers.nbdcopy(source, to),
        peers.limit(lab, source, to)], size_bytes)


def dense_goals(defaults):
    return [Goal("wall", "<=", 1.05, "limit"), Goal("wall", "<=", 1.00, "nbdcopy tuned"),
        Goal("wall", "<=", defaults, "nbdcopy"), Goal("cpu", "<=", 0.60, "nbdcopy"),
        Goal("cpu", "<=", 1.00, "nbdcopy tuned")]


def fan_goals(n, defaults):
    return [Goal("wall", "<=", 1.05, "limit"), Goal("wall", "<=", defaults, f"{n} nbdcopy at once")]


LOCAL_GOALS = [Goal("wall", "<=", 0.95, "best peer"), Goal("cpu", "<=", 0.80, "best peer")]
FILES_GOALS = [Goal("wall", "<=", 1.0, "best peer")]

SHAPES = [
    Shape("dense-unix", "dense, 1 → 1, Unix sockets", dense_goals(0.85), dense(False, 1), DENSE, dense=True),
    Shape("dense-tcp", "dense, 1 → 1, TCP", dense_goals(0.65), dense(True, 1), DENSE, dense=True),
    Shape("fan3-unix", "dense, 1 → 3, Unix sockets", fan_goals(3, 0.58), dense(False, 3), FAN, dense=True),
    Shape("fan3-tcp", "dense, 1 → 3, TCP", fan_goals(3, 0.50), dense(True, 3), FAN, quick=False, dense=True),
    Shape("fan8-unix", "dense, 1 → 8, Unix sockets", fan_goals(8, 0.35), dense(False, 8), FAN8, quick=False, dense=True),
    Shape("fan8-tcp", "dense, 1 → 8, TCP", fan_goals(8, 0.35), dense(True, 8), FAN8, quick=False, dense=True),
    Shape("nbd-file", "NBD → file", LOCAL_GOALS, local("nbd", "file"), LOCAL, dense=True),
    Shape("file-nbd", "file → NBD", LOCAL_GOALS, local("file", "nbd"), LOCAL, quick=False, dense=True),
    Shape("loop-nbd", "loop device → NBD", LOCAL_GOALS, local("loop", "nbd"), LOCAL, quick=False, dense=True),
    Shape("nbd-loop", "NBD → loop device", LOCAL_GOALS, local("nbd", "loop"), LOCAL, quick=False, dense=True),
    Shape("loop-loop", "loop device → loop device", FILES_GOALS, local("loop", "loop"), LOCAL, dense=True),
    Shape("file-file", "file → file", FILES_GOALS, local("file", "file"), LOCAL, quick=False, dense=True),
    Shape("sparse", "sparse, 5 % data in islands of 64 KiB", [Goal("wall", "<=", 0.9, "best peer")], sparse,
        {"smoke": 64 * MIB, "quick": GIB, "full": 16 * GIB}),
    Shape("empty", "1 TiB, empty", [Goal("wall", "<=", 1.0)], empty,
        {"smoke": 16 * GIB, "quick": TIB, "full": TIB}, rounds={"quick": 2}),
    Shape("startup", "start-up: 1 MiB, private daemon", [Goal("wall", "<=", 1.5, "nbdcopy")], startup,
        {"smoke": MIB, "quick": MIB, "full": MIB}, rounds={"smoke": 2, "quick": 21, "full": 101}),
]
