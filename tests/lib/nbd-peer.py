#!/usr/bin/python3
"""An NBD server that stalls, lies or hangs up where it is told; otherwise it serves a file.

  nbd-peer.py --unix PATH | --tcp PORT  [--file FILE | --size BYTES]  [--stall PHASE] [--lie HOW] [--after N]

PHASE: connect (never accepts, and its queue is full: it prints "full" then), greeting (accepts and says
nothing), option (no answer to options), tls (accepts STARTTLS, then silence), read, write, zero, flush, extents
(no answer to these), disconnect (never closes).
HOW: short (a structured reply with half of the data), empty (a structured reply with no data at all), cookie
(a reply to a request nobody made), magic (a broken reply), hangup (closes instead of answering), eio.
--after N: the first N requests of the kind are served. It is for requests of data; the lies
concern reads. Each connection has a thread; the process ends with SIGTERM. Every request that is not answered
is a line of its output: "stalled KIND OFFSET LENGTH".
"""
import argparse
import os
import socket
import struct
import threading
import time

OPTION_REPLY = 0x3E889045565A9
ALLOCATION = 1  # the context's number
READ, WRITE, DISC, FLUSH, TRIM, ZEROES, EXTENTS = 0, 1, 2, 3, 4, 6, 7
PHASES = {READ: "read", WRITE: "write", FLUSH: "flush", ZEROES: "zero", EXTENTS: "extents"}


class Gone(Exception):
    pass


class Connection:
    def __init__(self, sock, args, fd, size):
        self.sock, self.args, self.fd, self.size = sock, args, fd, size
        self.structured, self.served = False, 0

    def receive(self, length):
        data = b""
        while len(data) < length:
            part = self.sock.recv(length - len(data))
            if not part:
                raise Gone
            data += part
        return data

    def stall(self):
        while True:
            time.sleep(3600)

    def option_reply(self, option, kind, data=b""):
        self.sock.sendall(struct.pack(">QIII", OPTION_REPLY, option, kind, len(data)) + data)

    def handshake(self):
        if self.args.stall == "greeting":
            self.stall()
        self.sock.sendall(b"NBDMAGICIHAVEOPT" + struct.pack(">H", 3))
        self.receive(4)
        flags = 1 | 1 << 2 | 1 << 6 | 1 << 8
        while True:
            _, option, length = struct.unpack(">QII", self.receive(16))
            data = self.receive(length)
            if self.args.stall == "option":
                self.stall()
            if option == 5 and self.args.stall == "tls":
                self.option_reply(option, 1)
                self.stall()
            if option == 8:
                self.structured = True
                self.option_reply(option, 1)
            elif option == 10 and self.structured and b"base:allocation" in data:
                self.option_reply(option, 4, struct.pack(">I", ALLOCATION) + b"base:allocation")
                self.option_reply(option, 1)
            elif option in (6, 7):
                self.option_reply(option, 3, struct.pack(">HQH", 0, self.size, flags))
                self.option_reply(option, 3, struct.pack(">HIII", 3, 1, 4096, 32 << 20))
                self.option_reply(option, 1)
                if option == 7:
                    return
            elif option == 1:
                self.sock.sendall(struct.pack(">QH", self.size, flags) + bytes(124))
                return
            elif option == 2:
                self.option_reply(option, 1)
                raise Gone
            else:
                self.option_reply(option, 0x80000001)

    def simple(self, cookie, error=0, data=b""):
        self.sock.sendall(struct.pack(">IIQ", 0x67446698, error, cookie) + data)

    def chunk(self, cookie, flags, kind, payload=b""):
        self.sock.sendall(struct.pack(">IHHQI", 0x668E33EF, flags, kind, cookie, len(payload)) + payload)

    def read_reply(self, cookie, offset, length):
        lie = self.args.lie if self.served >= self.args.after else None
        self.served += 1
        data = os.pread(self.fd, length, offset).ljust(length, b"\0") if self.fd >= 0 else bytes(length)
        if lie == "hangup":
            raise Gone
        if lie == "eio":
            if self.structured:
                self.chunk(cookie, 1, 1 << 15 | 1, struct.pack(">IH", 5, 0))
            else:
                self.simple(cookie, 5)
        elif lie == "cookie":
            self.simple(cookie ^ 0xFFFF0000, 0, data)
        elif lie == "magic":
            self.sock.sendall(b"\xde\xad" * 8 + data)
        elif lie == "empty":
            self.chunk(cookie, 1, 0)
        elif lie == "short":
            self.chunk(cookie, 1, 1, struct.pack(">Q", offset) + data[: length // 2])
        elif self.structured:
            self.chunk(cookie, 1, 1, struct.pack(">Q", offset) + data)
        else:
            self.simple(cookie, 0, data)

    def requests(self):
        counts = {}
        while True:
            _, flags, kind, cookie, offset, length = struct.unpack(">IHHQQI", self.receive(28))
            data = self.receive(length) if kind == WRITE else b""
            counts[kind] = counts.get(kind, 0) + 1
            if kind == DISC:
                if self.args.stall == "disconnect":
                    self.stall()
                raise Gone
            if kind in PHASES and self.args.stall == PHASES[kind] and counts[kind] > self.args.after:
                print("stalled", PHASES[kind], offset, length, flush=True)
                continue
            if kind == EXTENTS:  # all of it is data
                self.chunk(cookie, 1, 5, struct.pack(">III", ALLOCATION, length, 0))
                continue
            if kind == READ:
                self.read_reply(cookie, offset, length)
                continue
            if kind == WRITE and self.fd >= 0:
                os.pwrite(self.fd, data, offset)
            elif kind == ZEROES and self.fd >= 0:
                os.pwrite(self.fd, bytes(length), offset)
            self.simple(cookie, 0 if kind in (WRITE, ZEROES, FLUSH) else 22)

    def run(self):
        try:
            self.handshake()
            self.requests()
        except (Gone, OSError):
            pass
        self.sock.close()


def fill_queue(listener):
    waiting = []
    try:
        while True:
            sock = socket.socket(listener.family)
            sock.setblocking(False)
            waiting.append(sock)
            sock.connect(listener.getsockname())
    except BlockingIOError:
        print("full", flush=True)
    threading.Event().wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--unix")
    parser.add_argument("--tcp", type=int)
    parser.add_argument("--file")
    parser.add_argument("--size", type=int, default=1 << 20)
    parser.add_argument("--stall")
    parser.add_argument("--lie")
    parser.add_argument("--after", type=int, default=0)
    args = parser.parse_args()

    fd = os.open(args.file, os.O_RDWR) if args.file else -1
    size = os.fstat(fd).st_size if args.file else args.size
    if args.unix:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(args.unix)
    else:
        listener = socket.create_server(("127.0.0.1", args.tcp))
    listener.listen(0 if args.stall == "connect" else 16)
    if args.stall == "connect":
        fill_queue(listener)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=Connection(sock, args, fd, size).run, daemon=True).start()


if __name__ == "__main__":
    main()
