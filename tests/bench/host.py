"""What the bench runs on."""
import os
import pathlib
import platform
import subprocess

import servers

PROGRAMS = (("kcopyctl", "--version"), ("nbdcopy", "--version"), ("qemu-img", "--version"), ("nbdkit", "--version"),
    ("dd", "--version"), ("cp", "--version"), ("losetup", "--version"))


def version(program, option):
    try:
        done = subprocess.run([program, option], capture_output=True, text=True, check=False)
    except OSError:
        return "not installed"
    return (done.stdout or done.stderr).split("\n")[0].strip()


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().split("\n"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def describe(folder):
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_available_mib": servers.memory_available_bytes() >> 20,
        "kernel": platform.release(),
        "folder": folder or "the default for temporary files",
        "load_average_at_start": os.getloadavg()[0],
        "versions": {program: version(program, option) for program, option in PROGRAMS},
    }
