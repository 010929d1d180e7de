# A job that would write where another one is writing waits its turn, visibly; one that does not, does not.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/one" 8M
random_file "$tmp/two" 8M
truncate -s 32M "$tmp/dst"
export_file "$tmp/dst"
start_kcopyd
start_copy --rate 4194304 "$tmp/one" "$uri#0+16384"
one_pid=$copy_pid one_out=$copy_out one_errs=$copy_errs
must_wait_for 20 some_job '.state == "running"'
start_copy "$tmp/two" "$uri#8192+16384"
must_wait_for 5 some_job '.state == "waiting" and (.reason | length > 0)'
kcopyctl copy "$tmp/one#0+8192" "$uri#0+8192" </dev/null >"$tmp/third" 2>&1 &
third_pid=$!
cleanup_fn end_process $third_pid KILL
must_wait_for 5 eval '[ "$(kcopyctl --json jobs </dev/null | jq -s "map(select(.state == \"waiting\")) | length")" = 2 ]'
third=$(kcopyctl --json jobs </dev/null | jq -s 'map(select(.state == "waiting")) | last | .job')
reason=$(kcopyctl --json job "$third" </dev/null | jq -r .reason)
copy "$tmp/two" "$uri#40960+16384"
expect_done
some_job '.state == "waiting"' || fail "the conflicting job did not wait"
end_copy "$one_pid" "$one_out" "$one_errs"
expect_done
end_copy "$copy_pid" "$copy_out" "$copy_errs"
expect_done
# How long it waited is not how long it copied.
wait $third_pid
grep -qxF "$reason" "$tmp/third" || fail "the reason, \"$reason\", is not whole: $(cat "$tmp/third")"
grep -qE '^copied 4.0 MiB in [0-9.]+ s after waiting [0-9.]+ s \(' "$tmp/third" || fail "the summary: $(cat "$tmp/third")"
ctl wait "$third"
expect_status 0
grep -qE '^copied 4.0 MiB; (durable|not flushed); ended [0-9.]+ s after it was accepted$' "$out" ||
        fail "somebody else's job, whose waiting is not known: $(cat "$out")"
same_bytes "$tmp/one" "$tmp/dst" 4194304
same_bytes "$tmp/two" "$tmp/dst" 8388608 0 4194304
same_bytes "$tmp/two" "$tmp/dst" 8388608 0 20971520
