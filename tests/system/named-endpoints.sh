# Endpoints named in the configuration file stand for their devices.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 1M
truncate -s 1M "$tmp/dst"
export_file "$tmp/dst"
printf '[daemon]\npages = 64MiB\n[endpoint gold]\ndevice = %s\n\n[endpoint copy]\ndevice = %s\n' "$tmp/src" "$uri" >"$tmp/kcopyd.conf"
start_kcopyd --config "$tmp/kcopyd.conf"
[ "$(kcopyctl --json info </dev/null | jq .pages)" = 16384 ] || fail "pages in bytes: $(cat "$kcopyd_log")"
copy gold copy
expect_done
same_bytes "$tmp/src" "$tmp/dst"
copy gold#0+8 copy#8+8
expect_done
ctl endpoints
expect_status 0
grep -q gold "$out" && grep -q copy "$out" || fail "endpoints: $(cat "$out")"
! grep -q 'without a name' "$out" || fail "what has a name is listed without: $(cat "$out")"

# What is open and has no name is listed apart.
start_copy --rate 1048576 gold "$tmp/other"
must_wait_for 10 some_job '.state == "running"'
ctl endpoints
expect_status 0
sed -n '/without a name/,$p' "$out" | grep -q "$tmp/other  (open, 1 user)" || fail "endpoints: $(cat "$out")"
sed '/without a name/,$d' "$out" | grep -q "gold *$tmp/src  (open, " || fail "endpoints: $(cat "$out")"
[ "$(grep -c "$tmp/src" "$out")" = 1 ] || fail "one device is listed twice: $(cat "$out")"
ctl --json endpoints
jq -es "map(select(.configured | not)) == [{event: \"endpoint\", name: null, device: \"$tmp/other\",
        configured: false, open: true, users: 1}]" "$out" >/dev/null || fail "endpoints: $(cat "$out")"
end_copy "$copy_pid" "$copy_out" "$copy_errs"
expect_done
copy gold silver
expect_refused 'to\[0\]'

printf '[no such section]\nx = y\n' >"$tmp/bad.conf"
status=0
timeout 10 kcopyd --listen "unix:$tmp/s" --config "$tmp/bad.conf" >"$out" 2>"$errs" </dev/null || status=$?
[ $status != 0 ] && [ $status != 124 ] && [ -s "$errs" ] || fail "a bad configuration: status $status"
