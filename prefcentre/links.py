"""Public addresses of our own pages, made without Flask so that the sender can use them."""

from dataclasses import dataclass

from prefcentre.tokens import LinkToken, Signer, TokenKind

_PATHS = {
    TokenKind.UNSUBSCRIBE: "u",
    TokenKind.PREFERENCES: "p",
    TokenKind.VIEW: "v",
    TokenKind.WHY: "w",
    TokenKind.CONFIRM: "k",
    TokenKind.SURVEY: "s",
}


@dataclass(frozen=True, slots=True)
class Links:
    """Makes the addresses that go into mails. ``public_url`` has no slash at its end."""

    public_url: str
    signer: Signer

    def page(self, token: LinkToken) -> str:
        """The address of the page that a token opens."""
        return f"{self.page_base(token.kind)}{self.signer.sign(token)}"

    def page_base(self, kind: TokenKind) -> str:
        """What the addresses of this kind of page begin with; a token comes behind it."""
        return f"{self.public_url}/{_PATHS[kind]}/"

    @property
    def open_base(self) -> str:
        """What open links begin with; ends in a slash."""
        return f"{self.public_url}/o/"

    @property
    def click_base(self) -> str:
        """What click links begin with; ends in a slash."""
        return f"{self.public_url}/c/"
