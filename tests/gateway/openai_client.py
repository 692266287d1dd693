"""OpenAI's client for Python against the gateway: each line `ok …` is something that went as its users expect."""

import json
import re
import sys
import time
import urllib.request

import openai

server, key, other_key, admin, room = sys.argv[1:]
client = openai.OpenAI(base_url=f"{server}/v1", api_key=key)
SECRET = "plx_" + "0123456789abcdef" * 4


def says(text, model="parrot/echo", **more):
    return dict(model=model, messages=[{"role": "user", "content": text}], **more)


def ok(what):
    print("ok", what, flush=True)


def raises(kind, what, call):
    try:
        call()
    except kind as error:
        ok(f"{what}: {kind.__name__}")
        return error
    raise SystemExit(f"{what}: no {kind.__name__} was raised")


def api(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    head = {"Authorization": f"Bearer {admin}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(server + path, data, head, method=method)) as answer:
        return json.load(answer)


def counted():
    """How often the parrot was asked, and how many answers were cancelled, by its own word."""
    sent = api("POST", f"/api/v1/rooms/{room}/messages", {"text": "/parrot"})
    path = f"/api/v1/rooms/{room}/messages?after={sent['seq']}"
    for _ in range(200):
        for message in api("GET", path)["messages"]:
            if found := re.match(r"asked (\d+), cancelled (\d+)", message["text"]):
                return int(found[1]), int(found[2])
        time.sleep(0.01)
    raise SystemExit("the parrot does not count")


names = [model.id for model in client.models.list()]
assert "parrot/echo" in names and "parrot/vectors" in names, names
assert client.models.retrieve("parrot/echo").owned_by == "parrot"
ok("list")

answer = client.chat.completions.create(**says("hello there", temperature=0.5, user="u", logit_bias={"1": 1}))
assert answer.choices[0].message.content == "hello there", answer
assert answer.choices[0].finish_reason == "stop" and answer.usage.total_tokens == 9, answer
assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-") and answer._request_id, answer
ok("chat")

told = [
    {"role": "developer", "content": "be kind"},
    {"role": "user", "content": [
        {"type": "text", "text": "parrot: tell"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
    ]},
]
answer = client.chat.completions.create(model="parrot/eyes", messages=told)
assert "system: be kind" in answer.choices[0].message.content, answer
assert "[pictures: 1]" in answer.choices[0].message.content, answer
ok("pictures and instructions")

stream = client.chat.completions.create(**says("one two three", stream=True, stream_options={"include_usage": True}))
chunks = list(stream)
assert chunks[0].choices[0].delta.role == "assistant", chunks[0]
assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "one two three"
assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 3, chunks[-1]
ok("stream")

with client.chat.completions.stream(**says("one two three")) as stream:
    final = stream.get_final_completion()
assert final.choices[0].message.content == "one two three", final
ok("the client's own gathering of a stream")

tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
asked = says('parrot: call add {"x": 1, "y": 2}', tools=[tool], tool_choice="auto")
answer = client.chat.completions.create(**asked)
call = answer.choices[0].message.tool_calls[0]
assert answer.choices[0].finish_reason == "tool_calls", answer
assert (call.function.name, json.loads(call.function.arguments)) == ("add", {"x": 1, "y": 2}), call
ok("tools")

arguments, ids = "", []
for chunk in client.chat.completions.create(stream=True, **asked):
    for delta in chunk.choices[0].delta.tool_calls or []:
        assert delta.index == 0
        ids += [delta.id] if delta.id else []
        arguments += delta.function.arguments or ""
assert json.loads(arguments) == {"x": 1, "y": 2} and len(ids) == 1, (arguments, ids)
ok("tools in a stream")

result = {"role": "tool", "tool_call_id": call.id, "content": "3"}
turns = [*asked["messages"], answer.choices[0].message.model_dump(exclude_none=True), result]
answer = client.chat.completions.create(model="parrot/echo", messages=turns, tools=[tool])
assert answer.choices[0].message.content == "The tool said: 3", answer
ok("a tool's result")

vectors = client.embeddings.create(model="parrot/vectors", input=["a b", "c"])
assert [vector.embedding for vector in vectors.data] == [[3.0, 2.0], [1.0, 1.0]], vectors
plain = client.embeddings.create(model="parrot/vectors", input="a b", encoding_format="float")
assert plain.data[0].embedding == [3.0, 2.0] and plain.usage.prompt_tokens == 2, plain
ok("embeddings, in base64 and in numbers")

bad = openai.OpenAI(base_url=f"{server}/v1", api_key="plx_nobody")
error = raises(openai.AuthenticationError, "bad key", lambda: bad.chat.completions.create(**says("hello")))
assert error.code == "invalid_api_key", error.body
bad = openai.OpenAI(base_url=f"{server}/v1", api_key=other_key)
error = raises(openai.PermissionDeniedError, "no scope", lambda: bad.models.list())
assert error.code == "insufficient_permissions" and "`ai`" in error.message, error.body

create = client.chat.completions.create
error = raises(openai.NotFoundError, "unknown model", lambda: create(**says("hello", "parrot/blue")))
assert (error.code, error.param) == ("model_not_found", "model"), error.body
raises(openai.NotFoundError, "unknown model by name", lambda: client.models.retrieve("parrot/blue"))
error = raises(openai.BadRequestError, "several choices", lambda: create(**says("hello", n=2)))
assert error.param == "n", error.body

api("POST", "/api/v1/plugins/moderation/enable", {})
before = counted()
error = raises(openai.BadRequestError, "blocked question", lambda: create(**says(f"keep {SECRET}", stream=True)))
assert error.code == "content_filter", error.body
assert counted()[0] == before[0], "the provider saw what was blocked"
error = raises(openai.BadRequestError, "blocked by the service", lambda: create(**says("hello", "parrot/filtered")))
assert error.code == "content_filter", error.body

seen = []


def leak():
    for chunk in create(**says("parrot: leak", stream=True)):
        seen.append(chunk.choices[0].delta.content or "")


error = raises(openai.APIError, "blocked in the middle of a stream", leak)
assert error.code == "content_filter", error.body
assert "words" in "".join(seen) and "plx" not in "".join(seen), "".join(seen)[-80:]

before = counted()
error = raises(openai.InternalServerError, "provider down", lambda: create(**says("hello", "parrot/fail-before")))
assert error.status_code == 503 and error.code == "provider_unavailable", error.body
assert counted()[0] == before[0] + 2, "the host tried twice, and the client not again"

# The moderation keeps back what it has not judged yet: without it each piece is seen at once.
api("POST", "/api/v1/plugins/moderation/disable", {})
seen.clear()


def breaks():
    for chunk in create(**says("hello", "parrot/fail-after", stream=True)):
        seen.append(chunk.choices[0].delta.content or "")


error = raises(openai.APIError, "provider down in the middle of a stream", breaks)
assert "".join(seen) == "Half an answer" and error.code == "provider_unavailable", (seen, error.body)
assert not isinstance(error, openai.APIStatusError), "the stream had begun"

before = counted()
stream = create(**says("parrot: slowly " + "word " * 200, stream=True))
for number, chunk in enumerate(stream):
    if number == 3:
        break
stream.close()
gone = time.monotonic()
while counted()[1] == before[1]:
    assert time.monotonic() - gone < 1, "the provider still answers a client that is gone"
ok(f"client gone: cancelled after {time.monotonic() - gone:.3f} s")
