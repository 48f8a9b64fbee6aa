// What the peers share, so that only the way of drawing differs: the look, the words, the data and the popover's place.

export const css = `:host{display:inline-block;inline-size:24px;block-size:24px;color-scheme:light dark}
.w{display:inline-block}
.dot{inline-size:24px;block-size:24px;border:0;padding:0;background:none;display:grid;place-items:center;cursor:pointer}
.dot::before{content:"";inline-size:12px;block-size:12px;border-radius:50%;background:#1a7f37}
.dot.b::before{background:#cf222e;border-radius:2px}
.dot:focus-visible{outline:2px solid currentColor}
.pop{position:fixed;margin:0;inset:auto;max-inline-size:280px;padding:12px;border:1px solid #8c959f;border-radius:8px;font:14px/1.4 system-ui,sans-serif;background:Canvas;color:CanvasText}
.pop p{margin:4px 0}`;
export const sheet = new CSSStyleSheet();
sheet.replaceSync(css);

const known = new Map();
const learn = (statuses) => {
  for (const { lead, status, since } of statuses) {
    known.set(lead, { id: lead, blocked: status === "blocklisted", since, reason: "Hard bounce: mailbox does not exist" });
  }
};

/** The statuses: given by the page, or asked for as the widget asks for them. */
export const ready = globalThis.statuses
  ? learn(globalThis.statuses)
  : fetch("/v1/statuses", {
      method: "POST",
      headers: { authorization: "Bearer token", "content-type": "application/json" },
      body: JSON.stringify({ leads: [...document.querySelectorAll("lead-peer")].map(({ id }) => id) }),
    }).then(async (response) => learn((await response.json()).statuses));

export const lead = (id) => known.get(id);
export const label = ({ blocked }) => `Lead status: ${blocked ? "Blocked" : "No problem"}`;
let format;
export const when = ({ since }) => `Since ${(format ??= new Intl.DateTimeFormat("en", { dateStyle: "medium" })).format(new Date(since))}`;
export const recheck = async () => true;

export function place(dot, popover) {
  popover.showPopover();
  const bounds = dot.getBoundingClientRect();
  const { offsetWidth, offsetHeight } = popover;
  const left = Math.min(Math.max(8, bounds.left), innerWidth - offsetWidth - 8);
  let top = bounds.bottom + 6;
  if (top + offsetHeight > innerHeight - 8) top = Math.max(8, bounds.top - offsetHeight - 6);
  popover.style.left = `${left}px`;
  popover.style.top = `${top}px`;
}
