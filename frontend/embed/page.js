// What the widget has of the page: its settings, its elements, words and requests. The first module (Rust) decides what is asked
// and what each bubble shows; this carries it out.

import * as bubbles from "lead-light/bubbles";

/** What `configure` was given. */
export const settings = { endpoint: new URL(import.meta.url).origin };
/** What an element is made of, and what it shows. */
export class Row {
  slot; lead; face; tone; button; spoken; isBroken;

  constructor(host, root, states) {
    this.host = host;
    this.root = root;
    this.states = states;
  }

  /** Sought when its words are needed, and not for everything that is drawn at first. */
  get language() { return (this.spoken ??= language(this.host)); }
}

/** The rows of the connected elements, by their numbers. */
export const rows = [];
let firstFree = 0;
/** Id, status and the status before of every lead that is spoken of, by its number. */
export const leads = [];

const PATIENCE_MS = 15_000;
const UNCONFIGURED_MS = 5_000;
/** How long bubbles wait to be drawn with their status instead of without: less than anybody sees. */
const SOON_MS = 50;

let set;
const isSet = new Promise((resolve) => { set = resolve; });
/** Whether the first module runs. */
let running = false;
let loading;
/** Why it does not, once that is known. */
let broken;
const waiting = new Set();
/** Statuses that the page has already, by the ids of their leads, until those have numbers. */
const presets = new Map();

/**
 * Says where Leadlight's API is and how to be let in. May be called again, with what has changed.
 */
export function configure(given) {
  Object.assign(settings, given);
  if ("token" in given && !("getToken" in given)) delete settings.getToken;
  token = undefined;
  set?.();
  set = undefined;
  if (!running) return;
  if (given.preload) loadPopover();
  if ("locale" in given || "strings" in given) relabel();
  attempt(bubbles.configured);
}

/** Statuses that the page has already. */
export function setStatuses(statuses) {
  for (const status of statuses) {
    const id = String(status?.lead);
    const lead = numbers.get(id);
    if (lead === undefined) presets.set(id, status);
    else attempt(() => tell(lead, status));
  }
}

// Elements

/** Connects an element, or gives it to another lead. */
export function connect(row) {
  if (!running) {
    waiting.add(row);
    draw(row, "loading");
    if (broken) fail(row, broken);
    else load();
    return;
  }
  row.spoken = undefined;
  if (row.slot === undefined) {
    const free = rows.indexOf(undefined, firstFree);
    row.slot = firstFree = free < 0 ? rows.length : free;
    rows[row.slot] = row;
    listen(row.host.getRootNode());
  }
  attempt(() => {
    row.lead = number(row.host.lead);
    paint(row.slot, bubbles.connect(row.slot, row.lead));
  }, row);
}

/** As leadlight's `LeadId`: one id that is none would spoil the request of a hundred. */
const LEAD_ID = /^(?!\.\.?$)[\w.:~-]{1,128}$/;
const numbers = new Map();
const freeNumbers = [];

/** The number of a lead; nothing where no lead can have this id. */
function number(given) {
  const id = String(given ?? "");
  let found = numbers.get(id);
  if (found === undefined && LEAD_ID.test(id)) {
    numbers.set(id, found = freeNumbers.pop() ?? leads.length);
    leads[found] = { id };
    const status = presets.get(id);
    presets.delete(id);
    if (status) tell(found, status);
  }
  return found;
}

const faces = new Map();

const code = (given) => String(given ?? "");

/** The face of a status. */
function faceOf({ status, reason, cause }) {
  const key = `${status},${reason},${cause}`;
  let face = faces.get(key);
  if (face === undefined) faces.set(key, face = bubbles.face(code(status), code(reason), code(cause)));
  return face;
}

/** Says what is known of a lead from now on: by the page, or because it was checked. */
function tell(lead, status, isChecked = false) {
  leads[lead].told = status;
  bubbles.tell(lead, faceOf(status), isChecked);
}

