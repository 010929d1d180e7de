#!/usr/bin/python3
"""Breaks the product in stated ways, one at a time, and sees that a test fails each time.

    mutants.py [--only WORD...] [--workers N] [--list]

Each mutant is a copy of the tree in which one piece of text is another; what is to notice it is built there and run. A
mutant that nothing notices, or whose text is not in the tree any more, fails this. Exit status: 0, 1."""
import argparse
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
LIVES = ("sim-lives", ["tests/sim/sim-lives", "--count", "6000"])
SIM = ("sim", ["tests/sim/sim", "--count", "3000"])


def unit(name):
    return (f"test-{name}", [f"tests/test-{name}"])


def system(name):
    return ("all", ["bash", str(TOP / f"tests/system/{name}.sh")])


def case(name):
    return ("sim", ["tests/sim/sim", "--case", name])


def lives_case(name):
    return ("sim-lives", ["tests/sim/sim-lives", "--case", name])


# what is broken; the file; the text; instead; who notices
MUTANTS = [
    ("no flush at the end, and durable all the same", "server/copy/run.c",
        "        if (durability == COPY_DURABILITY_NONE || fua || !info->can_flush) {\n                dest->durable = fua;",
        "        if (true) {\n                dest->durable = true;", SIM),
    ("a checkpoint is stored before its flush", "server/copy/checkpoint.c",
        "                        port_flush(&checkpoint->dests[d].flush);",
        "                        checkpoint->dests[d].flush.status = 0, on_flushed(&checkpoint->dests[d].flush);", LIVES),
    ("a checkpoint calls written what was answered after its flush was sent", "server/copy/checkpoint.c",
        "        end->good = ticket->status == 0;",
        "        end->good = ticket->status == 0 && ledger_copy(&end->ledger, &dest->ledger) == 0;", LIVES),
    ("a checkpoint whose flush failed is stored", "server/copy/checkpoint.c",
        "        end->good = ticket->status == 0;", "        end->good = true;", LIVES),
    ("a flush error is swallowed", "server/copy/port.c",
        "        if (req->status < 0)\n                flush_failed(port", "        if (false)\n                flush_failed(port", SIM),
    ("a flush that failed concerns nobody else who has written there", "server/copy/job_told.c",
        "        if (!device || device->flush_status == 0 ||", "        if (true || !device ||", case("failed-flush-is-remembered")),
    ("a second completion", "server/copy/job_end.c",
        "        history_add(job);\n        emit_completion(job);", "        history_add(job);\n        emit_completion(job);\n        emit_completion(job);", SIM),
    ("a wrong ledger: what was not touched counts as copied", "server/copy/run_account.c",
        "put(run, w->destination, doubt_end_bytes, report->end_bytes, LEDGER_UNTOUCHED);",
        "put(run, w->destination, doubt_end_bytes, report->end_bytes, LEDGER_COPIED);", SIM),
    ("a wrong ledger: what is in doubt counts as untouched", "server/copy/run_account.c",
        "put(run, w->destination, done_end_bytes, doubt_end_bytes, LEDGER_INDETERMINATE);",
        "put(run, w->destination, done_end_bytes, doubt_end_bytes, LEDGER_UNTOUCHED);", SIM),
    ("a stale identity is accepted", "server/copy/lasting_check.c",
        "        if (strcmp(end->identity, device_key(device)) != 0)", "        if (false)", system("expect")),
    ("what the client expects is not looked at", "server/copy/lasting_check.c",
        "        if (expected->size_bytes > 0 &&", "        if (false &&", system("expect")),
    ("a key is ignored", "server/store/sqlite_ops.c",
        "        if (!packed->key)\n                return 0;", "        if (packed)\n                return 0;", LIVES),
    ("another job under the same key is taken for it", "server/store/sqlite_ops.c",
        "        if (bytes != (int)packed->asked.bytes ||", "        if (false &&", system("detached")),
    ("what was never answered is not waited for", "server/copy/job_end.c",
        "                job_keep_adrift_locked(job); /*", "                job_release_locks(job); /*", SIM),
    ("a paused job goes on from what others have overwritten", "server/copy/lasting_overwrites.c",
        "                        changed |= take_back(end, mark->length_bytes);", "                        changed |= false;", LIVES),
    ("what is overwritten is written before that is stored", "server/copy/lasting_overwrites.c",
        "        if (waits)\n", "        waits = false;\n        if (waits)\n", lives_case("overwritten-is-stored-first")),
    ("an event is told before it is stored", "server/copy/lasting.c",
        "        if (!lasting || !lasting->journal || event->type == JOB_EVENT_PROGRESS)", "        if (true)", LIVES),
    ("events are numbered with a gap", "server/store/sqlite_ops.c",
        "        statement_number(at, 2, req->update.first_seq + packed->n_events);",
        "        statement_number(at, 2, req->update.first_seq + packed->n_events + 1);", LIVES),
    ("who has lost a job goes on writing its record", "server/store/sqlite_ops.c",
        "        if (r > 0 && epoch != op->req->epoch)", "        if (false)", unit("store")),
    ("a job is accepted that is not stored", "server/copy/detached.c",
        "        if (error.code < 0) {", "        if (false) {", LIVES),
    ("data that was not read is written", "server/copy/chunk.c",
        "        if (req->status < 0) {\n                if (chunk->step == CHUNK_MERGE_READ) /*", "        if (false) {\n                if (chunk->step == CHUNK_MERGE_READ) /*", SIM),
    ("destinations are locked as if they were read", "server/copy/job_locks.c",
        "                    .exclusive = i > 0,", "                    .exclusive = false,", SIM),
    ("a lost connection is tried for ever", "server/copy/lasting_suspend.c",
        "        return now(job) - lasting->lost_since_ns < job->spec->lasting->retry_for_ns;", "        return true;", LIVES),
    ("who holds locks waits for a slot behind those that wait for them", "server/copy/client.c",
        "        if (!kc_list_empty(&client->resuming))", "        if (may_lock && !kc_list_empty(&client->resuming))",
        lives_case("who-holds-locks-comes-first")),
    ("every checkpoint counts as progress", "server/copy/lasting.c",
        "        if (done_bytes <= lasting->best_bytes)", "        if (false)", lives_case("no-progress-is-given-up")),
    ("a job that is resumed while it stops ends", "server/copy/lasting_suspend.c",
        "        return SUSPEND_ADJUST; /* it was resumed before it had stopped */", "        return SUSPEND_NOT;",
        lives_case("resumed-while-it-stops")),
    ("what an interrupted run has left in doubt counts as untouched", "server/copy/lasting_suspend.c",
        "                        end->doubt_bytes += touched_bytes - sure_bytes;", "                        end->doubt_bytes += 0;", LIVES),
    ("pruning takes jobs that run", "server/store/sqlite_statement.c",
        "DELETE FROM job WHERE ended_ms < ?1", "DELETE FROM job WHERE created_ms <= ?1", system("detached-kept")),
    ("two daemons share a store", "server/daemon/state.c",
        "        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {", "        if (flock(fd, LOCK_SH | LOCK_NB) < 0) {", system("state-lock")),
    ("a further connection is not compared with the first", "server/copy/device.c",
        "        if (port->status == 0 && device_is_same(device, &port->info)) {", "        if (port->status == 0) {", SIM),
    ("a job begins while the engine closes", "server/copy/lasting_suspend.c",
        "        if (lasting && lasting->journal && job->engine->closing)\n                lasting->suspended = SUSPEND_SHUTDOWN;\n",
        "", lives_case("none-begins-at-the-end")),
    ("what could not be read is not stored with the checkpoint", "server/copy/checkpoint.c",
        "        checkpoint->bad_error = run->bad_error;\n", "", system("detached-bad-sectors")),
    ("another file of the same number is gone on with", "server/copy/lasting_check.c",
        "            io_instances_differ(end->instance, device->info.identity.instance))", "            false)",
        system("detached-another-file")),
    ("a replay begins one event late", "server/rpc/replay.c",
        "            .after = replay->next_seq - 1,", "            .after = replay->next_seq,", system("detached-records")),
]


