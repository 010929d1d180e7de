# A file-size limit (ulimit -f) fails the copy that meets it, with EFBIG; the daemon lives on.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires jq

random_file "$tmp/src" 4M
random_file "$tmp/small" 64K
# Where the tests are run from something that ignores the signal, that is put back before kcopyd starts.
cat >"$tmp/limited" <<'END'
#!/usr/bin/python3
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
os.execvp(sys.argv[1], sys.argv[1:])
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
