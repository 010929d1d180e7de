# The shape of --json: every line an object, the last one the completion, with each field of the contract.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 1M
truncate -s 1M "$tmp/a"
start_faulty "$tmp/a"
faults "$control" "write 0 512 EIO"
start_kcopyd
copy --on-error continue "$tmp/src" "$uri" "$tmp/b"
expect_status 1
jq -se 'all(.[]; type == "object" and (.event | type) == "string")' "$out" >/dev/null || fail "a line is no event"
[ "$(tail -n 1 "$out" | jq -r .event)" = completion ] || fail "the last line is no completion"
[ "$(jq -s 'map(select(.event == "completion")) | length' "$out")" = 1 ] || fail "not one completion"
expect '(.job | type) == "number"' '.state == "failed"' '.read_err | type | IN("boolean", "number")' \
        '.write_err == [0]' '.durable == false' '.length_bytes == 1048576' '(.elapsed_ms | type) == "number"' \
        '(.source | type) == "object"' '.destinations | length == 2' \
        '[.destinations[].index] == [0, 1]' '(d(0).device | type) == "string"' "d(1).device == \"$tmp/b\"" \
        'd(0).error | (.class == "media" and .errno == "EIO" and .sector == 0 and (.message | length > 0))' \
        'd(1).error == null' 'd(1).durable' \
        'd(1).bytes == {"copied": 1048576, "zeroed": 0, "skipped": 0, "indeterminate": 0, "untouched": 0}'

# Refused before there is a job: a line all the same.
copy --pages 1 "$tmp/src" "$(printf '%05000d' 1)"
expect_status 3
jq -es '.[-1] | .event == "refused" and (.message | length > 0)' "$out" >/dev/null || fail "refused: $(cat "$out" "$errs")"

# On a terminal that the lines go to there is no bar.
on_terminal() {
        /usr/bin/python3 -c '
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))' "$@" >"$out" 2>&1 </dev/null
}
on_terminal kcopyctl copy --rate 1048576 "$tmp/src" "$tmp/c" || fail "on a terminal: $(cat "$out")"
grep -q "$(printf '\033')" "$out" || fail "no bar on a terminal: $(cat "$out")"
on_terminal kcopyctl --json copy --rate 1048576 "$tmp/src" "$tmp/c" || fail "on a terminal: $(cat "$out")"
! grep -q "$(printf '\033')" "$out" || fail "a bar among lines of JSON: $(cat "$out")"
