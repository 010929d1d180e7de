# A detached job that leaves out bad sectors, and whose daemon is killed when it has given up the first of them and still
# tries the second: the next daemon does not try the first one again, and the completion lists both.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq ddrescue python3

random_file "$tmp/src" 2M
truncate -s 2M "$tmp/a"
start_faulty "$tmp/src"
start_kcopyd --checkpoint-interval 0.05
second_tried() { # so often, by itself
        [ "$(grep -c "^read 1573376 512$" "$trace")" -ge "$1" ]
}
# how often that is
faults "$control" "read 524800 1 EIO" "read 1573376 1 EIO"
detach --on-error ignore "$uri" "$tmp/a"
await_job "$job"
n=$(grep -c "^read 1573376 512$" "$trace")

: >"$trace"
faults "$control" "read 524800 1 EIO:200" "read 1573376 1 EIO:200"
detach --on-error ignore "$uri" "$tmp/a"
must_wait_for 20 second_tried $((n - 1))
faults "$control" "read 524800 1 EIO" "read 1573376 1 hang"
must_wait_for 20 second_tried "$n"
stored() { # with the checkpoint; the daemon's own database is locked
        mkdir -p "$tmp/copy"
        cp "$tmp"/jobs.db* "$tmp/copy"
        rm -f "$tmp"/copy/*-shm
        /usr/bin/python3 - "$tmp/copy/jobs.db" "$job" 2>/dev/null <<'PYTHON'
import sqlite3, sys
row = sqlite3.connect(sys.argv[1]).execute("SELECT mark FROM job WHERE id = ?", sys.argv[2:]).fetchone()
sys.exit(b"read at sector 1025" not in (row[0] or b""))
PYTHON
}
must_wait_for 20 stored
kill_kcopyd
faults "$control" "read 524800 1 EIO" "read 1573376 1 EIO"
: >"$trace"
start_kcopyd
await_job "$job"
! grep -q "^read 524800 " "$trace" || fail "the first bad sector was tried again"
expect '.read_err' '.source.error.sector == 1025' 'd(0).bytes.untouched + d(0).bytes.indeterminate == 1024' 'd(0).bytes.untouched >= 512' 'd(0).bytes.copied == 2097152 - 1024' \
        '.source.bad_ranges == [{"sector":1025,"count":1},{"sector":3073,"count":1}]'
kcopyctl job "$job" --mapfile "$tmp/map" </dev/null || fail "no mapfile"
ddrescue --quiet --retry-passes=1 "$tmp/src" "$tmp/a" "$tmp/map" || fail "ddrescue does not take the map"
same_bytes "$tmp/src" "$tmp/a"
