# The first SIGTERM takes no more jobs and waits for those it has; then the daemon ends with status 0. Its clients are
# told at once, also those that come only now; who waits for a job, or watches, sees its end. The log says how they ended.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 16M
truncate -s 16M "$tmp/a"
export_file "$tmp/a"
start_kcopyd --drain-timeout 60
start_copy --rate 8388608 "$tmp/src" "$uri"
must_wait_for 20 copied_some "$tmp/a"
job=$(kcopyctl --json jobs </dev/null | jq .job)
kcopyctl wait "$job" </dev/null >"$tmp/wait" 2>&1 &
wait_pid=$!
cleanup_fn end_process $wait_pid
kcopyctl watch </dev/null >"$tmp/watch" 2>&1 &
watch_pid=$!
cleanup_fn end_process $watch_pid
must_wait_for 10 eval '[ "$(kcopyctl --json info </dev/null | jq .clients)" = 4 ]'
must_wait_for 10 grep -q running "$tmp/watch"
kill -TERM "$kcopyd_pid"
for client in "$copy_errs" "$tmp/wait" "$tmp/watch"; do
        must_wait_for 1 grep -q 'shutting down; it waits up to 60 s' "$client"
done
must_wait_for 5 grep -q '"event":"stopping","drain_ms":60000' "$copy_out"
not_accepting() {
        ! kcopyctl info >/dev/null 2>&1 </dev/null
}
must_wait_for 5 not_accepting
ctl jobs
expect_status 4
grep -q 'is shutting down, jobs that still run: 1;' "$errs" || fail "who comes now hears: $(cat "$errs")"
grep -q 'stopping: waiting for jobs jobs=1 connections=' "$kcopyd_log" || fail "the log: $(cat "$kcopyd_log")"
alive "$kcopyd_pid" || fail "it did not wait for its job"
end_copy "$copy_pid" "$copy_out" "$copy_errs"
expect_done
same_bytes "$tmp/src" "$tmp/a"
wait $wait_pid || fail "wait for a job that went through: status $?: $(cat "$tmp/wait")"
wait $watch_pid || fail "watch of a server that ended in good order: status $?: $(cat "$tmp/watch")"
grep -q "job $job: completed" "$tmp/watch" || fail "watch did not see the end: $(cat "$tmp/watch")"
must_wait_for 10 gone "$kcopyd_pid"
[ ! -e "$kcopyd_socket" ] || fail "its socket is still there"
grep -q 'kcopyd stopped; jobs it waited for: completed=1 failed=0 cancelled=0' "$kcopyd_log" || fail "the log: $(cat "$kcopyd_log")"
