// The pages of /ui. Whatever comes from the server or from a plugin goes in as text, never as markup.
"use strict";

const byId = (id) => document.getElementById(id);
// The server's own segments below a plugin's routes: no plugin's page may ask for them.
const RESERVED = ["", "schema", "config", "install", "uninstall", "enable", "disable", "release", "-"];
const METHODS = ["GET", "POST", "PUT", "DELETE"];
const frames = new WeakMap();
let me, stream, shownAt = 0;

function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "text") made.textContent = value;
    else if (name in made && name !== "list") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

class Refused extends Error {
  constructor(status, error) {
    const details = (error?.details ?? []).map((it) => `${it.pointer} ${it.message}`).join("; ");
    super([error?.message ?? `the server answered ${status}`, details, error?.hint].filter(Boolean).join(". "));
    this.status = status;
    this.code = error?.code ?? "failed";
  }
}

async function call(method, path, body) {
  const head = body === undefined ? {} : { "content-type": "application/json" };
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const response = await fetch(path, { method, headers: head, body: sent, credentials: "same-origin" });
  const text = await response.text();
  const is_json = (response.headers.get("content-type") ?? "").startsWith("application/json");
  const value = text && is_json ? JSON.parse(text) : text || null;
  if (!response.ok) throw new Refused(response.status, value?.error);
  return value;
}

let noticed;
function notice(text) {
  clearTimeout(noticed);
  byId("notice").textContent = text;
  byId("notice").hidden = false;
  noticed = setTimeout(() => { byId("notice").hidden = true; }, 6000);
}

// Runs what a person asked for; what goes wrong is said where they look.
const attempt = (work) => async (event) => {
  event?.preventDefault();
  try { await work(event); } catch (error) { notice(error.message); }
};

// --- Components ---

const components = async (query) => (await call("GET", "/api/v1/gui" + query)).components;

// What a component shows, in `body`; `place` is {room_id, message_id}, `inline` false in the dialog.
function view(component, place, body, inline) {
  return {
    component, place, body, inline,
    async ask(action, values) {
      const address = [component.plugin, component.id, action].map(encodeURIComponent).join("/");
      return call("POST", "/api/v1/gui/" + address, { ...place, values });
    },
    async open() {
      try {
        const reply = await this.ask("open", component.slot === "composer_action" ? { text: byId("text")?.value ?? "" } : {});
        this.show(reply, true);
      } catch (error) {
        body.replaceChildren(el("p", { className: "failed", text: "This part cannot be shown: " + error.message }));
      }
    },
    // Presses a button or sends a form.
    async act(action, values, from_button) {
      const reply = await this.ask(action, values);
      if (this.inline && from_button && reply.type === "form") return dialogOf(component, place).show(reply, true);
      this.show(reply, false);
    },
    show(reply, opened) {
      switch (reply.type) {
        case "blocks": return body.replaceChildren(...reply.blocks.map((it) => block(this, it)));
        case "form": {
          const title = reply.title === component.label ? undefined : reply.title;
          this.form = form(reply, title, (values) => this.act(reply.action, values));
          body.replaceChildren(this.form.element);
          return opened && this.inline ? undefined : this.form.focus();
        }
        case "errors": return this.form ? this.form.errors(reply.errors) : notice(reply.errors.map((it) => it.message).join("; "));
        case "open": return location.assign(reply.path);
        default:
          if (reply.type === "notice") notice(reply.text);
          if (!this.inline) return closeDialog();
          if (!opened) return this.open();
          body.replaceChildren(el("p", { text: reply.text ?? "" }));
      }
    },
  };
}

function part(component, place, whole) {
  const body = el("div", { className: "body" }, el("p", { className: "soft", text: "…" }));
  const section = el("section", { className: "part", "aria-label": component.label, "data-component": `${component.plugin}/${component.id}` },
    el("h2", { text: component.label }), body);
  if (component.page) body.replaceChildren(frame(component, place, whole));
  else view(component, place, body, true).open();
  return section;
}

