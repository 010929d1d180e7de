#!/usr/bin/env python3
"""An NBD server that keeps the protocol except where it is told to break it, byte by byte.

  nbd-hostile.py --unix PATH [--tcp PORT: instead]  --ready FILE  [--size BYTES] [--flags BITS] [--blocks MIN,PREFERRED,MAX]
      [--no-sr] [--stall accept|greeting|options|tls|export|commands|disconnect] [--greeting garbage]
      [--hangup BYTES]        closes once it has sent so many bytes, in whatever phase
      [--read short|empty|repeat|scatter|reverse] [--reply magic|cookie|hangup]
      [--extents none|empty|twice|LENGTH:FLAGS,…] [--error OP:NBD_ERRNO] [--refuse GO_ERROR]
      [--reset-on-command]    answers the first request with a TCP reset
      [--after N]             does not answer the first N requests at all
      [--trace FILE]          a line "OP offset length flags" per request

The content is a pattern: byte i is (i >> 9) & 0xff. Each connection has a thread; SIGTERM ends it.
"""
import argparse
import os
import socket
import struct
import sys
import threading
import time

OPTION_MAGIC, REPLY_MAGIC = 0x49484156454F5054, 0x3E889045565A9
OPT_EXPORT_NAME, OPT_ABORT, OPT_STARTTLS, OPT_GO, OPT_STRUCTURED, OPT_SET_CONTEXT = 1, 2, 5, 7, 8, 10
OPS = {0: "read", 1: "write", 2: "disconnect", 3: "flush", 4: "trim", 6: "zero", 7: "extents"}
DONE = 1


class Gone(Exception):
    pass


def forever():
    while True:
        time.sleep(3600)


def pattern(offset, length):
    return bytes((i >> 9) & 0xFF for i in range(offset, offset + length))


