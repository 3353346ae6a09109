"""For clients of servers on this machine, which speak no TLS."""

import ssl

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""As `verify` of a client. Without it httpx reads all the authorities that there are, 30 ms for each client."""
