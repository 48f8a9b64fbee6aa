// What the popover has of the page: the element that travels, its place, and the times in words. The second module (Rust) decides
// when it opens, where, and what it says; this carries it out.

import css from "lead-light/popover.css";
import * as module from "lead-light/popover";

const surface = document.createElement("div");
surface.id = "popover";
for (const [name, value] of Object.entries({
  popover: "manual", role: "dialog", part: "popover", tabindex: "-1", "aria-labelledby": "title",
})) surface.setAttribute(name, value);

let page;
/** The row that it is open at, kept because its element may be gone when it closes. */
let row;
/** Whether it has its place at that row. */
let placed;
let timer;
/** Whether it is we who move the focus, which previews nothing. */
let refocusing = false;
/** The last press that was heard above the rows. */
let pressed;
/** How long a press counts as going on when it is let go: a finger's click comes after it was lifted. */
const LIFTED_MS = 50;
let lifting;

/** Starts the module with what `page.js` has. */
export async function begin(given) {
  page = given;
  page.sheet.replaceSync(css);
  const { instance } = await WebAssembly.instantiateStreaming(fetch(new URL(WASM, import.meta.url)), { a: module.imports() });
  module.begin(guarded(instance.exports));
  module.start(surface);
}

/** The module's exports, called so that nothing they throw reaches the page: Yew is called by the browser too. */
function guarded(exports) {
  let lost = false;
  const guard = (call) => (...given) => {
    // What was on its way to it, from a timer or a promise, comes to nothing, which is a number to the glue.
    if (lost) return 0;
    try {
      return call(...given);
    } catch (error) {
      lost = true;
      const broken = row;
      leave();
      if (broken) page.dispatch(broken, "lead-light-close");
      page.lost(error, broken);
      return 0;
    }
  };
  const entries = Object.entries(exports);
  return Object.fromEntries(entries.map(([name, value]) => [name, typeof value === "function" ? guard(value) : value]));
}

/** Something was done at a row. */
export function gesture(kind, slot = 0) {
  if (!refocusing) page.attempt(() => module.gesture(kind, slot, Date.now()));
}

export const refreshed = (slot) => page.attempt(() => module.refreshed(slot, Date.now()));

/** An event above the rows. A press in the open row may be one in the popover; so that row is listened to by itself. */
export function hear(kind, slot, event) {
  if (kind === "press") {
    if (row?.slot === slot) return;
    pressed = event;
  }
  gesture(kind, slot);
}

const onWindow = {
  keydown(event) {
    if (event.key !== "Escape" || event.isComposing) return;
    // Escape closes this and nothing around it.
    event.preventDefault();
    event.stopPropagation();
    gesture("escape");
  },
  pointerdown: (event) => isWithin(event.composedPath()) || gesture("outside"),
  pointerup: lift,
  pointercancel: lift,
  scroll: moved,
  resize: moved,
};
const onRow = {
  // The press that has just opened it arrives here next.
  click: (event) => event !== pressed && row.button === event.target && gesture("press", row.slot),
};
surface.addEventListener("pointerdown", ({ button }) => {
  if (button !== 0) return;
  clearTimeout(lifting);
  hold(true);
});
surface.addEventListener("focusin", () => row && gesture("engage", row.slot));
// What is drawn moves it too, but two rows may say the same.
surface.addEventListener("toggle", () => placed || moved());

function hold(held) {
  page.attempt(() => module.hold(held, Date.now()));
}

function lift() {
  clearTimeout(lifting);
  lifting = setTimeout(hold, LIFTED_MS, false);
}

function moved() {
  page.attempt(() => module.place(Date.now()));
}

function listen(target, handlers, on) {
  for (const [type, handler] of Object.entries(handlers)) {
    target[on ? "addEventListener" : "removeEventListener"](type, handler, true);
  }
}

/** A host may have put its rows into closed shadow roots, through which no event can be followed: one at such a root is within. */
function isWithin(path) {
  for (let node = row?.host; node; node = node.getRootNode().host) {
    if (path.includes(node)) return true;
  }
  return false;
}

// What the module asks for

export function open(slot) {
  row = page.rows[slot];
  placed = false;
  surface.lang = row.language.tag;
  surface.dir = row.language.dir;
  row.root.append(surface);
  surface.showPopover();
  row.button.ariaExpanded = "true";
  row.button.setAttribute("aria-controls", surface.id);
  page.mark(row, "open", true);
  listen(row.root, onRow, true);
  listen(window, onWindow, true);
  page.dispatch(row, "lead-light-open");
}

