#!/usr/bin/python3
"""summary.py [--partial] EXPECTED RESULTS.xml…: counts what ctest ran, from its JUnit files, against the
committed list of expected tests, and says in its last line "N passed, N failed, N skipped".

The list has a line "BUILD NAME" per test. A test that is expected and did not run fails the whole, so does one
that ran and is not in the list (./run test writes what it should be to build-asan/expected). With CI=true a
skipped test is a failure. --partial: only part was asked for, nothing is missing."""
import os
import pathlib
import sys
import xml.etree.ElementTree


def main():
    args = [a for a in sys.argv[1:] if a != "--partial"]
    partial = len(args) != len(sys.argv) - 1
    expected = set(pathlib.Path(args[0]).read_text().split("\n")) - {""} if os.path.exists(args[0]) else set()
    passed, failed, skipped = {}, {}, {}
    for name in args[1:]:
        build = pathlib.Path(name).stem.removeprefix("results-")
        for case in xml.etree.ElementTree.parse(name).getroot().iter("testcase"):
            key = f"{build} {case.get('name')}"
            if case.find("skipped") is not None or case.get("status") == "notrun":
                out = (case.findtext("system-out") or "").strip().split("\n")
                skipped[key] = next((line for line in out if "skipped" in line), out[-1])
            elif case.get("status") == "run":
                passed[key] = case.get("time")
            else:
                failed[key] = case.get("status")
    executed = passed.keys() | failed.keys()
    seen = executed | skipped.keys()
    for key, reason in sorted(skipped.items()):
        print(f"skipped: {key}: {reason}")
    for key in sorted(failed):
        print(f"failed: {key}")
    wrong = bool(failed)
    if not partial:
        for key in sorted(expected - seen):
            print(f"expected, and did not run: {key}")
            wrong = True
        for key in sorted(seen - expected):
            print(f"not in tests/expected: {key}")
            wrong = True
        if args[1:]:
            pathlib.Path(args[1]).with_name("expected").write_text("".join(f"{key}\n" for key in sorted(seen)))
    if skipped and os.environ.get("CI") == "true":
        print("on CI a skipped test is a failure")
        wrong = True
    print(f"{len(executed)} executed, {len(skipped)} skipped, {len(expected)} expected")
    print(f"{len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped")
    return 1 if wrong else 0


sys.exit(main())
