"""Tests of xai.py: python3 -m unittest, in this folder. What it does with a host, the tests in Go of
examples/plugins show."""

import array
import base64
import contextlib
import hashlib
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

import example
import xai

HERE = os.path.dirname(os.path.abspath(__file__))


class Sent:
    """Stands for a host in the making of a frame: handles in order."""

    def __init__(self, first):
        self.next = first
        self.tensors = []

    def __call__(self, t):
        self.tensors.append(t)
        self.next += 1
        return self.next - 1


class Frames(unittest.TestCase):
    """The bytes that sdk/abi's tests pin."""

    def check(self, got, want):
        self.assertEqual(got.hex(), want.replace(" ", ""))

    def test_forward(self):
        self.check(
            xai._forward(Sent(2), texts=["ab", "c"], fill=xai.Fill("text", "x", -1), target="0", dedup=False, want=["logits"]),
            "0300 0100 10000000 0200000000000000 0300000000000000"
            "0500 0100 09000000 04000000 ffffffff 78"
            "0600 0100 01000000 30"
            "0800 0100 01000000 00"
            "0900 0100 04000000 02000000",
        )

    def test_units(self):
        over = [xai.Unit("a", [xai.Span(0, 1, 2)], [5])]
        self.check(
            xai._forward(Sent(1), units=[[1]], over=over),
            "0100 0100 08000000 0100000000000000"
            "0700 0100 45000000"
            "0100 0100 05000000 01000000 61"
            "0200 0100 04000000 01000000"
            "0300 0100 0c000000 00000000 01000000 02000000"
            "0400 0100 04000000 01000000"
            "0500 0100 04000000 05000000",
        )

    def test_gradient(self):
        send = Sent(1)
        frame = xai._forward(send, embeds=[[[1.0]]], points=["z0"], edits=[xai.Edit("z0", "add", 2.0)], wrt=["z1"])
        self.check(
            frame,
            "0a00 0100 08000000 0100000000000000"
            "0b00 0100 0a000000 01000000 02000000 7a30"
            "0c00 0100 16000000 01000000 02000000 7a30 03000000 0200000000000000"
            "0d00 0100 0a000000 01000000 02000000 7a31",
        )
        self.assertEqual([(t.dtype, t.shape) for t in send.tensors], [("f32", (1, 1, 1)), ("f64", ())])

    def test_generation(self):
        self.check(
            xai._generation(1, 2, 1.0, 3, 1.0, 4),
            "0100 0100 04000000 02000000 0200 0100 08000000 0100000000000000 0300 0100 08000000 000000000000f03f"
            "0400 0100 04000000 03000000 0500 0100 08000000 000000000000f03f 0600 0100 08000000 0400000000000000",
        )
        self.check(xai._generation(0, 1, 0.0, 0, 0.0, 0), "0100 0100 04000000 01000000")

    def test_operation(self):
        self.check(xai._operation([1], [1.0]), "0100 0100 08000000 0100000000000000 0200 0100 08000000 000000000000f03f")

    def test_meta(self):
        e = xai.Explanation([1.0], units=[xai.Unit("a", [], [])])
        self.check(
            next(e._results())[2],
            "0100 0100 0d000000 01000000 05000000 756e697473 0200 0100 35000000"
            "0100 0100 05000000 01000000 61 0200 0100 04000000 00000000 0300 0100 00000000"
            "0400 0100 04000000 00000000 0500 0100 00000000",
        )

    def test_what_the_host_sends(self):
        def reader(text):
            return xai._Reader(bytes.fromhex(text.replace(" ", "")))

        later = "ff00 0000 01000000 ff"
        columns = [
            "0100 0000 08000000 ffffffff ffffff7f", "0200 0000 08000000 00000000 01000000", "0300 0000 08000000 00000000 03000000",
            "0400 0000 08000000 00000000 0b000000", "0500 0000 08000000 00000000 02000000", "0600 0000 08000000 00000000 08000000",
            "0700 0000 08000000 01000000 02000000", "0800 0000 15000000 05000000 5b434c535d 08000000 6772c3b6c39f6572",
        ]
        tokens = [xai.Token(-1, "[CLS]", special=True), xai.Token(2**31 - 1, "größer", 1, 3, 11, 2, 8, fixed=True)]
        self.assertEqual(reader(later + "".join(columns)).tokens(), tokens)
        self.assertEqual(reader("").tokens(), [])
        for at in range(len(columns)):
            with self.assertRaisesRegex(xai.Error, "ends early|differ in their lengths"):
                reader("".join(columns[:at] + columns[at + 1 :])).tokens()
        unit = "0100 0000 05000000 01000000 61 0200 0000 04000000 01000000 0300 0000 0c000000 00000000 01000000 02000000"
        counts, indices = "0400 0000 04000000 01000000", "0500 0000 04000000 05000000"
        self.assertEqual(reader(unit + counts + later + indices).units(), [xai.Unit("a", [xai.Span(0, 1, 2)], [5])])
        self.assertEqual(reader("").units(), [])
        with self.assertRaisesRegex(xai.Error, "differ in their lengths"):
            reader(unit + indices).units()
        with self.assertRaisesRegex(xai.Error, "ends early"):
            reader(unit + counts).units()
        target = (
            "0100 0000 01000000 6b 0200 0000 01000000 65 0300 0000 01000000 6c 0400 0000 04000000 01000000"
            "0500 0000 04000000 02000000 0600 0000 08000000 000000000000f03f"
        )
        self.assertEqual(reader(target + later).target(), xai.Target("k", "e", "l", 1, xai.Output.PROB, 1.0))
        more = "0700 0000 08000000 00000000 02010000 0800 0000 04000000 01000000 0900 0000 01000000 62"
        self.assertEqual(reader(more + target).target(), xai.Target("k", "e", "l", 1, xai.Output.PROB, 1.0, [0, 258], 1, "b"))
        with self.assertRaisesRegex(xai.Error, "an output that"):
            reader(target.replace("0500 0000 04000000 02", "0500 0000 04000000 04")).target()
        with self.assertRaisesRegex(xai.Error, "critical field"):
            reader(target + "ff00 0100 00000000").target()
        self.assertEqual(reader("0100 0100 04000000 6c696d65").method(), "lime")
        self.assertEqual(reader("0200 0000 01000000 ff 0100 0100 04000000 6c696d65").method(), "lime")
        with self.assertRaisesRegex(xai.Error, "critical field"):
            reader("0200 0100 00000000").method()
        with self.assertRaisesRegex(xai.Error, "ends early"):
            reader("05000000 61").string()
        for text, want in {
            "01000000 fdffffffffffffff": -3, "02000000 000000000000f03f": 1.0, "03000000 01": True, "05000000 6d61736b": "mask",
        }.items():
            got = reader(text).param()
            self.assertEqual((got, type(got)), (want, type(want)))

    def test_text_that_is_no_utf8_comes_back(self):
        data = b"a\xff\xc3(\xe2\x82"
        text = xai._text(data)
        self.assertEqual(len(text), 6)  # as many as there are code points in Go
        self.assertEqual(xai._utf8(text), data)

    def test_refusals(self):
        for rows, want in (
            ({}, "exactly one of units"),
            ({"units": [[1]], "texts": ["a"]}, "exactly one of units"),
            ({"units": [[1], [1, 0]]}, "differ in their lengths"),
            ({"units": [["a"]]}, "was given a text"),
            ({"units": [[256]]}, "u8 cannot hold"),
            ({"units": [[1]], "fill": "masc"}, "'masc' is no fill: use one of mask, pad"),
            ({"units": [[1]], "fill": "text"}, r"use Fill.of_text"),
            ({"units": [[1]], "want": ["logit"]}, "'logit' is no output"),
            ({"units": [[1]], "edits": [xai.Edit("a", "double")]}, "'double' is no operation"),
            ({"texts": ["\ud800"]}, "surrogate"),
            ({"ids": [[1 << 31]]}, "i32 cannot hold"),
        ):
            with self.assertRaisesRegex(xai.Error, want, msg=rows) as caught:
                xai._forward(Sent(1), **rows)
            self.assertEqual(caught.exception.code, xai.Code.INVALID)

    def test_codes_are_those_of_the_documentation(self):
        with open(os.path.join(HERE, "..", "..", "docs", "ABI.md"), encoding="utf-8") as f:
            rows = re.findall(r"^\| (-?\d+) \| ([^|]*) \|.*\| `((?:sdk\.)?[A-Za-z0-9]+)` \|$", f.read(), re.M)
        groups = {
            "sdk.Fill": {n: i for i, n in enumerate(xai._FILLS)},
            "sdk.Edit": {n: i for i, n in enumerate(xai._EDITS)},
            "Want": {n: i + 1 for i, n in enumerate(xai._WANTS)},
            "Op": {n: i + 1 for i, n in enumerate(xai._OPS)},
            "Output": {o.name.lower(): int(o) for o in xai.Output},
        }
        codes = {"sdk.E" + c.name.replace("_", ""): int(c) for c in xai.Code}
        checked = dict.fromkeys(groups, 0)
        for value, label, constant in rows:
            for prefix, have in groups.items():
                if re.match(re.escape(prefix) + "[A-Z]", constant):
                    checked[prefix] += 1
                    self.assertEqual(have.get(label), int(value), constant)
            if label.startswith("E") and label == label.upper():
                self.assertEqual(codes.pop("sdk.E" + constant[5:].upper(), None), int(value), constant)
            if constant in ("sdk.U8", "sdk.I32", "sdk.I64", "sdk.F32", "sdk.F64"):
                self.assertEqual(xai._DTYPES[label][0], int(value))
            if constant in ("sdk.Debug", "sdk.Note", "sdk.Warning"):
                self.assertEqual(xai._LEVELS.index(label), int(value))
        self.assertEqual(codes, {})
        self.assertEqual(checked, {prefix: len(have) for prefix, have in groups.items()})

    def test_events_are_those_of_the_protocol(self):
        with open(os.path.join(HERE, "..", "process", "wire", "xai.proto"), encoding="utf-8") as f:
            text = f.read()
        event = text[text.index("oneof event {") :]
        fields = re.findall(r"\w+ (\w+) = (\d+);", event[: event.index("}")])
        self.assertEqual({name.upper(): int(number) for name, number in fields}, {e.name: int(e) for e in xai._Event})

    def test_messages(self):
        data = xai._message((1, xai._zigzag(-3)), (2, b"ab"), (20, 300))
        self.assertEqual(data.hex(), "0805120261 62a001ac02".replace(" ", ""))
        fields = xai._fields(data + bytes.fromhex("1d01020304 2101020304 05060708".replace(" ", "")))
        self.assertEqual((xai._unzigzag(fields[1]), bytes(fields[2]), fields[20]), (-3, b"ab", 300))
        for v in (0, 1, -1, 1 << 62, -(1 << 63), (1 << 63) - 1):
            self.assertEqual(xai._unzigzag(xai._zigzag(v)), v)
        self.assertEqual(xai._event(3, (1, 2)), xai._message((3, xai._message((1, 2)))))
        for bad in (b"\x08", b"\x12\x05ab", b"\x0b", b"\x08" + b"\xff" * 11, b"\x0d\x01"):
            with self.assertRaisesRegex(xai.Error, "malformed"):
                xai._fields(bad)


