# More jobs may wait than the soft limit of descriptors would let be open.
# labels: core
# limit: 60
source "$(dirname "$0")/../lib/functions.sh"
requires jq

[ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge 4096 ] || skip "the hard limit of descriptors is $(ulimit -Hn)"
ulimit -Sn 64
random_file "$tmp/src" 1M
start_kcopyd
copies=()
for i in $(seq 80); do
        start_copy --pages 256 --rate 1048576 "$tmp/src#0+1024" "$tmp/dst$i"
        copies+=("$copy_pid:$tmp/dst$i")
done
for one in "${copies[@]}"; do
        wait "${one%%:*}" || fail "${one#*:} was not copied"
        cmp -s -n 524288 "$tmp/src" "${one#*:}" || fail "${one#*:} differs"
done
