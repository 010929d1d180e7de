# jobs, job, watch, wait, cancel and info, from another client than the one whose job it is.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 32M
truncate -s 32M "$tmp/a"
export_file "$tmp/a"
start_kcopyd
ctl info
expect_status 0
grep -qE 'through (io_uring|threads)' "$out" || fail "info: $(cat "$out")"
grep -qE '^memory for copying: .* MiB, of which clients have reserved ' "$out" || fail "info: $(cat "$out")"
ctl jobs
grep -q '^no jobs' "$out" || fail "jobs, of none: $(cat "$out")"
[ -z "$(kcopyctl --json jobs </dev/null)" ] || fail "no jobs, and a line of JSON"
start_copy --rate 2097152 "$tmp/src" "$uri"
must_wait_for 20 some_job '.state == "running"'
job=$(kcopyctl --json jobs </dev/null | jq -s 'flatten | map(.jobs? // .) | flatten | .[0].job')
ctl jobs
expect_status 0
grep -qE "(^|[^0-9])$job([^0-9]|\$)" "$out" || fail "jobs: $(cat "$out")"
ctl job "$job"
expect_status 0
grep -q "$tmp/src" "$out" || fail "job: $(cat "$out")"
kcopyctl --json watch "$job" </dev/null >"$tmp/watch" 2>&1 &
watch_pid=$!
cleanup_fn end_process $watch_pid
must_wait_for 10 grep -q progress "$tmp/watch"
kcopyctl wait 999999 "$job" </dev/null >"$tmp/wait" 2>&1 &
wait_pid=$!
cleanup_fn end_process $wait_pid
must_wait_for 10 grep -q 'rate_bytes_per_s' "$tmp/watch"
! grep -q '"rate_bytes_per_s":0,' "$tmp/watch" || fail "a job that runs has no rate: $(cat "$tmp/watch")"
# What is shown of a job is of now: it changes faster than a copy's own progress, which comes every second.
began=$(now_ms) seen=""
while [ $(($(now_ms) - began)) -lt 2500 ]; do
        seen+=$(kcopyctl --json job "$job" </dev/null | jq -c '.destinations[0].bytes.copied')" "
done
[ "$(tr ' ' '\n' <<<"$seen" | sort -u | grep -c .)" -ge 5 ] || fail "job shows old numbers: $seen"
ctl cancel "$job"
expect_status 0
grep -q "^job $job: is being cancelled$" "$out" || fail "cancel: $(cat "$out")"
end_copy "$copy_pid" "$copy_out" "$copy_errs"
[ "$status" != 0 ] || fail "a cancelled copy, and status 0"
expect '.state == "cancelled"'
status=0
wait $wait_pid || status=$?
[ $status = 3 ] || fail "wait for a cancelled job and for one that is none ended with $status"
grep -q "^job $job: cancelled" "$tmp/wait" || fail "the job that there is was not waited for: $(cat "$tmp/wait")"
grep -q '^kcopyctl: job 999999: there is no such job$' "$tmp/wait" || fail "wait for no job: $(cat "$tmp/wait")"
ctl wait "$job"
expect_status 1
# Terminal events can be asked for afterwards.
ctl job "$job"
grep -q 'destination 0: .*, cancelled$' "$out" || fail "a destination that was cancelled: $(cat "$out")"
ctl --json job "$job"
expect_status 0
grep -q cancelled "$out" || fail "job, afterwards: $(cat "$out")"
ctl job 999999
[ "$status" != 0 ] || fail "a job that does not exist, and status 0"
ctl cancel 999999
expect_status 3
grep -q 'job 999999: there is no such job' "$errs" || fail "cancel of no job: $(cat "$errs")"
ctl --json cancel "$job" 999999
expect_status 3
jq -es ". == [{event: \"over\", job: $job, state: \"cancelled\"}, {event: \"not_found\", job: 999999}]" "$out" \
        >/dev/null || fail "cancel, as JSON: $(cat "$out")"
ctl cancel "$job"
expect_status 0
grep -q "^job $job: had ended already: cancelled$" "$out" || fail "cancel of what is over: $(cat "$out")"
