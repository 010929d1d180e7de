#!/bin/bash
# demo.sh BIN: the whole service in half a minute. NBD exports in memory, a kcopyd, one image copied to three
# with a live bar and compared; then again with a destination that fails. Everything is in a temporary folder
# and ended by process id.
set -eu -o pipefail
exec 2>&1 # one story: on a terminal with its live bar, in a pipe with plain lines where they belong
PATH=${1:-$(dirname "$0")/../../build/bin}:$PATH
size=1G
# What is not zero of it is three times in memory.
[ "$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)" -gt 4000000 ] || size=256M
tmp=$(mktemp -d "${TMPDIR:-/tmp}/kcopy-demo.XXXXXX")
pids=()

at_exit() {
        local status=$? pid log
        trap - EXIT INT TERM
        log=$(tail -n 5 "$tmp"/*.log 2>/dev/null) || :
        for pid in "${pids[@]}"; do
                kill "$pid" 2>/dev/null || :
        done
        for pid in "${pids[@]}"; do
                wait "$pid" 2>/dev/null || :
        done
        rm -rf "$tmp"
        if [ $status != 0 ] && [ $status != 130 ]; then
                [ -z "$log" ] || printf '%s\n' "$log" >&2
                echo "the demo failed (status $status)" >&2
        fi
        exit $status
}
trap at_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step() {
        if [ -t 1 ]; then
                printf '\n\033[1m%s\033[0m\n' "$*"
        else
                printf '\n== %s\n' "$*"
        fi
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

# shown COMMAND ARGS…: the command as one would type it, with the names for the URIs; then its doing.
shown() {
        local arg line="$ kcopyctl"
        for arg; do
                case $arg in
                nbd+unix:*) line+=" ${arg##*/}" ;;
                *) line+=" $arg" ;;
                esac
        done
        echo "$line"
        kcopyctl "$@"
}

# identical NAME…: read back by nbdcopy, not by us.
identical() {
        local name
        for name; do
                cmp <(nbdcopy "$(uri source)" -) <(nbdcopy "$(uri "$name")" -)
                echo "  $name is identical"
        done
}

step "Five NBD exports: a source, three destinations, and one that cannot write"
export_memory source sparse-random $size percent=60 seed=1
export_memory one memory $size
export_memory two memory $size
export_memory three memory $size
export_memory failing --filter=error memory $size error-pwrite=EIO error-pwrite-rate=100%

step "A kcopyd on a Unix socket"
kcopyd --listen "unix:$tmp/kcopyd.sock" --state "$tmp" 2>"$tmp/kcopyd.log" &
pids+=($!)
ready "$tmp/kcopyd.sock" $!
export KCOPYD_SERVER=unix:$tmp/kcopyd.sock
shown info

step "One source, read once, to three destinations"
shown copy "$(uri source)" "$(uri one)" "$(uri two)" "$(uri three)"

step "Are they the same? (read back by nbdcopy)"
identical one two three

step "Two of them are zeroed, and copied to again beside the one that fails"
shown zero "$(uri one)" "$(uri two)"
status=0
shown copy --on-error continue "$(uri source)" "$(uri one)" "$(uri failing)" "$(uri two)" || status=$?
[ $status = 1 ] || {
        echo "expected exit status 1 (the copy is not complete), got $status" >&2
        exit 1
}
echo "  exit status 1: a destination is not complete. The other two are:"
identical one two

step "The server's account of it"
shown jobs --all

step "Now your own devices: ./run copy SOURCE DESTINATION..."