/** The numbers of the leads that these statuses are of, and the face of each; `learned` hears which are what is known from now on. */
function heardOf(statuses) {
  const of = [];
  const shown = [];
  for (const status of statuses) {
    const lead = number(status?.lead);
    if (lead === undefined) continue;
    leads[lead].told = status;
    of.push(lead);
    shown.push(faceOf(status));
  }
  return [of, shown];
}

export function disconnect(row) {
  waiting.delete(row);
  if (row.slot === undefined) return;
  gesture("hide", row.slot);
  observer?.unobserve(row.host);
  attempt(() => bubbles.disconnect(row.slot));
  rows[row.slot] = undefined;
  firstFree = Math.min(firstFree, row.slot);
  row.slot = undefined;
}

/** Does something with a row once the module is there. */
export async function whenRunning(row, act) {
  if (!running && row.host.isConnected) await retry();
  if (running && row.slot !== undefined) attempt(() => act(row.slot), row);
}

export const refresh = bubbles.refresh;

/** Runs `act` so that nothing it throws reaches the page. */
export function attempt(act, row) {
  try {
    return act();
  } catch (error) {
    if (row) fail(row, error);
    else console.error(error);
    return undefined;
  }
}

export function dispatch(row, type, detail, cancelable = false) {
  const all = { lead: row.host.lead, ...detail };
  return row.host.dispatchEvent(new CustomEvent(type, { bubbles: true, composed: true, cancelable, detail: all }));
}

/** Says in plain words that there is no widget, where the module cannot run: refused by a policy, not loaded, or broken. */
function fail(row, error) {
  const message = word(row.language, "unsupported") || "Email status is not available in this page.";
  draw(row, "failed", row.host.label ? `${row.host.label}: ${message}` : message);
  row.button.title = message;
  row.isBroken = true;
  dispatch(row, "lead-light-error", { code: "unsupported", message: String(error) });
}

/** Upgrades the elements of the page: those that it has already once the module is there, if that is soon, so that they are drawn once. */
export function whenWorthIt(tag, upgrade) {
  if (running || !document.querySelector(tag)) upgrade();
  else Promise.race([load(tag), new Promise((resolve) => { setTimeout(resolve, SOON_MS); })]).then(upgrade);
}

/** Loads the first module and lets the elements that wait for it in. */
export function load(tag = "lead-light") {
  loading ??= (async () => {
    // The page's script may still configure, and the parser lets microtasks run between two elements.
    await new Promise(document.readyState === "loading" ? setTimeout : queueMicrotask);
    const early = first(tag);
    // It is in this very file, a letter for each of its octets: another request would be another journey, before anything is seen.
    const letters = BUBBLES;
    const octets = Uint8Array.fromBase64?.(btoa(letters)) ?? Uint8Array.from(letters, (letter) => letter.charCodeAt());
    // So small a module is compiled before another thread would have begun with it.
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(octets), { a: bubbles.imports() });
    bubbles.begin(exports);
    running = true;
    if (early) settle(bubbles.expect(early.ids.map(number), early.sentAt), early.answer);
    for (const row of waiting) connect(row);
    waiting.clear();
    addEventListener("online", wake);
    document.addEventListener("visibilitychange", wake);
    if (settings.preload) loadPopover();
    // What can be seen is on the screen first: the names are for screen readers, and the popover for whoever comes near.
    requestAnimationFrame(() => requestAnimationFrame(() => whenIdle(() => {
      language(rows.find(Boolean)?.host ?? document.documentElement);
      loadPopover();
    })));
    setTimeout(hint, UNCONFIGURED_MS);
  })().catch(async (error) => {
    broken = error;
    for (const row of waiting) {
      await row.language.ready.catch(() => {});
      fail(row, error);
    }
    // Perhaps it was the network. `refresh()` and `show()` try again too.
    addEventListener("online", retry, { once: true });
  });
  return loading;
}

function retry() {
  if (broken) broken = loading = undefined;
  return load();
}

