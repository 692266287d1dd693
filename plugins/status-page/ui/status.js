// What the status page does: it asks this plugin's own routes every few seconds and shows what they say.
"use strict";

const EVERY = 5000;

// The words of the page itself; those of states and parts come from the plugin, in the caller's language.
const WORDS = {
  de: {
    "messages-per-second": "Nachrichten je Sekunde",
    "messages-stored": "Nachrichten seit dem Start",
    "delivery-delay": "Älteste Nachricht wartet",
    "listeners": "Zuhörende Clients",
    "version": "Version",
    "seen": "Zuletzt angesehen: ",
    "private": "Diese Seite ist nicht öffentlich.",
    "stopped": "Die Statusseite ist abgeschaltet. Ich versuche es weiter.",
    "unreachable": "Der Server antwortet nicht. Ich versuche es weiter.",
  },
  en: {
    "seen": "Last look: ",
    "private": "This page is not public.",
    "stopped": "The status page is switched off. Trying on.",
    "unreachable": "The server does not answer. Trying on.",
  },
};

const element = (id) => document.getElementById(id);
let language = "en";
// Administrators are shown figures. Whoever is not let in once is not asked for again.
let mayAskFigures = true;

// The host says in which language and colours the page stands, now and whenever that changes.
function dress(context) {
  language = (context.language ?? "en").split("-")[0];
  document.documentElement.lang = language in WORDS ? language : "en";
  document.documentElement.className = context.theme ?? "";
  for (const place of document.querySelectorAll("[data-text]")) {
    place.textContent = WORDS[language]?.[place.dataset.text] ?? place.textContent;
  }
}

const word = (key) => WORDS[language]?.[key] ?? WORDS.en[key];

// `textContent` throughout: what a title says is shown and does nothing.
function show(report) {
  element("title").textContent = report.title;
  element("summary").textContent = report.label;
  element("summary").className = report.status;
  element("components").replaceChildren(...report.components.map((component) => {
    const line = document.createElement("li");
    line.className = component.status;
    for (const text of [component.title, component.label]) {
      line.append(Object.assign(document.createElement("span"), { textContent: text }));
    }
    return line;
  }));
  element("seen").textContent = word("seen") + new Date().toLocaleTimeString(language);
}

function showFigures(figures) {
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
  element("messages-per-second").textContent = number.format(figures.messages_per_second);
  element("messages-stored").textContent = number.format(figures.messages_stored);
  element("delivery-delay").textContent = `${number.format(figures.delivery_delay_secs)} s`;
  element("listeners").textContent = number.format(figures.listeners);
  element("version").textContent = figures.version;
  element("figures").hidden = false;
}

// What keeps the page from showing anything: 404 is also what the host answers for a plugin that does not run.
function cause(error) {
  if (error.code === "plugin_not_running") return "stopped";
  return error.status === 404 ? "private" : "unreachable";
}

function fail(error) {
  element("components").replaceChildren();
  element("figures").hidden = true;
  element("summary").className = "down";
  element("summary").textContent = word(cause(error));
}

async function look() {
  try {
    if (mayAskFigures) {
      try {
        const figures = await plexichat.call("GET", "/metrics");
        show(figures.report);
        showFigures(figures);
        return;
      } catch (error) {
        if (error.status !== 401 && error.status !== 403) throw error;
        mayAskFigures = false;
      }
    }
    show(await plexichat.call("GET", "/status"));
  } catch (error) {
    fail(error);
  } finally {
    // The frame becomes as high as the page.
    plexichat.resize();
  }
}

async function begin() {
  plexichat.onContext(dress);
  dress(await plexichat.context());
  for (;;) {
    // A page that nobody sees asks nothing.
    if (!document.hidden) await look();
    await new Promise((resolve) => setTimeout(resolve, EVERY));
  }
}

begin();
