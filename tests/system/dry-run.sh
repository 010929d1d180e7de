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

# What a real run refuses, a dry run refuses: the same status and words, and still nothing touched.
truncate -s 1000 "$tmp/odd"
export_file "$tmp/src" --filter=blocksize-policy blocksize-minimum=4096 blocksize-error-policy=error
blocks=$uri
export_logged "$tmp/a"
both() {
        copy --dry-run "$@"
        expect_status 3
        cp "$errs" "$tmp/reason"
        [ -s "$errs" ] || fail "no reason: --dry-run $*"
        copy "$@"
        expect_status 3
        cmp "$tmp/reason" "$errs" || fail "another reason: $(cat "$tmp/reason" "$errs")"
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
taken "$tmp/src#0+8" "$tmp/odd#100+8"
taken "$tmp/src#0+8" null:
taken "$uri#0+8" "$uri#8+8"
[ ! -e "$tmp/new" ] || fail "a file was made"
zero --dry-run "$uri" "$uri#0+8"
expect_refused 'lengths must be equal'
zero --dry-run "$uri#8+8"
expect_status 0
no_writes "$trace"

# What it says: what is read and written, and what becomes of files.
truncate -s 3M "$tmp/long"
kcopyctl copy --dry-run "$tmp/src" "$tmp/long" "$tmp/odd" "$tmp/new" null: >"$out"
expect_line() {
        grep -qF -- "$1" "$out" || fail "no \"$1\" in: $(cat "$out")"
}
expect_line "read 1.0 MiB (1048576 bytes) from sector 0 of $tmp/src (1.0 MiB)"
expect_line "$tmp/long (3.0 MiB, cut to 1.0 MiB)"
expect_line "$tmp/odd (1000 B, grown to 1.0 MiB)"
expect_line "$tmp/new (a new file of 1.0 MiB)"
expect_line "discard 1.0 MiB"
kcopyctl --json copy --dry-run "$tmp/src#0+8" "$tmp/long#8+8" "$tmp/new" null: >"$out"
jq -es 'map(.event) == ["plan", "plan", "plan", "plan"] and map(.action) == ["read", "overwrite", "create", "discard"] and
    map(.length_bytes) == [4096, 4096, 4096, 4096] and map(.size_bytes) == [1048576, 3145728, null, null] and
    map(.size_after_bytes) == [null, 3145728, 4096, null] and map(.missing) == [false, false, true, false]' \
        "$out" >/dev/null || fail "not so: $(cat "$out")"
[ "$(stat -c %s "$tmp/long" "$tmp/odd" | xargs)" = "3145728 1000" ] || fail "a file was resized"
[ ! -e "$tmp/new" ] || fail "a file was made"
