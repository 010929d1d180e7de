# The whole list of copy tests, once on every path that an endpoint's abilities can lead to.
# limit: 90
# labels: core
# variants: plain threads noextents nozero no-multi-conn no-flush min-512 min-4096 min-64k max-64k max-32m simple-replies no-fua
source "$(dirname "$0")/../lib/functions.sh"
source "$tests/lib/copies.sh"
requires nbdkit jq

variant=${1:-plain}
daemon=() unit=512 export_args=()
case $variant in
plain) ;;
threads) daemon=(--io threads) ;;
noextents) export_args=(--filter=noextents) ;;
nozero) export_args=(--filter=nozero) ;;
no-multi-conn) export_args=(--filter=multi-conn multi-conn-mode=disable) ;;
no-flush | no-fua) ;;
min-512) export_args=(--filter=blocksize-policy blocksize-minimum=512 blocksize-error-policy=error) ;;
min-4096)
        unit=4096
        export_args=(--filter=blocksize-policy blocksize-minimum=4096 blocksize-preferred=4096 blocksize-error-policy=error)
        ;;
min-64k)
        unit=65536
        export_args=(--filter=blocksize-policy blocksize-minimum=64K blocksize-preferred=64K blocksize-error-policy=error)
        ;;
max-64k)
        export_args=(--filter=blocksize-policy blocksize-minimum=1 blocksize-preferred=4096 blocksize-maximum=64K
                blocksize-error-policy=error)
        ;;
max-32m)
        export_args=(--filter=blocksize-policy blocksize-minimum=1 blocksize-preferred=4096 blocksize-maximum=32M
                blocksize-error-policy=error)
        ;;
simple-replies) export_args=(--no-sr) ;;
*) fail "no variant $variant" ;;
esac

# What every NBD endpoint of the list is served by.
serve() {
        case $variant in
        no-flush) start_faulty "$1" no=flush ;;
        no-fua) start_faulty "$1" no=fua ;;
        *) export_file "$1" "${export_args[@]}" ;;
        esac
}

# Without flush nothing can be called durable: the copy is complete, and kcopyctl says what it lacks.
durable='.durable'
if [ "$variant" = no-flush ]; then
        durable='.durable == false'
        expect_done() {
                [ "$status" = 0 ] || [ "$status" = 1 ] || fail "exit status $status: $(cat "$errs")"
                [ "$status" = 0 ] || grep -q durable "$errs" || fail "status 1 for another reason: $(cat "$errs")"
                expect '.state == "completed"' '(re | not) and .write_err == []'
        }
fi

start_kcopyd "${daemon[@]}"
if [ "$variant" = threads ]; then
        must_wait_for 5 grep -q threads "$kcopyd_log"
fi
for copy_test in "${copy_tests[@]}"; do
        # The servers of the one before go first; those of the last one, with its block device, after kcopyd.
        end_servers
        say "$copy_test"
        mkdir "$tmp/$copy_test"
        dir=$tmp/$copy_test
        $copy_test
done
