# A detached job: accepted when it is stored, it goes on without its client; under the same key it is the same job, also
# in the server's next life; another one with the key is refused, and so is one where nothing is kept.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires jq

random_file "$tmp/src" 5000000
start_kcopyd
detach --key weekly "$tmp/src" "$tmp/dst"
first=$job
await_job "$first"
expect_done
expect '.durable'
same_bytes "$tmp/src" "$tmp/dst"
detach --key weekly "$tmp/src" "$tmp/dst"
[ "$job" = "$first" ] || fail "the same key is job $job now, it was $first"
copy --detach --key weekly "$tmp/src" "$tmp/other"
expect_refused "job $first has this key"
[ ! -e "$tmp/other" ] || fail "a refused job has created its file"
detach "$tmp/src" "$tmp/other"
[ "$job" != "$first" ] || fail "another job has the same number"
await_job "$job"
expect_done
same_bytes "$tmp/src" "$tmp/other"

kill_kcopyd
rm "$tmp/src" # a job that is over needs nothing any more
start_kcopyd
detach --key weekly "$tmp/src" "$tmp/dst"
[ "$job" = "$first" ] || fail "after a restart the same key is job $job, it was $first"

ctl copy --detach '[' nbdkit null ']' "$tmp/dst"
expect_status 2
grep -q 'ends with this command' "$errs" || fail "the message: $(cat "$errs")"
ctl copy --key x "$tmp/src" "$tmp/dst"
expect_status 2
