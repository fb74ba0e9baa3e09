"""Flower's plug-in point for accounts at the control API, where fedner has one coordinator with a token."""

from collections.abc import Callable, Sequence

from flwr.common.constant import ACCESS_TOKEN_KEY, NOOP_ACCOUNT_NAME, NOOP_FLWR_AID, AuthnType
from flwr.supercore.auth.typing import AccountAuthCredentials, AccountAuthLoginDetails, AccountInfo
from flwr.supercore.error import ApiErrorCode, FlowerError
from flwr.superlink.auth_plugin import ControlAuthnPlugin


class TokenAuthn(ControlAuthnPlugin):
    """Lets in whoever shows the token.

    Args:
        accepts: says whether a token is the coordinator's.
    """

    def __init__(self, accepts: Callable[[str], bool]) -> None:
        self._accepts = accepts

    def validate_tokens_in_metadata(
        self, metadata: Sequence[tuple[str, str | bytes]]
    ) -> tuple[bool, AccountInfo | None]:
        """Check the bearer token of a request."""
        found = [value for key, value in metadata if key == ACCESS_TOKEN_KEY]
        if len(found) == 1 and isinstance(found[0], str) and self._accepts(found[0]):
            return True, AccountInfo(flwr_aid=NOOP_FLWR_AID, account_name=NOOP_ACCOUNT_NAME)
        return False, None

    def get_login_details(self) -> AccountAuthLoginDetails | None:
        """Tell `flwr login` that there is nothing to log into; `fedner connect` writes the token where flwr looks."""
        return AccountAuthLoginDetails(
            authn_type=AuthnType.NOOP, device_code="", verification_uri_complete="", expires_in=0, interval=0
        )

    def get_auth_tokens(self, device_code: str) -> AccountAuthCredentials | None:
        """Refuse: tokens are handed out with the coordinator's kit."""
        raise FlowerError(ApiErrorCode.NO_ACCOUNT_AUTH, "The token comes with the coordinator's kit.")

    def refresh_tokens(
        self, metadata: Sequence[tuple[str, str | bytes]]
    ) -> tuple[Sequence[tuple[str, str | bytes]] | None, AccountInfo | None]:
        """Refuse: a token that is not accepted cannot be turned into one that is."""
        return None, None
