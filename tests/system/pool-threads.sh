# The thread pool is large enough for local devices that do not answer: 32 threads, unless the user says otherwise.
source "$(dirname "$0")/../lib/functions.sh"
requires jq

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
