"""What an attacker with a certificate of its own says to a TLS terminator, to be another behind it (SEC-02, SEC-11)."""

from __future__ import annotations

from dataclasses import dataclass

from tests.terminators import CERTIFICATE_HEADER

HUGE_BYTES = 70_000
FULL_BYTES = range(12_000, 16_800, 200)
"""Around what a terminator has room for: where it might have none left for what it writes itself."""
_NAME = CERTIFICATE_HEADER.encode()
_HTTP_2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""The preface of HTTP/2 and empty settings, for whoever speaks it without having been asked to."""


@dataclass(frozen=True, kw_only=True)
class Attacker:
    """Somebody with a certificate, who has another's, which is no secret, and would be that other."""

    path: bytes
    message: bytes
    forged: bytes
    """What the terminator would write of the other's certificate."""

    def request(self, *headers: bytes, body: bytes | None = None, line: bytes = b"") -> bytes:
        """A request of these headers besides the usual; it states the length of the message, unless it has a body."""
        own = () if body is not None else (b"Content-Length: %d" % len(self.message),)
        lines = (line or b"POST %s HTTP/1.1" % self.path, b"Host: localhost", b"Content-Type: text/xml", *own, *headers)
        return b"".join(one + b"\r\n" for one in lines) + b"\r\n" + (self.message if body is None else body)

    def _chunked(self, *headers: bytes, trailer: bytes) -> bytes:
        chunks = b"%x\r\n%s\r\n0\r\n%s\r\n\r\n" % (len(self.message), self.message, trailer)
        return self.request(b"Transfer-Encoding: chunked", *headers, body=chunks)

    @property
    def second(self) -> bytes:
        """What is to arrive as a request of its own: the other's, by its certificate."""
        return self.request(_NAME + b": " + self.forged, b"Connection: close")

    def forgeries(self) -> dict[str, bytes]:
        """One request each, that says whose it is."""
        said = b": " + self.forged
        lines = {
            "the header": _NAME + said,
            "in lower case": _NAME.lower() + said,
            "in upper case": _NAME.upper() + said,
            "twice": _NAME + said + b"\r\n" + _NAME + said,
            "in two cases": _NAME.lower() + said + b"\r\n" + _NAME.upper() + said,
            "with underscores": _NAME.replace(b"-", b"_") + said,
            "with a point": _NAME.replace(b"-", b".") + said,
            "a blank before the colon": _NAME + b" " + said,
            "a tab before the colon": _NAME + b"\t" + said,
            "a NUL before the colon": _NAME + b"\0" + said,
            "a blank before the name": b" " + _NAME + said,
            "no blank after the colon": _NAME + b":" + self.forged,
            "folded": b"X: y\r\n " + _NAME + said,
            "its value folded": _NAME + b":\r\n " + self.forged,
            "behind a bare LF": b"X: y\n" + _NAME + said,
            "behind a bare CR": b"X: y\r" + _NAME + said,
            "behind a NUL": b"X: y\0\r\n" + _NAME + said,
            "behind an empty name": b": y\r\n" + _NAME + said,
            "a NUL in its value": _NAME + said + b"\0",
            "a CR in its value": _NAME + said + b"\rX: y",
            "a list": _NAME + said + b", " + self.forged,
            "other names": b"\r\n".join(
                name + said for name in (b"X-SSL-Client-Cert", b"SSL-Client-Cert", b"Client-Cert", b"X-SSL-Cert")
            ),
            "named as of this connection": b"Connection: close, " + _NAME + b"\r\n" + _NAME + said,
            "named as of this connection, in lower case": b"Connection: " + _NAME.lower(),
            "huge": _NAME + said + b"A" * HUGE_BYTES,
            "behind a huge one": b"X: " + b"y" * HUGE_BYTES + b"\r\n" + _NAME + said,
            "behind many": b"".join(b"X-%d: y\r\n" % number for number in range(90)) + _NAME + said,
            "behind too many": b"".join(b"X-%d: y\r\n" % number for number in range(500)) + _NAME + said,
        }
        found = {name: self.request(line) for name, line in lines.items()}
        for size in FULL_BYTES:
            found[f"beside {size} bytes"] = self.request(b"X: " + b"y" * (size - len(self.forged)), _NAME + said)
        found["in a trailer"] = self._chunked(trailer=_NAME + said)
        found["announced and in a trailer"] = self._chunked(b"Trailer: " + _NAME, trailer=_NAME + said)
        found["in a trailer, in lower case"] = self._chunked(trailer=_NAME.lower() + said)
        found["behind a CRLF in the target"] = self.request(
            line=b"POST %s%%0d%%0a%s:%%20%s HTTP/1.1" % (self.path, _NAME, self.forged)
        )
        found["behind a CR in the target"] = self.request(line=b"POST %s\r%s%s HTTP/1.1" % (self.path, _NAME, said))
        found["in the query"] = self.request(line=b"POST %s?%s=%s HTTP/1.1" % (self.path, _NAME, self.forged))
        return found

    def smuggled(self) -> dict[str, bytes]:
        """Requests of doubtful length or kind, and behind each, or within, one that is the other's."""
        second, last = self.second, b"0\r\n\r\n"
        hidden = last + second
        chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(second), second)
        all_of_it = b"Content-Length: %d" % len(hidden)
        codings = {
            "chunked": b"Transfer-Encoding: chunked",
            "in another case": b"tRANSFER-eNCODING: cHUNKED",
            "no blank after the colon": b"Transfer-Encoding:chunked",
            "a blank before the colon": b"Transfer-Encoding : chunked",
            "a tab before the value": b"Transfer-Encoding:\tchunked",
            "a vertical tab before the value": b"Transfer-Encoding: \x0bchunked",
            "a NUL behind the value": b"Transfer-Encoding: chunked\0",
            "an unknown one": b"Transfer-Encoding: xchunked",
            "an unknown one before": b"Transfer-Encoding: x, chunked",
            "identity before": b"Transfer-Encoding: identity, chunked",
            "identity behind": b"Transfer-Encoding: chunked, identity",
            "gzip before": b"Transfer-Encoding: gzip, chunked",
            "twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "twice, one unknown": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
            "twice, the first identity": b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
            "in quotes": b'Transfer-Encoding: "chunked"',
            "with a parameter": b"Transfer-Encoding: chunked;a=b",
            "with a comma": b"Transfer-Encoding: chunked,",
            "empty": b"Transfer-Encoding:",
            "with an underscore": b"Transfer_Encoding: chunked",
            "folded": b"Transfer-Encoding:\r\n chunked",
            "behind a bare LF": b"X: y\nTransfer-Encoding: chunked",
            "behind a bare CR": b"X: y\rTransfer-Encoding: chunked",
            "a blank before the name": b" Transfer-Encoding: chunked",
            "named as of this connection": b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
        }
        found = {
            f"coding: {name}, a length beyond it": self.request(all_of_it, coding, body=hidden)
            for name, coding in codings.items()
        }
        found |= {
            f"coding: {name}, a length within it": self.request(b"Content-Length: 4", coding, body=chunk)
            for name, coding in codings.items()
        }
        short = len(self.message)
        whole = short + len(second)
        lengths = {
            "two, the shorter first": b"Content-Length: %d\r\nContent-Length: %d" % (short, whole),
            "two, the longer first": b"Content-Length: %d\r\nContent-Length: %d" % (whole, short),
            "a list": b"Content-Length: %d, %d" % (short, whole),
            "a sign": b"Content-Length: +%d" % whole,
            "a negative": b"Content-Length: -1",
            "a point": b"Content-Length: %d.0" % short,
            "a blank before the colon": b"Content-Length : %d" % whole,
            "a blank within": b"Content-Length: %d %d" % (short, whole),
            "a NUL": b"Content-Length: %d\0" % short,
            "hexadecimal": b"Content-Length: 0x%x" % whole,
            "zeros before": b"Content-Length: 0000000000000000000%d" % short,
            "beyond 64 bits": b"Content-Length: %d" % (2**64 + short),
            "an underscore": b"Content_Length: %d" % whole,
            "folded": b"Content-Length:\r\n %d" % whole,
            "named as of this connection": b"Connection: Content-Length\r\nContent-Length: %d" % whole,
            "none": b"X: y",
        }
        found |= {f"length: {name}": self.request(line, body=self.message + second) for name, line in lengths.items()}
        chunks = {
            "bare LF": b"1\na\n0\n\n",
            "a size with bare LF": b"1\na\r\n0\r\n\r\n",
            "an extension with LF": b"1;x\ny\r\na\r\n0\r\n\r\n",
            "an extension with CR": b"1;x\ry\r\na\r\n0\r\n\r\n",
            "a size with a sign": b"+1\r\na\r\n0\r\n\r\n",
            "a size with 0x": b"0x1\r\na\r\n0\r\n\r\n",
            "a size beyond 64 bits": b"10000000000000001\r\na\r\n0\r\n\r\n",
            "no line end behind a chunk": b"1\r\na0\r\n\r\n",
            "a length in a trailer": b"1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n",
            "a coding in a trailer": b"1\r\na\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "no line behind the last": b"1\r\na\r\n0\r\n",
        }
        coding = b"Transfer-Encoding: chunked"
        found |= {f"chunks: {name}": self.request(coding, body=parts + second) for name, parts in chunks.items()}
        lines = {
            "HTTP/0.9": b"POST %s" % self.path,
            "HTTP/0.9, looked at": b"GET %s?wsdl" % self.path,
            "HTTP/1.0": b"POST %s HTTP/1.0" % self.path,
            "HTTP/1.9": b"POST %s HTTP/1.9" % self.path,
            "HTTP/2.0": b"POST %s HTTP/2.0" % self.path,
            "an absolute target": b"POST https://localhost%s HTTP/1.1" % self.path,
            "another's absolute target": b"POST http://127.0.0.1:1%s HTTP/1.1" % self.path,
            "an absolute target with a request": b"POST http://x/%%20HTTP/1.1%%0d%%0a%s HTTP/1.1" % self.path,
            "a target in asterisk form": b"OPTIONS * HTTP/1.1",
            "a tunnel": b"CONNECT 127.0.0.1:8080 HTTP/1.1",
            "a fragment": b"POST %s#x HTTP/1.1" % self.path,
            "a tab for a blank": b"POST\t%s\tHTTP/1.1" % self.path,
            "two blanks": b"POST  %s  HTTP/1.1" % self.path,
            "a NUL in the target": b"POST %s\0 HTTP/1.1" % self.path,
            "a look with a body": b"GET %s?wsdl HTTP/1.1" % self.path,
            "HEAD with a body": b"HEAD %s?wsdl HTTP/1.1" % self.path,
            "TRACE with a body": b"TRACE %s HTTP/1.1" % self.path,
        }
        found |= {f"line: {name}": self.request(line=line) + second for name, line in lines.items()}
        found |= {
            "behind a whole one": self.request() + second,
            "behind a whole one and blank lines": self.request() + b"\r\n\r\n" + second,
            "behind what it was to wait for": self.request(b"Expect: 100-continue") + second,
            "within the body that was to wait": self.request(b"Expect: 100-continue", all_of_it, body=hidden),
            "behind an upgrade to HTTP/2": self.request(
                b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"
            )
            + second,
            "behind an upgrade to a web socket": self.request(
                b"Connection: Upgrade",
                b"Upgrade: websocket",
                b"Sec-WebSocket-Version: 13",
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
                line=b"GET %s HTTP/1.1" % self.path,
            )
            + second,
            "by HTTP/2, unasked": _HTTP_2,
            "by HTTP/2, behind a whole one": self.request() + _HTTP_2,
        }
        return found