class Tensors(unittest.TestCase):
    def test_of_lists(self):
        for values, dtype, shape in (
            (1.5, "f64", ()), ([1, 2.5], "f64", (2,)), ([[1, 2], [3, 4]], "i64", (2, 2)), ([True, False], "u8", (2,)),
            ([], "i64", (0,)), ([[], []], "i64", (2, 0)), (range(3), "i64", (3,)), (((1,), (2,)), "i64", (2, 1)), (b"ab", "u8", (2,)),
        ):
            t = xai.Tensor(values)
            self.assertEqual((t.dtype, t.shape), (dtype, shape), values)
        self.assertEqual(xai.Tensor([[1, 2], [3, 4]]).tolist(), [[1, 2], [3, 4]])

    def test_of_buffers(self):
        a = array.array("d", [1.0, 2.0])
        t = xai.Tensor(a)
        a[0] = 5.0
        self.assertEqual(t.tolist(), [5.0, 2.0])  # shared
        self.assertEqual(xai.Tensor(a, "f32").tolist(), [5.0, 2.0])
        self.assertEqual(xai.Tensor(array.array("h", [1, -2]), "i32").tolist(), [1, -2])
        grid = memoryview(array.array("i", range(6))).cast("B").cast("i", [2, 3])
        self.assertEqual(xai.Tensor(grid).tolist(), [[0, 1, 2], [3, 4, 5]])
        self.assertEqual(xai.Tensor(memoryview(array.array("i", range(6)))[::2]).tolist(), [0, 2, 4])

    def test_numpy(self):
        try:
            import numpy
        except ImportError:
            self.skipTest("numpy is not installed")
        grid = numpy.arange(6, dtype="float32").reshape(2, 3)
        for values in (grid, grid.T.copy().T, grid[:, ::-1][:, ::-1]):
            t = xai.Tensor(values)
            self.assertEqual((t.dtype, t.tolist()), ("f32", grid.tolist()))
        self.assertEqual(xai.Tensor(grid > 2, "u8").tolist(), [[0, 0, 0], [1, 1, 1]])
        self.assertEqual(xai.Tensor(numpy.float64(0.5), "f64").item(), 0.5)
        self.assertEqual(xai.Tensor([numpy.int64(3), numpy.float32(0.5)], "f64").tolist(), [3.0, 0.5])
        self.assertEqual(xai.Tensor(numpy.zeros((2, 0))).shape, (2, 0))
        self.assertEqual(xai.Tensor(numpy.array(grid, "float16"), "f64").tolist(), grid.tolist())
        back = numpy.asarray(xai.Tensor(grid))
        self.assertTrue((back == grid).all() and back.dtype == grid.dtype)
        self.assertEqual(numpy.asarray(xai.Tensor(0.5)).shape, ())

    def test_indices(self):
        t = xai.Tensor([[[1, 2], [3, 4]], [[5, 6], [7, 8]]])
        self.assertEqual(t[1].tolist(), [[5, 6], [7, 8]])
        self.assertEqual((t[1, 0, 1], t[-1][-1][-1], len(t)), (6, 8, 2))
        self.assertEqual([row.tolist() for row in t[0]], [[1, 2], [3, 4]])
        self.assertEqual(t[1:].tolist(), [[[5, 6], [7, 8]]])
        self.assertEqual((t[1:1].shape, t[5:2].shape), ((0, 2, 2), (0, 2, 2)))
        for wrong in (2, -3, slice(None, None, 2)):
            with self.assertRaises(IndexError):
                t[wrong]
        with self.assertRaisesRegex(xai.Error, "no single number"):
            t.item()
        self.assertEqual((xai.Tensor.zeros([2, 1]).tolist(), xai.Tensor.zeros([]).tolist()), ([[0.0], [0.0]], 0.0))
        self.assertEqual((t == xai.Tensor(t.tolist()), t == xai.Tensor(t, "f64")), (True, False))


