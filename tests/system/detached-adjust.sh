# A detached job that crawls is given another rate while it runs, while it is paused, and by a number that stays after a
# restart; watch --from follows it from the beginning to its end, over both.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires jq

random_file "$tmp/src" 16M
start_kcopyd --checkpoint-interval 0.2
detach --rate 100K --priority 2 "$tmp/src" "$tmp/a"
must_wait_for 20 job_is "$job" '.state == "running" and .destinations[0].bytes.copied > 0'
job_is "$job" '.rate_bytes_per_s == 102400 and .priority == 2' || fail "the rate that was asked for: $(kcopyctl --json job "$job")"
ctl adjust "$job"
expect_status 2
ctl adjust --priority 8 "$job"
expect_status 2
ctl adjust --rate 200K "$job"
expect_status 0
must_wait_for 20 job_is "$job" '.state == "running" and .rate_bytes_per_s == 204800 and .priority == 2'
ctl pause "$job"
must_wait_for 20 job_is "$job" '.state == "paused"'
ctl adjust --priority 5 "$job"
expect_status 0
job_is "$job" '.state == "paused" and .priority == 5 and .rate_bytes_per_s == 204800' || fail "adjusted while paused"
kill_kcopyd
start_kcopyd --checkpoint-interval 0.2
job_is "$job" '.state == "paused" and .priority == 5 and .rate_bytes_per_s == 204800' || fail "not after a restart"
kcopyctl --json watch --from 1 "$job" >"$tmp/watched" </dev/null &
watcher=$!
cleanup_fn end_process $watcher
ctl resume "$job"
expect_status 0
must_wait_for 20 job_is "$job" '.state == "running"'
must_wait_for 20 grep -q '"event":"progress"' "$tmp/watched"
ctl adjust --rate none "$job"
expect_status 0
await_job "$job"
expect_done
same_bytes "$tmp/src" "$tmp/a"
must_wait_for 10 gone $watcher
wait $watcher || fail "watch ended with $?"
jq -e -s 'map(select(.seq)) | map(.seq) == [range(1; length + 1)]' "$tmp/watched" >/dev/null || fail "the numbers: $(cat "$tmp/watched")"
! grep -q 'in use by job' "$tmp/watched" || fail "it waits for itself: $(cat "$tmp/watched")"
jq -e -s '.[-1].event == "completion"' "$tmp/watched" >/dev/null || fail "the last one: $(tail -n 1 "$tmp/watched")"

ctl adjust --rate 1M "$job"
expect_status 3
grep -q 'has ended' "$errs" || fail "the message: $(cat "$errs")"
