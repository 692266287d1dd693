// For pages of plugins: `plexichat.call("GET", "/summary")` asks the plugin's own routes in the name of whoever is signed in, by the
// page around this one, since a sandboxed page has no session of its own. Include it: <script src="/ui/-/bridge.js"></script>
"use strict";
(() => {
  const waiting = new Map();
  const listeners = [];
  let count = 0;

  function ask(what) {
    if (parent === window) {
      const error = new Error("this page is shown by itself: open it from /ui");
      return Promise.reject(Object.assign(error, { status: 0, code: "alone" }));
    }
    return new Promise((resolve, reject) => {
      const id = ++count;
      waiting.set(id, { resolve, reject });
      parent.postMessage({ plexichat: 1, id, ...what }, "*");
    });
  }

  addEventListener("message", (event) => {
    const said = event.data;
    if (event.source !== parent || said?.plexichat !== 1) return;
    if (said.event === "context") {
      for (const listener of listeners) listener(said.value);
      return;
    }
    const waits = waiting.get(said.id);
    waiting.delete(said.id);
    if (!waits) return;
    if (said.ok) waits.resolve(said.value);
    else waits.reject(Object.assign(new Error(said.error.message), said.error));
  });

  window.plexichat = Object.freeze({
    // Whose page this is and where: {plugin, component, room_id, language, theme: "light" | "dark"}.
    context: () => ask({ do: "context" }),
    // Called with the new context whenever it changes.
    onContext: (listener) => void listeners.push(listener),
    // What the route answers, as JSON. Fails with {status, code, message}.
    call: (method, path, body) => ask({ do: "call", method, path, body }),
    // Shows a short word on the page around.
    notice: (text) => ask({ do: "notice", text }),
    // Makes the frame as high as this, in pixels; without a number as high as the page.
    resize: (height) => ask({ do: "resize", height: height ?? document.documentElement.scrollHeight }),
  });
})();
