// Chromium on /ui: each line `ok …` is something that people see, do, or are kept from.

const { createRequire } = require('node:module');
const assert = require('node:assert/strict');

const [modules, server, token] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)('playwright-core');

const ok = (what) => console.log('ok', what);
// What a browser says of a policy that was broken, and of scripts that fail; a page that tries what it may not says so too.
const complaints = [];
let expected = false;

async function api(method, path, body) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const answer = await fetch(server + path, { method, headers, body: body && JSON.stringify(body) });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.json();
}

async function until(what, look) {
  for (let tries = 0; ; tries++) {
    const found = await look();
    if (found) return found;
    assert.ok(tries < 200, `${what} did not happen`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function signIn(browser, name) {
  const context = await browser.newContext({ locale: 'en-GB', colorScheme: 'dark' });
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  page.on('console', (said) => {
    const [text, from] = [said.text(), said.location().url];
    // A refusal of the server is an answer; a page that tries what it may not is told so.
    const is_answer = text.startsWith('Failed to load resource: the server responded') || from.includes('/probe.');
    const is_bad = said.type() === 'error' || text.includes('Content Security Policy');
    if (is_bad && !is_answer && !expected) complaints.push(`${text} (${from})`);
  });
  page.on('pageerror', (error) => complaints.push(`${error}`));
  page.on('response', (answer) => {
    if (answer.url() === `${server}/ui`) assert.match(answer.headers()['content-security-policy'], /default-src 'self'/);
  });
  await context.addInitScript(() => addEventListener('securitypolicyviolation', (event) => {
    if (event.blockedURI) console.error(`Content Security Policy: ${event.violatedDirective} ${event.blockedURI}`);
  }));
  // Whoever is not signed in is asked to, and a browser says that it heard a 401.
  expected = true;
  await page.goto(`${server}/ui`);
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill('a wrong password');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').filter({ hasText: 'password' }).waitFor();
  await page.getByLabel('Password').fill('a long password');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Dashboard' }).waitFor();
  expected = false;
  return page;
}

const part = (page, name) => page.locator(`[data-component="board/${name}"]`);
const go = (page, name) => page.getByRole('navigation', { name: 'Menu' }).getByRole('link', { name, exact: true }).click();
const noticed = (page, text) => page.getByRole('status').filter({ hasText: text }).waitFor();

async function widgets(page) {
  const widget = part(page, 'count');
  await widget.getByRole('heading', { name: 'Hello' }).waitFor();
  assert.equal(await widget.locator('p.text').innerText(), '<b onclick="alert(1)">plain</b>');
  assert.equal(await widget.locator('b').count(), 0);
  ok('a widget shows its blocks, and markup in them is text');
  assert.ok(await widget.locator('img').evaluate((image) => image.complete && image.naturalWidth > 0));
  ok('a picture of the plugin is shown');
  await widget.getByRole('button', { name: 'One more' }).click();
  await widget.locator('dd', { hasText: '1' }).waitFor();
  ok('a button calls back, and the widget shows what came of it');
  page.once('dialog', (dialog) => dialog.dismiss());
  await widget.getByRole('button', { name: 'Begin again' }).click();
  assert.equal(await widget.locator('dd').innerText(), '1');
  page.once('dialog', (dialog) => { assert.equal(dialog.message(), 'Really?'); return dialog.accept(); });
  await widget.getByRole('button', { name: 'Begin again' }).click();
  await noticed(page, 'It begins again');
  await widget.locator('dd', { hasText: '0' }).waitFor();
  ok('a button that asks first does nothing until it is told yes');
}

async function rooms(page) {
  await go(page, 'Rooms');
  await page.getByRole('link', { name: 'lobby' }).click();
  const first = page.locator('.messages li').first();
  await first.waitFor();
  assert.equal(await first.locator('.text').innerText(), '<i>hello</i>');
  ok('a message that has markup is shown as text');

  await first.getByRole('button', { name: 'Keep' }).click();
  const dialog = page.getByRole('dialog');
  const name = dialog.getByLabel('Name');
  await name.fill('taken');
  await page.keyboard.press('Enter');
  await dialog.getByText('This name is taken').waitFor();
  assert.equal(await name.getAttribute('aria-invalid'), 'true');
  assert.ok(await name.evaluate((input) => document.activeElement === input));
  ok('an error stands at its field, which has the focus');
  await name.fill('milk');
  await page.keyboard.press('Enter');
  const times = dialog.getByLabel('Times');
  await times.waitFor();
  assert.equal(await times.inputValue(), '3');
  assert.equal(await dialog.getByLabel('Name').count(), 0);
  ok('the next step begins with its own values and does not show what it carries');
  await times.fill('');
  await times.pressSequentially('5');
  await dialog.getByRole('button', { name: 'Keep' }).click();
  await noticed(page, 'Kept milk 5 times');
  await dialog.waitFor({ state: 'hidden' });
  ok('the last step closes the dialog with its word');

  await page.getByRole('button', { name: 'About' }).click();
  await dialog.getByText('This is a room').waitFor();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  ok('a room action knows its room, and Escape closes it');
  await part(page, 'kept').getByRole('heading', { name: 'Hello' }).waitFor();
  ok('the sidebar stands beside the room');
  await page.getByLabel('Message', { exact: true }).fill('quietly');
  await page.getByRole('button', { name: 'Shout' }).click();
  await noticed(page, 'QUIETLY');
  ok('a composer action is told what is written');
  await page.getByRole('button', { name: 'Send' }).click();
  await page.locator('.messages li', { hasText: 'quietly' }).waitFor();
  ok('a message is posted');
  const room = (await api('GET', '/api/v1/rooms')).rooms[0].id;
  await api('POST', `/api/v1/rooms/${room}/messages`, { text: 'from elsewhere' });
  await page.locator('.messages li', { hasText: 'from elsewhere' }).waitFor();
  ok('what others post appears by itself');
}

async function settings(page) {
  await go(page, 'Settings');
  // Its plugin refuses, which a browser says too.
  expected = true;
  await part(page, 'broken').getByText('This part cannot be shown: it is not my day').waitFor();
  ok('a part that fails says so, and the others are there');
  const panel = part(page, 'config');
  const greeting = panel.getByLabel('Greeting');
  assert.equal(await greeting.inputValue(), 'Hello');
  await greeting.fill('Good day');
  await panel.getByLabel('Step').fill('2');
  await panel.getByLabel('Loud').check();
  await panel.getByLabel('Colour').selectOption({ label: 'green' });
  await panel.getByLabel('Topics').fill('one\ntwo');
  assert.equal(await panel.getByLabel('Key').getAttribute('type'), 'password');
  await panel.getByLabel('Key').fill('hunter2');
  await panel.getByRole('button', { name: 'Save' }).click();
  await noticed(page, 'Saved');
  expected = false;
  const { config } = await api('GET', '/api/v1/plugins/board/config');
  assert.deepEqual(config, { greeting: 'Good day', step: 2, loud: true, colour: 'green', topics: ['one', 'two'], key: '***' });
  ok('settings are saved from a form made of their schema');
  await until('the form with its mask', async () => (await panel.getByLabel('Key').inputValue()) === '***');
  await panel.getByLabel('Greeting').evaluate((input) => { input.minLength = 0; });
  await panel.getByLabel('Greeting').fill('x');
  await panel.getByRole('button', { name: 'Save' }).click();
  await panel.locator('.error', { hasText: 'at least 2' }).waitFor();
  ok('what does not fit is told at its field, and a secret stays behind its mask');
  await go(page, 'Dashboard');
  await part(page, 'count').getByRole('heading', { name: 'GOOD DAY' }).waitFor();
  ok('the plugin goes on with its new settings');
}

async function frames(page) {
  await go(page, 'Board');
  const frame = page.frameLocator('iframe');
  await frame.locator('#count').filter({ hasText: '0' }).waitFor();
  ok('a page of the plugin asks its route by the bridge');
  await frame.getByRole('button', { name: 'More' }).click();
  await frame.locator('#count').filter({ hasText: '2' }).waitFor();
  await noticed(page, 'Counted');
  assert.equal(await frame.locator('#context').innerText(), 'board page dark');
  assert.equal(await frame.locator('h1').evaluate((it) => getComputedStyle(it).color), 'rgb(1, 2, 3)');
  const iframe = page.locator('iframe');
  assert.equal(await iframe.getAttribute('sandbox'), 'allow-scripts allow-forms');
  assert.equal(await iframe.evaluate((it) => it.style.height), '321px');
  assert.equal(await iframe.evaluate((it) => it.contentDocument), null);
  ok('it knows whose it is and how the page around looks');

  expected = true;
  await go(page, 'Probe');
  const found = page.frameLocator('iframe').locator('#found');
  await found.filter({ hasText: 'end' }).waitFor();
  const lines = (await found.innerText()).split('\n');
  const came = Object.fromEntries(lines.map((line) => [line.split(': ')[0], line.split(': ').slice(1).join(': ')]));
  for (const what of ['document', 'location', 'cookie', 'storage']) assert.equal(came[what], 'refused SecurityError', `${what}: ${came[what]}`);
  ok('a page in a frame reaches neither the page around it nor cookies nor storage');
  assert.match(came.fetch, /^refused TypeError/);
  assert.equal(came.image, 'refused Error');
  assert.equal(came.popup, 'none');
  ok('it asks the server nothing by itself');
  // A path is below its own routes, whatever it looks like, and there is nothing.
  assert.equal(came.others, 'refused not_found');
  for (const what of ['above', 'encoded', 'elsewhere', 'settings', 'disable', 'escaped', 'itself']) {
    assert.equal(came[what], 'refused not_its_own', `${what}: ${came[what]}`);
  }
  assert.equal(came.own, '{"count":2}');
  ok("by the bridge it asks its own plugin's routes and nothing else");
  assert.equal(new URL(page.url()).pathname, '/ui');
  // What the browser says of it comes a little later.
  await page.waitForTimeout(300);
  expected = false;
}

// A page that is opened by its address, without the page around it, is of no origin either.
async function alone(page) {
  const other = await page.context().newPage();
  await other.goto(`${server}/ui/board/ui/page.html`);
  assert.equal(await other.evaluate(() => origin), 'null');
  await assert.rejects(other.evaluate(() => document.cookie));
  await other.close();
  ok('a page by itself has no session either');
}

async function others(browser) {
  const page = await signIn(browser, 'ulf');
  await go(page, 'Settings');
  expected = true;
  await part(page, 'broken').getByText('This part cannot be shown').waitFor();
  assert.equal(await part(page, 'config').count(), 0);
  expected = false;
  ok('settings are for administrators');
  await go(page, 'Dashboard');
  await part(page, 'count').waitFor();
  await api('POST', '/api/v1/plugins/board/disable', {});
  await go(page, 'Rooms');
  await go(page, 'Dashboard');
  await page.getByText('No plugin shows anything here.').waitFor();
  assert.equal(await page.getByRole('link', { name: 'Board', exact: true }).count(), 0);
  ok('what a disabled plugin added is gone at once');
  await api('POST', '/api/v1/plugins/board/enable', {});
  await go(page, 'Rooms');
  await go(page, 'Dashboard');
  await part(page, 'count').waitFor();
  ok('and is back when it runs again');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  assert.equal((await page.context().cookies()).filter((cookie) => cookie.value).length, 0);
  ok('signing out ends the session');
}

(async () => {
  const browser = await chromium.launch({ executablePath: process.env.PLEXICHAT_TEST_CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
  try {
    const page = await signIn(browser, 'ada');
    ok('somebody signs in, by the keyboard alone, after a wrong password');
    await widgets(page);
    await rooms(page);
    await settings(page);
    await frames(page);
    await alone(page);
    await others(browser);
    assert.deepEqual(complaints, []);
    ok('no policy was broken and no script failed');
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
