# --rate holds: data bytes per second and destination; zeroes do not count.
# serial: yes
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 12M
truncate -s 12M "$tmp/a" "$tmp/b"
export_file "$tmp/a"
a=$uri
export_file "$tmp/b"
start_kcopyd
copy --rate 4194304 --durability none "$tmp/src" "$a" "$uri"
expect_done
# 12 MiB at 4 MiB/s: three seconds, a burst of a quarter of a second allowed, and a slow machine.
expect '.elapsed_ms >= 2250 and .elapsed_ms <= 6000'
same_bytes "$tmp/src" "$tmp/a"
same_bytes "$tmp/src" "$tmp/b"

truncate -s 256M "$tmp/hole" "$tmp/c"
export_file "$tmp/c"
copy --rate 1048576 "$tmp/hole" "$uri"
expect_done
expect '.elapsed_ms < 10000'
