# The flush comes after the last write was answered: nothing is written behind it, on any connection.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 32M
truncate -s 32M "$tmp/a"
start_faulty "$tmp/a"
# The last writes are slow: a flush that does not wait for them overtakes them.
faults "$control" "write 31457280 2097152 delay:400"
start_kcopyd --lanes 2
copy "$tmp/src" "$uri"
expect_done
expect '.durable'
[ "$(tail -n 1 "$trace" | cut -d' ' -f1)" = flush ] || fail "the last request is no flush: $(tail -n 2 "$trace")"
[ "$(grep -c '^flush' "$trace")" -ge 1 ] || fail "no flush"
[ "$(sed -n '/^flush/,$p' "$trace" | grep -cE '^(write|zero)')" = 0 ] || fail "a write after the flush"
same_bytes "$tmp/src" "$tmp/a"