def run(mutant, number, folder):
    """None, or why it is a mutant that should not be."""
    name, path, text, instead, (target, command) = mutant
    tree, build = folder / f"{number}", folder / f"{number}-build"
    try:
        shutil.copytree(TOP, tree, ignore=shutil.ignore_patterns(".git", "build*", "__pycache__"))
        before = (tree / path).read_text(encoding="utf-8")
        if before.count(text) != 1:
            return f"its text is {before.count(text)} times in {path}"
        (tree / path).write_text(before.replace(text, instead), encoding="utf-8")
        for step in (["cmake", "-S", str(tree), "-B", str(build), "-G", "Ninja", "-DKCOPY_WERROR=OFF"],
                ["ninja", "-C", str(build), target]):
            built = subprocess.run(step, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            if built.returncode != 0:
                return f"it does not build: {built.stdout.decode(errors='replace')[-600:]}"
        environment = {**os.environ, "KCOPY_BIN": str(build / "bin"), "KCOPY_TEST_LIB": str(build / "tests")}
        if command[0] != "bash":
            command = [str(build / command[0]), *command[1:]]
        try:
            ran = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env=environment, timeout=600, check=False)
        except subprocess.TimeoutExpired:
            return None  # it hangs: noticed
        if ran.returncode == 0:
            return "nobody notices"
        if ran.returncode == 77:
            return "the test is skipped here"
        return None
    finally:
        shutil.rmtree(tree, ignore_errors=True)
        shutil.rmtree(build, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if all(word in mutant[0] for word in args.only)]
    if args.list:
        print("\n".join(mutant[0] for mutant in chosen))
        return 0
    if not chosen:
        parser.error(f"no mutant has all of {args.only} in its name")
    n_alive = 0
    with tempfile.TemporaryDirectory(prefix="kcopy-mutants.") as folder, concurrent.futures.ThreadPoolExecutor(args.workers) as pool:
        runs = {pool.submit(run, mutant, number, pathlib.Path(folder)): mutant for number, mutant in enumerate(chosen)}
        for done in concurrent.futures.as_completed(runs):
            wrong = done.result()
            n_alive += wrong is not None
            print(f"{'ALIVE ' if wrong else 'noticed'} {runs[done][0]}{f': {wrong}' if wrong else ''}", flush=True)
    print(f"{len(chosen)} mutants, {n_alive} alive")
    return 1 if n_alive else 0


if __name__ == "__main__":
    sys.exit(main())
