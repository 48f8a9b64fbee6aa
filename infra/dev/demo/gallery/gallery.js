// Every status, reason and state of the widget, in the language, theme and density of the page's address. Statuses are given to
// the widget as a host gives those that it has already; what only a server can cause is answered by one that lives in this page.

const NOW = Date.parse("2026-03-05T12:00:00Z");
const SINCE = "2026-03-02T09:30:00Z";
const LATER = "2026-03-16T09:30:00Z";

const blocked = (reason, cause, resolution, more = {}) => ({
  status: "blocklisted", standing: "active", reason, cause, resolution, since: SINCE, may_check_again: resolution === "check_again", ...more,
});
const correctable = (reason, cause) => blocked(reason, cause, "after_address_change");
const checkable = (reason, cause, more) => blocked(reason, cause, "check_again", more);

/** What the host knows, by group and name. The name is the lead too. */
const KNOWN = {
  Standing: {
    active: { status: "active", standing: "active" },
    unconfirmed: { status: "unconfirmed", standing: "unconfirmed" },
    unsubscribed: { status: "unsubscribed", standing: "unsubscribed" },
    soft_bouncing: {
      status: "soft_bouncing", standing: "active", since: SINCE,
      diagnostic: "smtp; 452 4.2.2 The email account that you tried to reach is over quota",
    },
    unknown: { status: "unknown" },
    unreadable: { status: "from_the_future" },
  },
  "Spam and support": {
    "spam_complaint.certain": blocked("spam_complaint", "certain", "never"),
    "spam_complaint.candidate": blocked("spam_complaint", "candidate", "support_only"),
    manual: blocked("manual", undefined, "support_only"),
    known_spammer: correctable("known_spammer"),
  },
  "Hard bounce": {
    "hard_bounce.mailbox_missing": correctable("hard_bounce", "mailbox_missing"),
    "hard_bounce.owner_changed": correctable("hard_bounce", "owner_changed"),
    "hard_bounce.mailbox_disabled": correctable("hard_bounce", "mailbox_disabled"),
    "hard_bounce.invalid_domain": correctable("hard_bounce", "invalid_domain"),
    "hard_bounce.unspecified": checkable("hard_bounce", "unspecified", { diagnostic: "smtp; 550 5.0.0 Rejected" }),
  },
  "Withheld by Amazon SES": {
    "withheld_by_provider.account": checkable("withheld_by_provider", "account"),
    "withheld_by_provider.tenant": checkable("withheld_by_provider", "tenant"),
    "withheld_by_provider.global": checkable("withheld_by_provider", "global", { may_check_again: false, check_again_from: LATER }),
    "withheld_by_provider.validation": checkable("withheld_by_provider", "validation"),
    "withheld_by_provider.other": checkable("withheld_by_provider", "other"),
  },
  Undeliverable: {
    "undeliverable.bad_syntax": correctable("undeliverable", "bad_syntax"),
    "undeliverable.unsendable_local_part": correctable("undeliverable", "unsendable_local_part"),
    "undeliverable.no_such_domain": checkable("undeliverable", "no_such_domain"),
    "undeliverable.no_mail_server": checkable("undeliverable", "no_mail_server"),
    "undeliverable.null_mx": checkable("undeliverable", "null_mx"),
    "undeliverable.unreachable_mail_server": checkable("undeliverable", "unreachable_mail_server"),
    "undeliverable.disposable": correctable("undeliverable", "disposable"),
    "undeliverable.role": correctable("undeliverable", "role"),
    "undeliverable.no_reply": correctable("undeliverable", "no_reply"),
    repeated_soft_bounces: checkable("repeated_soft_bounces"),
  },
  "What else may be said": {
    suggestion: checkable("undeliverable", "no_such_domain", { suggestion: "ada@gmail.example" }),
    held: checkable("hard_bounce", "mailbox_missing", { held: true }),
    bounced_again: checkable("hard_bounce", "unspecified", { may_check_again: false, check_again_from: LATER }),
  },
  "Check again": {
    checking: checkable("undeliverable", "no_mail_server"),
    sent_clear: checkable("undeliverable", "no_mail_server"),
    sent_blocked: checkable("undeliverable", "no_mail_server"),
    failed: checkable("undeliverable", "no_mail_server"),
    too_often: checkable("undeliverable", "no_mail_server"),
  },
};

const never = new Promise(() => {});
const problem = (status, headers) => new Response(JSON.stringify({ title: "refused", status }), {
  status, headers: { "content-type": "application/problem+json", ...headers },
});

/** What only a server can cause: how each lead is answered. */
const FAULTS = {
  loading: () => never,
  offline: () => Promise.reject(new TypeError("no network")),
  unauthorised: () => problem(401),
  forbidden: () => problem(403),
  busy: () => problem(429, { "retry-after": "3600" }),
  unavailable: () => problem(503),
  // The widget sees by itself that no lead can have an id with spaces.
  "invalid lead": () => never,
};

