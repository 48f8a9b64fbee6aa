// By hand, as well as it can be done: one button per shadow root, listeners per document, one popover that travels.

import { label, lead, place, ready, recheck, when } from "./common.js";

await ready;

const sheet = new CSSStyleSheet();
sheet.replaceSync(`:host{display:inline-block;inline-size:24px;block-size:24px;color-scheme:light dark}
.dot{appearance:none;display:block;inline-size:24px;block-size:24px;border:6px solid transparent;border-radius:50%;padding:0;margin:0;background:#1a7f37 padding-box;cursor:pointer}
.dot.b{background-color:#cf222e;border-radius:8px}
.dot:focus-visible{outline:2px solid currentColor}
.pop{position:fixed;margin:0;inset:auto;max-inline-size:280px;padding:12px;border:1px solid #8c959f;border-radius:8px;font:14px/1.4 system-ui,sans-serif;background:Canvas;color:CanvasText}
.pop p{margin:4px 0}`);
const sheets = [sheet];
const init = { mode: "open" };
const roots = new WeakSet();
const button = document.createElement("button");
button.type = "button";
button.className = "dot";
button.setAttribute("part", "dot");
button.ariaExpanded = "false";

let current;
let popover;
let timer;

function close() {
  clearTimeout(timer);
  if (!current) return;
  popover.remove();
  current.dot.ariaExpanded = "false";
  current = undefined;
  document.removeEventListener("keydown", escape, true);
}
const escape = ({ key }) => key === "Escape" && close();

function open(element) {
  if (current === element) return;
  close();
  current = element;
  if (!popover) {
    popover = document.createElement("div");
    popover.className = "pop";
    popover.popover = "manual";
    popover.role = "dialog";
  }
  popover.ariaLabel = element.dot.ariaLabel;
  element.shadowRoot.append(popover);
  element.dot.ariaExpanded = "true";
  document.addEventListener("keydown", escape, true);
  show(lead(element.id), element.dot);
}

function show(known, dot) {
  popover.replaceChildren();
  const add = (tag, text) => {
    const made = document.createElement(tag);
    made.textContent = text;
    popover.append(made);
    return made;
  };
  add("strong", known.blocked ? "Blocked" : "No problem");
  if (known.blocked) {
    add("p", known.reason);
    add("p", when(known));
    const again = add("button", "Check again");
    const outcome = add("span", "");
    again.type = "button";
    outcome.role = "status";
    again.onclick = async () => {
      again.disabled = true;
      outcome.textContent = (await recheck(known)) ? "Sent" : "Fail";
    };
  }
  place(dot, popover);
}

function hear(event) {
  if (!(event.target instanceof LeadPeer)) return;
  clearTimeout(timer);
  if (event.type === "pointerover" || event.type === "focusin") open(event.target);
  else timer = setTimeout(close, 150);
}

class LeadPeer extends HTMLElement {
  connectedCallback() {
    const root = this.getRootNode();
    if (!roots.has(root)) {
      roots.add(root);
      for (const type of ["pointerover", "pointerout", "focusin", "focusout"]) root.addEventListener(type, hear);
    }
    if (this.dot) return;
    const shadow = this.attachShadow(init);
    shadow.adoptedStyleSheets = sheets;
    this.dot = button.cloneNode();
    const known = lead(this.id);
    if (known.blocked) this.dot.className = "dot b";
    this.dot.ariaLabel = label(known);
    shadow.append(this.dot);
  }

  disconnectedCallback() {
    if (current === this) close();
  }
}
customElements.define("lead-peer", LeadPeer);
