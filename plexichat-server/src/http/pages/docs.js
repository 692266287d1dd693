// Shows /openapi.json and lets one try its operations. Everything it shows goes in as text, never as markup.
"use strict";

const byId = (id) => document.getElementById(id);

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function json(value) {
  return JSON.stringify(value, null, 2);
}

function field(form, label, value, about) {
  const id = "field-" + document.querySelectorAll("input, textarea").length + "-" + Math.random().toString(36).slice(2);
  const caption = element("label", label);
  caption.htmlFor = id;
  form.append(caption);
  const input = element(value !== undefined && value.includes("\n") ? "textarea" : "input");
  input.id = id;
  input.value = value ?? "";
  form.append(input);
  if (about) form.append(element("div", about, "soft"));
  return input;
}

function schemaName(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  return Array.isArray(schema.type) ? schema.type.join(" or ") : schema.type ?? "";
}

function tryIt(path, method, operation) {
  const form = element("form");
  const inputs = (operation.parameters ?? []).map((parameter) => {
    const label = parameter.name + (parameter.required ? "" : " (may be left out)");
    const start = parameter.required && parameter.in !== "path" ? String(parameter.example ?? "") : "";
    const input = field(form, label, start, parameter.description);
    if (parameter.required) input.required = true;
    if (parameter.example !== undefined) input.placeholder = String(parameter.example);
    return { parameter, input };
  });
  const content = operation.requestBody?.content?.["application/json"];
  const body = content && field(form, "Body", json(content.example ?? {}) + "\n", operation.requestBody.description);
  form.append(element("button", "Send"));
  const answer = element("pre");
  answer.hidden = true;
  form.append(answer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let address = path;
    const query = new URLSearchParams();
    const headers = {};
    for (const { parameter, input } of inputs) {
      if (!input.value) continue;
      if (parameter.in === "path") address = address.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      if (parameter.in === "query") query.set(parameter.name, input.value);
      if (parameter.in === "header") headers[parameter.name] = input.value;
    }
    const token = byId("token").value.trim();
    if (token) headers.authorization = "Bearer " + token;
    if (body) headers["content-type"] = "application/json";
    const text = query.toString();
    answer.hidden = false;
    answer.textContent = "…";
    const stop = new AbortController();
    try {
      const response = await fetch(address + (text ? "?" + text : ""), {
        method: method.toUpperCase(), headers, body: body ? body.value : undefined, signal: stop.signal,
      });
      answer.textContent = `${response.status} ${response.statusText}\n`;
      const kind = response.headers.get("content-type") ?? "";
      if (kind.startsWith("text/event-stream")) {
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        for (let part = await reader.read(); !part.done && answer.textContent.length < 20000; part = await reader.read()) {
          answer.textContent += part.value;
        }
        stop.abort();
      } else {
        const found = await response.text();
        answer.textContent += kind.startsWith("application/json") && found ? json(JSON.parse(found)) : found.slice(0, 20000);
      }
    } catch (error) {
      answer.textContent += "failed: " + error.message;
    }
  });
  return form;
}

function show(path, method, operation) {
  const details = element("details");
  const summary = element("summary");
  summary.append(element("span", method.toUpperCase(), "method"), element("span", path, "path"));
  summary.append(element("span", " — " + (operation.summary ?? ""), "soft"));
  details.append(summary);
  details.dataset.words = `${method} ${path} ${operation.summary ?? ""} ${operation.operationId ?? ""}`.toLowerCase();
  details.addEventListener("toggle", () => {
    if (!details.open || details.dataset.filled) return;
    details.dataset.filled = "yes";
    if (operation.description) details.append(element("p", operation.description));
    const scopes = (operation.security ?? []).flatMap((way) => Object.values(way).flat());
    details.append(element("p", operation.security ? `Needs a token${scopes.length ? ` (scope ${scopes[0]})` : ""}.` : "Needs nothing.", "soft"));
    const table = element("table");
    for (const [status, response] of Object.entries(operation.responses ?? {})) {
      const row = element("tr");
      const media = Object.values(response.content ?? {})[0];
      row.append(element("td", status), element("td", response.description), element("td", schemaName(media?.schema)));
      const example = element("td");
      if (media?.example !== undefined && Number(status) < 400) example.append(element("pre", json(media.example)));
      row.append(example);
      table.append(row);
    }
    details.append(element("h4", "Answers"), table, element("h4", "Try it"), tryIt(path, method, operation));
  });
  return details;
}

function schemas(document_) {
  const section = element("section");
  section.append(element("h2", "Schemas"));
  for (const [name, schema] of Object.entries(document_.components?.schemas ?? {})) {
    const details = element("details");
    details.append(element("summary", name + (schema.description ? " — " + schema.description : "")), element("pre", json(schema)));
    details.dataset.words = name.toLowerCase();
    section.append(details);
  }
  return section;
}

async function start() {
  const main = byId("operations");
  const response = await fetch("/openapi.json");
  if (!response.ok) throw new Error(`/openapi.json: ${response.status}`);
  const description = await response.json();
  document.title = `${description.info.title} ${description.info.version}: the API`;
  byId("title").textContent = document.title;
  main.replaceChildren();
  for (const tag of description.tags ?? []) {
    const section = element("section");
    section.append(element("h2", tag.name), element("p", tag.description, "soft"));
    for (const [path, operations] of Object.entries(description.paths)) {
      for (const [method, operation] of Object.entries(operations)) {
        if (operation.tags?.[0] === tag.name) section.append(show(path, method, operation));
      }
    }
    if (section.querySelector("details")) main.append(section);
  }
  main.append(schemas(description));
  byId("filter").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const details of main.querySelectorAll("details")) {
      details.hidden = !words.every((word) => details.dataset.words.includes(word));
    }
  });
  byId("token-form").addEventListener("submit", (event) => event.preventDefault());
}

start().catch((error) => {
  byId("state").textContent = "This page cannot be shown: " + error.message;
});
