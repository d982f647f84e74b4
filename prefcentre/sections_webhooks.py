"""Settings of what comes back from mail providers: their webhooks, and the lines at which we warn and stop."""

import re

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

_LEAST_SECRET = 16
_TOPIC_ARN = re.compile(r"arn:aws(-[a-z]+)*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?")


class _Webhook(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _is_long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < _LEAST_SECRET:
        raise ValueError(f"needs at least {_LEAST_SECRET} characters")
    return secret


class SesWebhook(_Webhook):
    """Amazon SES by way of SNS; on as soon as a topic is named."""

    topic_arns: tuple[str, ...] = Field(
        (), description="The SNS topics whose messages are taken; others are refused."
    )

    @field_validator("topic_arns")
    @classmethod
    def _check(cls, arns: tuple[str, ...]) -> tuple[str, ...]:
        for arn in arns:
            if not _TOPIC_ARN.fullmatch(arn):
                raise ValueError("must be like arn:aws:sns:eu-central-1:123456789012:ses-feedback")
        return arns


class SignedWebhook(_Webhook):
    """A provider that signs with a secret both know."""

    secret: SecretStr = Field(description="The signing key that the provider shows or was given.")

    _check = field_validator("secret")(_is_long_enough)


class SendGridWebhook(_Webhook):
    """SendGrid's signed event webhook."""

    public_key: str = Field(
        min_length=80, description="The verification key that SendGrid shows, in base64."
    )


class PasswordWebhook(_Webhook):
    """A provider that sends a name and a password with each call (HTTP basic authentication)."""

    user: str = Field(min_length=1, description="The name in the address given to the provider.")
    password: SecretStr = Field(description="The password that goes with it.")

    _check = field_validator("password")(_is_long_enough)


class TokenWebhook(_Webhook):
    """A provider that sends a token in the header Authorization as “Bearer …”."""

    token: SecretStr = Field(description="The token that the provider was given.")

    _check = field_validator("token")(_is_long_enough)


class SparkPostWebhook(_Webhook):
    """SparkPost: either a name and a password, or an access token."""

    user: str = Field("", description="The name for basic authentication.")
    password: SecretStr | None = Field(None, description="The password that goes with it.")
    token: SecretStr | None = Field(
        None, description="The access token that SparkPost's OAuth 2.0 sends in place of these."
    )

    @model_validator(mode="after")
    def _check(self) -> "SparkPostWebhook":
        secrets = [secret for secret in (self.password, self.token) if secret]
        if len(secrets) != 1 or bool(self.user) != bool(self.password):
            raise ValueError("needs either user and password, or token")
        _is_long_enough(secrets[0])
        return self


class Webhooks(BaseModel):
    """Which providers may tell us what became of mails; each is off until it is set."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    ses: SesWebhook = Field(default_factory=SesWebhook, description="Amazon SES.")
    sendgrid: SendGridWebhook | None = Field(None, description="SendGrid.")
    postmark: PasswordWebhook | None = Field(None, description="Postmark.")
    mailgun: SignedWebhook | None = Field(None, description="Mailgun.")
    mailjet: PasswordWebhook | None = Field(None, description="Mailjet.")
    brevo: TokenWebhook | None = Field(None, description="Brevo.")
    sparkpost: SparkPostWebhook | None = Field(None, description="SparkPost.")
    generic: SignedWebhook | None = Field(None, description="Anything else that can sign.")


class Reputation(BaseModel):
    """When bounces and complaints warn, stop a campaign or close an address."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    complaint_warning: float = Field(
        0.001, gt=0, lt=1, description="Complaints per delivered mail that warn (R53)."
    )
    complaint_stop: float = Field(
        0.003, gt=0, lt=1, description="Complaints per delivered mail that hold campaigns (R194)."
    )
    least_complaints: int = Field(
        2, ge=1, description="So many complaints at least before a rate is looked at."
    )
    bounce_warning: float = Field(
        0.02, gt=0, lt=1, description="Hard bounces per mail tried that warn."
    )
    bounce_stop: float = Field(
        0.05, gt=0, lt=1, description="Hard bounces per mail tried that hold a campaign (R194)."
    )
    bounce_least_mails: int = Field(
        200, ge=1, description="So many mails at least before the rate of bounces is looked at."
    )
    soft_bounces: int = Field(
        5,
        ge=2,
        description="So many mails in a row have to bounce softly to close an address (R70).",
    )
    soft_days: int = Field(
        14, ge=0, description="Over so many days at least, from the first of them to the last."
    )
    soft_score: float = Field(
        3.0, gt=0, description="And their score has to reach this; each counts one point or less."
    )
    soft_half_life_days: int = Field(
        90, ge=1, description="After so many days a soft bounce counts half."
    )

    @model_validator(mode="after")
    def _warn_before_stop(self) -> "Reputation":
        if self.complaint_warning > self.complaint_stop or self.bounce_warning > self.bounce_stop:
            raise ValueError("a warning has to come before its stop")
        return self
