from dataclasses import replace

import pytest

from prefcentre.campaigns import files
from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.models import CampaignDraft, CampaignState
from prefcentre.campaigns.service import BodyFormat, Difference, Fields, Texts
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.errors import ChangedMeanwhile, ContentError, InvalidInput, NotFound, WrongState
from prefcentre.testing.makers import Cast

FIELDS = Fields(
    name="Autumn news",
    topic="product-news",
    template="letter",
    subject="Autumn is here",
    sender="Acme <news@mail.example.com>",
    reply_to="hello@example.com",
)
TEXTS = Texts(campaigns.new_file(FIELDS), "Dear reader,\n\nautumn.\n", BodyFormat.MARKDOWN)


def create(context: Context, texts: Texts = TEXTS, slug: str = "autumn") -> CampaignDraft:
    with context.db.writing() as session:
        return campaigns.create(session, context, slug, texts, "Mira")


def save(
    context: Context, texts: Texts, revision: int, slug: str = "autumn", by: str = "Tom"
) -> int:
    with context.db.writing() as session:
        return campaigns.save(session, context, slug, texts, revision, by).revision


def put(context: Context, state: CampaignState, slug: str = "autumn") -> None:
    with context.db.writing() as session:
        number = campaigns.get(session, slug).id or 0
        assert campaigns.set_state(session, number, set(CampaignState), state)


def with_subject(subject: str) -> Texts:
    return replace(TEXTS, toml=campaigns.with_fields(TEXTS.toml, replace(FIELDS, subject=subject)))


def read(context: Context, slug: str = "autumn") -> Texts:
    with context.db.reading() as session:
        return campaigns.texts(session, context, slug)


def apply(context: Context, *slugs: str, **options: bool) -> dict[str, Difference]:
    with context.db.writing() as session:
        found = campaigns.apply_files(session, context, slugs, by="Mira", **options)
    return {change.slug: change.difference for change in found}


def test_a_new_campaign_is_a_draft_that_lists_and_the_audience_know(
    any_context: Context, any_cast: Cast
) -> None:
    create(any_context)
    with any_context.db.reading() as session:
        found = campaigns.get(session, "autumn")
        assert (found.name, found.state, found.topic_id) == (
            "Autumn news",
            CampaignState.DRAFT,
            any_cast.news.id,
        )
        assert delivery.plan_campaign(session, any_context, "autumn").audience == 1
        assert campaigns.source(session, any_context, "autumn").subject == "Autumn is here"


def test_a_campaign_of_the_database_alone_is_checked_and_started_like_one_from_files(
    context: Context, cast: Cast
) -> None:
    create(context)
    with context.db.reading() as session:
        checked = delivery.check(session, context, "autumn")
    assert checked.errors == []
    with context.db.writing() as session:
        started = delivery.start(session, context, checked, None, None)
        assert (started.state, started.content_version) == (CampaignState.SCHEDULED, 1)


def test_a_save_that_changes_nothing_is_no_new_revision(context: Context, cast: Cast) -> None:
    assert create(context).revision == 1
    assert save(context, TEXTS, 1) == 1
    assert save(context, with_subject("Other"), 1) == 2


def test_two_people_do_not_write_over_each_other(any_context: Context, any_cast: Cast) -> None:
    create(any_context)
    save(any_context, with_subject("Tom's"), 1)
    with pytest.raises(ChangedMeanwhile, match="Tom has saved"):
        save(any_context, with_subject("Mira's"), 1, by="Mira")
    assert "Tom's" in read(any_context).toml


def test_what_does_not_make_a_mail_yet_is_kept_all_the_same(context: Context, cast: Cast) -> None:
    create(context)
    broken = replace(TEXTS, toml="subject = 5\n", body="{{ subscriber.nope }}")
    save(context, broken, 1)
    assert read(context) == broken
    with context.db.reading() as session, pytest.raises(ContentError) as found:
        campaigns.source(session, context, "autumn")
    assert found.value.field == "topic"


@pytest.mark.parametrize("state", sorted(set(CampaignState) - {CampaignState.DRAFT}))
def test_only_a_draft_can_be_written(context: Context, cast: Cast, state: CampaignState) -> None:
    create(context)
    put(context, state)
    with pytest.raises(WrongState, match="schedule" if state == "scheduled" else "Copy it"):
        save(context, with_subject("Late"), 1)


