// Harbour CRM: the pages of a small CRM that embeds Leadlight.

import { isComposing, showCompose } from "./compose.js";
import { call, make, onSubmit, say, send, when } from "./page.js";
import { showLeads } from "./table.js";
import { describe, reason, wayOut } from "./words.js";

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
  document.getElementById("back").hidden = !isComposing();

  let shown = "";
  const refreshLog = async () => {
    const entries = await readLog(id);
    const fresh = JSON.stringify(entries);
    if (fresh === shown) return;
    if (shown) light.refresh();
    shown = fresh;
    drawLog(log, entries);
  };
  const typed = details.elements.address;
  const clearProblem = () => {
    problem.replaceChildren();
    typed.removeAttribute("aria-invalid");
  };
  // One press takes a suggestion: into the form while that is being filled in, into the lead once it is saved.
  const offer = (suggestion) => {
    if (!suggestion) return;
    const isSaved = typed.value === lead.address;
    const use = make("button", { type: "button" }, `${isSaved ? "Save as" : "Use"} ${suggestion}`);
    use.addEventListener("click", () => {
      typed.value = suggestion;
      clearProblem();
      typed.focus();
      if (isSaved) details.requestSubmit();
    });
    problem.append(use);
  };
  const showProblem = ({ message, document: { suggestion } }) => {
    typed.setAttribute("aria-invalid", "true");
    problem.replaceChildren(message);
    offer(suggestion);
  };
  /** Says what there is to say of the address in the form. Nothing, where it is as it should be or has changed meanwhile. */
  const showVerification = async () => {
    const address = typed.value;
    const { verdict, sentence, suggestion } = await call("POST", "crm/verifications", { address });
    if (typed.value !== address) return;
    clearProblem();
    if (verdict !== "deliverable" || suggestion) problem.replaceChildren(sentence);
    if (["undeliverable", "known_spammer"].includes(verdict)) typed.setAttribute("aria-invalid", "true");
    offer(suggestion);
  };
  const lookAtAddress = () => showVerification().catch(() => {});
  typed.addEventListener("change", lookAtAddress);

  const saved = document.querySelector("[data-testid=save-result]");
  onSubmit(details, saved, "Saving…", async () => {
    clearProblem();
    const { name, company, address, standing } = Object.fromEntries(new FormData(details));
    // A standing that was not touched is not sent: the recipient may have said something newer.
    const change = { name, company, address, ...(standing !== lead.standing && { standing }) };
    try {
      await call("PUT", path, change);
    } catch (error) {
      if (!error.document?.field?.includes("address")) throw error;
      showProblem(error);
      throw new Error("Not saved.");
    } finally {
      refreshLog().catch(() => {});
    }
    lead = await call("GET", path);
    show();
    light.refresh();
    say(saved, "Saved.", "good");
    say(sent, "", "");
    showOutcome().catch(() => {});
    showDomain().catch(() => {});
    lookAtAddress();
  });

  const sent = document.querySelector("[data-testid=send-result]");
  onSubmit(compose, sent, "Sending…", async () => {
    const { subject, text, purpose } = Object.fromEntries(new FormData(compose));
    try {
      await send(id, { leads: [id], subject, text, purpose });
      say(sent, "Sent. What became of it appears in the log.", "good");
    } catch (error) {
      light.refresh();
      const [blocked] = error.document?.blocked ?? [];
      throw blocked ? new Error(`Not sent. ${reason(blocked)} ${wayOut(blocked)}`) : error;
    } finally {
      refreshLog().catch(() => {});
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
  const domain = document.getElementById("domain");
  const played = document.querySelector("[data-testid=domain-result]");
  const domainOf = (address) => address.slice(address.lastIndexOf("@") + 1);
  const showDomain = async () => {
    const name = domainOf(lead.address);
    const { setup } = await call("GET", `dns/zone?${new URLSearchParams({ domain: name })}`);
    domain.disabled = !setup;
    domain.value = setup ?? "takes_mail";
    say(played, setup ? "" : `${name} is not the demo’s: others answer for it.`, "");
  };
  domain.addEventListener("change", async () => {
    try {
      const name = domainOf(lead.address);
      await call("PUT", "dns/zone", { domain: name, setup: domain.value });
      say(played, `${name} ${domain.selectedOptions[0].textContent}.`, "good");
    } catch (error) {
      say(played, error.message, "bad");
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

  addEventListener("crm-lead-saved", ({ detail }) => {
    if (detail.lead !== id) return;
    // What is being typed meanwhile stays.
    const isTyping = typed.value !== lead.address;
    lead = { ...lead, address: detail.address };
    if (!isTyping) typed.value = lead.address;
    lookAtAddress();
    refreshLog().catch(() => {});
    showOutcome().catch(() => {});
    showDomain().catch(() => {});
  });
  addEventListener("lead-light-change", () => refreshLog().catch(() => {}));
  lookAtAddress();
  await Promise.all([refreshLog(), showOutcome(), showDomain()]);
  setInterval(() => {
    if (!document.hidden) refreshLog().catch(() => {});
  }, LOG_EVERY_MS);
}

const pages = { leads: showLeads, compose: showCompose, lead: () => showLead(new URLSearchParams(location.search).get("id") ?? "") };

pages[document.body.dataset.page]().catch((error) => {
  const target = document.getElementById("page-problem");
  target.textContent = error.message;
  target.hidden = false;
});
