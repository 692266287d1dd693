// Chromium on the status page: its page in the frame, its widget, its settings. Each line `ok …` is something that people see.

const { createRequire } = require('node:module');
const assert = require('node:assert/strict');

const [modules, server, token, room] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)('playwright-core');

const ok = (what) => console.log('ok', what);
const complaints = [];

async function post(path, body) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const answer = await fetch(server + path, { method: 'POST', headers, body: JSON.stringify(body) });
  assert.ok(answer.ok, `POST ${path}: ${answer.status}`);
}

async function signIn(browser, name, locale) {
  const context = await browser.newContext({ locale });
  const page = await context.newPage();
  page.setDefaultTimeout(20000);
  let signedIn = false;
  page.on('console', (said) => {
    // Who is no administrator asks for figures once and hears a 403.
    if (signedIn && said.type() === 'error' && !said.text().includes('403')) complaints.push(said.text());
  });
  page.on('pageerror', (error) => complaints.push(`${error}`));
  await page.goto(`${server}/ui`);
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill('a long password');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Dashboard' }).waitFor();
  signedIn = true;
  return page;
}

async function open(page) {
  await page.getByRole('navigation', { name: 'Menu' }).getByRole('link', { name: 'Status', exact: true }).click();
  return page.frameLocator('iframe');
}

(async () => {
  const browser = await chromium.launch({ executablePath: process.env.PLEXICHAT_TEST_CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
  try {
    const ada = await signIn(browser, 'ada', 'en-GB');
    const widget = ada.locator('[data-component="status-page/overview"]');
    await widget.getByText('Everything works').waitFor();
    assert.ok(await widget.getByText('Delivery to plugins').count());
    ok('administrators see the widget on their dashboard');
    await widget.getByRole('button', { name: 'Look again' }).click();
    await widget.getByText('Everything works').waitFor();
    ok('its button looks again');

    const frame = await open(ada);
    await frame.getByText('Everything works').waitFor();
    ok('the page draws itself by its own script and style');
    const colour = await frame.locator('#summary').evaluate((it) => getComputedStyle(it).borderInlineStartColor);
    assert.equal(colour, 'rgb(42, 157, 74)');
    ok('its style sheet counts');
    const stored = async () => Number(await frame.locator('#messages-stored').innerText());
    const before = await stored();
    for (let number = 0; number < 4; number++) await post(`/api/v1/rooms/${room}/messages`, { text: `message ${number}` });
    for (let tries = 0; (await stored()) < before + 4; tries++) {
      assert.ok(tries < 200, `it stays at ${await stored()}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    ok('its figures change when messages are posted');

    const uwe = await signIn(browser, 'uwe', 'de-DE');
    assert.equal(await uwe.locator('[data-component="status-page/overview"]').count(), 0);
    ok('who is no administrator has no widget');
    const german = await open(uwe);
    await german.getByText('Alles läuft').waitFor();
    await german.getByText('Zustellung an Plugins').waitFor();
    assert.equal(await german.locator('#figures').isVisible(), false);
    ok('they see states in their language, and no figures');
    assert.deepEqual(complaints, []);
    ok('no policy was broken and no script failed');
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error, complaints);
  process.exit(1);
});
