// Harbour CRM: the pages of a small CRM that embeds Leadlight. This is the host, so it knows of the widget only what its
// documentation says: the element, `configure`, and the events.

import { configure } from "./widget/lead-light.js";

configure({
  endpoint: location.origin,
  getToken: async () => (await call("POST", "crm/token")).token,
});

/** A problem document, or what stands for one where the server gave none. */
class Problem extends Error {
  constructor(document) {
    super(sentence(document.detail ?? document.title));
    this.document = document;
  }
}

async function call(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: body && { "content-type": "application/json" },
      body: body && JSON.stringify(body),
    });
  } catch {
    throw new Problem({ title: "the server was not reached" });
  }
  const answer = await response.json().catch(() => undefined);
  if (!response.ok) throw new Problem(answer?.title ? answer : { title: `the server answered ${response.status}` });
  return answer;
}

const sentence = (words) => {
  const text = String(words);
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
};

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

const say = (target, words, tone) => {
  target.textContent = words;
  target.className = `result ${tone}`;
};

const exact = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });
const when = (at) => make("time", { dateTime: at }, exact.format(new Date(at)));

// What an entry of the log says, and whether it is good news or bad.

const STANDINGS = { active: "active", unconfirmed: "unconfirmed", unsubscribed: "unsubscribed" };
const BOUNCES = {
  mailbox_missing: "there is no such mailbox",
  owner_changed: "the mailbox belongs to somebody else",
  mailbox_disabled: "the mailbox is switched off",
  invalid_domain: "the domain does not exist or takes no mail",
  unspecified: "refused for good",
};
const LISTS = {
  account: "this account’s suppression list",
  tenant: "the tenant’s suppression list",
  global: "the global suppression list",
  validation: "the list of risky addresses",
  other: "a suppression list",
};
const VERDICTS = {
  deliverable: ["Address verified", "good"],
  risky: ["Address verified, with something to note", ""],
  known_spammer: ["Address belongs to a known spammer", "bad"],
  bad_syntax: ["Address is not valid", "bad"],
  no_such_domain: ["The address’s domain does not exist", "bad"],
  no_mail_server: ["The address’s domain has no mail server", "bad"],
  null_mx: ["The address’s domain takes no mail", "bad"],
  unreachable_mail_server: ["The address’s mail server cannot be reached", "bad"],
  disposable: ["Address is a throwaway", "bad"],
  role: ["Address names a role", "bad"],
};
const EVENTS = {
  created: (detail) => [`Lead saved, ${STANDINGS[detail] ?? detail}`, ""],
  address_changed: (detail) =>
    detail === "held" ? ["Address changed; still blocklisted until it is checked again", ""] : ["Address changed", ""],
  standing_changed: (detail) => [`Consent is now “${STANDINGS[detail] ?? detail}”`, ""],
  recheck_failed: () => ["Check again could not be completed", "bad"],
  complaint: (detail) => [detail === "certain" ? "Reported as spam" : "Possibly reported as spam", "bad"],
  manual_block: () => ["Blocked by support", "bad"],
  hard_bounce: (detail) => [`Hard bounce: ${BOUNCES[detail] ?? detail}`, "bad"],
  soft_bounce: () => ["Soft bounce: not delivered this time", "bad"],
  withheld: (detail) => [`Withheld by Amazon SES: on ${LISTS[detail] ?? detail}`, "bad"],
  verified: (detail) => VERDICTS[detail] ?? [`Address verified: ${detail}`, ""],
  safelisted: (detail) => [detail === "support" ? "Safelisted by support" : "Safelisted by Check again", "good"],
  delivered: () => ["Message delivered", "good"],
  unsubscribed: () => ["Unsubscribed", ""],
  subscribed: () => ["Subscribed again", "good"],
  auto_reply: () => ["Automatic reply received", ""],
  delayed: () => ["Delivery delayed; SES keeps trying", ""],
  message_fault: () => ["Message refused for its content or size", "bad"],
  sender_fault: () => ["Message refused for its sender", "bad"],
  not_spam: () => ["Marked as not spam", "good"],
  auth_failure: () => ["Report about the sender’s authentication", ""],
};
const describe = ({ event, detail }) => EVENTS[event]?.(detail) ?? [event, ""];

const readLog = async (id) => (await call("GET", `crm/leads/${id}/log`)).entries;

function drawLog(list, entries) {
  list.replaceChildren(...entries.map((entry) => {
    const [words, tone] = describe(entry);
    const item = make("li", { className: tone }, when(entry.at), words);
    if (entry.former_address) item.append(" ", make("span", { className: "tag" }, "(former address)"));
    if (entry.diagnostic) item.append(make("q", {}, entry.diagnostic));
    return item;
  }));
}

// The table of leads.

async function showLeads() {
  const leads = await call("GET", "crm/leads");
  document.getElementById("count").textContent = `${leads.length} people`;
  const changes = new Map();
  const rows = leads.map(({ id, name, company, address }) => {
    const light = document.createElement("lead-light");
    light.lead = id;
    light.label = name;
    const change = make("td", { className: "muted" });
    changes.set(id, change);
    const link = make("a", { href: `lead.html?id=${encodeURIComponent(id)}` }, name);
    return make("tr", {}, make("th", { scope: "row" }, link), make("td", {}, light), make("td", {}, company),
      make("td", {}, address), change);
  });
  document.getElementById("leads").replaceChildren(...rows);
  const showChange = async (id) => {
    const [newest] = await readLog(id);
    changes.get(id)?.replaceChildren(...(newest ? [when(newest.at)] : []));
  };
  addEventListener("lead-light-change", (event) => showChange(event.detail.lead).catch(() => {}));
  await Promise.all(leads.map(({ id }) => showChange(id)));
}

