# What every system test begins with: "source ../lib/functions.sh", in nbdkit's manner.
#
# A test is one shell script that shows one behaviour. It runs in a folder of its own ($tmp), under a time
# limit of its own ("# limit: SECONDS" at its top), and leaves nothing behind: whatever it starts is ended by
# process id, and a process, loop device or mount that outlives it fails it. Exit 0: passed, 77: skipped, with
# the reason; anything else failed.
#
# Programs come from $KCOPY_BIN (ctest sets it; default build/bin).

set -eu -o pipefail
shopt -s inherit_errexit nullglob

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
KCOPY_BIN=${KCOPY_BIN:-$tests/../build/bin}
KCOPY_TEST_LIB=${KCOPY_TEST_LIB:-$KCOPY_BIN/../tests}
export KCOPY_BIN KCOPY_TEST_LIB

# The time limit: timeout ends the whole process group, and the traps below still run.
if [ -z "${KCOPY_TEST_LIMITED:-}" ]; then
        limit=$(sed -n 's/^# limit: //p' "$0")
        export KCOPY_TEST_LIMITED=1
        exec timeout --kill-after=15 "${limit:-60}" bash "$0" "$@"
fi

test_name=$(basename "$0" .sh)${1:+ $1}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/kcopy-test.XXXXXX")
# Found again in /proc/*/environ of whatever is left at the end.
export KCOPY_TEST_ID=$tmp
export PATH=$KCOPY_BIN:/usr/sbin:/sbin:$PATH
export LC_ALL=C XDG_RUNTIME_DIR=$tmp
unset KCOPYD_SERVER
# Each report of a sanitizer lands in a file, also from a private daemon; any such file fails the test.
export ASAN_OPTIONS="log_path=$tmp/sanitizer:detect_leaks=1:exitcode=99:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="log_path=$tmp/sanitizer:print_stacktrace=1:${UBSAN_OPTIONS:-}"
export TSAN_OPTIONS="log_path=$tmp/sanitizer:exitcode=99:suppressions=$tests/lib/tsan.supp:${TSAN_OPTIONS:-}"
status=0 out=$tmp/out errs=$tmp/errs completion=$tmp/completion
cleanups=()
kcopyd_pids=""
counter=0

say() {
        printf '%s: %s\n' "$test_name" "$*" >&2
}

fail() {
        say "FAILED: $*"
        exit 1
}

skip() {
        say "skipped: $*"
        exit 77
}

# cleanup_fn COMMAND ARGS…: run at the end, last first, whatever happened.
cleanup_fn() {
        cleanups+=("$(printf '%q ' "$@")")
}

