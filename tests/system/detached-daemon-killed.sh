# A detached job whose daemon is killed goes on in the next one's life, from its last checkpoint: what was flushed by then
# is not written again, and the result is the source.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq
requires_filter log

random_file "$tmp/src" 32M
truncate -s 32M "$tmp/a"
start_nbdkit --filter=log file "$tmp/a" "logfile=$tmp/log"
start_kcopyd --checkpoint-interval 0.2
detach --rate 8388608 "$tmp/src" "$uri"
flushed() {
        [ "$(grep -c ' Flush ' "$tmp/log")" -ge "$1" ]
}
must_wait_for 20 flushed 6
before=$(job_is "$job" '.' && kcopyctl --json job "$job" </dev/null | jq '.destinations[0].bytes.copied')
kill_kcopyd
mv "$tmp/log" "$tmp/log.1" 2>/dev/null || :
start_kcopyd
await_job "$job"
expect_done
expect '.durable'
same_bytes "$tmp/src" "$tmp/a"
