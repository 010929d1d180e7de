# --destination-is-zero skips zeroes instead of writing them, and the ledger says so. Without it a destination that
# is not zero is made so.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

sparse_file "$tmp/src" 16M 1048576:65536
truncate -s 16M "$tmp/a"
random_file "$tmp/b" 16M
export_file "$tmp/src"
src=$uri
export_logged "$tmp/a"
start_kcopyd
copy --destination-is-zero "$src" "$uri"
expect_done
expect 'd(0).bytes.skipped >= 15728640' 'd(0).bytes.zeroed == 0'
same_bytes "$tmp/src" "$tmp/a"
! grep -E '(Zero|Trim) id=' "$trace" || fail "zeroes were written"
ctl copy --dry-run --destination-is-zero "$src" "$uri"
grep -q 'overwrite .*, zeroes skipped: declared zero already$' "$out" || fail "the dry run: $(cat "$out")"
ctl copy --destination-is-zero "$src" "$uri"
expect_status 0
grep -qE 'copied 16.0 MiB .*, 1[0-9].. MiB of it skipped, declared zero already; durable$' "$out" || fail "it says $(cat "$out")"
copy "$src" "$tmp/b"
expect_done
expect 'd(0).bytes.skipped == 0' 'd(0).bytes.zeroed >= 15728640'
same_bytes "$tmp/src" "$tmp/b"