function dialogOf(component, place) {
  byId("dialog-title").textContent = component.label;
  const body = byId("dialog-body");
  body.replaceChildren();
  if (!byId("dialog").open) byId("dialog").showModal();
  return view(component, place, body, false);
}

function closeDialog() {
  byId("dialog").close();
}

async function openInDialog(component, place) {
  const shown = dialogOf(component, place);
  if (component.page) shown.body.replaceChildren(frame(component, place));
  else await shown.open();
}

const action = (component, place, small) => el("button", {
  text: component.label, className: small ? "small" : "", "data-component": `${component.plugin}/${component.id}`,
  onclick: attempt(() => openInDialog(component, place)),
});

function block(shown, it) {
  switch (it.block) {
    case "heading": return el("h3", { text: it.text });
    case "text": return el("p", { className: "text", text: it.text });
    case "code": return el("pre", { text: it.text });
    case "divider": return el("hr");
    case "fields": return el("dl", {}, ...it.fields.flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { text: value })]));
    case "table": return el("table", {},
      el("thead", {}, el("tr", {}, ...it.columns.map((text) => el("th", { text, scope: "col" })))),
      el("tbody", {}, ...it.rows.map((row) => el("tr", {}, ...row.map((text) => el("td", { text }))))));
    case "meter": {
      const meter = el("meter", { min: 0, max: it.max, value: it.value });
      return el("label", {}, `${it.label}: ${it.value} / ${it.max}`, meter);
    }
    case "image": return el("img", { src: it.path.startsWith("/ui/") ? it.path : "", alt: it.alt });
    case "buttons": return el("div", { className: "row" }, ...it.buttons.map((button) => el("button", {
      text: button.label,
      onclick: attempt(async () => {
        if (button.confirm === undefined || confirm(button.confirm)) await shown.act(button.action, button.values ?? {}, true);
      }),
    })));
    default: return el("p", { className: "soft", text: `(${it.block})` });
  }
}

// --- Forms from JSON Schema ---

