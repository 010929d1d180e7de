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
expect_refused 'beyond the end of the device'

# What a real run refuses, a dry run refuses: the same status, and still nothing touched.
truncate -s 1000 "$tmp/odd"
export_file "$tmp/src" --filter=blocksize-policy blocksize-minimum=4096 blocksize-error-policy=error
blocks=$uri
export_logged "$tmp/a"
both() {
        copy --dry-run "$@"
        expect_status 3
        [ -s "$errs" ] || fail "no reason: --dry-run $*"
        copy "$@"
        expect_status 3
        no_writes "$trace"
        [ ! -e "$tmp/new" ] || fail "a file was made"
}
both "$tmp/src#2040+9" "$uri"
both "$tmp/src#0+8" "$uri#2048"
both "$tmp/src#0+8" "$uri#2044"
both "$tmp/src#0+8" "$uri#0+9"
both "$tmp/src#0+8" "$tmp/new" "$uri#0+9"
both "$blocks#1+8" "$uri"
both "$blocks#0+9" "$uri"
both "null:" "$tmp/new"
both "$uri#0+8" "$uri#4+8"

# And what it takes, it takes: an odd tail, a region that makes a file grow, zero.
taken() {
        copy --dry-run "$@"
        expect_status 0
}
taken "$tmp/odd" "$tmp/new"
taken "$tmp/src#0+8" "$tmp/odd#100"
taken "$tmp/src#0+8" null:
taken "$uri#0+8" "$uri#8+8"
[ ! -e "$tmp/new" ] || fail "a file was made"
zero --dry-run "$uri" "$uri#0+8"
expect_refused 'lengths must be equal'
zero --dry-run "$uri#8+8"
expect_status 0
no_writes "$trace"