export function close(refocus) {
  const closed = row;
  if (!closed) return;
  if (refocus && surface.contains(closed.root.activeElement)) {
    refocusing = true;
    closed.button.focus({ preventScroll: true });
    refocusing = false;
  }
  leave();
  page.dispatch(closed, "lead-light-close");
}

/** Takes the popover from its row. */
function leave() {
  surface.remove();
  if (!row) return;
  listen(window, onWindow, false);
  listen(row.root, onRow, false);
  row.button.ariaExpanded = "false";
  row.button.removeAttribute("aria-controls");
  page.mark(row, "open", false);
  row = undefined;
}

export const enter = () => (surface.querySelector("button, a") ?? surface).focus();

export const retain = (part) => {
  // Left alone, the focus would fall out of the popover with the control and close it.
  if (row?.root.activeElement?.matches(`[part=${part}]`)) surface.focus();
};

export function measure() {
  surface.style.maxHeight = "none";
  const { x, y, width, height } = row.button.getBoundingClientRect();
  const { clientWidth, clientHeight } = document.documentElement;
  const rtl = getComputedStyle(row.host).direction === "rtl";
  return [x, y, width, height, surface.offsetWidth, surface.offsetHeight, clientWidth, clientHeight, Number(rtl)];
}

export function put(left, top, bottom, room) {
  placed = true;
  const pixels = (length) => (length < 0 ? "auto" : `${length}px`);
  Object.assign(surface.style, { left: pixels(left), top: pixels(top), bottom: pixels(bottom), maxHeight: pixels(room) });
}

export function wait(ms) {
  clearTimeout(timer);
  timer = setTimeout(gesture, ms, "elapsed");
}

const told = (slot) => page.leads[page.rows[slot]?.lead]?.status;

export const face = (slot) => page.rows[slot]?.face ?? 0;
export const lead = (slot) => page.rows[slot]?.lead;
export const field = (slot, name) => {
  const value = told(slot)?.[name];
  return typeof value === "string" ? value : undefined;
};
export const meaning = (slot) => page.meaning(slot);
// Of a kind that this version does not know, no reason is known either.
export const reason = (slot) => (page.reason(face(slot)) ? field(slot, "reason") : undefined);
export const time = (slot, name) => Date.parse(told(slot)?.[name]);
export const flag = (slot, name) => told(slot)?.[name] === true;
export const see = (slot) => page.see(slot);
export const refresh = (slot) => page.refresh(slot);
export const may_check = (slot) => page.dispatch(page.rows[slot], "lead-light-check", {}, true);

export async function recheck(slot, lead) {
  const [status, body, retryAt] = await page.post(`v1/leads/${page.leads[lead].id}/rechecks`);
  page.attempt(() => {
    const sent = module.answer(slot, lead, status, String(body?.outcome), retryAt);
    page.checked(lead, body?.outcome && body.status, sent ? "sent" : "fail");
    refreshed(slot);
  });
}

export const accepts = () => Boolean(page.settings.acceptSuggestion);

export async function accept(slot, lead, address) {
  let saved = true;
  try {
    await page.settings.acceptSuggestion(page.leads[lead].id, address);
  } catch {
    saved = false;
  }
  page.attempt(() => module.accepted(slot, lead, saved, Date.now()));
}

export const support = () => {
  const { url, email } = page.settings.support ?? {};
  return url ?? (email && `mailto:${email}`);
};

export const log = (slot) => (told(slot)?.standing ? page.settings.leadLog?.(told(slot).lead) : undefined);

const text = (key) => (key === "support" && page.settings.support?.label) || page.word(language(), key);

export const words = (key, behind) => text(key).split(/\{\w+\}/)[Number(behind)] ?? "";

export function heading(face) {
  const [status, reason] = [page.name(face), page.reason(face)].map((key) => key && text(key));
  return reason ? page.fill(text("title.reason"), { status, reason }) : status;
}

const language = () => row?.language ?? page.rows.find(Boolean).language;
const formats = new Map();

/** The formats of a language, made once. */
function format() {
  const { locale } = language();
  let found = formats.get(locale);
  if (!found) {
    formats.set(locale, found = {
      exact: new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }),
      relative: new Intl.RelativeTimeFormat(locale, { numeric: "auto" }),
    });
  }
  return found;
}

export const exact = (time) => format().exact.format(time);
export const relative = (value, unit) => format().relative.format(value, unit);
export const iso = (time) => new Date(time).toISOString();
