"""Groups of settings that belong together, each a section of ``prefcentre.toml``; ``settings`` puts them together."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from prefcentre.authorities import authority_of

LOGO_TYPES = {".svg": "image/svg+xml; charset=utf-8", ".png": "image/png"}
_LARGEST_LOGO = 24 * 1024


class Brand(BaseModel):
    """Who is sending, as people see it on pages and in mails."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("Example Company", description="The name on every page and in every mail.")
    postal_address: str = Field(
        "", description="The postal address that every campaign mail must show (R23)."
    )
    privacy_url: str = Field("", description="The privacy notice; linked from every page and mail.")
    contact_email: str = Field("", description="Where people can write to; shown on pages.")
    website: str = Field("", description="The company's own site.")
    colour: str = Field(
        "#1a5fb4", pattern=r"^#[0-9a-fA-F]{6}$", description="The accent colour of pages and mails."
    )
    second_colour: str = Field(
        "",
        pattern=r"^(#[0-9a-fA-F]{6})?$",
        description="The colour of the second button on pages; default: nearly black, in the dark nearly white.",
    )
    recipients: str = Field(
        "",
        description="Who else gets people's data, such as a mail service by name; told on receipts.",
    )
    storage: str = Field(
        "", description="Where data is kept, such as a country and a company; told on receipts."
    )
    retention: str = Field(
        "", description="How long consents and their proof are kept; told on receipts."
    )
    jurisdiction: str = Field(
        "", description="Whose law applies, such as Bulgaria (GDPR); told on receipts."
    )
    country: str = Field(
        "",
        pattern=r"^([A-Z]{2})?$",
        description="The country of the company, such as BG: whose data protection authority is named first.",
    )
    authority: str = Field(
        "",
        description="The data protection authority that people can complain to; default: that of the country.",
    )
    officer: str = Field(
        "",
        description="The data protection officer: a name or an office, and how to reach them; shown beside the contact form.",
    )
    logo: Path | None = Field(
        None, description="An SVG or PNG of at most 24 KiB, shown in place of the name."
    )

    @field_validator("logo")
    @classmethod
    def _check_logo_kind(cls, logo: Path | None) -> Path | None:
        if logo and logo.suffix.lower() not in LOGO_TYPES:
            raise ValueError("must be an .svg or a .png file")
        return logo

    @property
    def complaints_to(self) -> str:
        """The authority that people can complain to, in words; "" when neither it nor the country is set."""
        known = authority_of(self.country)
        return self.authority or (f"{known.name}, {known.site}" if known else "")


class SignUpForm(BaseModel):
    """What the form for signing up asks besides topics and addresses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    for_the_young: bool = Field(
        False,
        description="Whether young people are meant, too: the form asks whoever signs up to say that they are old enough.",
    )
    minimum_age: int = Field(
        0,
        ge=0,
        le=21,
        description="From which age one may agree alone; 0 takes that of the brand's country: 14 in Bulgaria, else 16.",
    )


class DkimKey(BaseModel):
    """One key that signs mail from a domain and its subdomains (R48)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    domain: str = Field(description="The domain that signs, as in senders' addresses.")
    selector: str = Field(
        pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$",
        description="The name under which DNS holds the public key.",
    )
    key_file: Path = Field(description="The private key as PEM, readable by its owner only.")


def with_logo(brand: Brand, home: Path) -> Brand:
    """The brand with its logo's whole path. Raises ValueError when the file can't be read or is too large."""
    if brand.logo is None:
        return brand
    logo = home / brand.logo
    try:
        size = logo.stat().st_size
    except OSError as error:
        raise ValueError(f"brand.logo: {logo} can't be read") from error
    # A page stays below 60 KB with everything that belongs to it.
    if not 0 < size <= _LARGEST_LOGO:
        raise ValueError(
            f"brand.logo: {logo} has {size:,} bytes, and at most {_LARGEST_LOGO:,} are allowed"
        )
    return brand.model_copy(update={"logo": logo})
