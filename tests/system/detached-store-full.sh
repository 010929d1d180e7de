# The disk of the job store is full: a new detached job is refused with the file and the remedy; one that runs says why it
# waits, and goes on by itself when there is room; nothing is told that is not stored.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires jq

mkdir "$tmp/state"
mount -t tmpfs -o size=1M tmpfs "$tmp/state" 2>/dev/null || skip "cannot mount here"
cleanup_fn eval 'umount "$tmp/state" 2>/dev/null || :'
random_file "$tmp/src" 4M
start_kcopyd --state "$tmp/state" --checkpoint-interval 0.05
detach --rate 2M "$tmp/src" "$tmp/a"
first=$job
must_wait_for 20 job_is "$first" '.destinations[0].bytes.copied > 0'
dd if=/dev/zero of="$tmp/state/ballast" bs=4k 2>/dev/null || :
# what the WAL has room for still goes
said() {
        job_is "$first" '.reason | contains("jobs.db: no space left; make room")'
}
must_wait_for 30 said
refused() {
        copy --detach "$tmp/src" "$tmp/b"
        [ "$status" = 3 ] && grep -q 'jobs.db: no space left; make room' "$errs"
}
must_wait_for 20 refused
[ ! -e "$tmp/b" ] || fail "a refused job has created its file"
ctl --json job "$first"
expect_status 0
jq -e '.state != "completed"' "$out" >/dev/null || fail "it is told to be complete: $(cat "$out")"
# what is not detached needs no store
copy "$tmp/src" "$tmp/c"
expect_done

rm "$tmp/state/ballast"
await_job "$first"
expect_done
same_bytes "$tmp/src" "$tmp/a"
ctl --json watch --from 1 "$first"
jq -e -s 'map(.seq) == [range(1; length + 1)]' "$out" >/dev/null || fail "the numbers: $(jq -c .seq "$out")"
detach "$tmp/src" "$tmp/b"
await_job "$job"
expect_done
kcopyd_ends "$kcopyd_pid" || fail "it does not end"