@pytest.mark.parametrize("slug", ["", "Autumn", "a/b", "..", "spring-release"])
def test_a_short_name_that_can_not_be_used_is_refused(
    context: Context, cast: Cast, slug: str
) -> None:
    with pytest.raises(InvalidInput):
        create(context, slug=slug)


def test_a_topic_that_is_not_there_is_refused_with_those_that_are(
    context: Context, cast: Cast
) -> None:
    wanted = replace(TEXTS, toml=campaigns.new_file(replace(FIELDS, topic="nope")))
    with pytest.raises(NotFound, match="product-news"):
        create(context, wanted)


def test_a_text_that_no_mail_can_hold_is_refused(context: Context, cast: Cast) -> None:
    create(context)
    for body in ("x" * 600_000, "a\0b"):
        with pytest.raises(InvalidInput, match=r"body\.md"):
            save(context, replace(TEXTS, body=body), 1)


def test_the_first_save_of_a_campaign_in_files_makes_its_draft_and_leaves_the_files(
    context: Context, cast: Cast
) -> None:
    before = read(context, "spring-release")
    changed = replace(before, body=before.body.replace("Spring", "Summer"))
    assert save(context, changed, 0, "spring-release") == 1
    assert read(context, "spring-release") == changed
    assert files.read_texts(context.settings, "spring-release") == before


def test_a_free_name_is_made_from_any_name(context: Context, cast: Cast) -> None:
    create(context)
    with context.db.reading() as session:
        names = ["Autumn!", "Spring release", "Über uns", "Есен"]
        found = [campaigns.free_slug(session, context, name) for name in names]
    assert found == ["autumn-2", "spring-release-2", "uber-uns", "campaign-2026-11-02"]


# --- To files and back --------------------------------------------------------------------------------------------


def pull(context: Context, slug: str = "autumn", **options: bool) -> Difference:
    with context.db.writing() as session:
        return campaigns.pull_draft(session, context, slug, **options).difference


def test_pulled_and_applied_it_is_the_same_again(context: Context, cast: Cast) -> None:
    texts = replace(TEXTS, toml="# Mine.\n" + TEXTS.toml, text="Plain.\n")
    create(context, texts)
    assert pull(context) is Difference.NEW
    assert files.read_texts(context.settings, "autumn", own=True) == texts
    assert pull(context) is Difference.SAME
    assert apply(context) == {"autumn": Difference.SAME}
    assert read(context) == texts


def test_a_dry_run_tells_and_does_nothing(context: Context, cast: Cast) -> None:
    create(context)
    assert pull(context, dry_run=True) is Difference.NEW
    assert not (context.settings.campaigns_dir / "autumn").exists()
    files.write_texts(context.settings, "winter", TEXTS)
    assert apply(context, dry_run=True) == {"winter": Difference.NEW}
    with context.db.reading() as session:
        assert campaigns.find(session, "winter") is None


def test_a_changed_file_is_applied_and_shown_as_a_diff(context: Context, cast: Cast) -> None:
    create(context)
    pull(context)
    files.write_texts(context.settings, "autumn", with_subject("From the file"))
    with context.db.writing() as session:
        (change,) = campaigns.apply_files(session, context, by="Mira")
    assert change.difference is Difference.CHANGED
    assert '-subject = "Autumn is here"\n+subject = "From the file"' in change.diff
    assert read(context) == with_subject("From the file")


def test_when_both_were_changed_nothing_is_lost_without_being_asked_for(
    context: Context, cast: Cast
) -> None:
    create(context)
    pull(context)
    save(context, with_subject("At the desk"), 1)
    files.write_texts(context.settings, "autumn", with_subject("In the file"))
    assert apply(context) == {"autumn": Difference.BOTH}
    assert pull(context) is Difference.BOTH
    assert read(context) == with_subject("At the desk")
    assert files.read_texts(context.settings, "autumn") == with_subject("In the file")
    with context.db.reading() as session:
        assert campaigns.differs_from_files(session, context, "autumn")
    assert apply(context, force=True) == {"autumn": Difference.CHANGED}
    assert read(context) == with_subject("In the file")


def test_a_campaign_that_has_begun_is_not_changed_by_its_files(
    context: Context, cast: Cast
) -> None:
    create(context)
    pull(context)
    put(context, CampaignState.FINISHED)
    assert apply(context) == {"autumn": Difference.SAME}
    files.write_texts(context.settings, "autumn", with_subject("Late"))
    assert apply(context) == {"autumn": Difference.LOCKED}


