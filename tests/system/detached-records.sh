# Detached jobs that have ended are there in the server's next life: job, jobs --all with its filters, wait and watch; watch
# --from tells their events again, with the same numbers and words; forget ends that, and frees the key.
source "$(dirname "$0")/../lib/functions.sh"
requires jq

random_file "$tmp/src" 1M
start_kcopyd
detach --key one "$tmp/src" "$tmp/a"
first=$job
await_job "$first"
detach "$tmp/src" /proc/none
failed=$job
await_job "$failed"
expect_status 1
detach "$tmp/src" "$tmp/b"
second=$job
await_job "$second"
ctl --json watch --from 1 "$first"
expect_status 0
cp "$out" "$tmp/told"
jq -e -s 'map(.seq) == [range(1; length + 1)]' "$out" >/dev/null || fail "the numbers: $(jq -c .seq "$out")"
jq -e -s '.[-1].event == "completion" and .[-1].state == "completed"' "$out" >/dev/null || fail "the last one is no end"
jq -e -s 'map(select(.event == "state")) | length >= 1' "$out" >/dev/null || fail "no state is told"

kill_kcopyd
start_kcopyd
ctl --json watch --from 1 "$first"
expect_status 0
cmp "$tmp/told" "$out" || fail "told otherwise after a restart"
ctl --json watch --from 2 "$first"
jq -e -s '.[0].seq == 2' "$out" >/dev/null || fail "from the second one on: $(head -1 "$out")"
ctl --json watch --from 99 "$first" # there is no such event: all that is left to say is how it ended
expect_status 0
ctl --json job "$first"
expect_status 0
jq -e '.state == "completed" and .key == "one" and .detached and .durable' "$out" >/dev/null || fail "job: $(cat "$out")"
ctl wait "$first" "$second"
expect_status 0
ctl --json watch "$second"
expect_status 0
jq -e -s '.[-1].event == "completion"' "$out" >/dev/null || fail "watch: $(cat "$out")"
ctl --json jobs
[ ! -s "$out" ] || fail "jobs that have ended are listed without --all"
ctl --json jobs --all
jq -e -s --argjson a "$first" --argjson f "$failed" --argjson b "$second" 'map(.job) == [$a, $f, $b]' "$out" >/dev/null || fail "jobs --all: $(cat "$out")"
ctl --json jobs --state failed
jq -e -s --argjson f "$failed" 'map(.job) == [$f]' "$out" >/dev/null || fail "one has failed: $(cat "$out")"
ctl --json jobs --state completed --detached
[ "$(wc -l <"$out")" = 2 ] || fail "two have completed"
# an attached one is listed among them
copy "$tmp/src" "$tmp/c"
expect_done
ctl --json jobs --all
[ "$(wc -l <"$out")" = 4 ] || fail "four have ended"
jq -e -s 'map(.job) | . == sort' "$out" >/dev/null || fail "not in order"

# events that a running job has not got to, and never will: its end is told all the same
random_file "$tmp/long" 8M
detach --rate 1M "$tmp/long" "$tmp/d"
for from in 99 4294967296; do
        kcopyctl --json watch --from $from "$job" >"$tmp/watched.$from" &
done
for from in 99 4294967296; do
        must_wait_for 20 grep -q '"progress"' "$tmp/watched.$from" # it watches
done
ctl cancel "$job"
expect_status 0
for from in 99 4294967296; do
        must_wait_for 20 grep -q '"completion"' "$tmp/watched.$from"
        [ "$(grep -vc '"progress"' "$tmp/watched.$from")" = 1 ] || fail "more than its end: $(cat "$tmp/watched.$from")"
done

ctl forget 999999999
expect_status 3
ctl forget "$first"
expect_status 0
ctl job "$first"
expect_status 3
grep -q 'no such job' "$errs" || fail "the message: $(cat "$errs")"
ctl watch --from 1 "$first"
expect_status 3
detach --key one "$tmp/src" "$tmp/d"
[ "$job" != "$first" ] || fail "the key is not free"
await_job "$job"
ctl forget "$job"
expect_status 0
ctl --json jobs --all
ctl forget "$(jq -s 'map(select(.detached | not))[0].job' "$out")"
expect_status 3
grep -q 'only detached jobs are kept' "$errs" || fail "the message: $(cat "$errs")"

all_over() {
        [ -z "$(kcopyctl --json jobs </dev/null)" ]
}

# many: lists go by pages
for ((i = 0; i < 120; i++)); do
        kcopyctl --json copy --detach "$tmp/src#0+1" "$tmp/many.$i" </dev/null >/dev/null
done
must_wait_for 20 all_over
kill_kcopyd
start_kcopyd
ctl --json jobs --all
[ "$(jq -s 'map(.job) | unique | length' "$out")" = 123 ] || fail "$(wc -l <"$out") jobs of 123 are listed"
