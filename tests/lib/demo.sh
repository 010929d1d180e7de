#!/bin/bash
# demo.sh BIN: the whole service in half a minute. NBD exports in memory, a kcopyd, one image copied to three
# with a live bar and compared; then again with a destination that fails. Everything is in a temporary folder
# and ended by process id.
set -eu -o pipefail
PATH=${1:-$(dirname "$0")/../../build/bin}:$PATH
size=1G
tmp=$(mktemp -d "${TMPDIR:-/tmp}/kcopy-demo.XXXXXX")
pids=()

at_exit() {
        local status=$? pid
        trap - EXIT INT TERM
        for pid in "${pids[@]}"; do
                kill "$pid" 2>/dev/null || :
        done
        for pid in "${pids[@]}"; do
                wait "$pid" 2>/dev/null || :
        done
        rm -rf "$tmp"
        [ $status = 0 ] || echo "the demo failed (status $status)" >&2
        exit $status
}
trap at_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step() {
        printf '\n\033[1m%s\033[0m\n' "$*"
}

# ready FILE PID: until the file is there, or its program is not.
ready() {
        until [ -e "$1" ]; do
                kill -0 "$2" 2>/dev/null || {
                        echo "a server ended before it was ready" >&2
                        exit 1
                }
                sleep 0.02
        done
}

# export_memory NAME NBDKIT-ARGS…: an NBD export on a Unix socket.
export_memory() {
        nbdkit -f --exit-with-parent -P "$tmp/$1.pid" -U "$tmp/$1" "${@:2}" 2>"$tmp/$1.log" &
        pids+=($!)
        ready "$tmp/$1.pid" $!
        printf '  %-10s nbdkit %s\n' "$1" "${*:2}"
}

uri() {
        echo "nbd+unix:///?socket=$tmp/$1"
}

step "Four NBD exports on Unix sockets"
export_memory source sparse-random $size percent=60 seed=1
export_memory one memory $size
export_memory two memory $size
export_memory three memory $size
export_memory failing --filter=error memory $size error-pwrite=EIO error-pwrite-rate=100% error-pwrite-file="$tmp/fail-now"

step "A kcopyd on a Unix socket"
kcopyd --listen "unix:$tmp/kcopyd.sock" --state "$tmp" 2>"$tmp/kcopyd.log" &
pids+=($!)
ready "$tmp/kcopyd.sock" $!
export KCOPYD_SERVER=unix:$tmp/kcopyd.sock
until kcopyctl info; do sleep 0.1; done

step "kcopyctl copy SOURCE ONE TWO THREE"
kcopyctl copy "$(uri source)" "$(uri one)" "$(uri two)" "$(uri three)"

step "Are they the same? (read back by nbdcopy, not by us)"
nbdcopy "$(uri source)" "$tmp/source.img"
for name in one two three; do
        nbdcopy "$(uri $name)" "$tmp/$name.img"
        cmp "$tmp/source.img" "$tmp/$name.img"
        echo "  $name is identical"
        rm "$tmp/$name.img"
done

step "The same with a destination that fails, under --on-error continue"
: >"$tmp/fail-now"
status=0
kcopyctl copy --on-error continue "$(uri source)" "$(uri one)" "$(uri failing)" "$(uri two)" || status=$?
[ $status = 1 ] || {
        echo "expected exit status 1 (the copy is not complete), got $status" >&2
        exit 1
}
echo "  exit status 1: one destination is not complete; the other two are:"
for name in one two; do
        nbdcopy "$(uri $name)" "$tmp/$name.img"
        cmp "$tmp/source.img" "$tmp/$name.img"
        echo "  $name is identical"
        rm "$tmp/$name.img"
done

step "The server's account of it"
kcopyctl jobs
