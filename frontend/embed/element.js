// The class of <lead-light>, and its life.

import css from "lead-light/bubble.css";

import { Row, configure, connect, disconnect, findRowsBy, gesture, load, popoverSheet, refresh, setStatuses, whenRunning, whenWorthIt } from "./page.js";

const sheet = new CSSStyleSheet();
sheet.replaceSync(css);
const sheets = [sheet, popoverSheet];
const closed = { mode: "closed" };
const early = ["lead", "label", "density", "status"];

export class LeadLight extends HTMLElement {
  static version = VERSION;
  static observedAttributes = ["lead", "label", "lang"];
  static configure = configure;

  /** Defines the element, unless the name is taken already. */
  static define(tag = "lead-light", registry = customElements) {
    const taken = registry.get(tag);
    const define = () => {
      if (!registry.get(tag)) registry.define(tag, tag === "lead-light" && registry === customElements ? this : class extends this {});
    };
    if (!taken) whenWorthIt(tag, define);
    else if (taken.version !== this.version) console.warn(`<${tag}> is defined already, in version ${taken.version}.`);
  }

  #row;
  #status = null;

  constructor() {
    super();
    const root = this.attachShadow(closed);
    root.adoptedStyleSheets = sheets;
    this.#row = new Row(this, root, this.attachInternals().states);
  }

  get lead() { return this.getAttribute("lead"); }
  set lead(id) { this.#reflect("lead", id); }
  get label() { return this.getAttribute("label"); }
  set label(text) { this.#reflect("label", text); }
  get density() { return this.getAttribute("density"); }
  set density(name) { this.#reflect("density", name); }
  /** The status, for hosts that have it already. */
  get status() { return this.#status; }
  set status(status) {
    this.#status = status ?? null;
    if (status) setStatuses([{ ...status, lead: status.lead ?? this.lead }]);
  }

  /** Reads the status again. */
  refresh() { whenRunning(this.#row, refresh); }
  /** Opens the popover. */
  show() { whenRunning(this.#row, (slot) => gesture("show", slot)); }
  /** Closes the popover. */
  hide() { whenRunning(this.#row, (slot) => gesture("hide", slot)); }

  focus(options) { this.#row.button?.focus(options); }

  connectedCallback() {
    for (const name of Object.keys(this)) {
      // Set before the class was there, the property hides its accessor.
      if (early.includes(name)) {
        const value = this[name];
        delete this[name];
        this[name] = value;
      }
    }
    connect(this.#row);
  }

  disconnectedCallback() { disconnect(this.#row); }

  attributeChangedCallback(name, before, after) {
    if (before === after || this.#row.slot === undefined) return;
    // A row that is given to another lead leaves its popover behind.
    if (name === "lead") gesture("hide", this.#row.slot);
    connect(this.#row);
  }

  #reflect(name, value) {
    if (value == null) this.removeAttribute(name);
    else this.setAttribute(name, value);
  }

  static {
    findRowsBy((node) => (typeof node === "object" && node !== null && #row in node ? node.#row : undefined));
  }
}
