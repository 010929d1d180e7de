# Detached jobs that have ended are kept for as long, and as many, as the server is told; others are not touched by it.
source "$(dirname "$0")/../lib/functions.sh"
requires jq

random_file "$tmp/src" 1M
start_kcopyd
for ((i = 0; i < 5; i++)); do
        detach "$tmp/src#0+8" "$tmp/to.$i"
        await_job "$job"
done
detach --rate 10K "$tmp/src" "$tmp/slow"
running=$job
must_wait_for 20 job_is "$running" '.state == "running"'
kill_kcopyd
start_kcopyd --keep-jobs 2
ended_are() {
        [ "$(kcopyctl --json jobs --all </dev/null | jq -s 'map(select(.state == "completed")) | length')" = "$1" ]
}
must_wait_for 20 ended_are 2
job_is "$((running - 1))" '.state == "completed"' || fail "the last one is not kept"
job_is "$running" '.state == "running" or .state == "waiting"' || fail "one that runs: $(kcopyctl --json job "$running")"
kill_kcopyd
start_kcopyd --keep-days 0
must_wait_for 20 ended_are 0
ctl cancel "$running"
await_job "$running"
expect_status 1
