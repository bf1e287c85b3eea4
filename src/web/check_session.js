// OpenID Connect Session Management 1.0 §3.2: a client's page posts "client_id session_state" to this frame and is told whether
// that is still the session of this browser. Written so that old and scripted browsers read it too; where there is nothing to hash
// with, as outside a secure context, the server compares.
(() => {
  "use strict";
  const cookie = `${document.currentScript.dataset.cookie}=`;
  const browserState = () => {
    const pair = document.cookie.split("; ").find((pair) => pair.startsWith(cookie));
    return pair === undefined ? "" : pair.slice(cookie.length);
  };
  const hash = (text) =>
    crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)).then((digest) => {
      const base64 = btoa(String.fromCharCode.apply(null, new Uint8Array(digest)));
      return base64.replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
    });
  const ask = (said, origin) =>
    new Promise((resolve) => {
      const request = new XMLHttpRequest();
      request.open("POST", location.pathname);
      request.setRequestHeader("Content-Type", "application/x-www-form-urlencoded");
      request.onload = () => resolve(request.status === 200 ? request.responseText : "error");
      request.onerror = () => resolve("error");
      request.send(`said=${encodeURIComponent(said)}&origin=${encodeURIComponent(origin)}`);
    });
  const compare = (said, origin) => {
    const parts = /^(.+) ([^ ]+\.([^ .]+))$/.exec(said);
    if (parts === null) {
      return Promise.resolve("error");
    }
    const text = `${parts[1]} ${origin} ${browserState()} ${parts[3]}`;
    return Promise.resolve(text)
      .then(hash)
      .then((now) => (parts[2] === `${now}.${parts[3]}` ? "unchanged" : "changed"))
      .catch(() => ask(said, origin));
  };
  addEventListener("message", (event) => {
    if (event.source === null || event.source === window || event.origin === "null") {
      return;
    }
    compare(event.data, event.origin).then((answer) => event.source.postMessage(answer, event.origin));
  });
})();
