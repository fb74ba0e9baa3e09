"""The coordinator's token for the control API, derived from the server's private key.

The server's and the coordinator's kits have that key, and whoever has it can be the server anyway. A file
`control.token` in the kit comes first: for somebody who may submit runs and need not hold the server's key.
"""

import hmac

from fedner.deployment.provisioning.kit import Kit
from fedner.errors import ConfigError

TOKEN_FILE = "control.token"
_PURPOSE = b"fedner control token 1"


def control_token(kit: Kit) -> str:
    """Return the token of a kit's federation.

    Raises:
        ConfigError: the kit has neither the token nor the server's key.
    """
    written, key = kit.folder / TOKEN_FILE, kit.server_key
    if written.is_file():
        return written.read_text(encoding="ascii").strip()
    if not key.is_file():
        raise ConfigError(
            f"{kit.folder}: expected the coordinator's kit, with server.key or {TOKEN_FILE} in it, got neither"
        )
    return hmac.digest(key.read_bytes(), _PURPOSE, "sha256").hex()
