# Threads: lanes, devices and clients all at once, jobs that are cancelled, fail and conflict. For TSan and ASan;
# at the end every copy that said so is byte-identical.
# labels: core stress
# limit: 120
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 16M
export_file "$tmp/src"
src=$uri
# Those that are broken off have a source of their own: nbdkit 1.32 can abort when a client hangs up on replies.
export_file "$tmp/src"
src3=$uri
export_file "$tmp/src"
src5=$uri
for i in 0 1 2 3; do
        truncate -s 16M "$tmp/dst$i"
        case $i in
        0) export_file "$tmp/dst0" ;;
        1) export_file "$tmp/dst1" --filter=multi-conn multi-conn-mode=disable ;;
        2) start_faulty "$tmp/dst2" && faults "$control" "write 8388608 4096 delay:50" ;;
        3) start_faulty "$tmp/dst3" && faults "$control" "write 12582912 4096 EIO" ;;
        esac
        dst[i]=$uri
done
start_kcopyd --quarantine 3 --pages 65536 --lanes 4
# worker N: some rounds of copies with one mood each.
worker() {
        local round code
        for round in 1 2 3; do
                code=0
                case $1 in
                0) kcopyctl copy "$src" "${dst[0]}" "${dst[1]}" ;;
                1) kcopyctl copy --on-error continue "$src" "${dst[2]}" "${dst[3]}" "$tmp/file$1" ;;
                2) kcopyctl copy "$tmp/src" "$tmp/file$1" null: ;;
                3) timeout -s INT 0.4 kcopyctl copy --rate 8388608 "$src3" "$tmp/file$1" ;;
                4) kcopyctl copy "$src#0+4096" "${dst[0]}#0+4096" ;;
                5) timeout -s KILL 0.3 kcopyctl copy --rate 8388608 "$src5" "$tmp/file$1" ;;
                esac </dev/null >>"$tmp/worker$1" 2>&1 || code=$?
                case $1:$code in
                [024]:0 | 1:1 | 3:* | 5:*) ;;
                *) return 1 ;;
                esac
        done
}
pids=()
for i in 0 1 2 3 4 5; do
        worker $i &
        pids+=($!)
done
for i in 0 1 2 3 4 5; do
        wait "${pids[i]}" || fail "worker $i: $(tail -n 5 "$tmp/worker$i")"
done
for i in dst0 dst1 dst2 file1 file2; do
        same_bytes "$tmp/src" "$tmp/$i"
done