class Connection:
    def __init__(self, sock, args):
        self.sock, self.args, self.structured, self.sent = sock, args, False, 0
        self.n_requests = 0

    def receive(self, length):
        data = b""
        while len(data) < length:
            part = self.sock.recv(length - len(data))
            if not part:
                raise Gone
            data += part
        return data

    def send(self, data):
        if self.args.hangup is not None and self.sent + len(data) >= self.args.hangup:
            self.sock.sendall(data[: self.args.hangup - self.sent])
            raise Gone
        self.sent += len(data)
        self.sock.sendall(data)

    def option_reply(self, option, kind, data=b""):
        self.send(struct.pack(">QIII", REPLY_MAGIC, option, kind, len(data)) + data)

    def negotiate(self):
        args = self.args
        if args.stall == "greeting":
            forever()
        if args.greeting == "garbage":
            self.send(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n" * 8)
            forever()
        self.send(struct.pack(">QQH", 0x4E42444D41474943, OPTION_MAGIC, 3))
        self.receive(4)
        while True:
            _, option, length = struct.unpack(">QII", self.receive(16))
            self.receive(length)
            if args.stall == "options" or (args.stall == "export" and option == OPT_GO):
                forever()
            if option == OPT_STARTTLS and args.stall == "tls":
                self.option_reply(option, 1)
                forever()
            if option == OPT_STRUCTURED and not args.no_sr:
                self.structured = True
                self.option_reply(option, 1)
            elif option == OPT_SET_CONTEXT and self.structured:
                self.option_reply(option, 4, struct.pack(">I", 7) + b"base:allocation")
                self.option_reply(option, 1)
            elif option == OPT_GO and args.refuse:
                self.option_reply(option, args.refuse)
            elif option == OPT_GO:
                self.option_reply(option, 3, struct.pack(">HQH", 0, args.size, args.flags))
                if args.blocks:
                    self.option_reply(option, 3, struct.pack(">HIII", 3, *args.blocks))
                self.option_reply(option, 1)
                return
            elif option == OPT_ABORT:
                raise Gone
            else:
                self.option_reply(option, 0x80000001)

    def simple(self, cookie, error=0, data=b""):
        self.send(struct.pack(">IIQ", 0x67446698, error, cookie) + data)

    def chunk(self, cookie, flags, kind, data=b""):
        self.send(struct.pack(">IHHQI", 0x668E33EF, flags, kind, cookie, len(data)) + data)

    def data(self, cookie, flags, offset, length):
        self.chunk(cookie, flags, 1, struct.pack(">Q", offset) + pattern(offset, length))

    def read(self, cookie, offset, length):
        half, how = length // 2, self.args.read
        if not self.structured:
            self.simple(cookie, 0, pattern(offset, length))
        elif how == "short":
            self.data(cookie, DONE, offset, half)
        elif how == "empty":
            self.chunk(cookie, DONE, 0)
        elif how == "repeat":
            self.data(cookie, 0, offset, half)
            self.data(cookie, DONE, offset, length - half)
        elif how in ("reverse", "scatter"):
            step = 512
            places = list(range(0, length, step))
            order = places[::-1] if how == "reverse" else places[::2] + places[1::2]
            for place in order:
                self.data(cookie, DONE if place == order[-1] else 0, offset + place, step)
        else:
            self.data(cookie, DONE, offset, length)

    def extents(self, cookie, offset, length):
        how = self.args.extents or "%d:0" % length
        if how == "none":
            return self.chunk(cookie, DONE, 0)
        pairs = [] if how in ("empty", "twice") else [p.split(":") for p in how.split(",")]
        if how == "empty":
            pairs = [(0, 3), (length, 0)]
        if how == "twice":
            pairs = [(length, 3)]
            self.chunk(cookie, 0, 5, struct.pack(">III", 7, length, 0))
        body = b"".join(struct.pack(">II", int(size), int(flags)) for size, flags in pairs)
        self.chunk(cookie, DONE, 5, struct.pack(">I", 7) + body)

    def serve(self):
        args = self.args
        while True:
            _, flags, kind, cookie, offset, length = struct.unpack(">IHHQQI", self.receive(28))
            op = OPS.get(kind, "?")
            if op == "write":
                self.receive(length)
            if args.trace:
                with open(args.trace, "a") as trace:
                    trace.write("%s %d %d %d\n" % (op, offset, length, flags))
            if op == "disconnect":
                if args.stall == "disconnect":
                    forever()
                raise Gone
            self.n_requests += 1
            if args.stall == "commands" or self.n_requests <= args.after:
                continue
            if args.reset_on_command:  # with data unread, or a linger time of 0, a close is a reset
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                raise Gone
            if args.reply == "hangup":
                raise Gone
            if args.reply == "magic":
                self.send(b"\xde\xad\xbe\xef" * 8)
            elif args.reply == "cookie":
                self.simple(cookie + 4711)
            elif args.error and args.error[0] == op:
                if self.structured and op in ("read", "extents"):
                    self.chunk(cookie, DONE, 0x8001, struct.pack(">IH", args.error[1], 0))
                else:
                    self.simple(cookie, args.error[1])
            elif op == "read":
                self.read(cookie, offset, length)
            elif op == "extents":
                self.extents(cookie, offset, length)
            else:
                self.simple(cookie)

    def run(self):
        try:
            self.negotiate()
            self.serve()
        except (Gone, ConnectionError):
            pass
        self.sock.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--unix")
    parser.add_argument("--tcp", type=int)
    parser.add_argument("--ready", required=True)
    parser.add_argument("--size", type=int, default=1 << 20)
    parser.add_argument("--flags", type=lambda s: int(s, 0), default=0x16D)
    parser.add_argument("--blocks", type=lambda s: tuple(int(n) for n in s.split(",")))
    parser.add_argument("--no-sr", action="store_true")
    parser.add_argument("--reset-on-command", action="store_true")
    for name in ("--stall", "--greeting", "--read", "--reply", "--extents", "--trace"):
        parser.add_argument(name)
    parser.add_argument("--hangup", type=int)
    parser.add_argument("--after", type=int, default=0)
    parser.add_argument("--refuse", type=lambda s: int(s, 0))
    parser.add_argument("--error", type=lambda s: (s.split(":")[0], int(s.split(":")[1])))
    args = parser.parse_args()
    if args.tcp is None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(args.unix)
    else:
        listener = socket.socket(socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", args.tcp))
    listener.listen(0 if args.stall == "accept" else 16)
    with open(args.ready, "w") as ready:
        ready.write("%d\n" % os.getpid())
    if args.stall == "accept":
        forever()
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=Connection(sock, args).run, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
