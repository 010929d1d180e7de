"""The command lines of everybody: ours, the peers', and the bare loop's. All of them flush, but where --no-flush is given
(small jobs, which nobody flushes)."""
from measure import run_commands
from model import KIB, LIMIT, MIB, OTHER, OURS, PEER, Contender, Variant

# connections, requests, bytes a request
NBDCOPY_TUNINGS = ((2, 2, 512 * KIB), (2, 1, MIB), (2, 4, 256 * KIB))
NBDCOPY_FAR_TUNINGS = ((4, 64, 256 * KIB), (8, 64, 256 * KIB), (4, 16, MIB))
# threads, requests, bytes a request
LOCAL_LIMIT_TUNINGS = ((2, 2, 512 * KIB), (1, 8, 2 * MIB), (2, 4, 256 * KIB), (2, 4, MIB))
LIMIT_TUNINGS = ((2, 2, 512 * KIB), (2, 2, 256 * KIB), (2, 4, 256 * KIB), (2, 1, MIB))


def plain(label, *commands):
    return Variant(label, list(commands), lambda: run_commands(commands))


def ours(source, *destinations):
    return Contender("kcopyd", OURS, [
        plain("untuned", ["kcopyctl", "copy", "--progress", "none", source, *destinations])])


def ours_within(pages_bytes, source, destination):
    size = size_text(pages_bytes)
    return Contender(f"kcopyd {size}", OTHER, [plain(f"--pages {size}",
        ["kcopyctl", "copy", "--progress", "none", f"--pages={size.replace(' ', '')}", source, destination])])


def nbdcopy_command(source, destination, tuning=None):
    options = []
    if tuning:
        connections, requests, size_bytes = tuning
        options = [f"--connections={connections}", f"--requests={requests}", f"--request-size={size_bytes}"]
    return ["nbdcopy", "--flush", *options, source, destination]


def nbdcopy(source, *destinations):
    name = "nbdcopy" if len(destinations) == 1 else f"{len(destinations)} nbdcopy at once"
    commands = [nbdcopy_command(source, to) for to in destinations]
    return Contender(name, PEER, [plain("defaults", *commands)])


def size_text(size_bytes):
    return f"{size_bytes // MIB} MiB" if size_bytes % MIB == 0 else f"{size_bytes // KIB} KiB"


def tuning_text(tuning):
    return f"{tuning[0]} × {tuning[1]} × {size_text(tuning[2])}"


def nbdcopy_tuned(source, destination, tunings=NBDCOPY_TUNINGS):
    return Contender("nbdcopy tuned", PEER, [
        plain(tuning_text(t), nbdcopy_command(source, destination, t)) for t in tunings])


def qemu_command(source, destination, parallel, direct):
    # -t writeback: the default, unsafe, does not flush
    cache = ["-t", "none", "-T", "none"] if direct else ["-t", "writeback"]
    return ["qemu-img", "convert", "-n", "-W", "-m", str(parallel), *cache, "-f", "raw", "-O", "raw", source, destination]


def qemu_img(source, destination):
    local = source.startswith("/") or destination.startswith("/")
    variants = [plain(f"-m {m}{' direct' if direct else ''}", qemu_command(source, destination, m, direct))
        for m in (8, 16) for direct in ([False, True] if local else [False])]
    return Contender("qemu-img", PEER, variants)


def dd(source, destination):
    common = ["dd", "status=none", f"if={source}", f"of={destination}", "conv=notrunc,fsync"]
    return Contender("dd", PEER, [
        plain(f"direct, {size}", [*common, f"bs={size}", "iflag=direct", "oflag=direct"]) for size in ("1M", "4M")])


def cp(source, destination):
    # as one process tree: cp does not flush
    script = f"cp --sparse=never '{source}' '{destination}' && sync '{destination}'"
    return Contender("cp", PEER, [plain("then sync", ["sh", "-c", script])])


def limit_command(lab, source, destinations, tuning, *options):
    threads, requests, size_bytes = tuning
    return [lab.program("limit"), f"--threads={threads}", f"--requests={requests}", f"--size={size_bytes}", *options,
        source, *destinations]


def limit(lab, source, *destinations, tunings=None):
    local = any(name.startswith("/") for name in (source, *destinations))
    tunings = tunings or (LOCAL_LIMIT_TUNINGS if local else LIMIT_TUNINGS)
    variants = [plain(f"{tuning_text(t)}{' direct' if direct else ''}",
        limit_command(lab, source, destinations, t, *(["--direct"] if direct else [])))
        for t in tunings for direct in ([False, True] if local else [False])]
    return Contender("limit", LIMIT, variants)
