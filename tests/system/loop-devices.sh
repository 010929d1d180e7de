# Block devices: from one to another, and to an export and back.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq
requires_loop

random_file "$tmp/a" 8M
truncate -s 8M "$tmp/b" "$tmp/c"
attach_loop "$tmp/a"
a=$loop
attach_loop "$tmp/b"
b=$loop
export_file "$tmp/c"
start_kcopyd
copy "$a" "$b" "$uri"
expect_done
expect '.durable'
same_bytes "$tmp/a" "$b"
same_bytes "$tmp/a" "$tmp/c"

zero "$b"
expect_done
all_zero "$b" 8388608 0
# The user mounts next: the descriptor that was open for writing is closed by now.
/usr/bin/python3 -c 'import os, sys; os.open(sys.argv[1], os.O_RDWR | os.O_EXCL)' "$b" || fail "$b is still held"
