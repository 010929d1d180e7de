#!/usr/bin/python3
"""load.py JOBS SOURCE DESTINATION…: one large job (the whole source to every destination), behind it JOBS
small ones, over one connection to $KCOPYD_SERVER; waits for the large one, then cancels what is left by
hanging up. Prints the large job's completion; exit status 1 when it failed."""
import sys

import wire


def main():
    jobs, source, destinations = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    sock = wire.connect()
    sock.settimeout(120)
    welcome = wire.hello(sock, 4096).welcome
    sock.sendall(wire.frame(wire.copy_message(2, source, destinations, 200)))
    for i in range(jobs):
        # All on the same sectors of the first destination: they wait for each other and for the large one.
        sock.sendall(wire.frame(wire.copy_message(3 + i, source, destinations[:1], 0, 0, 128)))
    large = accepted = 0
    while True:
        message = wire.receive(sock)
        if message is None:
            sys.exit("the server hung up")
        body = message.WhichOneof("body")
        if body == "refused":
            sys.exit(f"refused: {message.refused.field}: {message.refused.reason}")
        if body == "accepted":
            accepted += 1
            if message.request_id == 2:
                large = message.accepted.job
        if body == "completion" and message.completion.job == large:
            print(f"{welcome.pages} pages, {accepted} jobs accepted, {message.completion.elapsed_ms} ms")
            sys.exit(0 if message.completion.state == wire.pb.JOB_STATE_COMPLETED else 1)


main()
