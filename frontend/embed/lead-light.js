// <lead-light lead="…">: the email status of a lead, as a bubble in any page.
//
// Here is only what the platform wants in JavaScript: the class of the element and its life, the sheet, and the first request,
// which leaves before the module has arrived. Everything that is decided or drawn after that is leadlight_widget (Rust).
//
//   import { configure } from "…/lead-light.js";
//   configure({ endpoint: "https://api.example", getToken: async () => (await fetch("/my/token")).text() });

const here = (file) => new URL(file, import.meta.url);

const sheet = new CSSStyleSheet();
sheet.replaceSync(`
:host {
  display: inline-block;
  inline-size: var(--lead-light-target-size, 24px);
  block-size: var(--lead-light-target-size, 24px);
  vertical-align: middle;
  --active: var(--lead-light-active, light-dark(#1a7f37, #3fb950));
  --unconfirmed: var(--lead-light-unconfirmed, light-dark(#0a5fb4, #6cb6ff));
  --unsubscribed: var(--lead-light-unsubscribed, light-dark(#656d76, #9aa4ae));
  --soft-bouncing: var(--lead-light-soft-bouncing, light-dark(#a65e00, #e3a008));
  --blocklisted: var(--lead-light-blocklisted, light-dark(#c8102e, #f85149));
  --neutral: var(--lead-light-neutral, light-dark(#767d86, #8b949e));
  --ring: var(--lead-light-ring, light-dark(#fff, #0d1117));
  --mark: var(--lead-light-mark, light-dark(#fff, #0d1117));
  --size: var(--lead-light-size, 14px);
}
:host([hidden]) { display: none }
:host > button {
  display: block; box-sizing: border-box; inline-size: 100%; block-size: 100%; margin: 0; padding: 0; border: 0;
  border-radius: 6px; cursor: pointer; background: none center / var(--size) var(--size) no-repeat;
  -webkit-tap-highlight-color: transparent;
}
button:focus-visible { outline: 2px solid var(--lead-light-focus, light-dark(#0a5fb4, #6cb6ff)); outline-offset: 0 }
button.loading, button.unknown {
  background-image: radial-gradient(circle closest-side, var(--neutral) 0 36%, var(--ring) 40% 50%, #0000 54%);
}
button.failed {
  background-image:
    radial-gradient(circle closest-side, var(--ring) 0 42%, var(--neutral) 46% 66%, #0000 70%);
}
button.active {
  background-image: radial-gradient(circle closest-side, var(--active) 0 82%, var(--ring) 86% 96%, #0000);
}
button.unconfirmed {
  background-image: radial-gradient(circle closest-side,
    var(--ring) 0 44%, var(--unconfirmed) 50% 82%, var(--ring) 86% 96%, #0000);
}
button.unsubscribed {
  background-image: linear-gradient(var(--mark) 0 0),
    radial-gradient(circle closest-side, var(--unsubscribed) 0 82%, var(--ring) 86% 96%, #0000);
  background-size: calc(var(--size) * .5) calc(var(--size) * .16), var(--size) var(--size);
}
button.soft-bouncing {
  background-image:
    linear-gradient(to bottom right, #0000 50%, var(--soft-bouncing) 52%),
    linear-gradient(to bottom left, #0000 50%, var(--soft-bouncing) 52%);
  background-size: calc(var(--size) * .5 + .5px) var(--size);
  background-position: calc(50% - var(--size) * .25) center, calc(50% + var(--size) * .25) center;
}
button.blocklisted {
  background-image:
    linear-gradient(var(--mark) 0 0), linear-gradient(var(--mark) 0 0),
    linear-gradient(var(--blocklisted) 0 0), linear-gradient(var(--ring) 0 0);
  background-size: calc(var(--size) * .16) calc(var(--size) * .4), calc(var(--size) * .16) calc(var(--size) * .16),
    var(--size) var(--size), calc(var(--size) + 2px) calc(var(--size) + 2px);
  background-position: center calc(50% - var(--size) * .12), center calc(50% + var(--size) * .27), center, center;
}
#popover {
  box-sizing: border-box; position: fixed; inset: auto; margin: 0; padding: 0; overflow: auto;
  inline-size: max-content; max-inline-size: min(var(--lead-light-width, 320px), 100vw - 16px);
  border: 1px solid var(--lead-light-border, light-dark(#d0d7de, #3d444d)); border-radius: var(--lead-light-radius, 8px);
  background: var(--lead-light-surface, light-dark(#fff, #161b22)); color: var(--text);
  box-shadow: var(--lead-light-shadow, 0 8px 24px light-dark(#1f23281f, #010409cc));
  font: var(--lead-light-font, 400 14px/1.45 system-ui, sans-serif); text-align: start; white-space: normal;
  letter-spacing: normal; text-transform: none; cursor: auto; overflow-wrap: anywhere;
  --text: var(--lead-light-text, light-dark(#1f2328, #e6edf3));
  --muted: var(--lead-light-muted, light-dark(#57606a, #9da7b3));
  --accent: var(--lead-light-accent, light-dark(#0a5fb4, #6cb6ff));
}
#popover:not(:popover-open) { display: none }
#popover:focus { outline: none }
#popover:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px }
.content { padding: 14px 16px }
.content > * { margin: 8px 0 0 }
.content > h2 { margin: 0; font-size: 1.07em; line-height: 1.3; font-weight: 650 }
p.since { margin-block-start: 2px; color: var(--muted); font-size: .93em; text-wrap: balance }
summary { color: var(--muted); font-size: .93em; cursor: pointer; inline-size: fit-content; min-block-size: 24px; border-radius: 4px }
summary:focus-visible { outline: 2px solid var(--accent) }
q { display: block; padding: 8px 10px; border-radius: 6px; quotes: none; white-space: pre-wrap;
  background: light-dark(#f6f8fa, #0d1117); font: .86em/1.4 ui-monospace, monospace }
#popover button {
  margin-block-start: 12px; min-block-size: 32px; padding: 4px 14px; border: 1px solid #0000; border-radius: 6px; cursor: pointer;
  background: var(--accent); color: var(--lead-light-accent-text, light-dark(#fff, #0d1117)); font: inherit; font-weight: 600;
}
#popover button:hover { filter: brightness(1.1) }
#popover button:focus-visible { outline: 2px solid var(--text); outline-offset: 2px }
#popover button[aria-disabled] { cursor: progress; background: var(--muted); filter: none }
p[role=status]:not(.Sent, .Fail) { margin: 0 }
[role=status].Sent { border-inline-start: 3px solid var(--active); padding-inline-start: 10px }
[role=status].Fail { border-inline-start: 3px solid var(--blocklisted); padding-inline-start: 10px }
@media (prefers-reduced-motion: no-preference) {
  #popover { transition: opacity .12s ease-out }
  @starting-style { #popover:popover-open { opacity: 0 } }
}
@media (forced-colors: active) {
  :host {
    --active: CanvasText; --unconfirmed: CanvasText; --unsubscribed: CanvasText; --soft-bouncing: CanvasText;
    --blocklisted: CanvasText; --neutral: GrayText; --ring: Canvas; --mark: Canvas;
  }
  :host > button { forced-color-adjust: none; background-color: Canvas }
  #popover button { border-color: ButtonText }
}
`);

