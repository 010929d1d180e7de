# A dry run of a device that does not answer: Ctrl-C ends it, as by SIGINT; a server that dies under it leaves no doubt
# that nothing was written; and one that has to be judged by a stopped device's time limit is refused in time.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires jq

random_file "$tmp/src" 1M
start_kcopyd --open-timeout 60

# The listening socket and the server's end of a connection.
connected() {
        [ "$(grep -c " $sock\$" /proc/net/unix)" -ge 2 ]
}

# Background commands of a shell ignore SIGINT: it is put back before kcopyctl starts.
start_dry_run() {
        start_peer --size 1048576 --stall greeting
        /usr/bin/python3 -c '
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' \
                kcopyctl copy --dry-run "$tmp/src" "$uri" >"$out" 2>"$errs" </dev/null &
        copy_pid=$!
        cleanup_fn end_process $copy_pid KILL
        must_wait_for 20 connected
}

began=$(now_ms)
start_dry_run
kill -INT $copy_pid
status=0
wait $copy_pid || status=$?
[ $status = 130 ] || fail "ended with $status, not as by SIGINT"
[ $(($(now_ms) - began)) -lt 30000 ] || fail "it waited for the device"
[ ! -s "$out" ] || fail "it said: $(cat "$out")"

# A daemon that dies.
kill_kcopyd
start_kcopyd --open-timeout 60
start_dry_run
kill_kcopyd
status=0
wait $copy_pid || status=$?
expect_status 5
grep -q 'nothing has been written' "$errs" || fail "no word of it: $(cat "$errs")"

start_kcopyd --open-timeout 2
copy --dry-run "$tmp/src" "$uri"
expect_refused 'to\[0\]' 'time'
