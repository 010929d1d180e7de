# A detached job tries a lost endpoint again, says so meanwhile, and goes on when it is back.
# labels: core
# variants: source destination
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

serve() {
        nbdkit -f --exit-with-parent -P "$tmp/$1.pid" -U "$tmp/$1.sock" file "$tmp/$1" </dev/null >&2 &
        pid=$!
        cleanup_fn end_process $pid KILL
        must_wait_for 20 test -s "$tmp/$1.pid"
        rm "$tmp/$1.pid"
}

random_file "$tmp/source" 16M
truncate -s 16M "$tmp/destination"
serve source
source_pid=$pid
serve destination
destination_pid=$pid
start_kcopyd --checkpoint-interval 0.2 --quarantine 1
detach --rate 4194304 "$(unix_uri "$tmp/source.sock")" "$(unix_uri "$tmp/destination.sock")"
must_wait_for 20 job_is "$job" '.destinations[0].bytes.copied > 0'
victim=${1}_pid
end_process "${!victim}" KILL
rm "$tmp/$1.sock"
must_wait_for 20 job_is "$job" '.state == "waiting" and (.reason | test("tried again"))'
holds_for 1 job_is "$job" '.state != "failed" and .state != "completed"' || fail "it has given up"
serve "$1"
await_job "$job"
expect_done
same_bytes "$tmp/source" "$tmp/destination"