# Processes that carry this test's mark, except the test itself.
leftovers() {
        local environ pid
        for environ in $(grep -lzsF "KCOPY_TEST_ID=$tmp" /proc/[0-9]*/environ 2>/dev/null); do
                pid=${environ#/proc/}
                pid=${pid%/environ}
                if [ "$pid" = $$ ] || [ "$pid" = "$BASHPID" ]; then
                        continue
                fi
                if grep -qs '^State:.[^ZX]' "/proc/$pid/status"; then
                        echo "$pid"
                fi
        done
}

none_left() {
        [ -z "$(leftovers)" ]
}

at_exit() {
        local result=$? i pid report
        trap - EXIT ERR TERM INT
        set +e
        # The daemons first: what they hold open would keep servers and devices waiting.
        for pid in $kcopyd_pids; do
                kcopyd_ends "$pid" || result=1
        done
        for ((i = ${#cleanups[@]} - 1; i >= 0; i--)); do
                eval "${cleanups[i]}" || result=1
        done
        if ! wait_for 10 none_left; then
                for pid in $(leftovers); do
                        say "FAILED: left behind: $pid $(tr '\0' ' ' <"/proc/$pid/cmdline")"
                        kill -KILL "$pid"
                        result=1
                done
        fi
        for report in "$tmp"/sanitizer.*; do
                say "FAILED: $(basename "$report")"
                grep -vE '^(  0x|=>0x|Shadow|  [A-Z][a-z].*:  )' "$report" | head -n 60 >&2
                result=1
        done
        if [ $result -ne 0 ] && [ $result -ne 77 ]; then
                for report in "$tmp"/kcopyd*.log "$errs" "$out"; do
                        [ -s "$report" ] || continue
                        say "---- $(basename "$report"), the last lines:"
                        tail -n 25 "$report" | cut -c 1-600 >&2
                done
        fi
        if [ -n "${KCOPY_KEEP:-}" ]; then
                say "kept $tmp"
        else
                rm -rf "$tmp"
        fi
        exit $result
}
trap at_exit EXIT
trap 'say "FAILED: line $LINENO of ${BASH_SOURCE[0]##*/}: $BASH_COMMAND (status $?)"' ERR
trap 'say "FAILED: ended by a signal (time limit?)"; exit 124' TERM INT
set -E

# ---- conditions

# wait_for SECONDS COMMAND ARGS…: until the command succeeds; status 1 when the time is over.
wait_for() {
        local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
        shift
        until "$@"; do
                [ "${EPOCHREALTIME/./}" -lt $end ] || return 1
                sleep 0.02
        done
}

must_wait_for() {
        wait_for "$@" || fail "no \"${*:2}\" within $1 s"
}

# The same, but it must stay so: the command succeeds all the while.
holds_for() {
        local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
        shift
        while [ "${EPOCHREALTIME/./}" -lt $end ]; do
                "$@" || return 1
                sleep 0.05
        done
}

gone() {
        ! grep -qs '^State:.[^ZX]' "/proc/$1/status"
}

alive() {
        ! gone "$1"
}

listening_unix() {
        grep -q " 00010000 .* $1\$" /proc/net/unix
}

listening_tcp() {
        local hex
        hex=$(printf ':%04X 00000000:0000 0A' "$1")
        grep -q "$hex" /proc/net/tcp
}

now_ms() {
        echo $((${EPOCHREALTIME/./} / 1000))
}

free_port() {
        /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# end_process PID [SIGNAL]: end it and wait until it is gone.
end_process() {
        if alive "$1"; then
                kill "-${2:-TERM}" "$1" || :
                if [ "${2:-}" = KILL ]; then
                        # At once, else the shell says "Killed" when it notices.
                        wait "$1" 2>/dev/null || :
                fi
                if ! wait_for 10 gone "$1"; then
                        say "process $1 does not end: killed"
                        kill -KILL "$1" || :
                fi
        fi
        wait "$1" 2>/dev/null || :
}

# ---- what the machine must have

requires() {
        local program
        for program; do
                command -v "$program" >/dev/null || skip "$program is not installed"
        done
}

requires_root() {
        [ "$(id -u)" = 0 ] || skip "needs root${1:+ $1}"
}

requires_plugin() {
        nbdkit --dump-plugin "$1" >/dev/null 2>&1 || skip "nbdkit has no plugin $1"
}

requires_filter() {
        local filter
        for filter; do
                nbdkit --filter="$filter" null --dump-plugin >/dev/null 2>&1 || skip "nbdkit has no filter $filter"
        done
}

requires_namespaces() {
        requires unshare ip
        unshare --mount --net true 2>/dev/null || skip "no namespaces: $*"
}

# ---- files

# random_file FILE BYTES
random_file() {
        head -c "$2" /dev/urandom >"$1"
}

# sparse_file FILE BYTES OFFSET:LENGTH…: a hole, with random data at the given places.
sparse_file() {
        local file=$1 part
        truncate -s "$2" "$file"
        shift 2
        for part; do
                head -c "${part#*:}" /dev/urandom |
                        dd of="$file" bs=64K seek="${part%:*}" oflag=seek_bytes conv=notrunc iflag=fullblock status=none
        done
}

# same_bytes A B [LENGTH [OFFSET_A OFFSET_B]]: the contract's cmp.
same_bytes() {
        if [ $# -eq 2 ]; then
                cmp "$1" "$2" || fail "$1 and $2 differ"
        else
                cmp -n "$3" -i "${4:-0}:${5:-0}" "$1" "$2" || fail "$1 and $2 differ (length $3, ${4:-0} and ${5:-0})"
        fi
}

# all_zero FILE LENGTH OFFSET
all_zero() {
        same_bytes /dev/zero "$1" "$2" 0 "$3"
}

allocated_bytes() {
        echo $(($(stat -c %b "$1") * 512))
}

size_bytes() {
        if [ -b "$1" ]; then
                blockdev --getsize64 "$1"
        else
                stat -c %s "$1"
        fi
}

source "$tests/lib/servers.sh"
source "$tests/lib/kcopy.sh"