function resolved(schema, root) {
  let found = schema;
  for (let step = 0; step < 20; step++) {
    if (found.$ref) {
      const target = found.$ref.replace(/^#\//, "").split("/").reduce((at, key) => at?.[key.replace(/~1/g, "/").replace(/~0/g, "~")], root);
      const { $ref, ...beside } = found;
      found = { ...(target ?? {}), ...beside };
      continue;
    }
    const some = (found.anyOf ?? found.oneOf)?.filter((it) => it.type !== "null");
    if (some?.length === 1) {
      const { anyOf, oneOf, ...beside } = found;
      found = { ...some[0], ...beside, nullable: true };
    } else if (found.allOf?.length === 1) {
      const { allOf, ...beside } = found;
      found = { ...allOf[0], ...beside };
    } else break;
  }
  if (Array.isArray(found.type)) {
    const types = found.type.filter((it) => it !== "null");
    found = { ...found, type: types.length === 1 ? types[0] : undefined, nullable: types.length < found.type.length };
  }
  return found;
}

const choicesOf = (schema) => schema.enum
  ?? (schema.oneOf?.every((it) => "const" in it || it.enum) ? schema.oneOf.flatMap((it) => it.enum ?? [it.const]) : undefined);
const titled = (name, schema) => schema.title ?? name.replace(/_/g, " ").replace(/^./, (first) => first.toUpperCase());
let ids = 0;

// A field: its element, and `read()`, which gives `undefined` for what is left out.
function field(name, raw, value, needed, root, pointer, all) {
  const schema = resolved(raw, root);
  const id = "field-" + ++ids;
  const error = el("p", { className: "error", id: id + "-error", hidden: true });
  const about = schema.description ? el("p", { className: "soft", id: id + "-about", text: schema.description }) : undefined;
  const common = { id, name: pointer.slice(1), required: needed && schema.type !== "boolean", disabled: schema.readOnly === true,
    "aria-describedby": [about?.id, error.id].filter(Boolean).join(" ") };
  const first = value === undefined ? schema.default : value;
  const empty = () => (schema.nullable && value !== undefined ? null : undefined);
  const choices = choicesOf(schema);
  const list = schema.type === "array" && resolved(schema.items ?? {}, root);
  let input, read;
  if (choices) {
    const blank = needed && first !== undefined ? [] : [el("option", { value: "", text: "–" })];
    input = el("select", common, ...blank, ...choices.map((it, index) => el("option", { value: String(index), text: String(it) })));
    if (choices.includes(first)) input.value = String(choices.indexOf(first));
    read = () => (input.value === "" ? empty() : choices[Number(input.value)]);
  } else if (schema.type === "boolean") {
    input = el("input", { ...common, type: "checkbox", checked: first === true });
    read = () => input.checked;
  } else if (schema.type === "integer" || schema.type === "number") {
    const step = schema.type === "integer" ? "1" : "any";
    input = el("input", { ...common, type: "number", step, min: schema.minimum, max: schema.maximum, value: first ?? "" });
    read = () => (input.value === "" ? empty() : Number(input.value));
  } else if (schema.type === "string") {
    const bounds = { maxLength: schema.maxLength ?? 524288, minLength: schema.minLength ?? 0, value: first ?? "" };
    const long = schema.format === "multi-line" || schema.maxLength > 300 || String(first ?? "").includes("\n");
    const kind = { password: "password", email: "email", uri: "url", date: "date" }[schema.format] ?? "text";
    input = long ? el("textarea", { ...common, ...bounds, rows: 5 })
      : el("input", { ...common, type: kind, ...bounds, autocomplete: kind === "password" ? "new-password" : "off" });
    read = () => (input.value !== "" ? input.value : schema.nullable ? empty() : first === undefined && !needed ? undefined : "");
  } else if (list && ["string", "integer", "number"].includes(list.type) && !choicesOf(list)) {
    input = el("textarea", { ...common, rows: 4, value: (first ?? []).join("\n"), placeholder: "One in each line" });
    const one = (text) => (list.type === "string" || Number.isNaN(Number(text)) ? text : Number(text));
    read = () => {
      const lines = input.value.split("\n").map((it) => it.trim()).filter(Boolean);
      return lines.length || first !== undefined || needed ? lines.map(one) : undefined;
    };
  } else if (schema.type === "object" && schema.properties) {
    const inner = fields(schema, first ?? {}, root, pointer, all, {});
    all.push({ pointer, input: undefined, error });
    const group = el("fieldset", {}, el("legend", { text: titled(name, schema) }), about, error, ...inner.elements);
    return { element: group, read: () => (value === undefined && !needed && Object.keys(inner.read()).length === 0 ? undefined : inner.read()) };
  } else {
    // Whatever else there is, as JSON: nothing is lost.
    input = el("textarea", { ...common, rows: 5, value: first === undefined ? "" : JSON.stringify(first, null, 2), placeholder: "JSON" });
    read = () => {
      if (input.value.trim() === "") return empty();
      try { return JSON.parse(input.value); } catch { return input.value; }
    };
  }
  all.push({ pointer, input, error });
  const words = titled(name, schema) + (common.required ? " *" : "");
  const label = schema.type === "boolean" ? el("label", { className: "check", htmlFor: id }, input, words) : el("label", { htmlFor: id, text: words });
  const element = el("div", { className: "field" }, label, schema.type === "boolean" ? undefined : input, about, error);
  return { element, read: () => (schema.readOnly ? value : read()) };
}

function fields(schema, values, root, pointer, all, hidden) {
  const made = Object.entries(schema.properties ?? {}).filter(([name]) => !(name in hidden)).map(([name, property]) => {
    const at = `${pointer}/${name.replace(/~/g, "~0").replace(/\//g, "~1")}`;
    return [name, field(name, property, values[name], (schema.required ?? []).includes(name), root, at, all)];
  });
  return {
    elements: made.map(([, it]) => it.element),
    read() {
      const read = { ...values };
      for (const [name, it] of made) {
        const value = it.read();
        if (value === undefined) delete read[name];
        else read[name] = value;
      }
      return read;
    },
  };
}

function form(it, title, send) {
  const all = [];
  const carry = it.carry ?? {};
  const inner = fields(resolved(it.schema, it.schema), it.values ?? {}, it.schema, "", all, carry);
  const whole = el("p", { className: "error", role: "alert", hidden: true });
  const button = el("button", { className: "main", text: it.submit });
  const element = el("form", { autocomplete: "off" }, title && el("h3", { text: title }), whole, ...inner.elements, button);
  const errors = (found) => {
    for (const { input, error } of all) {
      error.hidden = true;
      input?.removeAttribute("aria-invalid");
    }
    const rest = [];
    let first;
    for (const { pointer, message } of found) {
      const at = all.find((one) => one.pointer === pointer) ?? all.find((one) => pointer.startsWith(one.pointer + "/"));
      if (!at) { rest.push([pointer, message].filter(Boolean).join(": ")); continue; }
      at.error.textContent = message;
      at.error.hidden = false;
      at.input?.setAttribute("aria-invalid", "true");
      first ??= at.input;
    }
    whole.textContent = rest.join("; ");
    whole.hidden = rest.length === 0;
    first?.focus();
  };
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    errors([]);
    try { await send({ ...inner.read(), ...carry }); } catch (error) { errors([{ pointer: "", message: error.message }]); }
    button.disabled = false;
  });
  return { element, errors, focus: () => (element.querySelector("input:enabled, select:enabled, textarea:enabled") ?? button).focus() };
}

