// A page without a framework. Read by TypeScript only.

import "lead-light/auto";
import { configure, LeadLight, setStatuses, version, type LeadStatus } from "lead-light";

configure({
  endpoint: "https://api.example.com",
  getToken: async () => "a token",
  locale: "de",
  strings: { "check.again": "Noch einmal prüfen" },
  preload: true,
  support: { email: "help@example.com", label: "Hilfe" },
  leadLog: (lead) => `/leads/${lead}/log`,
  acceptSuggestion: async (lead, address) => console.log(lead, address),
});
configure({ token: "a token", support: { url: "https://example.com/help" } });

const status: LeadStatus = {
  lead: "1",
  status: "blocklisted",
  reason: "hard_bounce",
  cause: "mailbox_missing",
  resolution: "after_address_change",
  may_check_again: false,
  since: "2026-03-02T09:30:00Z",
};
setStatuses([status]);
LeadLight.define();
LeadLight.define("crm-light", customElements);
const text: string = version + LeadLight.version;

const light = document.createElement("lead-light");
light.lead = "1";
light.label = text;
light.density = "compact";
light.status = status;
light.refresh();
light.show();
light.hide();
light.addEventListener("lead-light-change", ({ detail }) => {
  const ended: "sent" | "fail" | null = detail.outcome;
  const [now, before]: [string, string] = [detail.status, detail.previous];
  console.log(ended, now, before, detail.reason, detail.cause);
});
document.addEventListener("lead-light-check", (event) => {
  if (event.detail.lead === "1") event.preventDefault();
});
addEventListener("lead-light-error", ({ detail }) => {
  if (detail.code === "unsupported") console.log(detail.message);
});
const found: LeadLight | null = document.querySelector("lead-light");
found?.show();

// @ts-expect-error There are two densities.
light.density = "tiny";
// @ts-expect-error A misspelled setting is told.
configure({ endpont: "https://api.example.com" });
// @ts-expect-error So is a detail that no event has.
light.addEventListener("lead-light-open", ({ detail }) => detail.status);
// @ts-expect-error And a status that there is none of.
setStatuses([{ lead: "1", status: "blacklisted" }]);