class Methods(unittest.TestCase):
    def test_describes_itself(self):
        self.assertEqual(
            example.explain.describe(),
            {
                "name": "leave-one-out", "version": "0.1.0", "summary": "What the target loses when each unit is dropped",
                "source": "", "abi": "1.0", "needs": ["forward"],
                "params": [{
                    "name": "fill", "type": "enum", "default": "mask", "values": ["mask", "delete", "zero", "hide"],
                    "doc": "what a dropped unit becomes",
                }],
            },
        )

    def test_can_be_called_with_a_stand_in(self):
        class Model:
            def forward(self, units, fill):
                self.asked = (units, fill)
                return {"target": [0.5, 1.0]}

        class Request:
            units = [None, None]
            params = {"fill": "hide"}
            target = xai.Target("class", "1", "yes", 1, xai.Output.PROB, 2.0)

        model = Model()
        self.assertEqual(example.explain(model, Request()).attributions, [1.5, 1.0])
        self.assertEqual(model.asked, ([[False, True], [True, False]], "hide"))
        Request.units = []
        with self.assertRaises(xai.Error) as caught:
            example.explain(model, Request())
        self.assertEqual(caught.exception.code, xai.Code.INVALID)

    def test_refuses_what_cannot_be_declared(self):
        for wrong, want in (
            ({"name": "My Method"}, "cannot be the name of a method"), ({"name": "-x-"}, "cannot be the name of a method"),
            ({"name": "x" * 65}, "cannot be the name of a method"), ({"needs": ["forwards"]}, "is no need"),
            ({"params": [xai.Int("Window", 1)]}, "cannot be the name of a parameter"),
        ):
            with self.assertRaisesRegex(ValueError, want):
                xai.method(**{"name": "m", "version": "1.0.0", **wrong})
        with self.assertRaisesRegex(ValueError, "two methods"):
            xai.serve(example.explain, example.explain)


