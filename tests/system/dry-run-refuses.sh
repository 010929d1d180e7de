# A dry run is judged as the real one: what means the same device by another name, what is too small, missing, read-only
# or in use ends with the same status and the same words; what is right ends with 0. Nothing is made or changed.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq
requires_loop

random_file "$tmp/src" 1M
cp "$tmp/src" "$tmp/was"
ln "$tmp/src" "$tmp/hard"
truncate -s 4096 "$tmp/small"
truncate -s 1M "$tmp/room"
attach_loop "$tmp/src"
alias=$loop
attach_loop "$tmp/small"
small=$loop
attach_loop "$tmp/room"
room=$loop
attach_loop "$tmp/room" --read-only
read_only=$loop
start_nbdkit memory 1M
ln -s "$sock" "$tmp/second.sock"
twin="nbd+unix:///?socket=$tmp/second.sock"

# both STATUS ARGS…: the dry run, the real one, and the same of both.
both() {
        local expected=$1
        shift
        copy --dry-run "$@"
        expect_status "$expected"
        [ ! -s "$completion" ] || fail "a dry run was carried out: $(cat "$completion")"
        [ ! -e "$tmp/new" ] || fail "a file was made: --dry-run $*"
        cmp "$tmp/was" "$tmp/src" || fail "the source was changed: --dry-run $*"
        cp "$errs" "$tmp/reason"
        copy "$@"
        expect_status "$expected"
        cmp "$tmp/reason" "$errs" || fail "another reason: $(cat "$tmp/reason" "$errs")"
}

all() {
        both 3 "$tmp/src#0+100" "$alias"
        both 3 "$alias" "$tmp/src"
        both 3 "$tmp/src" "$tmp/hard"
        both 3 "$uri" "$twin"
        both 3 "$tmp/src" "$small"
        both 3 "$tmp/missing" "$tmp/new"
        both 3 "$tmp/src" "$tmp/no-folder/new"
        both 3 "$tmp/src" "$read_only"
        both 3 "$tmp/src" "$tmp/new" "$small"
        both 3 --pages 1 "$tmp/src#0+3" "$alias#0+3"
        all_zero "$room" 1048576 0
        copy --dry-run "$tmp/src" "$room"
        expect_status 0
        all_zero "$room" 1048576 0
        # Nothing is held any more: who asks for the device for himself gets it.
        must_wait_for 10 /usr/bin/python3 -c 'import os, sys; os.open(sys.argv[1], os.O_RDWR | os.O_EXCL)' "$room"
        both 0 "$tmp/src" "$room"
        same_bytes "$tmp/src" "$room"
        zero "$room"
        expect_status 0
        zero --dry-run "$small#0+9"
        expect_status 3
        cp "$errs" "$tmp/reason"
        zero "$small#0+9"
        expect_status 3
        cmp "$tmp/reason" "$errs"
}
all
start_kcopyd
all
