"""A dead address, a complaint, a delivery, somebody who left and a block, as each provider tells them."""

from typing import Any

ADA = "ada@example.org"
_SECONDS = 1793613000
_ISO = "2026-11-02T09:50:00.000Z"
DEAD, BLOCKED = "550 5.1.1 <ada@example.org>: user unknown", "554 5.7.1 blocked by our policy"


def ses(name: str, detail: dict[str, Any], message_id: str = "") -> dict[str, Any]:
    headers = [{"name": "Message-ID", "value": message_id}] if message_id else []
    return {
        "eventType": name,
        "mail": {
            "timestamp": _ISO,
            "source": "bounces@mail.example.com",
            "messageId": "010001-amazon",
            "destination": [ADA],
            "headers": headers,
        },
        name[0].lower() + name[1:]: {"timestamp": _ISO} | detail,
    }


def _ses_bounce(text: str) -> dict[str, Any]:
    return {
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "feedbackId": "feedback-" + text[:3],
        "bouncedRecipients": [
            {"emailAddress": ADA, "action": "failed", "diagnosticCode": f"smtp; {text}"}
        ],
    }


def _sendgrid(event: str, **fields: Any) -> list[dict[str, Any]]:
    return [
        {"email": ADA, "timestamp": _SECONDS, "event": event, "sg_event_id": f"id-{event}"} | fields
    ]


def _postmark(record: str, at: str, **fields: Any) -> dict[str, Any]:
    who = "Recipient" if record in {"Delivery", "SubscriptionChange"} else "Email"
    return {"RecordType": record, who: ADA, at: _ISO, "MessageID": "8e1c-postmark"} | fields


def _mailgun(event: str, **fields: Any) -> dict[str, Any]:
    return {
        "event": event,
        "id": f"id-{event}",
        "timestamp": _SECONDS + 0.5,
        "recipient": ADA,
    } | fields


def _mailjet(event: str, **fields: Any) -> dict[str, Any]:
    return {"event": event, "time": _SECONDS, "MessageID": 19421777835146490, "email": ADA} | fields


def _brevo(event: str, **fields: Any) -> dict[str, Any]:
    return {
        "event": event,
        "email": ADA,
        "ts_event": _SECONDS,
        "ts_epoch": _SECONDS * 1000,
        "message-id": "<2026@smtp-relay.example>",
    } | fields


def _sparkpost(type_: str, **fields: Any) -> list[dict[str, Any]]:
    event = {"type": type_, "event_id": f"id-{type_}", "timestamp": str(_SECONDS), "rcpt_to": ADA}
    return [{"msys": {"message_event": event | fields}}]


def generic(kind: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"id": f"id-{kind}", "kind": kind, "at": _ISO, "address": ADA} | fields]


DEAD_ADDRESS: dict[str, Any] = {
    "ses": ses("Bounce", _ses_bounce(DEAD)),
    "sendgrid": _sendgrid("bounce", type="bounce", reason=DEAD, status="5.1.1"),
    "postmark": _postmark("Bounce", "BouncedAt", Type="HardBounce", ID=42, Details=f"smtp;{DEAD}"),
    "mailgun": _mailgun(
        "failed",
        severity="permanent",
        reason="bounce",
        **{"delivery-status": {"code": 550, "message": "5.1.1 user unknown"}},
    ),
    "mailjet": _mailjet(
        "bounce", hard_bounce=True, error_related_to="recipient", error="user unknown"
    ),
    "brevo": _brevo("hard_bounce", reason=DEAD),
    "sparkpost": _sparkpost("bounce", bounce_class="10", raw_reason=DEAD),
    "generic": generic("bounce", text=DEAD),
}
BLOCK: dict[str, Any] = {
    "ses": ses("Bounce", _ses_bounce(BLOCKED)),
    "sendgrid": _sendgrid("bounce", type="blocked", reason=BLOCKED, status="5.7.1"),
    "postmark": _postmark("Bounce", "BouncedAt", Type="HardBounce", ID=43, Details=BLOCKED),
    "mailgun": _mailgun(
        "failed",
        severity="permanent",
        reason="bounce",
        **{"delivery-status": {"code": 554, "message": "5.7.1 blocked by our policy"}},
    ),
    "mailjet": _mailjet("blocked", hard_bounce=True, error="preblocked"),
    "brevo": _brevo("hard_bounce", reason=BLOCKED),
    "sparkpost": _sparkpost("bounce", bounce_class="50", raw_reason=BLOCKED),
    "generic": generic("bounce", text=BLOCKED, permanent=True),
}
COMPLAINT: dict[str, Any] = {
    "ses": ses(
        "Complaint",
        {
            "feedbackId": "feedback-complaint",
            "complaintFeedbackType": "abuse",
            "complainedRecipients": [{"emailAddress": ADA}],
        },
    ),
    "sendgrid": _sendgrid("spamreport"),
    "postmark": _postmark("SpamComplaint", "BouncedAt", Type="SpamComplaint", ID=44),
    "mailgun": _mailgun("complained"),
    "mailjet": _mailjet("spam", source="JMRPP"),
    "brevo": _brevo("spam"),
    "sparkpost": _sparkpost("spam_complaint"),
    "generic": generic("complaint"),
}
LEFT: dict[str, Any] = {
    "ses": ses("Subscription", {"source": "UnsubscribeHeader"}),
    "sendgrid": _sendgrid("group_unsubscribe", asm_group_id=1),
    "postmark": _postmark(
        "SubscriptionChange",
        "ChangedAt",
        SuppressSending=True,
        SuppressionReason="ManualSuppression",
    ),
    "mailgun": _mailgun("unsubscribed"),
    "mailjet": _mailjet("unsub", mj_list_id=1),
    "brevo": _brevo("unsubscribed"),
    "sparkpost": _sparkpost("list_unsubscribe"),
    "generic": generic("unsubscribe"),
}
DELIVERED: dict[str, Any] = {
    "ses": ses("Delivery", {"recipients": [ADA], "smtpResponse": "250 ok"}),
    "sendgrid": _sendgrid("delivered", response="250 ok"),
    "postmark": _postmark("Delivery", "DeliveredAt", Details="250 ok"),
    "mailgun": _mailgun("delivered"),
    "mailjet": _mailjet("sent", smtp_reply="sent (250 2.0.0 OK)"),
    "brevo": _brevo("delivered"),
    "sparkpost": _sparkpost("delivery"),
    "generic": generic("delivered"),
}
