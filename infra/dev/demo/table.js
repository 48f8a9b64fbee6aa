// The table of leads: sorted, and in pages of a hundred or as one long list. Of the list only what is near the window is in the
// document, a block of a hundred rows at a time, and the rows of a block that is left are given to the leads of the next.

import { bubble, call, leadPage, make } from "./page.js";

/** The rows of a page and of a block: as many as one request of the widget carries. */
const BLOCK = 100;
/** The height of a row, as in demo.css. */
const ROW_PX = 44;
/** How far from the window a block is drawn already. */
const MARGIN_PX = 1_500;

const toTheMinute = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const inOrder = new Intl.Collator("en");
const COLUMNS = {
  name: (a, b) => inOrder.compare(a.name, b.name),
  company: (a, b) => inOrder.compare(a.company, b.company) || inOrder.compare(a.name, b.name),
  address: (a, b) => inOrder.compare(a.address, b.address),
  changed: (a, b) => Date.parse(a.changed_at) - Date.parse(b.changed_at),
};

export async function showLeads() {
  const leads = await call("GET", "crm/leads");
  const byId = new Map(leads.map((lead) => [lead.id, lead]));
  const chosen = new Set();
  const view = { sort: "", long: false, page: 0, ...readView() };
  const card = document.getElementById("card");
  const table = document.getElementById("table");
  const pager = document.getElementById("pager");
  const [back, on] = pager.querySelectorAll("button");

  document.getElementById("count").textContent = `${leads.length.toLocaleString("en")} people`;
  table.ariaRowCount = leads.length + 1;
  const lists = document.getElementById("lists");
  lists.hidden = leads.length <= BLOCK;
  for (const choice of lists.querySelectorAll("input")) {
    choice.checked = (choice.value === "long") === view.long;
    choice.addEventListener("change", () => {
      view.long = choice.value === "long";
      view.page = 0;
      show();
    });
  }
  for (const button of table.querySelectorAll("th button")) {
    button.addEventListener("click", () => {
      const column = button.dataset.sort;
      view.sort = view.sort === column ? `-${column}` : column;
      view.page = 0;
      show();
    });
  }
  for (const [button, step] of [[back, -1], [on, 1]]) {
    button.addEventListener("click", () => {
      if (button.ariaDisabled === "true") return;
      view.page += step;
      show();
      card.scrollTop = 0;
    });
  }

  /** The blocks that are in the document, by their number. */
  let blocks = new Map();
  let sorted = leads;
  const [above, below] = ["above", "below"].map((id) => document.getElementById(id));

  const show = () => {
    const column = view.sort.replace("-", "");
    sorted = column ? leads.toSorted(COLUMNS[column]) : leads;
    if (view.sort.startsWith("-")) sorted.reverse();
    for (const button of table.querySelectorAll("th button")) {
      const direction = view.sort.startsWith("-") ? "descending" : "ascending";
      button.closest("th").ariaSort = button.dataset.sort === column ? direction : "none";
    }
    const pages = Math.ceil(leads.length / BLOCK);
    view.page = Math.min(Math.max(view.page, 0), Math.max(pages - 1, 0));
    pager.hidden = view.long || pages < 2;
    pager.querySelector("span").textContent = `Page ${view.page + 1} of ${pages}`;
    back.ariaDisabled = String(view.page === 0);
    on.ariaDisabled = String(view.page === pages - 1);
    card.classList.toggle("long", view.long);
    keepView(view);
    place(true);
  };

  /** Draws the blocks that are to be seen; with `afresh`, others than before may be in them. */
  const place = (afresh = false) => {
    const last = Math.max(Math.ceil(sorted.length / BLOCK) - 1, 0);
    const blockAt = (y) => Math.min(Math.max(Math.floor(y / (ROW_PX * BLOCK)), 0), last);
    const [from, to] = view.long
      ? [blockAt(card.scrollTop - MARGIN_PX), blockAt(card.scrollTop + card.clientHeight + MARGIN_PX)]
      : [view.page, view.page];
    const left = [...blocks].filter(([number]) => number < from || number > to).map(([, body]) => body);
    const next = new Map();
    for (let number = from; number <= to; number += 1) {
      const kept = blocks.get(number);
      const body = kept ?? left.pop() ?? make("tbody");
      if (!kept || afresh) fill(body, number);
      next.set(number, body);
    }
    for (const body of left) body.remove();
    // What stays where it is, is not moved: that would close its popover.
    let after = above;
    for (const body of next.values()) {
      if (after.nextElementSibling !== body) after.after(body);
      after = body;
    }
    blocks = next;
    const height = (rows) => `${rows * ROW_PX}px`;
    above.rows[0].style.height = height(view.long ? from * BLOCK : 0);
    below.rows[0].style.height = height(view.long ? Math.max(sorted.length - (to + 1) * BLOCK, 0) : 0);
  };

  const fill = (body, number) => {
    const people = sorted.slice(number * BLOCK, (number + 1) * BLOCK);
    while (body.rows.length > people.length) body.rows[body.rows.length - 1].remove();
    people.forEach((lead, place) => {
      const row = body.rows[place] ?? body.appendChild(drawRow());
      row.ariaRowIndex = number * BLOCK + place + 2;
      row.show(lead);
    });
  };

  const drawRow = () => {
    const choice = make("input", { type: "checkbox" });
    const name = make("a");
    const light = bubble(null, null);
    const [company, address, change] = [make("td"), make("td"), make("td", { className: "muted" })];
    const row = make("tr", {}, make("td", { className: "choice" }, choice), make("th", { scope: "row" }, name),
      make("td", {}, light), company, address, change);
    row.show = (lead) => {
      Object.assign(choice, { value: lead.id, checked: chosen.has(lead.id), ariaLabel: `Choose ${lead.name}` });
      Object.assign(name, { href: leadPage(lead.id), textContent: lead.name });
      Object.assign(light, { lead: lead.id, label: lead.name });
      company.textContent = lead.company;
      address.textContent = address.title = lead.address;
      change.replaceChildren(make("time", { dateTime: lead.changed_at }, toTheMinute.format(new Date(lead.changed_at))));
    };
    return row;
  };

  const write = document.getElementById("write");
  table.addEventListener("change", ({ target }) => {
    chosen[target.checked ? "add" : "delete"](target.value);
    write.href = chosen.size ? `compose.html?${new URLSearchParams([...chosen].map((id) => ["lead", id]))}` : "compose.html";
    const whom = { 0: "a message", 1: "to 1 lead" }[chosen.size] ?? `to ${chosen.size} leads`;
    write.textContent = `Write ${whom}`;
  });

  const changed = ({ detail }) => {
    const lead = byId.get(detail.lead);
    if (!lead) return;
    lead.address = detail.address ?? lead.address;
    lead.changed_at = new Date().toISOString();
    for (const body of blocks.values()) {
      for (const row of body.rows) if (row.querySelector("lead-light").lead === lead.id) row.show(lead);
    }
  };
  addEventListener("lead-light-change", changed);
  addEventListener("crm-lead-saved", changed);

  let due = false;
  card.addEventListener("scroll", () => {
    if (!view.long || due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      place();
    });
  }, { passive: true });
  addEventListener("resize", () => { if (view.long) place(); });
  show();
}

/** How the table was looked at, from the address of the page, so that Back comes back to it. */
function readView() {
  const asked = new URLSearchParams(location.search);
  const sort = asked.get("sort") ?? "";
  return {
    sort: Object.hasOwn(COLUMNS, sort.replace("-", "")) ? sort : "",
    long: asked.get("view") === "long",
    page: (Number.parseInt(asked.get("page"), 10) || 1) - 1,
  };
}

function keepView({ sort, long, page }) {
  const kept = new URLSearchParams();
  if (sort) kept.set("sort", sort);
  if (long) kept.set("view", "long");
  if (page) kept.set("page", page + 1);
  history.replaceState(null, "", kept.size ? `?${kept}` : location.pathname);
}
