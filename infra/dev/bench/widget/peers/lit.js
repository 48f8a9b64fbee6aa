// With Lit, as its documentation teaches.

import { LitElement, html, nothing } from "lit";

import { label, lead, place, ready, recheck, sheet, when } from "./common.js";

await ready;

class LeadPeer extends LitElement {
  static properties = { open: { state: true }, sent: { state: true } };
  static styles = sheet;

  #enter = () => {
    clearTimeout(this.timer);
    this.open = true;
  };
  #leave = () => {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { this.open = false; }, 150);
  };
  #key = ({ key }) => { if (key === "Escape") this.open = false; };
  #again = async () => {
    this.sent = "";
    this.sent = (await recheck()) ? "Sent" : "Fail";
  };

  render() {
    const known = lead(this.id);
    return html`<span class="w" @pointerenter=${this.#enter} @pointerleave=${this.#leave} @focusin=${this.#enter} @focusout=${this.#leave} @keydown=${this.#key}><button type="button" class=${known.blocked ? "dot b" : "dot"} part="dot" aria-label=${label(known)} aria-expanded=${this.open ? "true" : "false"}></button>${this.open
      ? html`<div class="pop" popover="manual" role="dialog" aria-label=${label(known)}><strong>${known.blocked ? "Blocked" : "No problem"}</strong>${known.blocked
          ? html`<p>${known.reason}</p><p>${when(known)}</p><button type="button" ?disabled=${this.sent != null} @click=${this.#again}>Check again</button><span role="status">${this.sent ?? ""}</span>`
          : nothing}</div>`
      : nothing}</span>`;
  }

  updated(changed) {
    if (changed.has("open") && this.open) place(this.renderRoot.querySelector(".dot"), this.renderRoot.querySelector(".pop"));
  }
}
customElements.define("lead-peer", LeadPeer);
