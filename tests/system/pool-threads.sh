# The thread pool is large enough for local devices that do not answer: 32 threads, unless the user says otherwise.
# Where they cannot be made the daemon does not start, and says so; a private one, which makes them for what needs
# them only, refuses the job.
source "$(dirname "$0")/../lib/functions.sh"
requires jq nbdkit strace taskset

random_file "$tmp/src" 1M
threads() {
        copy "$tmp/src" "$tmp/dst"
        expect_done
        ls "/proc/$kcopyd_pid/task" | wc -l
}
start_kcopyd --io threads --lanes 1
n=$(threads)
[ "$n" -ge 34 ] || fail "$n threads"
export UV_THREADPOOL_SIZE=3
start_kcopyd --io threads --lanes 1 --state "$tmp/other"
n=$(threads)
[ "$n" -lt 20 ] || fail "$n threads where 3 were asked for"
unset UV_THREADPOOL_SIZE

# Threads that cannot be made.
strace -o /dev/null true 2>/dev/null || skip "nobody may be traced here"
export ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0" # not under strace
no_threads() {
        status=0
        timeout 20 strace -f -qq -o "$tmp/strace" -e trace=clone,clone3 -e inject=clone,clone3:error=EAGAIN:when="$1"+ \
                kcopyd --listen "unix:$tmp/refused.sock" --lanes 1 >"$out" 2>"$errs" </dev/null || status=$?
        expect_status 1
        grep -q INJECTED "$tmp/strace" || fail "threads were made: the test shows nothing"
        [ ! -e "$tmp/refused.sock" ] || fail "it listened"
}
no_threads 10
grep -qE '^kcopyd: threads: [0-9]+ of the 32 .* can be made: .*; raise ' "$errs" || fail "the message: $(cat "$errs")"
no_threads 1
grep -q '^kcopyd: lane: no thread: .* --lanes' "$errs" || fail "the message: $(cat "$errs")"

# A private daemon: lanes only between exports, the pool with the first local device.
cpu=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//') # one, so there are few lanes whatever the machine
private() {
        status=0
        timeout 20 taskset -c "$cpu" strace -f -qq -o "$tmp/strace" -e trace=clone,clone3 "${inject[@]}" \
                kcopyctl copy "$@" >"$out" 2>"$errs" </dev/null || status=$?
        n=$(grep -c 'CLONE_THREAD' "$tmp/strace") || true
}
unset KCOPYD_SERVER
inject=()
start_nbdkit memory 1M
from=$uri
start_nbdkit memory 1M
private "$from" "$uri"
expect_status 0
n_lanes=$n
private "$from" "$tmp/private"
expect_status 0
[ "$n" -ge $((n_lanes + 32)) ] || fail "$n threads with a file, $n_lanes without: the pool was made for nothing, or not at all"
# counted for each thread: the lane that opens the file is refused its tenth
inject=(-e inject=clone3:error=EAGAIN:when=10+)
[ "$n_lanes" -lt 10 ] || fail "$n_lanes threads between exports"
rm "$tmp/private"
private "$from" "$tmp/private"
grep -q INJECTED "$tmp/strace" || fail "threads were made: the test shows nothing"
expect_status 3
grep -qE 'threads: [0-9]+ of the 32 .* can be made: .*; raise ' "$errs" || fail "the message: $(cat "$errs")"
[ ! -e "$tmp/private" ] || fail "a file was created"
private "$from" "$uri"
expect_status 0 # it needs none
# nor does an address; a host's name does
start_nbdkit_tcp memory 1M
private "nbd://127.0.0.1:$port" "$from"
expect_status 0
private "nbd://localhost:$port" "$from"
expect_status 3
grep -qE 'threads: [0-9]+ of the 32 .*host names can be made: ' "$errs" || fail "the message: $(cat "$errs")"
