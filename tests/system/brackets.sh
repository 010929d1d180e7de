# [ nbdkit … ] is a captive server: started, copied from or to, and ended, with its process group.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 1M
copy "$tmp/src" [ nbdkit --exit-with-parent memory 1M ]
expect_done
must_wait_for 5 none_left

copy [ nbdkit --exit-with-parent file "$tmp/src" ] "$tmp/dst"
expect_done
same_bytes "$tmp/src" "$tmp/dst"
must_wait_for 5 none_left

truncate -s 1M "$tmp/dst2"
copy [ nbdkit --exit-with-parent file "$tmp/src" ] [ nbdkit --exit-with-parent file "$tmp/dst2" ] "$tmp/dst3"
expect_done
same_bytes "$tmp/src" "$tmp/dst2"
same_bytes "$tmp/src" "$tmp/dst3"
must_wait_for 5 none_left

# It is called what was typed, in text and in JSON; its socket is gone by the time it is read.
copy "$tmp/src" [ nbdkit --exit-with-parent full 1M ]
expect_status 1
expect 'd(0).device == "[ nbdkit --exit-with-parent full 1M ]"' 'd(0).uri | test("^nbd[+]unix://")' \
        'd(0).error.message | test("^\\[ nbdkit.* \\]: write at sector 0: ")'
! grep -q 'nbd+unix' "$errs" || fail "a socket that is gone is named: $(cat "$errs")"

# A server that does not start is said, not waited for; a bracket without end is a usage error.
copy [ nbdkit --exit-with-parent no-such-plugin ] null:
expect_status 3
grep -q '^kcopyctl: \[ nbdkit --exit-with-parent no-such-plugin \]: the command exited with status 1$' "$errs" ||
        fail "it does not say that the command has ended: $(cat "$errs")"
! grep -qi 'connect' "$errs" || fail "a connect error that misleads: $(cat "$errs")"
must_wait_for 5 none_left
copy [ nbdkit memory 1M
expect_status 2