// --- Plugins' own pages: sandboxed, and heard only as the plugin that they are of ---

function frame(component, place, whole) {
  const made = el("iframe", { title: component.label, className: whole ? "whole" : "" });
  made.setAttribute("sandbox", "allow-scripts allow-forms");
  made.src = component.page;
  frames.set(made, { made, component, place });
  return made;
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const context = ({ component, place }) => ({
  plugin: component.plugin, component: component.id, room_id: place.room_id ?? null,
  language: navigator.language, theme: dark.matches ? "dark" : "light",
});

// The address of a route of this plugin's own, and of nothing else.
function routeOf(plugin, path) {
  const below = `/api/v1/plugins/${plugin}/`;
  const said = String(path);
  const url = new URL(said.startsWith(below) ? said : said.replace(/^\/+/, ""), location.origin + below);
  const ours = url.origin === location.origin && url.pathname.startsWith(below);
  if (!ours || RESERVED.includes(decodeURIComponent(url.pathname.slice(below.length).split("/")[0]))) {
    throw new Refused(403, { code: "not_its_own", message: `a page of \`${plugin}\` may only ask that plugin's own routes` });
  }
  return url.pathname + url.search;
}

async function answer(of, said) {
  switch (said.do) {
    case "context": return context(of);
    case "notice": return notice(`${of.component.label}: ${String(said.text).slice(0, 300)}`);
    case "resize": {
      of.made.style.height = Math.min(Math.max(Number(said.height) || 0, 40), 4000) + "px";
      return null;
    }
    case "call": {
      const method = METHODS.includes(said.method) ? said.method : "GET";
      const body = method === "GET" || method === "DELETE" ? undefined : said.body ?? {};
      return call(method, routeOf(of.component.plugin, said.path), body);
    }
    default: throw new Refused(400, { code: "unknown", message: "this page knows call, context, notice and resize" });
  }
}

addEventListener("message", async (event) => {
  const of = frames.get([...document.querySelectorAll("iframe")].find((it) => it.contentWindow === event.source));
  const said = event.data;
  // A sandboxed page has no origin; whatever has one is not what was put into the frame.
  if (!of || event.origin !== "null" || said?.plexichat !== 1) return;
  const reply = (rest) => event.source.postMessage({ plexichat: 1, id: said.id, ...rest }, "*");
  try {
    reply({ ok: true, value: (await answer(of, said)) ?? null });
  } catch (error) {
    reply({ ok: false, error: { status: error.status ?? 0, code: error.code ?? "failed", message: error.message } });
  }
});

dark.addEventListener("change", () => {
  for (const it of document.querySelectorAll("iframe")) {
    it.contentWindow.postMessage({ plexichat: 1, event: "context", value: context(frames.get(it)) }, "*");
  }
});

// --- Pages ---

const parts = (list, whole) => list.map((it) => part(it, {}, whole));

async function dashboard() {
  const list = await components("?slot=dashboard_widget");
  return [el("h1", { text: "Dashboard" }), list.length ? el("div", { className: "tiles" }, ...parts(list)) : el("p", { text: "No plugin shows anything here." })];
}

async function settings() {
  const list = await components("?slot=settings_panel");
  return [el("h1", { text: "Settings" }), ...(list.length ? parts(list) : [el("p", { text: "There is nothing to set." })])];
}

async function menuItem(plugin, id) {
  const found = (await components("?slot=menu_item")).find((it) => it.plugin === plugin && it.id === id);
  return [found ? part(found, {}, true) : el("p", { className: "failed", text: `The plugin ${plugin} does not run, or has no such page.` })];
}

const nameOf = (room) => room.name ?? (room.people ?? []).map((it) => it.name).join(", ");

function message(row, actions, place) {
  const at = { ...place, message_id: row.id };
  // A webhook may call itself like a person: who is none is said.
  const kind = row.author.kind === "user" ? [] : [el("span", { className: "tag", text: row.author.kind }), " "];
  return el("li", {},
    el("div", {}, el("strong", { text: row.author.name }), " ", ...kind, el("span", { className: "soft", text: new Date(row.created_at).toLocaleString() })),
    el("div", { className: "text", text: row.text }),
    actions.length ? el("div", { className: "row" }, ...actions.map((it) => action(it, at, true))) : undefined);
}

async function rooms(id, now) {
  const list = (await call("GET", "/api/v1/rooms?limit=100")).rooms;
  const entries = list.map((room) => el("li", {}, el("a", { href: "#/rooms/" + room.id, text: nameOf(room), "aria-current": room.id === id ? "page" : undefined })));
  const left = el("nav", { "aria-label": "Rooms" }, el("h2", { text: "Rooms" }), el("ul", { className: "list" }, ...entries));
  if (!id) return [el("div", { className: "room" }, left, el("p", { text: list.length ? "Choose a room." : "There is no room yet." }))];
  const place = { room_id: id };
  const [room, all] = await Promise.all([call("GET", "/api/v1/rooms/" + id), components("?room=" + id)]);
  const of = (slot) => all.filter((it) => it.slot === slot);
  const messages = el("ol", { className: "list messages", "aria-label": "Messages" });
  const load = async () => {
    const rows = (await call("GET", `/api/v1/rooms/${id}/messages?limit=30`)).messages.filter((it) => it.text !== undefined && it.text !== null);
    messages.replaceChildren(...rows.map((row) => message(row, of("message_action"), place)));
  };
  await load();
  const text = el("textarea", { id: "text", rows: 2, required: true });
  const compose = el("form", { onsubmit: attempt(async () => {
    await call("POST", `/api/v1/rooms/${id}/messages`, { text: text.value });
    text.value = "";
    await load();
  }) }, el("div", { className: "field" }, el("label", { htmlFor: "text", text: "Message" }), text),
  el("div", { className: "row" }, el("button", { className: "main", text: "Send" })));
  const beside = el("div", { className: "row", "aria-label": "While writing" }, ...of("composer_action").map((it) => action(it, place)));
  const about = el("div", { className: "row" }, ...of("room_action").map((it) => action(it, place)));
  const right = el("aside", { "aria-label": "About this room" }, ...of("right_sidebar").map((it) => part(it, place)));
  let again;
  // Who has gone on meanwhile is shown another page, and that one's stream must not be closed or lost.
  if (now === shownAt) {
    stream?.close();
    stream = new EventSource(`/api/v1/rooms/${id}/stream`);
    stream.onmessage = () => { clearTimeout(again); again = setTimeout(() => load().catch(() => {}), 150); };
  }
  const middle = el("section", { "aria-label": nameOf(room) }, el("h1", { text: nameOf(room) }), about, messages, compose, beside);
  return [el("div", { className: "room" }, left, middle, right)];
}

function signIn(why) {
  // What is still being fetched is shown to nobody any more.
  shownAt++;
  const field = (name, type, label, autocomplete) => el("div", { className: "field" }, el("label", { htmlFor: name, text: label }),
    el("input", { id: name, name, type, required: true, autocomplete }));
  const failed = el("p", { className: "error", role: "alert", text: why ?? "", hidden: !why });
  const made = el("form", { onsubmit: async (event) => {
    event.preventDefault();
    try {
      await call("POST", "/api/v1/auth/login", { name: byId("name").value, password: byId("password").value });
      await start();
    } catch (error) {
      failed.textContent = error.message;
      failed.hidden = false;
      byId("password").focus();
    }
  } }, el("h1", { text: "Sign in" }), failed, field("name", "text", "Name", "username"),
  field("password", "password", "Password", "current-password"), el("button", { className: "main", text: "Sign in" }));
  byId("menu").hidden = byId("sign-out").hidden = true;
  byId("who").textContent = "";
  byId("main").replaceChildren(made);
  byId("name").focus();
}

async function menu(here) {
  const items = (await components("?slot=menu_item")).map((it) => [`#/menu/${it.plugin}/${it.id}`, it.label]);
  const links = [["#/", "Dashboard"], ["#/rooms", "Rooms"], ["#/settings", "Settings"], ...items];
  const is_here = (href) => href === here || (href === "#/rooms" && here.startsWith("#/rooms/"));
  byId("menu").replaceChildren(...links.map(([href, text]) => el("a", { href, text, "aria-current": is_here(href) ? "page" : undefined })));
  byId("menu").hidden = false;
}

async function show() {
  if (!me) return;
  const now = ++shownAt;
  const here = location.hash || "#/";
  const [kind, first, second] = here.slice(2).split("/").map(decodeURIComponent);
  stream?.close();
  if (byId("dialog").open) closeDialog();
  try {
    const [, made] = await Promise.all([menu(here),
      kind === "rooms" ? rooms(first, now) : kind === "settings" ? settings() : kind === "menu" ? menuItem(first, second) : dashboard()]);
    if (now === shownAt) byId("main").replaceChildren(...made);
  } catch (error) {
    if (error.status === 401) { me = undefined; return signIn("You were signed out. Sign in again."); }
    if (now === shownAt) byId("main").replaceChildren(el("p", { className: "failed", text: error.message }));
  }
}

async function start() {
  try {
    me = (await call("GET", "/api/v1/auth/me")).user;
  } catch (error) {
    return error.status === 401 ? signIn() : byId("main").replaceChildren(el("p", { className: "failed", text: error.message }));
  }
  byId("who").textContent = me.name;
  byId("sign-out").hidden = false;
  await show();
}

byId("sign-out").addEventListener("click", attempt(async () => {
  await call("POST", "/api/v1/auth/logout", {});
  me = undefined;
  stream?.close();
  signIn();
}));
byId("dialog-close").addEventListener("click", closeDialog);
byId("dialog").addEventListener("close", () => byId("dialog-body").replaceChildren());
addEventListener("hashchange", () => { show(); byId("main").focus(); });
start();
