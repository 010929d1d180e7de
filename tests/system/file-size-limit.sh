# A file-size limit (ulimit -f) fails the copy that meets it, with EFBIG; the daemon lives on.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires jq

random_file "$tmp/src" 4M
random_file "$tmp/small" 64K
cat >"$tmp/limited" <<'END'
#!/bin/bash
ulimit -f 1024
exec "$@"
END
chmod +x "$tmp/limited"
kcopyd_under=$tmp/limited start_kcopyd
copy "$tmp/src" "$tmp/dst"
[ "$status" = 1 ] || [ "$status" = 3 ] || fail "exit status $status: $(cat "$errs")"
grep -qE 'EFBIG|too large' "$errs" "$out" || fail "no reason: $(cat "$errs")"
alive $kcopyd_pid || fail "the daemon died of it"
copy "$tmp/small" "$tmp/dst2"
expect_done
same_bytes "$tmp/small" "$tmp/dst2"
