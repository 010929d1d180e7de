# A slow destination does not hold up the other: it falls behind, reads for itself, and both are complete.
# serial: yes
# limit: 90
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 64M
truncate -s 64M "$tmp/a" "$tmp/b"
export_file "$tmp/src"
src=$uri
export_file "$tmp/a"
fast=$uri
start_nbdkit --filter=rate file "$tmp/b" rate=64M
start_kcopyd
copy "$src" "$fast" "$uri"
expect_done
same_bytes "$tmp/src" "$tmp/a"
same_bytes "$tmp/src" "$tmp/b"
# 64 MiB at 8 MiB/s take eight seconds; the fast one was done in less than half of that.
expect '.elapsed_ms > 5000'
jq -es 'map(select(.event == "progress")) | any(.[]; (.done_bytes[0] == 67108864) and (.done_bytes[1] < 50000000))' \
        "$out" >/dev/null || jq -es 'any(.[]; (.event | test("destination")) and .index == 0)' "$out" >/dev/null ||
        fail "the fast destination was not done before the slow one"
