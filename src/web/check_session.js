// OpenID Connect Session Management 1.0 §3.2: a client's page posts "client_id session_state" to this frame and is told whether
// that is still the session of this browser.
(() => {
  "use strict";
  const cookie = `${document.currentScript.dataset.cookie}=`;
  const browserState = () => {
    const pair = document.cookie.split("; ").find((pair) => pair.startsWith(cookie));
    return pair === undefined ? "" : pair.slice(cookie.length);
  };
  const hash = async (text) => {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
    const base64 = btoa(String.fromCharCode(...digest));
    return base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  };
  const compare = async (said, origin) => {
    const [, clientId, sessionState, salt] = /^(.+) ([^ ]+\.([^ .]+))$/.exec(said);
    const now = await hash(`${clientId} ${origin} ${browserState()} ${salt}`);
    return sessionState === `${now}.${salt}` ? "unchanged" : "changed";
  };
  addEventListener("message", async (event) => {
    if (event.source === null || event.source === window || event.origin === "null") {
      return;
    }
    // What is no such message, or no secure context to hash in, is an error to the client (§3.2).
    const answer = await compare(event.data, event.origin).catch(() => "error");
    event.source.postMessage(answer, event.origin);
  });
})();
