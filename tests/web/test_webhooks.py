"""Where providers call: nothing there until it is set up, plain answers, no page and no cookie."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from prefcentre.app import create_app
from prefcentre.context import Context
from prefcentre.sections_webhooks import Webhooks
from prefcentre.web.public.webhooks import LARGEST_CALL

SECRET = "a secret of sixteen and more"


@pytest.fixture
def hooked(context: Context) -> FlaskClient:
    """A browser at an installation where Brevo is set up."""
    webhooks = Webhooks.model_validate({"brevo": {"token": SECRET}})
    settings = context.settings.model_copy(update={"webhooks": webhooks})
    return create_app(replace(context, settings=settings)).test_client()


def test_nothing_is_there_until_a_provider_is_set_up(client: FlaskClient) -> None:
    for provider in ("brevo", "ses", "nobody"):
        assert client.post(f"/hooks/{provider}", data="{}").status_code == 404


def test_only_a_provider_with_its_secret_is_listened_to(hooked: FlaskClient) -> None:
    assert hooked.post("/hooks/brevo", data="{}").status_code == 403
    login = {"Authorization": f"Bearer {SECRET}"}
    answer = hooked.post("/hooks/brevo", data='{"event": "request"}', headers=login)
    assert (answer.status_code, answer.json, "Set-Cookie" in answer.headers) == (200, {}, False)
    assert hooked.post("/hooks/brevo", data="no json", headers=login).status_code == 400
    assert hooked.get("/hooks/brevo").status_code == 405


def test_a_huge_call_is_refused_before_it_is_read(hooked: FlaskClient) -> None:
    assert hooked.post("/hooks/brevo", data=b"x" * (LARGEST_CALL + 1)).status_code == 413
