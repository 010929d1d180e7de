# A detached job is paused: it holds nothing, another one may write there; resumed, it goes on, and the result is the
# source. Paused it stays over a restart of the server.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires jq

random_file "$tmp/src" 16M
truncate -s 16M "$tmp/dst"
start_kcopyd --checkpoint-interval 0.2
detach_and_pause --rate 4194304 "$tmp/src" "$tmp/dst"
copied=$(kcopyctl --json job "$job" </dev/null | jq '.destinations[0].bytes.copied')
[ "$copied" -gt 0 ] || fail "nothing of it is kept"
kill_kcopyd
start_kcopyd
must_wait_for 10 job_is "$job" '.state == "paused"'
ctl resume "$job"
expect_status 0
await_job "$job"
expect_done
same_bytes "$tmp/src" "$tmp/dst"
ctl pause "$job"
expect_status 3
