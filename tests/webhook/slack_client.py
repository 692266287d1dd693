"""Slack's own client for Python posts to an incoming webhook. Each line `ok …` is something that went as its users expect."""

import sys

from slack_sdk.models.attachments import Attachment, AttachmentField
from slack_sdk.models.blocks import ContextBlock, DividerBlock, HeaderBlock, MarkdownTextObject, SectionBlock
from slack_sdk.webhook import WebhookClient

url, wrong = sys.argv[1:]
client = WebhookClient(url)


def check(what, response, status=200, body="ok"):
    assert (response.status_code, response.body) == (status, body), (what, response.status_code, response.body)
    print("ok", what, flush=True)


check("text", client.send(text="built <https://ci.example.org/7|build 7> &amp; tested"))
blocks = [
    HeaderBlock(text="Release 2"),
    SectionBlock(text="by *ann*", fields=["*Where*\nprod", "*Which*\n2.0"]),
    DividerBlock(),
    ContextBlock(elements=[MarkdownTextObject(text="from Python")]),
]
check("blocks", client.send(text="a release", blocks=blocks))
field = AttachmentField(title="Host", value="db1", short=True)
attachment = Attachment(
    text="no space left", fallback="disk", color="danger", title="Disk full", title_link="https://m.example.org", fields=[field]
)
check("attachments", client.send(text="Look:", attachments=[attachment]))
check("a dictionary", client.send_dict({"text": "plain", "username": "robot"}))
check("nothing to say", client.send(text=""), 400, "no_text")
check("a wrong address", WebhookClient(wrong).send(text="a"), 404, "no_service")
