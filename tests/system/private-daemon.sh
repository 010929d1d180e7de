# copy and zero need no daemon: they start a private one, and it is gone when they are.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 1M
copy "$tmp/src" "$tmp/dst"
expect_done
same_bytes "$tmp/src" "$tmp/dst"
must_wait_for 5 none_left

zero "$tmp/dst#8+8"
expect_done
all_zero "$tmp/dst" 4096 4096
must_wait_for 5 none_left

# Also when the copy is refused, when it fails, and when kcopyctl is killed.
copy "$tmp/nothing" "$tmp/dst2"
expect_status 3
must_wait_for 5 none_left

# one thread: with several, nbdkit 1.32 may abort when it answers a peer that has gone
start_nbdkit -t 1 --filter=delay memory 1M delay-read=60
start_copy --no-extents "$uri" null:
must_wait_for 10 eval 'pgrep -P "$copy_pid" >/dev/null'
end_process "$copy_pid" KILL
nbdkit_pid=$pid
only_nbdkit() {
        [ "$(leftovers)" = "$nbdkit_pid" ]
}
must_wait_for 15 only_nbdkit