const bubble = document.createElement("button");
bubble.type = "button";
bubble.className = "loading";
for (const [name, value] of Object.entries({
  part: "bubble", lang: "en", "aria-label": "Status is loading", "aria-haspopup": "dialog", "aria-expanded": "false",
})) bubble.setAttribute(name, value);

const settings = { endpoint: new URL(import.meta.url).origin };
let set;
const configured = new Promise((resolve) => { set = resolve; });

/**
 * Says where Leadlight's API is and how to be let in. May be called again, with what has changed.
 * @param {{ endpoint?: string, token?: string, getToken?: () => string | Promise<string>, locale?: string }} given
 */
export function configure(given) {
  if ("token" in given) delete settings.getToken;
  Object.assign(settings, given);
  set();
  if (widget) attempt(() => widget.configure(settings.locale));
}

const page = {
  token: async () => (settings.getToken ? settings.getToken() : settings.token),
  post: async (path, body, token) => {
    const headers = {};
    const bearer = await token;
    if (bearer) headers.authorization = `Bearer ${bearer}`;
    if (body) headers["content-type"] = "application/json";
    const endpoint = `${settings.endpoint.replace(/\/*$/, "")}/`;
    const signal = AbortSignal.timeout(15_000);
    return fetch(new URL(path, endpoint), { method: "POST", headers, body: body && JSON.stringify(body), signal });
  },
  slot: (node) => LeadLight.slot(node),
};

const waiting = new Set();
let widget;
let loading;

