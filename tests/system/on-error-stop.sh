# kcopyd's default: the first error ends the job. The destination that failed says why, the others say that they
# were stopped, and no byte is reported twice.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 8M
truncate -s 8M "$tmp/a" "$tmp/b"
export_file "$tmp/src"
src=$uri
start_faulty "$tmp/a"
a=$uri
faults "$control" "write 4194304 512 EIO"
export_file "$tmp/b"
start_kcopyd
copy "$src" "$a" "$uri"
expect_status 1
expect '.state == "failed"' '(re | not)' '.write_err == [0, 1]' '.durable == false' \
        'd(0).error.class == "media"' 'd(0).error.errno == "EIO"' 'd(0).error.sector <= 8192' \
        'd(0).error.sector + 65536 > 8192' 'd(0).bytes.indeterminate > 0' \
        'd(1).error.class == "stopped"' 'd(1).durable == false'