function wake() {
  if (document.hidden) return;
  if (rows.some((row) => row && !row.language.texts)) relabel();
  attempt(bubbles.wake);
}

function hint() {
  if (!set || !rows.some((row) => row?.tone === "loading")) return;
  console.warn("<lead-light>: call configure({ endpoint, getToken }), or setStatuses([…]).");
  attempt(bubbles.unconfigured);
}

// Words

const languages = new Map();
/** Whether there are words in any language. */
let hasWords = false;

/** The language of an element: as configured, or as the page around it says. */
function language(element) {
  let tag = settings.locale;
  for (let node = element; !tag && node; node = node.getRootNode().host) tag = node.closest("[lang]")?.lang;
  tag ||= navigator.language;
  let found = languages.get(tag);
  if (!found) languages.set(tag, found = fetchLanguage(tag));
  return found;
}

const whenIdle = (act) => (globalThis.requestIdleCallback ? requestIdleCallback(act, { timeout: 200 }) : setTimeout(act));

function fetchLanguage(tag) {
  let locale;
  try {
    locale = new Intl.Locale(tag);
  } catch {
    locale = new Intl.Locale("en");
  }
  const name = locale.language in TEXTS ? locale.language : "en";
  const found = { tag: name, locale: locale.language === name ? locale : name, names: [] };
  found.dir = name === "ar" ? "rtl" : "ltr";
  found.ready = fetch(new URL(TEXTS[name], import.meta.url)).then(async (response) => {
    found.texts = await response.json();
    hasWords = true;
    whenIdle(() => attempt(() => {
      for (const row of rows) if (row?.language === found) paint(row.slot, row.face);
      replay();
    }));
  });
  found.ready.catch((error) => {
    for (const row of rows) if (row?.language === found) fail(row, error);
    languages.delete(tag);
  });
  return found;
}

/** The words of a key. */
export const word = (language, key) => settings.strings?.[key] ?? language.texts?.[key] ?? "";

/** Fills the gaps of a text. */
export const fill = (text, gaps) => text.replace(/\{(\w+)\}/g, (gap, name) => gaps[name] ?? gap);

/** Finds the languages of all elements anew. */
async function relabel() {
  languages.clear();
  for (const row of [...rows, ...waiting]) if (row) row.spoken = language(row.host);
  await Promise.allSettled([...languages.values()].map(({ ready }) => ready));
  for (const row of rows) if (row) paint(row.slot, row.face);
}
new MutationObserver(relabel).observe(document.documentElement, { attributeFilter: ["lang"] });

// Requests

let token;

/** Posts with the token of the page, and once more with a new one where the server does not accept that. */
export async function post(path, body, again = true) {
  try {
    await isSet;
    const used = (token ??= (async () => (settings.getToken ? settings.getToken() : settings.token))());
    const bearer = await used.catch(() => undefined);
    const refused = bearer === undefined && settings.getToken;
    const headers = {};
    if (bearer) headers.authorization = `Bearer ${bearer}`;
    if (body) headers["content-type"] = "application/json";
    const url = new URL(path, `${settings.endpoint.replace(/\/*$/, "")}/`);
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const response = refused
      ? { status: 401 }
      : await fetch(url, { method: "POST", headers, body: body && JSON.stringify(body), signal });
    if (response.status === 401) {
      if (token === used) token = undefined;
      if (again && settings.getToken && !refused) return post(path, body, false);
    }
    const answer = await response.json?.().catch(() => undefined);
    const later = Date.now() + Number(response.headers?.get("retry-after") ?? NaN) * 1_000;
    return [response.status, answer, Date.parse(answer?.retry_at) || later];
  } catch {
    return [0, undefined, NaN];
  }
}

/** The request for what the page shows so far: it travels while the module does. */
function first(tag) {
  if (set) return undefined;
  const wanted = new Set();
  for (const host of hosts(tag)) {
    // Before its upgrade an element has what the page wrote, or set.
    const id = host.lead ?? host.getAttribute("lead");
    if (LEAD_ID.test(id ?? "") && !presets.has(id) && wanted.add(id).size === 100) break;
  }
  const ids = [...wanted];
  return ids.length ? { ids, sentAt: now(), answer: post("v1/statuses", { leads: ids }) } : undefined;
}

