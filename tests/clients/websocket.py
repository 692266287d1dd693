"""A client that this project did not write, speaking the frames of `GET /api/v1/ws`: posts a command and waits, live, for
the plugin's answer. Python's `websockets` does the protocol. Usage: websocket.py ADDRESS TOKEN ROOM TEXT"""

import asyncio
import json
import sys

from websockets.asyncio.client import connect


async def main(address: str, token: str, room: str, text: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with connect(f"ws://{address}/api/v1/ws", additional_headers=headers) as socket:
        hello = json.loads(await socket.recv())
        assert hello["type"] == "hello", hello
        await socket.send(json.dumps({"type": "subscribe", "room_id": room}))
        await socket.send(json.dumps({"type": "send", "room_id": room, "text": text, "key": "from-python"}))
        posted = None
        async for frame in socket:
            frame = json.loads(frame)
            if frame["type"] == "error":
                sys.exit(f"error: {frame}")
            if frame["type"] == "ack":
                posted = frame["message"]["id"]
            if frame["type"] == "message" and frame["author"]["kind"] == "plugin":
                assert posted and frame["reply_to"] == posted, frame
                print(frame["text"])
                return


asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), timeout=20))