// The page of one lead.

/** How often the log is read while the page is looked at: feedback arrives when it likes. */
const LOG_EVERY_MS = 2_000;

async function showLead(id) {
  const path = `crm/leads/${encodeURIComponent(id)}`;
  const light = document.getElementById("light");
  const details = document.getElementById("details");
  const compose = document.getElementById("compose");
  const log = document.getElementById("log");
  const problem = document.getElementById("address-problem");
  let lead = await call("GET", path);

  const show = () => {
    document.title = `${lead.name} · Harbour CRM`;
    document.getElementById("lead-name").textContent = lead.name;
    document.getElementById("lead-company").textContent = lead.company;
    light.label = lead.name;
    for (const field of ["name", "company", "address", "standing"]) details.elements[field].value = lead[field];
  };
  show();
  light.lead = id;

  let shown = "";
  const refreshLog = async () => {
    const entries = await readLog(id);
    const fresh = JSON.stringify(entries);
    if (fresh === shown) return;
    if (shown) light.refresh();
    shown = fresh;
    drawLog(log, entries);
  };
  const clearProblem = () => {
    problem.replaceChildren();
    details.elements.address.removeAttribute("aria-invalid");
  };
  const showProblem = ({ message, document: { suggestion } }) => {
    details.elements.address.setAttribute("aria-invalid", "true");
    problem.replaceChildren(message);
    if (suggestion) {
      const use = make("button", { type: "button" }, `Use ${suggestion}`);
      use.addEventListener("click", () => {
        details.elements.address.value = suggestion;
        clearProblem();
        details.elements.address.focus();
      });
      problem.append(use);
    }
  };

  /** Runs what a form does, once at a time. */
  const onSubmit = (form, result, working, run) => form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button:not([type=button])");
    if (button.ariaDisabled === "true") return;
    button.ariaDisabled = "true";
    say(result, working, "");
    try {
      await run();
    } catch (error) {
      const atField = error.document?.field?.includes("address");
      if (atField) showProblem(error);
      say(result, atField ? "Not saved." : error.message, "bad");
    }
    button.ariaDisabled = "false";
    refreshLog().catch(() => {});
  });

  const saved = document.querySelector("[data-testid=save-result]");
  onSubmit(details, saved, "Saving…", async () => {
    clearProblem();
    const { name, company, address, standing } = Object.fromEntries(new FormData(details));
    // A standing that was not touched is not sent: the recipient may have said something newer.
    await call("PUT", path, { name, company, address, ...(standing !== lead.standing && { standing }) });
    lead = await call("GET", path);
    show();
    light.refresh();
    say(saved, "Saved.", "good");
    say(sent, "", "");
    showOutcome().catch(() => {});
  });

  const sent = document.querySelector("[data-testid=send-result]");
  onSubmit(compose, sent, "Sending…", async () => {
    const { subject, text } = Object.fromEntries(new FormData(compose));
    try {
      await call("POST", `${path}/messages`, { subject, text });
      say(sent, "Sent. What became of it appears in the log.", "good");
    } catch (error) {
      light.refresh();
      throw error.document?.status === 409 ? new Error(`Not sent: ${error.message}`) : error;
    }
  });

  const outcome = document.getElementById("outcome");
  const scripted = document.querySelector("[data-testid=outcome-result]");
  const showOutcome = async () => {
    say(scripted, "", "");
    outcome.value = (await call("GET", "ses/script"))[lead.address.toLowerCase()] ?? "deliver";
  };
  outcome.addEventListener("change", async () => {
    try {
      await call("PUT", "ses/script", { address: lead.address, outcome: outcome.value });
      say(scripted, `Every message to ${lead.address} will ${outcome.selectedOptions[0].textContent}.`, "good");
    } catch (error) {
      say(scripted, error.message, "bad");
    }
  });
  const simulated = ["success", "bounce", "complaint", "ooto", "suppressionlist"];
  document.getElementById("simulator").replaceChildren(...simulated.map((name) => {
    const address = `${name}@simulator.amazonses.com`;
    const use = make("button", { type: "button", title: address }, `${name}@…`);
    use.setAttribute("aria-label", `Fill in ${address}`);
    use.addEventListener("click", () => {
      clearProblem();
      details.elements.address.value = address;
      details.elements.address.focus();
    });
    return make("li", {}, use);
  }));

  addEventListener("lead-light-change", () => refreshLog().catch(() => {}));
  await Promise.all([refreshLog(), showOutcome()]);
  setInterval(() => {
    if (!document.hidden) refreshLog().catch(() => {});
  }, LOG_EVERY_MS);
}

const pages = { leads: showLeads, lead: () => showLead(new URLSearchParams(location.search).get("id") ?? "") };

pages[document.body.dataset.page]().catch((error) => {
  const target = document.getElementById("page-problem");
  target.textContent = error.message;
  target.hidden = false;
});
