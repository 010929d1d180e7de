# A user who lists the jobs that have ended sees his own, however many of others' the store has before them, and no more.
source "$(dirname "$0")/../lib/functions.sh"
requires jq setpriv
requires_root "to be somebody else"

somebody() {
        setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

chmod 711 "$tmp"
somebody test -x "$(command -v kcopyctl)" || skip "others may not run kcopyctl where it is"
random_file "$tmp/src" 4K
start_kcopyd
all=()
for ((i = 0; i < 66; i++)); do # a page of the store has 64
        detach "$tmp/src" null:
        all+=("$job")
done
ctl wait "${all[@]}"
expect_status 0
kill_kcopyd
start_kcopyd
chmod 666 "$kcopyd_socket"
somebody kcopyctl --json jobs --all >"$tmp/none" || fail "nothing of his, and that is $?"
[ ! -s "$tmp/none" ] || fail "of others': $(head -2 "$tmp/none")"
job=$(somebody kcopyctl --json copy --detach "$tmp/src" null: | jq -r 'select(.event == "accepted") | .job')
somebody kcopyctl wait "$job" >/dev/null || fail "his own: $?"
kill_kcopyd
start_kcopyd
chmod 666 "$kcopyd_socket"
somebody kcopyctl --json jobs --all >"$tmp/his" || fail "his own: $?"
jq -e -s --argjson id "$job" 'map(.job) == [$id]' "$tmp/his" >/dev/null || fail "his own alone: $(head -2 "$tmp/his")"
