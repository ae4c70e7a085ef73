"""A mail server that keeps what it is given: a line of JSON for each mail. Arguments: host, port, file."""

import asyncio
import email
import email.policy
import json
import sys

from aiosmtpd.smtp import SMTP


class Keep:
    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8")

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        line = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "id": mail["message-id"],
            "subject": mail["subject"],
            "text": mail.get_content().strip(),
        }
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        return "250 OK"


async def main(host, port, path):
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: SMTP(Keep(path), loop=loop), host, int(port))
    print(f"listening on {host}:{port}", flush=True)
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
