"""The certificate that a service shows, where it speaks TLS itself."""

import ssl

from msgspec import Struct

from service.errors import OpeningError


class Certificate(Struct, frozen=True):
    """Two PEM files: the certificate with those that vouch for it, and its private key."""

    file: str
    key_file: str

    def context(self) -> ssl.SSLContext:
        """Return how a server speaks TLS with it: 1.2 or newer, with the ciphers that Python has by default.

        Raises:
            OpeningError: They cannot, or do not.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # A key with a passphrase is refused instead of being asked for at the terminal.
            context.load_cert_chain(self.file, self.key_file, password=str)
        except (OSError, ValueError) as error:  # ssl's own errors are OSErrors
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
            raise OpeningError(
                f"the certificate {self.file} and the key {self.key_file} cannot be used ({reason}); name "
                "PEM files that can be read and belong together, the key without a passphrase"
            ) from error
        return context
