# Cancel with a server that never answers a write: after the completion the range is still locked, the next job
# there waits, visibly, and the late write damages nothing.
# labels: core
# limit: 90
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 1M
random_file "$tmp/newer" 1M
truncate -s 1M "$tmp/dst"
start_faulty "$tmp/dst"
faults "$control" "write 0 4096 hang"
start_kcopyd --quarantine 30
start_copy "$tmp/src" "$uri"
must_wait_for 10 grep -q '^write 0 ' "$trace"
job=$(kcopyctl --json jobs </dev/null | jq -s 'flatten | map(.jobs? // .) | flatten | .[0].job')
ctl cancel "$job"
expect_status 0
end_copy "$copy_pid" "$copy_out" "$copy_errs"
[ "$status" != 0 ] || fail "a cancelled copy, and status 0"
expect '.state == "cancelled"' 'd(0).bytes.indeterminate > 0' 'd(0).error.class == "cancelled"'

# Its write is still out: the next job waits for the sectors.
start_copy "$tmp/newer" "$uri"
must_wait_for 10 some_job '.state == "waiting" and (.reason | test("may still land"))'
holds_for 1 some_job '.state == "waiting"'
# Now the old write lands, and then the new job runs on top of it.
faults "$control"
end_copy "$copy_pid" "$copy_out" "$copy_errs"
expect_done
same_bytes "$tmp/newer" "$tmp/dst"
