# watch without ids tells of everybody's jobs, and of how they ended by the devices' names.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires jq

random_file "$tmp/src" 1M
start_kcopyd
kcopyctl watch >"$tmp/watch" 2>&1 </dev/null &
watch_pid=$!
cleanup_fn end_process $watch_pid
must_wait_for 10 eval '[ "$(kcopyctl --json info </dev/null | jq .clients)" = 2 ]'
copy --durability none "$tmp/src" "$tmp/dst"
expect_done
job=$(jq .job "$completion")
must_wait_for 10 grep -q "^job $job: completed" "$tmp/watch"

# One that fails: the message is by the name of the destination, not by its number.
cat >"$tmp/limited" <<'END'
#!/bin/bash
ulimit -f 16
exec "$@"
END
chmod +x "$tmp/limited"
end_process $watch_pid
kill_kcopyd
kcopyd_state= kcopyd_under=$tmp/limited start_kcopyd
kcopyctl watch >"$tmp/watch" 2>&1 </dev/null &
watch_pid=$!
cleanup_fn end_process $watch_pid
must_wait_for 10 eval '[ "$(kcopyctl --json info </dev/null | jq .clients)" = 2 ]'
copy "$tmp/src" "$tmp/dst2"
expect_status 1
must_wait_for 10 grep -q "kcopyctl: $tmp/dst2: " "$tmp/watch"
