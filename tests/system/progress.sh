# Progress: plain lines where there is no terminal, a bar on one, JSON lines with --json, nothing with none.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires jq script

random_file "$tmp/src" 8M
start_kcopyd
ctl copy --rate 4194304 --progress plain "$tmp/src" "$tmp/dst"
expect_status 0
grep -qE '[0-9]+ ?%' "$out" "$errs" || fail "no plain progress: $(cat "$out" "$errs")"
! grep -q $'\r' "$out" "$errs" || fail "carriage returns in plain lines"
ctl copy --rate 4194304 --progress none "$tmp/src" "$tmp/dst"
expect_status 0
! grep -q '%' "$out" "$errs" || fail "progress with --progress none"
copy --rate 4194304 "$tmp/src" "$tmp/dst"
expect_done
jq -es 'map(select(.event == "progress")) | length > 0 and all(.[]; .job > 0)' "$out" >/dev/null ||
        fail "no progress event"
script -qec "kcopyctl copy --rate 4194304 $tmp/src $tmp/dst" "$tmp/terminal" </dev/null >/dev/null
grep -q $'\r' "$tmp/terminal" || fail "no live bar on a terminal"