/** The elements of the page, and those that wait where the page does not look. */
function* hosts(tag) {
  yield* document.querySelectorAll(tag);
  for (const { host } of waiting) yield host;
}

async function settle(request, answer) {
  let [status, body, retryAt] = await answer;
  const isTold = Array.isArray(body?.statuses);
  if (!isTold && status === 200) status = 502;
  attempt(() => bubbles.answer(request, status, retryAt, ...heardOf(isTold ? body.statuses : [])));
}

// What the first module asks for

export const now = () => Date.now();

export const ask = (request, wanted) => settle(request, post("v1/statuses", { leads: [...wanted].map((lead) => leads[lead].id) }));

export function learned(lead) {
  const entry = leads[lead];
  entry.before = entry.status;
  entry.status = entry.told;
}

export function forget(lead) {
  numbers.delete(leads[lead].id);
  leads[lead] = undefined;
  freeNumbers.push(lead);
}

export const soon = () => {
  // The parser lets microtasks run between two elements, which would make a request of each.
  (document.readyState === "loading" ? setTimeout : queueMicrotask)(() => attempt(() => bubbles.flush()));
};

let trying;
/** The longest that a timer can wait. */
const LONGEST_MS = 2 ** 31 - 1;

export const later = (ms) => {
  clearTimeout(trying);
  // Where nobody looks nothing is asked: coming back asks anyway.
  trying = setTimeout(() => document.hidden || attempt(bubbles.try_again), Math.min(ms, LONGEST_MS));
};

export const chance = () => Math.random();

let observer;

export function watch(slot) {
  observer ??= new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const row = isIntersecting && rowOf(target);
      if (row) {
        observer.unobserve(target);
        attempt(() => bubbles.see(row.slot), row);
      }
    }
  });
  observer.observe(rows[slot].host);
}

const tones = [];
/** A button of each tone: a copy shares its attributes until they change. */
const buttons = {};

function button(tone) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = tone;
  for (const [name, value] of Object.entries({
    part: "bubble", "aria-haspopup": "dialog", "aria-expanded": "false",
    // Until its language is there.
    "aria-label": "Status is loading",
  })) made.setAttribute(name, value);
  return made;
}

export function paint(slot, face) {
  const row = rows[slot];
  row.face = face;
  popover?.refreshed(slot);
  draw(row, tones[face] ??= bubbles.tone(face), hasWords && named(row, face));
}

function named({ language, host }, face) {
  const status = (language.names[face] ??= language.texts && spell(language, face));
  const lead = status && host.label?.trim();
  return lead ? fill(word(language, "name.lead"), { lead, status }) : status;
}

function spell(language, face) {
  const [status, reason] = [bubbles.name(face), bubbles.reason(face)].map((key) => key && word(language, key));
  return reason ? fill(word(language, "name.reason"), { status, reason }) : status;
}

/** Gives a bubble its look, and its name if that is there already. */
function draw(row, tone, name) {
  if (row.tone !== tone) {
    if (row.tone) mark(row, row.tone, false);
    mark(row, tone, true);
    row.tone = tone;
    if (row.button) row.button.className = tone;
    else row.root.append(row.button = (buttons[tone] ??= button(tone)).cloneNode());
  }
  if (name) row.button.ariaLabel = name;
  if (row.isBroken) row.button.title = row.isBroken = "";
}

/** Sets or clears a custom state. Older browsers know only names with two dashes, and throw. */
export function mark({ states }, state, on) {
  try {
    if (on) states.add(state);
    else states.delete(state);
  } catch {
    // The bubble has its class.
  }
}

/** How the press of Check again ended that is being told of. */
let outcome = null;

