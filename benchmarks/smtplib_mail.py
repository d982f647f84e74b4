"""The standard library's way: an EmailMessage for each person over one connection.

Prints the seconds it took, and those of the processor.
``smtplib_mail.py PORT MESSAGES PARTS``. What differs from person to person is a name that is put into ready texts,
which is less than a template takes, and nothing is recorded anywhere.
"""

import json
import smtplib
import sys
import time
from email.message import EmailMessage
from pathlib import Path


def main(port: int, messages: int, parts: dict[str, str]) -> None:
    headers = {name: value for name, value in parts.items() if name[0].isupper()}
    started, used = time.monotonic(), time.process_time()
    with smtplib.SMTP("127.0.0.1", port) as connection:
        for number in range(messages):
            message = EmailMessage()
            message["From"], message["To"] = parts["from"], f"person{number}@example.org"
            message["Subject"] = f"{number}, {parts['subject']}"
            for name, value in headers.items():
                message[name] = value
            message.set_content(parts["text"].replace("Hello", f"Hello {number}"))
            message.add_alternative(parts["html"].replace("Hello", f"Hello {number}"), "html")
            connection.send_message(message)
    json.dump([time.monotonic() - started, time.process_time() - used], sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text()))