def test_files_with_a_mistake_are_told_and_the_others_taken(context: Context, cast: Cast) -> None:
    files.write_texts(context.settings, "good", TEXTS)
    files.write_texts(context.settings, "bad", replace(TEXTS, toml="subject = "))
    assert apply(context) == {"bad": Difference.WRONG, "good": Difference.NEW}


def test_a_campaign_without_files_can_not_be_applied(context: Context, cast: Cast) -> None:
    with pytest.raises(NotFound, match="nope"):
        apply(context, "nope")


def test_pulling_in_another_form_leaves_one_body(context: Context, cast: Cast) -> None:
    create(context, replace(TEXTS, text="Plain."))
    pull(context)
    save(context, replace(TEXTS, body_format=BodyFormat.HTML, body="<p>Hi</p>"), 1)
    pull(context)
    folder = context.settings.campaigns_dir / "autumn"
    assert sorted(path.name for path in folder.iterdir()) == ["body.html", "campaign.toml"]


def test_a_campaign_that_was_sent_from_files_can_be_read_when_they_are_gone(
    context: Context, cast: Cast
) -> None:
    files.write_texts(context.settings, "autumn", TEXTS)
    with context.db.reading() as session:
        checked = delivery.check(session, context, "autumn")
    with context.db.writing() as session:
        delivery.start(session, context, checked, None, None)
    folder = context.settings.campaigns_dir / "autumn"
    for path in folder.iterdir():
        path.unlink()
    assert campaigns.fields_of(read(context).toml) == FIELDS


# --- Lists --------------------------------------------------------------------------------------------------------


def test_a_list_filters_sorts_and_counts_in_the_database(
    any_context: Context, any_cast: Cast
) -> None:
    for name in ("Beta", "Alpha", "100% off"):
        texts = replace(TEXTS, toml=campaigns.new_file(replace(FIELDS, name=name)))
        create(any_context, texts, name.lower().replace("% ", "-"))
    put(any_context, CampaignState.FINISHED, "beta")
    with any_context.db.reading() as session:
        every = campaigns.Wanted()
        by_name = campaigns.listed(session, every, "name", descending=False)
        assert [row.campaign.name for row in by_name] == ["100% off", "Alpha", "Beta"]
        assert [row.topic for row in by_name] == ["Product news"] * 3
        assert campaigns.counts(session, every) == {
            CampaignState.DRAFT: 2,
            CampaignState.FINISHED: 1,
        }
        found = campaigns.listed(session, campaigns.Wanted(text="0%"), "nonsense; drop")
        assert [row.campaign.slug for row in found] == ["100-off"]
        drafts = campaigns.Wanted(states=(CampaignState.DRAFT,), topic_id=any_cast.news.id)
        page = campaigns.listed(session, drafts, "name", descending=False, limit=1, offset=1)
        assert [row.campaign.name for row in page] == ["Alpha"]
        assert [one.slug for one in campaigns.find_few(session, "ALP")] == ["alpha"]


def test_a_file_keeps_its_comments_when_an_entry_changes() -> None:
    toml = '# Mine.\ntopic = "a"  # why\n\n[tracking]\nopens = false\n'
    changed = campaigns.with_fields(
        toml, replace(campaigns.fields_of(toml), subject='A "b"\nc', clicks=False)
    )
    assert changed.startswith('# Mine.\ntopic = "a"  # why\n')
    assert campaigns.fields_of(changed) == Fields(
        topic="a", subject='A "b" c', opens=False, clicks=False
    )
    assert campaigns.with_fields(toml, campaigns.fields_of(toml)) == toml


def test_a_snippet_is_kept_replaced_and_thrown_away(any_context: Context) -> None:
    with any_context.db.writing() as session:
        campaigns.keep_snippet(session, any_context, " Sign  off ", "Yours", "Mira")
        campaigns.keep_snippet(session, any_context, "Sign off", "Best", "Tom")
        own = [piece for piece in campaigns.all_snippets(session, BodyFormat.HTML) if piece.own]
        assert [(piece.name, piece.body) for piece in own] == [("Sign off", "Best")]
        campaigns.drop_snippet(session, "Sign off")
        with pytest.raises(NotFound):
            campaigns.drop_snippet(session, "Sign off")
        for name, body in (("", "x"), ("x", " "), ("x" * 65, "x")):
            with pytest.raises(InvalidInput):
                campaigns.keep_snippet(session, any_context, name, body, "Tom")
