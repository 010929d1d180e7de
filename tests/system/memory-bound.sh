# 16 MiB reserved, 512 MiB to three destinations, one of them slow, 1,000 more jobs queued: anonymous memory stays
# within the reservation and a constant. (The bench prints the figure.)
# limit: 120
# builds: release
# serial: yes
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq
random_file "$tmp/src" 512M
export_file "$tmp/src"
src=$uri
start_nbdkit memory 512M
a=$uri
start_nbdkit memory 512M
b=$uri
start_nbdkit --filter=rate memory 512M rate=256M
start_kcopyd --pages 4096
PYTHONPATH=$tests/lib /usr/bin/python3 "$tests/lib/load.py" 1000 "$src" "$a" "$b" "$uri" >"$tmp/load" &
load=$!
cleanup_fn end_process $load
peak=0
sample() {
        local now
        now=$(rss_anon_kib "$kcopyd_pid")
        [ "$now" -le "$peak" ] || peak=$now
        gone "$load"
}
must_wait_for 110 sample
wait "$load" || fail "the load: $(cat "$tmp/load")"
say "peak of anonymous memory: $peak KiB with a reservation of 16384 KiB"
[ "$peak" -lt 49152 ] || fail "anonymous memory reached $peak KiB"
