# Many jobs through one daemon at a time, from several clients: each one its own completion, ids never repeat.
# labels: core stress
# limit: 120
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

clients=8 rounds=5
random_file "$tmp/src" 1M
export_file "$tmp/src"
src=$uri
for ((i = 0; i < clients; i++)); do
        truncate -s 1M "$tmp/dst$i"
        export_file "$tmp/dst$i"
        dst[i]=$uri
done
start_kcopyd --quarantine 3 --pages 65536
for ((round = 0; round < rounds; round++)); do
        pids=()
        for ((i = 0; i < clients; i++)); do
                kcopyctl --json copy "$src" "${dst[i]}" </dev/null >"$tmp/out$round.$i" 2>&1 &
                pids+=($!)
        done
        for pid in "${pids[@]}"; do
                wait "$pid" || fail "a copy ended with $?"
        done
done
for ((i = 0; i < clients; i++)); do
        same_bytes "$tmp/src" "$tmp/dst$i"
done
cat "$tmp"/out*.* | jq -s --argjson n $((clients * rounds)) -e '
    map(select(.event == "completion")) | length == $n and (map(.job) | unique | length) == $n and
    all(.[]; .state == "completed")' >/dev/null || fail "completions"
