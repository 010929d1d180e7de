# Lanes that work on one job together keep to a processor each, and no longer than that.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires jq nbdkit nproc

[ "$(nproc)" -ge 2 ] || skip "one processor"
allowed=$(sed -n 's/^Cpus_allowed_list:\t//p' /proc/self/status)
# where_lanes_may_run: a line for each
where_lanes_may_run() {
        local task
        for task in "/proc/$kcopyd_pid/task/"*; do
                case $(cat "$task/comm") in
                lane-*) sed -n 's/^Cpus_allowed_list:\t//p' "$task/status" ;;
                esac
        done
}
roam() {
        [ "$(where_lanes_may_run | sort -u)" = "$allowed" ]
}
pinned() {
        where_lanes_may_run | awk '/[-,]/ { many = 1 } seen[$0]++ { many = 1 } END { exit many || NR != 2 }'
}

start_kcopyd --lanes 2
roam || fail "at the start: $(where_lanes_may_run)"
start_nbdkit --filter=delay memory 1G rdelay=3 # seconds: it does not end before it has been looked at
from=$uri
start_nbdkit memory 1G
start_copy --no-extents "$from" "$uri"
must_wait_for 20 pinned
kill -TERM "$copy_pid"
end_copy "$copy_pid" "$copy_out" "$copy_errs"
must_wait_for 20 roam

# A job of one lane roams.
random_file "$tmp/src" 1M
export_file "$tmp/src"
copy "$uri" null:
expect_done
roam || fail "after a small job: $(where_lanes_may_run)"
