# zero: blocks stay allocated without --unmap and may go with it; several destinations at once.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/a" 4M
cp "$tmp/a" "$tmp/b"
cp "$tmp/a" "$tmp/was"
export_logged "$tmp/a"
a=$uri a_trace=$trace
start_kcopyd
zero "$a#0+2048"
expect_done
expect 'd(0).bytes.zeroed == 1048576' 'd(0).bytes.copied == 0' '.durable'
all_zero "$tmp/a" 1048576 0
same_bytes "$tmp/was" "$tmp/a" 3145728 1048576 1048576
[ "$(allocated_bytes "$tmp/a")" -ge 4194304 ] || fail "blocks were given up without --unmap"
grep -q 'Zero id=.*trim=1' "$a_trace" && fail "may_trim without --unmap"

zero --unmap "$a" "$tmp/b"
expect_done
all_zero "$tmp/a" 4194304 0
all_zero "$tmp/b" 4194304 0
grep -q 'Zero id=.*trim=1' "$a_trace" || fail "no request that may trim"
[ "$(allocated_bytes "$tmp/a")" -lt 1048576 ] || fail "--unmap, and $(allocated_bytes "$tmp/a") bytes allocated"
