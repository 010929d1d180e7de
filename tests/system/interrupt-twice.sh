# A second Ctrl-C leaves at once, although the server of the destination never answers.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 1M
truncate -s 1M "$tmp/a"
start_faulty "$tmp/a"
faults "$control" "write 0 1048576 hang"
start_kcopyd --quarantine 3
/usr/bin/python3 -c '
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' kcopyctl copy "$tmp/src" "$uri" >"$out" 2>"$errs" </dev/null &
copy_pid=$!
cleanup_fn end_process $copy_pid KILL
must_wait_for 10 grep -q '^write' "$trace"
kill -INT $copy_pid
# Its message, or its cancellation, says that the first one has arrived.
must_wait_for 5 some_job '.state != "running"'
began=$(now_ms)
# Within half a second of the first it is the same wish.
again() {
        ! kill -INT $copy_pid 2>/dev/null || gone $copy_pid
}
must_wait_for 2 again
status=0
wait $copy_pid || status=$?
[ $status = 130 ] || fail "ended with $status, not as by SIGINT"
[ $(($(now_ms) - began)) -lt 1500 ] || fail "did not leave at once"
faults "$control"
