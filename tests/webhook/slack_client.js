// Slack's own client for Node posts to an incoming webhook. Each line `ok …` is something that went as its users expect.

const { createRequire } = require('node:module');
const assert = require('node:assert/strict');

const [modules, url, wrong] = process.argv.slice(2);
const { IncomingWebhook } = createRequire(`${modules}/`)('@slack/webhook');
const webhook = new IncomingWebhook(url);

async function check(what, call) {
  assert.deepEqual(await call, { text: 'ok' }, what);
  console.log('ok', what);
}

async function fails(what, call, status) {
  const error = await call.then(() => assert.fail(`${what}: nothing was raised`), (error) => error);
  assert.ok(error.code && String(error).includes(String(status)), `${what}: ${error}`);
  console.log('ok', what);
}

(async () => {
  await check('text', webhook.send('built <https://ci.example.org/7|build 7> &amp; tested'));
  const blocks = [
    { type: 'header', text: { type: 'plain_text', text: 'Release 2' } },
    { type: 'section', text: { type: 'mrkdwn', text: 'by *ann*' }, fields: [
      { type: 'mrkdwn', text: '*Where*\nprod' }, { type: 'mrkdwn', text: '*Which*\n2.0' }] },
    { type: 'divider' },
    { type: 'context', elements: [{ type: 'mrkdwn', text: 'from Node' }] },
  ];
  await check('blocks', webhook.send({ text: 'a release', blocks }));
  const fields = [{ title: 'Host', value: 'db1', short: true }];
  const attachment = { text: 'no space left', fallback: 'disk', color: 'danger', title: 'Disk full', title_link: 'https://m.example.org', fields };
  await check('attachments', webhook.send({ text: 'Look:', attachments: [attachment] }));
  await check('a name', new IncomingWebhook(url, { username: 'robot' }).send({ text: 'plain' }));
  await fails('nothing to say', webhook.send({ text: '' }), 400);
  await fails('a wrong address', new IncomingWebhook(wrong).send('a'), 404);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
