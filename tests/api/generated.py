"""Talks through the client that openapi-python-client made of /openapi.json: makes a room, sends a message, reads it."""

import importlib
import sys

folder, address, token = sys.argv[1:]
sys.path.insert(0, folder)

from plexichat_client import AuthenticatedClient  # noqa: E402


def api(tag, operation):
    """The module of one operation."""
    return importlib.import_module(f"plexichat_client.api.{tag}.{operation}")


models = importlib.import_module("plexichat_client.models")
client = AuthenticatedClient(base_url=f"http://{address}", token=token, raise_on_unexpected_status=True)
room = api("rooms", "post_rooms").sync(client=client, body=models.RoomToMake(name="generated"))
send = api("messages", "post_rooms_id_messages")
sent = send.sync(room.id, client=client, body=models.NewMessage(text="hello from a generated client"))
history = api("messages", "get_rooms_id_messages").sync(room.id, client=client)
assert [message.id for message in history.messages] == [sent.id], history
refused = send.sync(room.id, client=client, body=models.NewMessage(text=""))
assert refused.error.code == "invalid_message", refused
print(history.messages[0].text)