const statusOf = (lead) => Object.assign({ lead }, ...Object.values(KNOWN).map((group) => group[lead]));
const PRESSED = {
  checking: () => never,
  sent_clear: () => Response.json({ outcome: "sent", status: { lead: "sent_clear", status: "active", standing: "active" } }),
  sent_blocked: () => Response.json({ outcome: "sent", status: statusOf("sent_blocked") }),
  failed: () => Response.json({ outcome: "fail", status: statusOf("failed") }),
  too_often: () => problem(429, { "retry-after": "600" }),
};

/** Told when a fault has been asked for: each needs a request of its own. */
let asked = () => {};

window.fetch = ((network) => async (resource, init) => {
  const { pathname } = new URL(resource, location);
  const [, lead] = pathname.match(/\/v1\/leads\/([^/]+)\/rechecks$/) ?? [];
  if (lead) return (PRESSED[decodeURIComponent(lead)] ?? PRESSED.failed)();
  if (!pathname.endsWith("/v1/statuses")) return network(resource, init);
  const [first] = JSON.parse(init.body).leads;
  asked(first);
  return (FAULTS[first] ?? FAULTS.unavailable)();
})(window.fetch);
Date.now = () => NOW;

const given = new URLSearchParams(location.search);
const choices = document.getElementById("choices");
for (const choice of choices.querySelectorAll("select")) {
  if ([...choice.options].some(({ value }) => value === given.get(choice.name))) choice.value = given.get(choice.name);
  choice.addEventListener("change", () => choices.requestSubmit());
}
const { lang, theme, density } = Object.fromEntries(new FormData(choices));
const page = document.documentElement;
page.lang = lang;
page.dir = lang === "ar" ? "rtl" : "ltr";
page.dataset.theme = theme;

// After the clock is set.
const { configure, setStatuses } = await import("../widget/lead-light.js");
await import("../widget/auto.js");
configure({
  endpoint: location.origin,
  getToken: () => "none",
  locale: lang,
  preload: true,
  support: { url: "#support" },
  leadLog: () => "#log",
  acceptSuggestion: async () => {},
});
setStatuses(Object.values(KNOWN).flatMap((group) => Object.keys(group)).map(statusOf));

const light = (lead) => Object.assign(document.createElement("lead-light"), { lead, label: "Ada Byron", density });

const draw = (name, leads) => {
  const section = document.createElement("section");
  const heading = document.createElement("h2");
  heading.textContent = name;
  const list = document.createElement("ul");
  section.append(heading, list);
  section.lang = "en";
  section.dir = "ltr";
  for (const lead of leads) {
    const item = document.createElement("li");
    item.lang = lang;
    item.append(light(lead), lead);
    list.append(item);
  }
  return list;
};

const states = document.getElementById("states");
const groups = Object.entries(KNOWN).map(([name, group]) => draw(name, Object.keys(group)).parentElement);
const faults = draw("Not available", []);
states.append(...groups, faults.parentElement);
for (const lead of Object.keys(FAULTS)) {
  const heard = lead === "invalid lead" ? undefined : new Promise((resolve) => {
    asked = (first) => { if (first === lead) resolve(); };
  });
  const item = document.createElement("li");
  item.append(light(lead), lead);
  faults.append(item);
  await heard;
}

/** For whoever takes pictures: the names of all states, and one bubble alone, its popover open. */
const stage = document.createElement("div");
stage.className = "stage";
window.gallery = {
  known: Object.values(KNOWN).flatMap((group) => Object.keys(group)),
  faults: Object.keys(FAULTS),
  pressed: Object.keys(PRESSED),
  async show(lead) {
    if (!stage.isConnected) {
      stage.append(light(lead));
      document.body.append(stage);
    }
    const [bubble] = stage.children;
    const open = () => new Promise((resolve) => {
      bubble.hide();
      bubble.lead = lead;
      bubble.addEventListener("lead-light-open", () => requestAnimationFrame(resolve), { once: true });
      bubble.show();
    });
    await open();
    // Another font is another size. Opened a second time whatever the first has loaded, it looks the same each time.
    await document.fonts.ready;
    await open();
  },
  /** One bubble of each look, without words, in two rows: regular and compact. */
  async bubbles() {
    const looks = ["active", "unconfirmed", "unsubscribed", "soft_bouncing", "manual", "unknown", "unreadable", "loading", "offline"];
    const rows = ["regular", "compact"].map((density) => {
      const row = document.createElement("div");
      row.append(...looks.map((lead) => Object.assign(light(lead), { density })));
      return row;
    });
    stage.replaceChildren(...rows);
    document.body.append(stage);
    await new Promise((resolve) => setTimeout(() => requestAnimationFrame(resolve), 100));
  },
};
