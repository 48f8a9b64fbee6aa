// What every page of Harbour CRM is made with. This is the host, so it knows of the widget only what its documentation says:
// the element, `configure`, and the events.

import { configure } from "./widget/auto.js";

configure({
  endpoint: location.origin,
  getToken: async () => (await call("POST", "crm/token")).token,
  acceptSuggestion: async (lead, address) => {
    await call("PUT", `crm/leads/${encodeURIComponent(lead)}`, { address });
    dispatchEvent(new CustomEvent("crm-lead-saved", { detail: { lead, address } }));
  },
});

/** A problem document, or what stands for one where the server gave none. */
export class Problem extends Error {
  constructor(document) {
    super(sentence(document.detail ?? document.title));
    this.document = document;
  }

  /** The last part of its type: what kind of problem it is. */
  get kind() {
    return this.document.type?.split("/").at(-1);
  }
}

export async function call(method, path, body, headers = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: body ? { "content-type": "application/json", ...headers } : headers,
      body: body && JSON.stringify(body),
    });
  } catch {
    throw new Problem({ title: "the server was not reached" });
  }
  const answer = await response.json().catch(() => undefined);
  if (!response.ok) throw new Problem(answer?.title ? answer : { title: `the server answered ${response.status}` });
  return answer;
}

const NOT_ANSWERED = {
  "request-in-progress": "The message is on its way. Press Send again to hear what came of it.",
  "idempotency-key-reused": "An earlier try may have been sent, as it was then. Look into the log of the leads first.",
  "send-outcome-unknown": "Nobody knows whether the message was sent. Look into the log of the leads first.",
};

/**
 * Sends a message through the gate. It keeps its key until it is gone, so no second click, no retry and no reload sends it
 * twice; `name` tells the messages apart that are being written in this tab.
 */
export async function send(name, message) {
  const slot = `key of ${name}`;
  const key = (sessionStorage[slot] ??= crypto.randomUUID());
  try {
    const sent = await call("POST", "crm/messages", message, { "idempotency-key": key });
    sessionStorage.removeItem(slot);
    return sent;
  } catch (error) {
    const words = NOT_ANSWERED[error.kind];
    if (!words) throw error;
    const unsure = new Error(words, { cause: error });
    // Only a person can decide that the same words are to be another message.
    if (error.kind !== "request-in-progress") unsure.renew = () => sessionStorage.removeItem(slot);
    throw unsure;
  }
}

export const sentence = (words) => {
  const text = String(words);
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
};

export const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

export const bubble = (lead, label) => Object.assign(document.createElement("lead-light"), { lead, label });

export const leadPage = (id) => `lead.html?id=${encodeURIComponent(id)}`;

export const say = (target, words, tone) => {
  target.textContent = words;
  target.className = `result ${tone}`;
};

/** Runs what a form does, once at a time, and says what went wrong. `run` is given the button. */
export const onSubmit = (form, result, working, run) => form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const buttons = [...form.querySelectorAll("button:not([type=button])")];
  if (buttons.some((button) => button.ariaDisabled === "true")) return;
  for (const button of buttons) button.ariaDisabled = "true";
  say(result, working, "");
  try {
    await run(event.submitter);
  } catch (error) {
    say(result, error.message, "bad");
    if (error.renew) {
      const again = make("button", { type: "button", className: "second" }, "Send it as a new message");
      again.addEventListener("click", () => {
        error.renew();
        form.requestSubmit(event.submitter);
      });
      result.append(" ", again);
    }
  }
  for (const button of buttons) button.ariaDisabled = "false";
});

export const exact = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });
export const when = (at) => make("time", { dateTime: at }, exact.format(new Date(at)));
