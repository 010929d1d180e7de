# Ctrl-C cancels the job, reports what happened, and ends as by SIGINT; the server has no job left.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 64M
truncate -s 64M "$tmp/a"
export_file "$tmp/a"
start_kcopyd
# Background commands of a shell ignore SIGINT: it is put back before kcopyctl starts.
/usr/bin/python3 -c '
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' \
        kcopyctl --json copy --rate 8388608 "$tmp/src" "$uri" >"$out" 2>"$errs" </dev/null &
copy_pid=$!
cleanup_fn end_process $copy_pid KILL
must_wait_for 20 copied_some "$tmp/a"
kill -INT $copy_pid
status=0
wait $copy_pid || status=$?
[ $status = 130 ] || fail "ended with $status, not as by SIGINT"
tail -n 1 "$out" | jq -c 'select(.event == "completion")' >"$completion"
ledger_adds_up
expect '.state == "cancelled"' 'd(0).bytes.copied < 67108864' 'd(0).error.class == "cancelled"'
must_wait_for 5 eval '! some_job ".state == \"running\""'

# The same with a private daemon, which goes too.
unset KCOPYD_SERVER
truncate -s 0 "$tmp/a"
truncate -s 64M "$tmp/a"
/usr/bin/python3 -c '
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' \
        kcopyctl --json copy --rate 8388608 "$tmp/src" "$uri" >"$out" 2>"$errs" </dev/null &
copy_pid=$!
cleanup_fn end_process $copy_pid KILL
must_wait_for 20 copied_some "$tmp/a"
kill -INT $copy_pid
status=0
wait $copy_pid || status=$?
[ $status = 130 ] || fail "ended with $status, not as by SIGINT"

# timeout(1) signals kcopyctl and then its group: two signals at once are one wish, and lose no report.
for second in INT TERM HUP; do
        truncate -s 0 "$tmp/a"
        truncate -s 64M "$tmp/a"
        /usr/bin/python3 -c '
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' \
                kcopyctl --json copy --rate 8388608 "$tmp/src" "$uri" >"$out" 2>"$errs" </dev/null &
        copy_pid=$!
        cleanup_fn end_process $copy_pid KILL
        must_wait_for 20 copied_some "$tmp/a"
        kill -TERM $copy_pid
        kill -$second $copy_pid
        status=0
        wait $copy_pid || status=$?
        [ $status -gt 128 ] || fail "ended with $status, not as by a signal"
        tail -n 1 "$out" | jq -c 'select(.event == "completion")' >"$completion"
        expect '.state == "cancelled"'
done