class HTTP2(unittest.TestCase):
    def test_headers(self):
        # RFC 7541, C.4: with Huffman codes, and a table that grows.
        table = xai._HeaderTable()
        first = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")]
        self.assertEqual(table.decode(bytes.fromhex("828684418cf1e3c2e5f23a6ba0ab90f4ff")), first)
        self.assertEqual(table.decode(bytes.fromhex("828684be5886a8eb10649cbf")), first + [("cache-control", "no-cache")])
        third = [(":method", "GET"), (":scheme", "https"), (":path", "/index.html"), (":authority", "www.example.com")]
        self.assertEqual(
            table.decode(bytes.fromhex("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf")), third + [("custom-key", "custom-value")]
        )
        self.assertEqual(table.size, 164)
        self.assertEqual(table.decode(b"\x20"), [])  # no table from here on
        self.assertEqual((len(table.dynamic), table.size), (0, 0))
        for bad in (b"\xbe", b"\xff\xff\xff\xff\xff\xff\xff", b"\x3f\xff\xff\x7f", b"\x00\x05a", b"\x00\x85\xff\xff\xff\xff\xff\x00"):
            with self.assertRaises((xai._Broken, IndexError), msg=bad):
                table.decode(bad)

    def test_headers_that_are_sent(self):
        message = "ü%" + "a" * 200
        want = "%C3%BC%25" + "a" * 200
        self.assertEqual(xai._HeaderTable().decode(xai._header("grpc-message", message)), [("grpc-message", want)])

    def serve(self, accept, context=None, client=None):
        """A connection's other end, which has sent the preface and its settings."""
        here, there = socket.socketpair()

        def run():
            with contextlib.suppress(OSError, EOFError), there:
                xai._Connection(xai._Channel(there, context), accept, lambda stream: None).run()

        thread = threading.Thread(target=run)
        thread.start()

        def end():
            here.close()
            thread.join(10)
            self.assertFalse(thread.is_alive())

        self.addCleanup(end)
        if client:
            here = client.wrap_socket(here, server_hostname="localhost")
        here.settimeout(10)
        return here

    def frames(self, peer, until):
        """Frames that the peer sends, up to one that until takes."""
        data = b""
        while True:
            while len(data) >= 9 and len(data) >= 9 + int.from_bytes(data[:3], "big"):
                size = int.from_bytes(data[:3], "big")
                frame = data[3], data[4], int.from_bytes(data[5:9], "big"), data[9 : 9 + size]
                data = data[9 + size :]
                yield frame
                if until(frame):
                    return
            got = peer.recv(1 << 16)
            self.assertTrue(got, "the connection has ended")
            data += got

    def test_a_call_within_its_windows(self):
        payload = bytes(range(256)) * 400  # 100 kB, of which the peer takes 1000, 40000 and the rest

        def answer(stream):
            self.assertEqual([stream.receive(), stream.receive()], [b"hello", None])
            stream.send(payload)
            stream.send(b"")
            stream.end()

        paths = []

        def accept(stream, path):
            paths.append(path)
            threading.Thread(target=answer, args=(stream,)).start()

        peer = self.serve(accept)
        headers = b"\x83\x86" + xai._header(":path", "/a/B") + xai._header("te", "trailers")
        peer.sendall(
            xai._PREFACE + xai._frame(4, 0, 0, struct.pack(">HIHI", 4, 1000, 5, 20000)) + xai._frame(6, 0, 0, b"12345678")
            + xai._frame(1, 0x8, 1, b"\x03" + headers[:5] + b"\0\0\0") + xai._frame(9, 4, 1, headers[5:])  # padded, and in two parts
            + xai._frame(0, 0, 1, b"\0\0\0\0\x05he") + xai._frame(0, 0x9, 1, b"\x02llo\0\0") + xai._frame(99, 0, 0, b"?")
        )
        got, most = b"", 0
        granted = iter((40000, 1 << 20))
        for kind, flags, id, data in self.frames(peer, lambda f: f[0] == 1 and f[1] & 1):
            if kind == 0:
                got += data
                most = max(most, len(data))
                if len(got) in (1000, 41000):
                    more = struct.pack(">I", next(granted))
                    peer.sendall(xai._frame(8, 0, 1, more) + xai._frame(8, 0, 0, more))
            elif kind == 6:
                self.assertEqual((flags, data), (1, b"12345678"))
        self.assertEqual(got, b"\0" + len(payload).to_bytes(4, "big") + payload + b"\0\0\0\0\0")
        self.assertLessEqual(most, 20000)
        self.assertEqual(xai._HeaderTable().decode(data), [("grpc-status", "0")])
        self.assertEqual(paths, ["/a/B"])

    def test_a_call_that_is_given_up(self):
        ended = threading.Event()
        results = []

        def answer(stream):
            results.append(stream.receive())
            stream.send(b"nobody hears")
            stream.end()
            ended.set()

        peer = self.serve(lambda stream, path: threading.Thread(target=answer, args=(stream,)).start())
        peer.sendall(xai._PREFACE + xai._frame(4, 0, 0) + xai._frame(1, 4, 1, b"\x83") + xai._frame(3, 0, 1, struct.pack(">I", 8)))
        self.assertTrue(ended.wait(10))
        self.assertEqual(results, [None])

    def test_what_is_no_http2_ends_the_connection(self):
        for data in (
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            xai._PREFACE + b"\xff\xff\xff\0\0\0\0\0\0",
            xai._PREFACE + xai._frame(1, 4, 1, b"\xbe"),
            xai._PREFACE + xai._frame(1, 4, 1, b"\x83") + xai._frame(0, 0, 1, b"\x01\0\0\0\0"),  # compressed
            xai._PREFACE + xai._frame(0, 8, 1, b""),
        ):
            peer = self.serve(lambda stream, path: None)
            peer.sendall(data)
            with contextlib.suppress(ConnectionError):
                while peer.recv(1 << 16):
                    pass

    def test_certificates(self):
        # Twice the generator, as the curve's standard has it.
        self.assertEqual(xai._multiple(2)[0], 0x7CF27B188D034F7E8A52380304B51AC3C08969E277F21B35A60B48FC47669978)
        self.assertEqual(xai._multiple(xai._N - 1), (xai._G[0], xai._P - xai._G[1]))
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs = (xai._certificate() for _ in range(2))
            context, told = xai._tls(ssl.DER_cert_to_PEM_cert(theirs[0]), folder)
            self.assertEqual(os.listdir(folder), [])
            der = base64.b64decode(told + "=" * (-len(told) % 4))

            def client(certificate):
                c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                c.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(der))
                c.set_alpn_protocols(["h2"])
                if certificate:
                    path = os.path.join(folder, "pem")
                    with open(path, "wb") as f:
                        f.write(ssl.DER_cert_to_PEM_cert(certificate[0]).encode() + certificate[1])
                    c.load_cert_chain(path)
                return c

            peer = self.serve(lambda stream, path: None, context, client(theirs))
            self.assertEqual(peer.selected_alpn_protocol(), "h2")
            peer.sendall(xai._PREFACE)
            self.assertTrue(peer.recv(100))
            for wrong in (None, ours):
                peer = None
                with self.assertRaises((OSError, AssertionError)):
                    peer = self.serve(lambda stream, path: None, context, client(wrong))
                    peer.sendall(xai._PREFACE)
                    self.assertTrue(peer.recv(100))


