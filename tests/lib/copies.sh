# The list of copy tests that system/copies.sh runs on every path. Each is a function; it works in $dir, makes
# its NBD endpoints with "serve FILE" (which sets $uri), keeps to sizes that are multiples of $unit, and
# checks bytes and ledger. Sourced.

copy_tests=(one_to_one one_to_three one_to_eight sparse_source zeroes_in_data unlike_destination file_to_export
        export_to_new_file odd_file_to_new_file region_into_the_middle many_small zero_a_region zero_all
        several_megabytes_fua small_reservation null_destination block_device_both_ways)

# end_servers: what the last test started; the daemon stays.
end_servers() {
        local i
        for ((i = ${#cleanups[@]} - 1; i >= 0; i--)); do
                eval "${cleanups[i]}"
                unset "cleanups[i]"
        done
}

blank() {
        truncate -s "$(size_bytes "$dir/src")" "$1"
}

# serve_source BYTES: random data; sets $src.
serve_source() {
        random_file "$dir/src" "$1"
        serve "$dir/src"
        src=$uri
}

# serve_destinations N: sets the array dst.
serve_destinations() {
        local i
        dst=()
        for ((i = 0; i < $1; i++)); do
                blank "$dir/dst$i"
                serve "$dir/dst$i"
                dst+=("$uri")
        done
}

one_to_one() {
        serve_source 3M
        serve_destinations 1
        copy "$src" "${dst[0]}"
        expect_done
        expect '.length_bytes == 3145728' 'd(0).bytes.copied == 3145728' "$durable"
        same_bytes "$dir/src" "$dir/dst0"
}

one_to_three() {
        serve_source 3M
        serve_destinations 3
        copy "$src" "${dst[@]}"
        expect_done
        expect '.destinations | length == 3' "$durable"
        for i in 0 1 2; do
                same_bytes "$dir/src" "$dir/dst$i"
        done
}

one_to_eight() {
        serve_source 1M
        serve_destinations 8
        copy "$src" "${dst[@]}"
        expect_done
        expect '.destinations | length == 8'
        for i in 0 1 2 3 4 5 6 7; do
                same_bytes "$dir/src" "$dir/dst$i"
        done
}

sparse_source() {
        sparse_file "$dir/src" 8M 0:65536 1048576:131072 8323072:65536
        serve "$dir/src"
        src=$uri
        serve_destinations 2
        # What is there must go where the source has zeroes.
        random_file "$dir/dst1" 8M
        copy "$src" "${dst[@]}"
        expect_done
        same_bytes "$dir/src" "$dir/dst0"
        same_bytes "$dir/src" "$dir/dst1"
}

zeroes_in_data() {
        random_file "$dir/src" 4M
        dd if=/dev/zero of="$dir/src" bs=64K seek=8 count=24 conv=notrunc status=none
        serve "$dir/src"
        src=$uri
        serve_destinations 1
        copy --no-extents "$src" "${dst[0]}"
        expect_done
        same_bytes "$dir/src" "$dir/dst0"
        random_file "$dir/dst0" 4M
        copy --no-extents --no-detect-zeroes "$src" "${dst[0]}"
        expect_done
        expect 'd(0).bytes.copied == 4194304' 'd(0).bytes.zeroed == 0'
        same_bytes "$dir/src" "$dir/dst0"
}

# One destination of each kind: the chunk suits all of them.
unlike_destination() {
        serve_source 2M
        serve_destinations 1
        blank "$dir/plain"
        export_file "$dir/plain"
        copy "$src" "${dst[0]}" "$uri" "$dir/new" null:
        expect_done
        same_bytes "$dir/src" "$dir/dst0"
        same_bytes "$dir/src" "$dir/plain"
        same_bytes "$dir/src" "$dir/new"
}

file_to_export() {
        random_file "$dir/src" 2M
        serve_destinations 1
        copy "$dir/src" "${dst[0]}"
        expect_done
        same_bytes "$dir/src" "$dir/dst0"
}

export_to_new_file() {
        serve_source 2M
        copy "$src" "$dir/new"
        expect_done
        expect '.durable == true'
        same_bytes "$dir/src" "$dir/new"
}

odd_file_to_new_file() {
        local size
        for size in 1 511 513 1000001; do
                random_file "$dir/odd" $size
                rm -f "$dir/new"
                copy "$dir/odd" "$dir/new"
                expect_done
                expect ".length_bytes == $size"
                same_bytes "$dir/odd" "$dir/new"
        done
}

region_into_the_middle() {
        local sectors=$((unit / 512))
        serve_source 1M
        serve_destinations 1
        random_file "$dir/dst0" 1M
        cp "$dir/dst0" "$dir/was"
        copy "$src#$sectors+$((sectors * 3))" "${dst[0]}#$((sectors * 2))+$((sectors * 3))"
        expect_done
        expect ".length_bytes == $((unit * 3))"
        same_bytes "$dir/src" "$dir/dst0" $((unit * 3)) $unit $((unit * 2))
        same_bytes "$dir/was" "$dir/dst0" $((unit * 2))
        same_bytes "$dir/was" "$dir/dst0" $((1048576 - unit * 5)) $((unit * 5)) $((unit * 5))
}

block_device_both_ways() {
        if [ "$(id -u)" != 0 ] || ! losetup -f >/dev/null 2>&1; then
                say "(without loop devices)"
                [ "${CI:-}" != true ] || fail "CI must have loop devices"
                return 0
        fi
        serve_source 2M
        blank "$dir/disk"
        attach_loop "$dir/disk"
        copy "$src" "$loop"
        expect_done
        same_bytes "$dir/src" "$loop"
        serve_destinations 1
        copy "$loop" "${dst[0]}"
        expect_done
        same_bytes "$dir/src" "$dir/dst0"
}

# Jobs that are smaller than a chunk, one after the other over the same connections.
many_small() {
        local i sectors=$((unit / 512))
        serve_source 1M
        serve_destinations 1
        for i in 0 1 2 3 4 5; do
                copy --durability none "$src#$((i * sectors))+$sectors" "${dst[0]}#$((i * sectors))+$sectors"
                expect_done
        done
        same_bytes "$dir/src" "$dir/dst0" $((unit * 6))
        all_zero "$dir/dst0" $unit $((unit * 6))
}

zero_a_region() {
        local sectors=$((unit / 512))
        random_file "$dir/src" 1M
        serve_destinations 1
        cp "$dir/src" "$dir/dst0"
        zero "${dst[0]}#$sectors+$((sectors * 4))"
        expect_done
        expect 'd(0).bytes.zeroed == .length_bytes' ".length_bytes == $((unit * 4))"
        same_bytes "$dir/src" "$dir/dst0" $unit
        all_zero "$dir/dst0" $((unit * 4)) $unit
        same_bytes "$dir/src" "$dir/dst0" $((1048576 - unit * 5)) $((unit * 5)) $((unit * 5))
}

zero_all() {
        random_file "$dir/src" 2M
        serve_destinations 2
        cp "$dir/src" "$dir/dst0"
        cp "$dir/src" "$dir/dst1"
        zero --unmap "${dst[@]}"
        expect_done
        all_zero "$dir/dst0" 2097152 0
        all_zero "$dir/dst1" 2097152 0
}

several_megabytes_fua() {
        serve_source 6M
        serve_destinations 2
        copy --durability fua "$src" "${dst[@]}"
        case $variant in
        no-fua | no-flush)
                # What cannot be promised is refused or flushed for; it is never claimed.
                if [ "$status" = 3 ]; then
                        return 0
                fi
                ;;
        esac
        expect_done
        same_bytes "$dir/src" "$dir/dst0"
        same_bytes "$dir/src" "$dir/dst1"
}

small_reservation() {
        serve_source 2M
        serve_destinations 2
        # A reservation of a few chunks: the job runs through it, and waits for pages.
        copy --pages 64 "$src" "${dst[@]}"
        expect_done
        same_bytes "$dir/src" "$dir/dst0"
        same_bytes "$dir/src" "$dir/dst1"
}

null_destination() {
        serve_source 2M
        copy "$src" null:
        expect_done
}
