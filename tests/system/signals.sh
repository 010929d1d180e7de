# Signals to kcopyctl other than Ctrl-C: SIGTERM and SIGHUP cancel the job, report what happened, and end as by
# that signal; the private daemon and the captive servers go too.
# labels: core
# variants: TERM HUP
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 64M
# Background commands of a shell may ignore signals: they are put back before kcopyctl starts.
/usr/bin/python3 -c '
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' \
        kcopyctl --json copy --rate 8388608 [ nbdkit file "$tmp/src" ] "$tmp/dst" >"$out" 2>"$errs" </dev/null &
copy_pid=$!
cleanup_fn end_process $copy_pid KILL
must_wait_for 20 copied_some "$tmp/dst"
kill "-$1" $copy_pid
status=0
wait $copy_pid || status=$?
expect_status $((128 + $(kill -l "$1")))
tail -n 1 "$out" | jq -c 'select(.event == "completion")' >"$completion"
ledger_adds_up
expect '.state == "cancelled"' 'd(0).bytes.copied < 67108864' 'd(0).error.class == "cancelled"'
must_wait_for 10 none_left