class Programs(unittest.TestCase):
    """The program that a user or a host starts."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def pack(self, *arguments):
        out = os.path.join(self.folder, "out.pyz")
        done = subprocess.run(
            [sys.executable, os.path.join(HERE, "xai.py"), "pack", *arguments, "-o", out], capture_output=True, text=True, timeout=60,
        )
        return done, out

    def test_pack(self):
        digests = set()
        for _ in range(2):
            done, out = self.pack(os.path.join(HERE, "example.py"), "--python", sys.executable)
            self.assertEqual((done.returncode, done.stdout.strip()), (0, out), done.stderr)
            with open(out, "rb") as f:
                digests.add(hashlib.sha256(f.read()).hexdigest())
        self.assertEqual(len(digests), 1)
        self.assertEqual(os.listdir(self.folder), ["out.pyz"])
        done, _ = self.pack(os.path.join(self.folder, "missing.py"))
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
        self.assertIn("No such file", done.stderr)

    def test_by_hand(self):
        _, out = self.pack(os.path.join(HERE, "example.py"))
        done = subprocess.run([sys.executable, out], capture_output=True, text=True, timeout=60, env={"PATH": os.environ["PATH"]})
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1))
        self.assertIn("for xai, which starts it for the method leave-one-out: declare it in a methods.toml", done.stderr)

    def test_modules_and_packages(self):
        package = os.path.join(self.folder, "package")
        os.makedirs(os.path.join(package, "below"))
        for path, text in (
            ("method.py", "import other, package.below.deep\nprint(other.x + package.below.deep.x)"), ("other.py", "x = 1"),
            ("package/__init__.py", ""), ("package/below/__init__.py", ""), ("package/below/deep.py", "x = 2"), ("package/data.bin", "-"),
        ):
            with open(os.path.join(self.folder, path), "w") as f:
                f.write(text)
        done, out = self.pack(*(os.path.join(self.folder, name) for name in ("method.py", "other.py", "package")))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(subprocess.run([sys.executable, out], capture_output=True, text=True, timeout=60).stdout, "3\n")

    def test_handshake(self):
        _, out = self.pack(os.path.join(HERE, "example.py"))
        certificate, _ = xai._certificate()
        env = {
            "PATH": os.environ["PATH"], xai._COOKIE[0]: xai._COOKIE[1], "PLUGIN_UNIX_SOCKET_DIR": self.folder,
            "PLUGIN_CLIENT_CERT": ssl.DER_cert_to_PEM_cert(certificate), "PLUGIN_PROTOCOL_VERSIONS": "1",
        }
        for secure in (True, False):
            if not secure:
                del env["PLUGIN_CLIENT_CERT"]
            with subprocess.Popen([sys.executable, out], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as program:
                core, protocol, network, address, kind, der = program.stdout.readline().rstrip("\n").split("|")
                self.assertEqual((core, protocol, network, kind, bool(der)), ("1", "1", "unix", "grpc", secure))
                self.assertEqual(os.path.dirname(address), self.folder)
                if not secure:
                    self.check_calls(address)
                program.stdin.close()  # the host has ended
                self.assertEqual(program.wait(30), 1)

    def check_calls(self, address):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(30)
            peer.connect(address)
            peer.sendall(xai._PREFACE + xai._frame(4, 0, 0))
            http2 = HTTP2()
            table = xai._HeaderTable()
            for id, path in ((1, "/grpc.health.v1.Health/Check"), (3, "/xai.process.v1.Method/Describe"), (5, "/plugin.GRPCStdio/StreamStdio")):
                headers = b"\x83\x86" + xai._header(":path", path)
                peer.sendall(xai._frame(1, 4, id, headers) + xai._frame(0, 1, id, b"\0\0\0\0\0"))
                data, trailers = b"", []
                for kind, _, _, payload in http2.frames(peer, lambda f: f[0] == 1 and f[1] & 1):
                    if kind == 0:
                        data += payload
                    elif kind == 1:
                        trailers = table.decode(payload)
                status = dict(trailers)["grpc-status"]
                if id == 1:
                    self.assertEqual((data, status), (b"\0\0\0\0\x02\x08\x01", "0"))
                elif id == 3:
                    self.assertEqual(json.loads(bytes(xai._fields(data[5:])[1])), example.explain.describe())
                else:
                    self.assertEqual((data, status), (b"", "12"))


if __name__ == "__main__":
    unittest.main()
