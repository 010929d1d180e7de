# A server that was started anew between two jobs: the connections that were kept are gone, and no job notices, also
# one that goes on without a destination that fails.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

again() {
        nbdkit -f --exit-with-parent -P "$tmp/again.pid" -U "$1" file "$2" </dev/null >&2 &
        pid=$!
        cleanup_fn end_process $pid KILL
        must_wait_for 20 test -s "$tmp/again.pid"
        rm "$tmp/again.pid"
}

lost() {
        [ "$(grep -c "connection lost" "$kcopyd_log")" -ge "$1" ]
}

random_file "$tmp/src" 1M
start_kcopyd --lanes 3
rounds=0
for order in "a b c" "c a b" "b c a"; do
        truncate -s 1M "$tmp/a" "$tmp/b" "$tmp/c"
        start_nbdkit file "$tmp/a"
        a=$uri
        start_nbdkit file "$tmp/c"
        c=$uri
        start_nbdkit file "$tmp/b"
        b=$uri b_sock=$sock b_pid=$pid
        # Each has its home on a lane of its own.
        for letter in $order; do
                copy "$tmp/src" "${!letter}"
                expect_done
        done
        end_process "$b_pid" KILL
        rounds=$((rounds + 1))
        must_wait_for 20 lost $rounds
        rm "$b_sock"
        again "$b_sock" "$tmp/b"
        copy --on-error continue "$a" "$b" "$c"
        expect_done
        same_bytes "$tmp/src" "$tmp/b"
done