export function changed(slot) {
  if (!rows[slot]) return;
  const { status: { status, reason = null, cause = null }, before } = leads[rows[slot].lead];
  dispatch(rows[slot], "lead-light-change", { status, reason, cause, previous: before?.status ?? status, outcome });
}

/** A press of Check again ended; with a status if the server could say one. */
export function checked(lead, told, ended) {
  outcome = ended;
  const status = told ?? leads[lead]?.status;
  const of = number(status?.lead);
  if (of !== undefined) tell(of, status, true);
  outcome = null;
}

export const failed = (slot, code, key) =>
  rows[slot] && dispatch(rows[slot], "lead-light-error", { code, message: word(rows[slot].language, key) });

// What people do, for the second module

/** Finds the row of an element; set by its class. */
export let rowOf;
export const findRowsBy = (find) => { rowOf = find; };

const HEARD = {
  pointerover: ({ pointerType }) => pointerType !== "touch" && "enter",
  pointerout: ({ pointerType }) => pointerType !== "touch" && "leave",
  // A click moves the focus too, and says what it wants by itself.
  focusin: (_, { button }) => button.matches(":focus-visible") && "focus",
  // Without a target the focus went to nothing in the page, or to another window: then it comes back.
  focusout: ({ relatedTarget }) => (relatedTarget || document.hasFocus()) && "blur",
  click: () => "press",
};

const trees = new WeakSet();

/** Listens to the rows of a document or shadow root, on the way down, before the page can stop it. */
function listen(tree) {
  if (trees.has(tree)) return;
  trees.add(tree);
  for (const type of Object.keys(HEARD)) tree.addEventListener(type, hear, true);
}

function hear(event) {
  const row = rowOf(event.target);
  const kind = row?.slot !== undefined && HEARD[event.type](event, row);
  if (!kind) return;
  if (popover && row.language.texts) popover.hear(kind, row.slot, event);
  else gesture(kind, row.slot);
}

/** How the popover looks. Every row has it from the start: a row that is given a sheet later has Chromium look through all rows. */
export const popoverSheet = new CSSStyleSheet();
/** The second module, once it runs. */
let popover;
let coming;
let heard = [];

/** Tells the second module what somebody did; now, or when it and the words are there. */
export function gesture(kind, slot) {
  if (kind === "hide") {
    heard = heard.filter(([, other]) => other !== slot);
    popover?.gesture(kind, slot);
  } else if (popover && rows[slot].language.texts) popover.gesture(kind, slot);
  else {
    heard.push([kind, slot]);
    loadPopover();
  }
}

function replay() {
  if (popover) for (const [kind, slot] of heard.splice(0)) gesture(kind, slot);
}

/** How often the second module was lost, or did not come. */
let losses = 0;

/** The second module is of no use any longer: it has trapped where it found itself wrong. The next intent starts it anew. */
function lost(error, row) {
  popover = coming = undefined;
  losses += 1;
  if (row) fail(row, error);
  else console.error(error);
}

function loadPopover() {
  // By a name of its own each time: nothing is left of one that was lost, and some browsers remember that a script did not come.
  coming ??= import(new URL(losses ? `${POPOVER}?${losses}` : POPOVER, import.meta.url)).then(async (hands) => {
    await hands.begin({
      lost, sheet: popoverSheet, settings, rows, leads, word, fill, mark, dispatch, post, attempt, checked,
      // Named one by one, so that nothing else has to be kept for it.
      name: bubbles.name, reason: bubbles.reason, see: bubbles.see, refresh: bubbles.refresh, meaning: bubbles.meaning,
    });
    popover = hands;
    for (const row of rows) if (row?.isBroken) paint(row.slot, row.face);
    replay();
  }).catch((error) => {
    coming = undefined;
    losses += 1;
    for (const [, slot] of heard.splice(0)) {
      // What the popover would say first, in the browser's own way.
      const row = rows[slot];
      if (row) row.button.title = row.button.ariaLabel;
    }
    console.error(error);
  });
}
