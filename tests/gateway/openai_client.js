// OpenAI's client for Node against the gateway: each line `ok …` is something that went as its users expect.

const { createRequire } = require('node:module');
const assert = require('node:assert/strict');

const [modules, server, key, otherKey, admin, room] = process.argv.slice(2);
const OpenAI = createRequire(`${modules}/`)('openai');
const client = new OpenAI({ baseURL: `${server}/v1`, apiKey: key });
const SECRET = 'plx_' + '0123456789abcdef'.repeat(4);

const says = (text, more = {}) => ({ model: 'parrot/echo', messages: [{ role: 'user', content: text }], ...more });
const ok = (what) => console.log('ok', what);
const create = (body) => client.chat.completions.create(body);

async function raises(kind, what, call) {
  try {
    await call();
  } catch (error) {
    assert.ok(error instanceof kind, `${what}: ${error}`);
    ok(`${what}: ${kind.name}`);
    return error;
  }
  throw new Error(`${what}: nothing was raised`);
}

async function api(method, path, body) {
  const headers = { authorization: `Bearer ${admin}`, 'content-type': 'application/json' };
  const answer = await fetch(server + path, { method, headers, body: body && JSON.stringify(body) });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.json();
}

// How often the parrot was asked, and how many answers were cancelled, by its own word.
async function counted() {
  const sent = await api('POST', `/api/v1/rooms/${room}/messages`, { text: '/parrot' });
  for (let tries = 0; tries < 200; tries++) {
    const { messages } = await api('GET', `/api/v1/rooms/${room}/messages?after=${sent.seq}`);
    for (const { text } of messages) {
      const found = /^asked (\d+), cancelled (\d+)/.exec(text);
      if (found) return { asked: Number(found[1]), cancelled: Number(found[2]) };
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('the parrot does not count');
}

async function main() {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes('parrot/echo') && names.includes('parrot/vectors'), names.join());
  // The client writes the slash of a name as %2F.
  assert.equal((await client.models.retrieve('parrot/echo')).owned_by, 'parrot');
  ok('list');

  const answer = await create(says('hello there', { temperature: 0.5, logit_bias: { 1: 1 } }));
  assert.equal(answer.choices[0].message.content, 'hello there');
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.equal(answer.usage.total_tokens, 9);
  ok('chat');

  const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } };
  const seeing = await create({
    model: 'parrot/eyes',
    messages: [
      { role: 'developer', content: 'be kind' },
      { role: 'user', content: [{ type: 'text', text: 'parrot: tell' }, image] },
    ],
  });
  assert.match(seeing.choices[0].message.content, /system: be kind[^]*\[pictures: 1\]/);
  ok('pictures and instructions');

  const chunks = [];
  const asked = says('one two three', { stream: true, stream_options: { include_usage: true } });
  for await (const chunk of await create(asked)) chunks.push(chunk);
  assert.equal(chunks[0].choices[0].delta.role, 'assistant');
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join(''), 'one two three');
  assert.equal(chunks.at(-2).choices[0].finish_reason, 'stop');
  assert.equal(chunks.at(-1).usage.completion_tokens, 3);
  ok('stream');

  const gathered = await client.chat.completions.stream(says('one two three')).finalChatCompletion();
  assert.equal(gathered.choices[0].message.content, 'one two three');
  ok("the client's own gathering of a stream");

  const tools = [{ type: 'function', function: { name: 'add', parameters: { type: 'object', properties: {} } } }];
  const calling = says('parrot: call add {"x": 1, "y": 2}', { tools, tool_choice: 'auto' });
  const called = await create(calling);
  const [call] = called.choices[0].message.tool_calls;
  assert.equal(called.choices[0].finish_reason, 'tool_calls');
  assert.equal(call.function.name, 'add');
  assert.deepEqual(JSON.parse(call.function.arguments), { x: 1, y: 2 });
  ok('tools');

  let written = '';
  const ids = [];
  for await (const chunk of await create({ ...calling, stream: true })) {
    for (const delta of chunk.choices[0].delta.tool_calls ?? []) {
      if (delta.id) ids.push(delta.id);
      written += delta.function.arguments ?? '';
    }
  }
  assert.deepEqual([JSON.parse(written), ids.length], [{ x: 1, y: 2 }, 1]);
  ok('tools in a stream');

  const result = { role: 'tool', tool_call_id: call.id, content: '3' };
  const messages = [...calling.messages, called.choices[0].message, result];
  const told = await create({ model: 'parrot/echo', messages, tools });
  assert.equal(told.choices[0].message.content, 'The tool said: 3');
  ok("a tool's result");

  const vectors = await client.embeddings.create({ model: 'parrot/vectors', input: ['a b', 'c'] });
  assert.deepEqual(vectors.data.map((vector) => vector.embedding), [[3, 2], [1, 1]]);
  const plain = { model: 'parrot/vectors', input: 'a b', encoding_format: 'float' };
  assert.deepEqual((await client.embeddings.create(plain)).data[0].embedding, [3, 2]);
  ok('embeddings, in base64 and in numbers');

  const with_key = (apiKey) => new OpenAI({ baseURL: `${server}/v1`, apiKey });
  let error = await raises(OpenAI.AuthenticationError, 'bad key', () =>
    with_key('plx_nobody').chat.completions.create(says('hello')));
  assert.equal(error.code, 'invalid_api_key');
  error = await raises(OpenAI.PermissionDeniedError, 'no scope', () => with_key(otherKey).models.list());
  assert.equal(error.code, 'insufficient_permissions');

  error = await raises(OpenAI.NotFoundError, 'unknown model', () => create(says('hello', { model: 'parrot/blue' })));
  assert.deepEqual([error.code, error.param], ['model_not_found', 'model']);
  await raises(OpenAI.NotFoundError, 'unknown model by name', () => client.models.retrieve('parrot/blue'));
  error = await raises(OpenAI.BadRequestError, 'several choices', () => create(says('hello', { n: 2 })));
  assert.equal(error.param, 'n');

  await api('POST', '/api/v1/plugins/moderation/enable', {});
  let before = await counted();
  error = await raises(OpenAI.BadRequestError, 'blocked question', () =>
    create(says(`keep ${SECRET}`, { stream: true })));
  assert.equal(error.code, 'content_filter');
  assert.equal((await counted()).asked, before.asked, 'the provider saw what was blocked');
  error = await raises(OpenAI.BadRequestError, 'blocked by the service', () =>
    create(says('hello', { model: 'parrot/filtered' })));
  assert.equal(error.code, 'content_filter');

  let seen = '';
  error = await raises(OpenAI.APIError, 'blocked in the middle of a stream', async () => {
    for await (const chunk of await create(says('parrot: leak', { stream: true }))) {
      seen += chunk.choices[0].delta.content ?? '';
    }
  });
  assert.equal(error.code, 'content_filter');
  assert.ok(seen.includes('words') && !seen.includes('plx'), seen.slice(-80));

  before = await counted();
  error = await raises(OpenAI.InternalServerError, 'provider down', () =>
    create(says('hello', { model: 'parrot/fail-before' })));
  assert.deepEqual([error.status, error.code], [503, 'provider_unavailable']);
  assert.equal((await counted()).asked, before.asked + 2, 'the host tried twice, and the client not again');

  // The moderation keeps back what it has not judged yet: without it each piece is seen at once.
  await api('POST', '/api/v1/plugins/moderation/disable', {});
  seen = '';
  error = await raises(OpenAI.APIError, 'provider down in the middle of a stream', async () => {
    for await (const chunk of await create(says('hello', { model: 'parrot/fail-after', stream: true }))) {
      seen += chunk.choices[0].delta.content ?? '';
    }
  });
  assert.deepEqual([seen, error.code, error.status], ['Half an answer', 'provider_unavailable', undefined]);

  before = await counted();
  let number = 0;
  for await (const _ of await create(says('parrot: slowly ' + 'word '.repeat(200), { stream: true }))) {
    if (++number === 4) break;
  }
  const gone = performance.now();
  while ((await counted()).cancelled === before.cancelled) {
    assert.ok(performance.now() - gone < 1000, 'the provider still answers a client that is gone');
  }
  ok(`client gone: cancelled after ${Math.round(performance.now() - gone)} ms`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
