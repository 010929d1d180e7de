# qemu-nbd as source and as destination. With one client allowed (its default) it ends when that client leaves,
# so the connection that validated must be the one that copies.
# labels: core
# variants: raw-1 raw-4 qcow2-1 qcow2-4
source "$(dirname "$0")/../lib/functions.sh"
requires qemu-nbd qemu-img jq

format=${1%-*} clients=${1#*-}
random_file "$tmp/src" 4M
qemu-img create -q -f "$format" "$tmp/dst" 4M
export_file "$tmp/src"
src=$uri
start_kcopyd

start_qemu_nbd "$format" "$tmp/dst" "$clients"
copy "$src" "$uri"
expect_done
expect '.durable' 'd(0).bytes.copied == 4194304'
# Not persistent: it ends by itself once the daemon has let go of it.
must_wait_for 15 gone "$pid"
qemu-img compare -q -f raw -F "$format" "$tmp/src" "$tmp/dst" || fail "the image differs"

truncate -s 4M "$tmp/back"
export_file "$tmp/back"
back=$uri
start_qemu_nbd "$format" "$tmp/dst" "$clients" -r
copy "$uri" "$back"
expect_done
must_wait_for 15 gone "$pid"
same_bytes "$tmp/src" "$tmp/back"
