# The first SIGTERM stops accepting and waits for the jobs; then the daemon ends with status 0.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 16M
truncate -s 16M "$tmp/a"
export_file "$tmp/a"
start_kcopyd --drain-timeout 60
start_copy --rate 8388608 "$tmp/src" "$uri"
must_wait_for 20 copied_some "$tmp/a"
kill -TERM "$kcopyd_pid"
not_accepting() {
        ! kcopyctl info >/dev/null 2>&1 </dev/null
}
must_wait_for 5 not_accepting
alive "$kcopyd_pid" || fail "it did not wait for its job"
end_copy "$copy_pid" "$copy_out" "$copy_errs"
expect_done
same_bytes "$tmp/src" "$tmp/a"
must_wait_for 10 gone "$kcopyd_pid"
[ ! -e "$kcopyd_socket" ] || fail "its socket is still there"
