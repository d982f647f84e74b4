"""Django's way: ``get_connection().send_messages`` with an EmailMultiAlternatives for each person.

Prints the seconds it took, and those of the processor.
``django_mail.py PORT MESSAGES PARTS``, run in an environment that has Django. What differs from person to person is a
name that is put into ready texts, which is less than a template takes, and nothing is recorded anywhere.
"""

import json
import sys
import time
from pathlib import Path

BATCH = 500


def main(port: int, messages: int, parts: dict[str, str]) -> None:
    # Only this program's own environment has Django; whoever reads this file for its name does not need it.
    import django  # type: ignore[import-not-found]  # noqa: PLC0415
    from django.conf import settings  # type: ignore[import-not-found]  # noqa: PLC0415

    settings.configure(EMAIL_HOST="127.0.0.1", EMAIL_PORT=port, DEFAULT_CHARSET="utf-8")
    django.setup()
    from django.core.mail import (  # type: ignore[import-not-found]  # noqa: PLC0415
        EmailMultiAlternatives,
        get_connection,
    )

    headers = {name: value for name, value in parts.items() if name[0].isupper()}
    started, used = time.monotonic(), time.process_time()
    connection = get_connection()
    connection.open()
    for first in range(0, messages, BATCH):
        batch = []
        for number in range(first, min(first + BATCH, messages)):
            message = EmailMultiAlternatives(
                f"{number}, {parts['subject']}",
                parts["text"].replace("Hello", f"Hello {number}"),
                parts["from"],
                [f"person{number}@example.org"],
                headers=headers,
            )
            html = parts["html"].replace("Hello", f"Hello {number}")
            message.attach_alternative(html, "text/html")
            batch.append(message)
        sent = connection.send_messages(batch)
        assert sent == len(batch)
    connection.close()
    json.dump([time.monotonic() - started, time.process_time() - used], sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text()))
