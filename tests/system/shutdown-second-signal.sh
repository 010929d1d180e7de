# A second SIGTERM cancels what is left; so does the end of --drain-timeout.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 64M
truncate -s 64M "$tmp/a"
export_file "$tmp/a"
start_kcopyd --quarantine 3 --drain-timeout 60
start_copy --rate 4194304 "$tmp/src" "$uri"
must_wait_for 20 copied_some "$tmp/a"
kill -TERM "$kcopyd_pid"
holds_for 1 alive "$kcopyd_pid" || fail "it did not wait for its job"
kill -TERM "$kcopyd_pid"
must_wait_for 10 gone "$kcopyd_pid"
kcopyd_ends "$kcopyd_pid"
end_copy "$copy_pid" "$copy_out" "$copy_errs"
expect_status 1
expect '.state == "cancelled"' 'd(0).error.class == "stopped"' 'd(0).error.message | test("the server was stopped")'
grep -q 'copy: cancelled: the server was stopped' "$errs" || fail "it does not say why: $(cat "$errs")"

start_kcopyd --quarantine 3 --drain-timeout 1
start_copy --rate 4194304 "$tmp/src" "$uri"
must_wait_for 20 some_job '.state == "running"'
kill -TERM "$kcopyd_pid"
must_wait_for 10 gone "$kcopyd_pid"
kcopyd_ends "$kcopyd_pid"
end_copy "$copy_pid" "$copy_out" "$copy_errs"
expect_status 1
expect '.state == "cancelled"' 'd(0).error.message | test("the server was stopped")'
