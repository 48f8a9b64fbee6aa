// The page of a message to several leads. Nothing here decides who may be mailed: the gate says so when the message is sent, and
// the page marks whom it refuses, and keeps the draft until that is put right.

import { bubble, call, leadPage, make, onSubmit, say, send, when } from "./page.js";
import { reason, wayOut } from "./words.js";

const DRAFT = "draft";
const readDraft = () => JSON.parse(sessionStorage.getItem(DRAFT) ?? "{}");

/** Whether a message is being written in this tab. */
export const isComposing = () => readDraft().leads?.length > 0;

const list = new Intl.ListFormat("en");

export async function showCompose() {
  const form = document.getElementById("message");
  const people = document.getElementById("people");
  const others = document.getElementById("others");
  const refusal = document.getElementById("refusal");
  const skip = document.getElementById("skip");
  const result = document.getElementById("result");
  const { purpose, subject, text } = form.elements;

  let contacts;
  const readContacts = async () => {
    contacts = new Map((await call("GET", "crm/leads")).map((contact) => [contact.id, contact]));
  };
  await readContacts();
  const names = (leads) => list.format(leads.map((lead) => contacts.get(lead).name));

  /** The recipients in order, each with its place in the page. */
  const chips = new Map();
  /** What stands against recipients, after a refusal. */
  let blocked = new Map();
  let refused = false;

  const keep = () => {
    const draft = { leads: [...chips.keys()], purpose: purpose.value, subject: subject.value, text: text.value, refused };
    sessionStorage.setItem(DRAFT, JSON.stringify(draft));
  };

  const drawOthers = () => {
    const left = [...contacts.values()].filter(({ id }) => !chips.has(id));
    others.replaceChildren(...left.map(({ id, name }) => make("option", { value: id }, name)));
  };

  const addChip = (lead) => {
    const { name, address } = contacts.get(lead);
    const shown = make("span", { className: "muted" }, address);
    const remove = make("button", { type: "button", className: "remove", ariaLabel: `Remove ${name}` }, "×");
    const why = make("div", { className: "why" });
    const light = bubble(lead, name);
    const item = make("li", {}, make("span", { className: "who" }, make("b", {}, name), light, shown), remove, why);
    item.dataset.lead = lead;
    remove.addEventListener("click", () => {
      const next = item.nextElementSibling ?? item.previousElementSibling;
      item.remove();
      chips.delete(lead);
      blocked.delete(lead);
      drawOthers();
      mark();
      (next?.querySelector(".remove") ?? others).focus();
    });
    people.append(item);
    chips.set(lead, { item, light, shown, why });
  };

  /** Shows what stands against whom, in place. */
  const mark = () => {
    for (const [lead, { item, why }] of chips) {
      const against = blocked.get(lead);
      item.className = against ? "blocked" : "";
      why.replaceChildren(...(against
        ? [make("p", {}, make("b", {}, reason(against)), " ", wayOut(against)),
          ...(against.since ? [make("p", { className: "muted" }, "Since ", when(against.since))] : []),
          make("a", { href: leadPage(lead) }, `Open ${contacts.get(lead).name}`)]
        : []));
    }
    const stopped = [...blocked.keys()];
    refusal.hidden = !stopped.length;
    refusal.textContent = stopped.length
      ? `Not sent to anybody: ${names(stopped)} must not be mailed. See below what to do.`
      : "";
    skip.hidden = !stopped.length || stopped.length === chips.size;
    if (refused && !stopped.length) {
      refused = false;
      say(result, chips.size ? "Nothing stands in the way any more: send again." : "", "good");
    }
    keep();
  };

  const markRefused = (answers) => {
    blocked = new Map(answers.filter(({ lead_id }) => chips.has(lead_id)).map((answer) => [answer.lead_id, answer]));
    mark();
  };

  /** After a refusal: what still stands in the way. */
  let asked = 0;
  const check = async () => {
    if (!refused || !chips.size) return;
    const turn = ++asked;
    const { recipients } = await call("POST", "crm/send-checks", { leads: [...chips.keys()], purpose: purpose.value });
    if (turn === asked && refused) markRefused(recipients.filter(({ decision }) => decision === "refuse"));
  };
  const lookAgain = () => check().catch((error) => say(result, error.message, "bad"));

  const start = ({ leads = [], ...draft }) => {
    for (const lead of new Set(leads)) if (contacts.has(lead)) addChip(lead);
    for (const field of [purpose, subject, text]) field.value = draft[field.name] ?? field.value;
    refused = draft.refused ?? false;
    drawOthers();
    keep();
  };
  // Leads chosen in the list take the place of those in the draft; a reload is no new choice.
  const chosen = new URLSearchParams(location.search).getAll("lead");
  history.replaceState(null, "", location.pathname);
  start(chosen.length ? { ...readDraft(), leads: chosen, refused: false } : readDraft());

  document.getElementById("add").addEventListener("click", () => {
    if (!others.value) return;
    addChip(others.value);
    drawOthers();
    keep();
    lookAgain();
  });
  form.addEventListener("input", keep);
  purpose.addEventListener("change", lookAgain);
  addEventListener("lead-light-change", lookAgain);

  /** The person was elsewhere, perhaps to correct an address. */
  const comeBack = async () => {
    await readContacts();
    for (const [lead, { light, shown }] of chips) {
      shown.textContent = contacts.get(lead).address;
      light.refresh();
    }
    await check();
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) comeBack().catch((error) => say(result, error.message, "bad"));
  });

  onSubmit(form, result, "Sending…", async (button) => {
    if (!chips.size) {
      others.focus();
      throw new Error("Choose at least one lead to write to.");
    }
    const message = {
      leads: [...chips.keys()], subject: subject.value, text: text.value, purpose: purpose.value, mode: button.value,
    };
    try {
      const { sent_to, skipped } = await send(DRAFT, message);
      const leadsOf = (answers) => answers.map(({ lead_id }) => lead_id);
      const leftOut = skipped.length ? ` Not sent to ${names(leadsOf(skipped))}.` : "";
      say(result, `Sent to ${names(leadsOf(sent_to))}.${leftOut}`, "good");
    } catch (error) {
      if (!error.document?.blocked) throw error;
      say(result, "", "");
      refused = true;
      asked += 1;
      markRefused(error.document.blocked);
      for (const { light } of chips.values()) light.refresh();
      refusal.focus();
      return;
    }
    people.replaceChildren();
    chips.clear();
    blocked.clear();
    refused = false;
    form.reset();
    drawOthers();
    mark();
    sessionStorage.removeItem(DRAFT);
  });

  await check();
}