/** Loads the module and lets the elements that wait for it in. */
function load() {
  loading ??= (async () => {
    const wasm = fetch(here("leadlight_widget_bg.wasm"));
    // Whoever awaits it hears of its failure; until then it is no news.
    wasm.catch(() => {});
    const early = first();
    const module = await import(here("leadlight_widget.js"));
    await module.default({ module_or_path: wasm });
    await configured;
    module.configure(settings.locale);
    module.start(page, await early);
    widget = module;
    for (const element of waiting) LeadLight.connect(element);
    waiting.clear();
  })().catch((error) => {
    loading = undefined;
    for (const element of waiting) LeadLight.fail(element, error);
    // Perhaps it was the network. The next element, `refresh()` and `show()` try again too.
    addEventListener("online", load, { once: true });
  });
  return loading;
}

/** The request for what the page shows so far: it travels while the module does. */
async function first() {
  await new Promise(document.readyState === "loading" ? setTimeout : queueMicrotask);
  await configured;
  // As leadlight's LeadId: one id that is none would spoil the request.
  const ids = [...waiting].map((element) => element.lead).filter((lead) => lead && /^[\w.:~-]{1,128}$/.test(lead));
  const leads = [...new Set(ids)].slice(0, 100);
  if (!leads.length) return undefined;
  const token = page.token();
  const response = page.post("v1/statuses", { leads }, token);
  for (const promise of [token, response]) promise.catch(() => {});
  return { leads, token, response, sentAt: Date.now() };
}

/** Runs `call` so that nothing it throws reaches the page. */
function attempt(call, element) {
  try {
    return call();
  } catch (error) {
    if (element) LeadLight.fail(element, error);
    return undefined;
  }
}

export class LeadLight extends HTMLElement {
  static observedAttributes = ["lead", "label"];

  #root = this.attachShadow({ mode: "closed" });
  #bubble = bubble.cloneNode();
  #states = this.attachInternals().states;
  #slot;

  constructor() {
    super();
    this.#root.adoptedStyleSheets = [sheet];
    this.#root.append(this.#bubble);
  }

  get lead() { return this.getAttribute("lead"); }
  set lead(id) { this.#reflect("lead", id); }
  get label() { return this.getAttribute("label"); }
  set label(text) { this.#reflect("label", text); }

  /** Reads the status again. */
  refresh() { this.#tell((slot) => widget.refresh(slot)); }
  /** Opens the popover. */
  show() { this.#tell((slot) => widget.show(slot)); }
  /** Closes the popover. */
  hide() { this.#tell((slot) => widget.hide(slot)); }

  focus(options) { this.#bubble.focus(options); }

  connectedCallback() {
    for (const name of LeadLight.observedAttributes) {
      // Set before the class was there, the property hides its accessor.
      if (Object.hasOwn(this, name)) {
        const value = this[name];
        delete this[name];
        this[name] = value;
      }
    }
    if (widget) LeadLight.connect(this);
    else {
      waiting.add(this);
      load();
    }
  }

  disconnectedCallback() {
    waiting.delete(this);
    const slot = this.#slot;
    this.#slot = undefined;
    if (slot !== undefined) attempt(() => widget.disconnect(slot));
  }

  attributeChangedCallback() {
    if (this.#slot !== undefined) attempt(() => widget.change(this.#slot, this.lead, this.label), this);
  }

  #reflect(name, value) {
    if (value == null) this.removeAttribute(name);
    else this.setAttribute(name, value);
  }

  async #tell(call) {
    if (!widget && this.isConnected) await load();
    if (widget && this.#slot !== undefined) attempt(() => call(this.#slot), this);
  }

  static connect(element) {
    if (element.#bubble.title) {
      // It has failed before.
      element.#bubble.title = "";
      element.#bubble.className = "loading";
    }
    attempt(() => {
      element.#slot = widget.connect(element, element.#root, element.#bubble, element.#states, element.lead, element.label);
    }, element);
  }

  /** The module's number for an element; nothing for any other node. */
  static slot(node) {
    return typeof node === "object" && node !== null && #slot in node ? node.#slot : undefined;
  }

  /** Says in plain words that there is no widget, where the module cannot run: refused by a policy, not loaded, or broken. */
  static fail(element, error) {
    const message = "Email status is not available in this page.";
    element.#bubble.className = "failed";
    element.#bubble.setAttribute("aria-label", element.label ? `${element.label}: ${message}` : message);
    element.#bubble.title = message;
    const detail = { lead: element.lead, code: "unsupported", message: String(error) };
    element.dispatchEvent(new CustomEvent("lead-light-error", { bubbles: true, composed: true, detail }));
  }
}

if (!customElements.get("lead-light")) customElements.define("lead-light", LeadLight);
