# A server that never answers does not keep the daemon: after the deadline it says what is stuck, and leaves.
# labels: core
# limit: 90
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 1M
truncate -s 1M "$tmp/a"
start_faulty "$tmp/a"
faults "$control" "write 0 1048576 hang"
start_kcopyd --drain-timeout 1
start_copy "$tmp/src" "$uri"
must_wait_for 10 grep -q '^write' "$trace"
kill -TERM "$kcopyd_pid"
must_wait_for 30 gone "$kcopyd_pid"
kill_kcopyd
end_copy "$copy_pid" "$copy_out" "$copy_errs"
[ "$status" != 0 ] || fail "status 0"
faults "$control"
