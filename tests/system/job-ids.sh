# Job ids do not repeat when the daemon is started again, and stay short enough to be typed.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires jq

random_file "$tmp/src" 64K
ids=()
for _ in 1 2 3; do
        start_kcopyd
        for _ in 1 2 3; do
                copy "$tmp/src" "$tmp/dst"
                expect_done
                ids+=("$(jq .job "$completion")")
        done
        kill_kcopyd
done
for ((i = 1; i < ${#ids[@]}; i++)); do
        [ "${ids[i]}" -gt "${ids[i - 1]}" ] || fail "ids repeat: ${ids[*]}"
done
[ ${#ids[8]} -le 13 ] || fail "a long id: ${ids[8]}"

# What an earlier daemon called a job is unknown to the next, and said once.
start_kcopyd
ctl job "${ids[0]}"
expect_status 3
[ "$(cat "$errs")" = "kcopyctl: job ${ids[0]}: there is no such job" ] || fail "the message: $(cat "$errs")"
