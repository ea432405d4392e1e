"""Requests that offer to go on in another protocol: answered in this one, as RFC 9110 allows."""

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Unswayed(HttpToolsProtocol):
    """uvicorn's connection, which passes over what is offered."""

    def feed(self, data: bytes) -> None:
        """Parse.

        The parser ends a request with its head where that has an offer. The same head without the offer is
        followed by a body.

        Raises:
            httptools.HttpParserError: It is not HTTP; or its context is what a callback has raised.
        """
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._plain_head() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)  # one that has seen no last request
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            else:
                return

    def _plain_head(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % header for header in self.scope["headers"] if header[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def _should_upgrade(self) -> bool:
        return True  # keeps uvicorn from beginning what ``feed`` begins anew
