"""How Flask-Security's forms and helpers behave here: tries are counted, passwords judged, and no mail is sent by it."""

import unicodedata
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import g, request
from flask_security import (
    ChangePasswordForm,
    LoginForm,
    MailUtil,
    MfRecoveryCodesUtil,
    MfRecoveryForm,
    PasswordUtil,
    Totp,
    TwoFactorVerifyCodeForm,
    WebAuthnSigninResponseForm,
    WebauthnUtil,
    current_user,
    verify_password,
)
from passlib.exc import UsedTokenError
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from prefcentre.context import Context
from prefcentre.staff import service as staff
from prefcentre.staff.service import StaffUser, Try
from prefcentre.web.admin.known import knows

__all__ = ["counted", "parts", "too_many"]


def parts(context: Context) -> dict[str, Any]:
    """What Flask-Security gets instead of its own."""
    return {
        "login_form": _login(context),
        "change_password_form": _change(context),
        "two_factor_verify_code_form": _code(context),
        "mf_recovery_form": _recovery(context),
        "wan_signin_response_form": _passkey(context),
        "password_util_cls": _judging(context),
        "webauthn_util_cls": _passkeys(context),
        "totp_cls": _codes(context),
        "mf_recovery_codes_util_cls": _recovery_codes(context),
        "mail_util_cls": _Silent,
    }


def counted(context: Context, what: str, who: str, judge: Callable[[], bool]) -> bool | Try:
    """Judge a try that counts; gives the try itself when it has to wait, and judges nothing then (T34)."""
    with context.db.writing() as session:
        tried = staff.begin_try(session, context, what, who, request.remote_addr or "")
    if tried.wait:
        return tried
    right = judge()
    if right:
        with context.db.writing() as session:
            staff.got_in(session, tried)
    return right


def too_many(tried: Try) -> str:
    """How long to wait, in words."""
    return f"Too many tries went wrong. Wait {_in_words(tried.wait)}, then try again."


def _in_words(wait: timedelta) -> str:
    seconds = int(wait.total_seconds()) + 1
    if seconds < 90:
        return f"{seconds} seconds"
    return f"{-(-seconds // 60)} minutes"


def _validated(context: Context, what: str, who: str, form: Any, judge: Callable[[], bool]) -> bool:
    found = counted(context, what, who, judge)
    if isinstance(found, Try):
        form.form_errors = [too_many(found)]
        return False
    return found


def _account(user: Any) -> str:
    found: str = user.public_id
    return found


def _login(context: Context) -> type[LoginForm]:
    class Login(LoginForm):
        # A second cookie that lives for a year, for a session that ends after half a day.
        remember = None

        def validate(self, **kwargs: Any) -> bool:
            email = self.email.data or ""
            known = knows(email)
            what = f"known {known}" if known else "password"
            return _validated(
                context, what, email, self, lambda: super(Login, self).validate(**kwargs)
            )

    return Login


def _change(context: Context) -> type[ChangePasswordForm]:
    class Change(ChangePasswordForm):
        def validate(self, **kwargs: Any) -> bool:
            # Judged apart from the new one: a mistake in that must not make this one free to guess.
            if current_user.password and not _validated(
                context, "step", current_user.public_id, self, self._is_right
            ):
                if not getattr(self, "form_errors", None):
                    self.form_errors = ["That is not your password."]
                return False
            return bool(super().validate(**kwargs))

        def _is_right(self) -> bool:
            typed = unicodedata.normalize("NFKC", self.password.data or "")
            return bool(typed) and bool(verify_password(typed, current_user.password))

    return Change


def _code(context: Context) -> type[TwoFactorVerifyCodeForm]:
    class Code(TwoFactorVerifyCodeForm):
        def validate(self, **kwargs: Any) -> bool:
            who = _account(self.user)
            return _validated(
                context, "code", who, self, lambda: super(Code, self).validate(**kwargs)
            )

    return Code


def _recovery(context: Context) -> type[MfRecoveryForm]:
    class Recovery(MfRecoveryForm):
        def validate(self, **kwargs: Any) -> bool:
            # People type it as it is printed, and in capitals.
            self.code.data = (self.code.data or "").strip().lower()
            who = _account(self.user)
            return _validated(
                context, "recovery", who, self, lambda: super(Recovery, self).validate(**kwargs)
            )

    return Recovery


def _passkey(context: Context) -> type[WebAuthnSigninResponseForm]:
    class Passkey(WebAuthnSigninResponseForm):
        def validate(self, **kwargs: Any) -> bool:
            if not super().validate(**kwargs) or self.errors:
                return False
            if self.is_verify and g.viewer and _account(self.user) == g.viewer.public_id:
                staff.prove(g.accounts, context, g.viewer.session_id)
            return True

    return Passkey


def _judging(context: Context) -> type[PasswordUtil]:
    class Judging(PasswordUtil):
        def validate(
            self,
            password: str,
            is_register: bool,  # noqa: FBT001 - as the library calls it.
            **kwargs: Any,
        ) -> tuple[list[str] | None, str]:
            normal = self.normalize(password)
            user: StaffUser | None = kwargs.get("user")
            about = (user.email, user.name) if user else ()
            wrong = staff.wrong_with(context, normal, *about)
            return ([wrong] if wrong else None), normal

    return Judging


def _passkeys(context: Context) -> type[WebauthnUtil]:
    class Passkeys(WebauthnUtil):
        def origin(self) -> str:
            whole = urlsplit(context.settings.public_url)
            if request.host == whole.netloc:
                # A proxy in front may not have said that people come by https.
                return f"{whole.scheme}://{whole.netloc}"
            return str(request.host_url.rstrip("/"))

        def authenticator_selection(self, user: Any, usage: str) -> AuthenticatorSelectionCriteria:
            # Alone it has to be found without a name, and to know its owner by a finger or a PIN.
            alone = usage == "first"
            return AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED
                if alone
                else ResidentKeyRequirement.PREFERRED,
                user_verification=UserVerificationRequirement.REQUIRED
                if alone
                else UserVerificationRequirement.PREFERRED,
            )

        def user_verification(self, user: Any, usage: list[str]) -> UserVerificationRequirement:
            alone = usage == ["first"]
            return (
                UserVerificationRequirement.REQUIRED
                if alone
                else UserVerificationRequirement.PREFERRED
            )

    return Passkeys


def _codes(context: Context) -> type[Totp]:
    class Codes(Totp):
        """Codes that work once: the last one that was used is kept (RFC 6238 §5.2)."""

        def get_last_counter(self, user: Any) -> int | None:
            found: int | None = user.tf_last_counter
            return found

        def set_last_counter(self, user: Any, tmatch: Any) -> None:
            # In a transaction of its own, because two requests may bring the same code at once.
            with context.db.writing() as session:
                is_first = staff.spend_counter(session, user, tmatch.counter)
            if not is_first:
                raise UsedTokenError

    return Codes


def _recovery_codes(context: Context) -> type[MfRecoveryCodesUtil]:
    class RecoveryCodes(MfRecoveryCodesUtil):
        def check_recovery_code(self, user: Any, code: str) -> bool:
            """Checking spends the code: between a look and striking it out there is room for a second request."""
            with context.db.writing() as session:
                return staff.spend_recovery_code(
                    session,
                    context,
                    user.id or 0,
                    user.public_id,
                    lambda kept: code in self._decrypt_codes([kept]),
                )

        def delete_recovery_code(self, user: Any, code: str) -> bool:
            return True

    return RecoveryCodes


class _Silent(MailUtil):
    """Mails go out by our own queue only."""

    def send_mail(self, *_: Any, **__: Any) -> None:
        return None
