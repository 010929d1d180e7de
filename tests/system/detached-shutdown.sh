# SIGTERM: a detached job is not waited for. It is flushed, and goes on when the server runs again.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires jq

random_file "$tmp/src" 16M
truncate -s 16M "$tmp/dst"
start_kcopyd
detach --rate 4194304 "$tmp/src" "$tmp/dst"
must_wait_for 20 job_is "$job" '.destinations[0].bytes.copied > 0'
started=$(now_ms)
kcopyd_ends "$kcopyd_pid" || fail "it does not end in good order"
[ $(($(now_ms) - started)) -lt 5000 ] || fail "it has waited for the job"
start_kcopyd
await_job "$job"
expect_done
same_bytes "$tmp/src" "$tmp/dst"
