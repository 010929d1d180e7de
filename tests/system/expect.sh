# What the client states of its devices: their sizes and which they are. A job whose devices are others is refused before
# anything is written, when it is only judged as well; a detached one that finds others after an interruption is paused
# with the reason, goes on when they are the right ones again, and has written nothing meanwhile.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires jq

random_file "$tmp/src" 1M
truncate -s 2M "$tmp/a"
cp "$tmp/a" "$tmp/was"
start_kcopyd --checkpoint-interval 0.1
copy --dry-run "$tmp/src" "$tmp/a#0+1M"
expect_status 0
source_id=$(jq -r 'select(.action == "read") | .identity' "$out") to_id=$(jq -r 'select(.action == "overwrite") | .identity' "$out")
[[ $source_id = file:* && $to_id = file:* && $source_id != "$to_id" ]] || fail "identities: $(cat "$out")"

for wrong in --expect-size=from=2M --expect-size=to=1M --expect-size='to[0]=1M' --expect-id=from="$to_id" --expect-id=to="$source_id"; do
        copy "$wrong" "$tmp/src" "$tmp/a#0+1M"
        expect_refused 'expected'
        copy --dry-run "$wrong" "$tmp/src" "$tmp/a#0+1M"
        expect_refused 'expected'
        copy --detach "$wrong" "$tmp/src" "$tmp/a#0+1M"
        expect_refused 'expected'
done
same_bytes "$tmp/was" "$tmp/a"
for mistake in --expect-size=1M --expect-size=from= --expect-size=to=x --expect-size='to[1]=1M' --expect-size='to[x]=1M' --expect-id=from; do
        copy "$mistake" "$tmp/src" "$tmp/a#0+1M"
        expect_status 2
done
zero --expect-size=from=1M "$tmp/a#0+1M"
expect_status 2
copy --expect-size=from=1M --expect-size=to=2M --expect-id=from="$source_id" --expect-id='to[0]'="$to_id" "$tmp/src" "$tmp/a#0+1M"
expect_done

# another file takes the source's name while no daemon runs
random_file "$tmp/src2" 8M
truncate -s 8M "$tmp/b"
detach --rate 100K "$tmp/src2" "$tmp/b"
must_wait_for 20 job_is "$job" '.destinations[0].bytes.copied > 0'
kill_kcopyd
mv "$tmp/src2" "$tmp/right"
random_file "$tmp/src2" 8M
cp "$tmp/b" "$tmp/was"
start_kcopyd --checkpoint-interval 0.1
must_wait_for 20 job_is "$job" '.state == "paused"'
job_is "$job" '.reason | contains("is another device now")' || fail "the reason: $(kcopyctl --json job "$job")"
ctl resume "$job"
must_wait_for 20 job_is "$job" '.state == "paused"'
same_bytes "$tmp/was" "$tmp/b"
mv "$tmp/right" "$tmp/src2"
ctl resume "$job"
ctl adjust --rate none "$job"
await_job "$job"
expect_done
same_bytes "$tmp/src2" "$tmp/b"
