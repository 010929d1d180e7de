# --dry-run says what would happen and changes nothing: no write, no file.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 1M
truncate -s 1M "$tmp/a"
export_logged "$tmp/a"
start_kcopyd
copy --dry-run "$tmp/src" "$uri" "$tmp/new"
expect_status 0
[ ! -e "$tmp/new" ] || fail "--dry-run made a file"
no_writes "$trace"
copy --dry-run "$tmp/src#4096+8" "$uri"
expect_status 3
