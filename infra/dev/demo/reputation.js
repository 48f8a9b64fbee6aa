// What became of the CRM's messages, from Leadlight's counts: charts to look at, and the same figures in tables beside them.

import { call, leadPage } from "./page.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [960, 220, 56, 28, 12];
const PARTS = [
  ["delivered", "Delivered"],
  ["soft_bounces", "Soft bounces"],
  ["hard_bounces", "Hard bounces"],
];
const COLUMNS = [
  ["sent", "Sent"],
  ["delivered", "Delivered"],
  ["hard_bounces", "Hard bounces"],
  ["soft_bounces", "Soft bounces"],
  ["withheld", "Withheld"],
  ["withheld_globally", "Withheld by SES for all"],
  ["complaints", "Complaints"],
  ["possible_complaints", "Possible complaints"],
  ["message_faults", "Message refused"],
  ["sender_faults", "Sender refused"],
];
const PROVIDERS = {
  google: "Gmail", microsoft: "Outlook and Hotmail", yahoo: "Yahoo and AOL", apple: "iCloud",
  united_internet: "GMX and web.de", operator: "Network operators", other: "Everybody else",
};
const percent = (rate, digits = 1) =>
  rate === null ? "–" : rate.toLocaleString("en", { style: "percent", maximumFractionDigits: digits });

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function shape(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** The end of an axis on which all values up to this have a place, and whose half is a round figure too. */
function roundUp(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return unit * [1, 2, 4, 6, 8, 10].find((times) => times * unit >= value);
}

/** An empty chart that says in words what it shows. */
function chart(id, title, description, days, most, label) {
  const svg = shape("svg", {
    class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-labelledby": `${id}-title ${id}-description`,
  }, shape("title", { id: `${id}-title` }, title), shape("desc", { id: `${id}-description` }, description));
  const y = (value) => HEIGHT - BOTTOM - (value / most) * (HEIGHT - BOTTOM - TOP);
  const step = (WIDTH - LEFT) / days.length;
  const x = (index) => LEFT + step * index;
  for (const value of [0, most / 2, most]) {
    svg.append(
      shape("line", { class: "axis", x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value) }),
      shape("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, label(value)),
    );
  }
  const every = Math.ceil(days.length / 8);
  days.forEach((day, index) => {
    if (index % every === 0) svg.append(shape("text", { x: x(index), y: HEIGHT - 8 }, day.date.slice(5)));
  });
  return { svg, x, y, step };
}

function messages(days) {
  const total = (day) => PARTS.reduce((sum, [name]) => sum + day[name], 0);
  const most = roundUp(Math.max(2, ...days.map(total)));
  const all = PARTS.map(([name, words]) => `${words}: ${days.reduce((sum, day) => sum + day[name], 0)}`);
  const { svg, x, y, step } = chart("messages", "Messages by day", `${all.join(", ")}.`, days, most, String);
  days.forEach((day, index) => {
    let below = 0;
    for (const [name, words] of PARTS) {
      if (!day[name]) continue;
      const bar = shape("rect", {
        class: name, x: x(index) + step * 0.15, width: step * 0.7, y: y(below + day[name]), height: y(below) - y(below + day[name]),
      }, shape("title", {}, `${day.date}: ${words} ${day[name]}`));
      svg.append(bar);
      below += day[name];
    }
  });
  const key = element("ul", { class: "key" });
  for (const [name, words] of PARTS) {
    const sample = shape("svg", { class: "chart", viewBox: "0 0 12 12", "aria-hidden": "true" }, shape("rect", { class: name, width: 12, height: 12 }));
    key.append(element("li", {}, sample, words));
  }
  document.getElementById("messages").append(svg, key);
}

function rates(id, title, name, limit, days, total) {
  const digits = limit.review < 0.01 ? 2 : 1;
  const most = roundUp(Math.max(limit.pause * 1.2, ...days.map((day) => day[name] ?? 0)));
  const words = `${percent(total[name], digits)} over all days. SES reviews an account from ${percent(limit.review, digits)} and may pause it from ${percent(limit.pause, digits)}.`;
  const { svg, x, y, step } = chart(id, title, words, days, most, (value) => percent(value, digits));
  // Their words stand at different ends: where a bad day stretches the scale, the lines are close.
  for (const [kind, at, edge, anchor] of [["review", limit.review, LEFT + 4, "start"], ["pause", limit.pause, WIDTH, "end"]]) {
    svg.append(
      shape("line", { class: `limit ${kind}`, x1: LEFT, x2: WIDTH, y1: y(at), y2: y(at) }),
      shape("text", { x: edge, y: y(at) - 4, "text-anchor": anchor }, `SES: ${kind} ${percent(at, digits)}`),
    );
  }
  // A day without messages has no rate: the line is broken there.
  let path = "";
  let isDrawing = false;
  days.forEach((day, index) => {
    const rate = day[name];
    if (rate === null) {
      isDrawing = false;
      return;
    }
    const [px, py] = [x(index) + step / 2, y(rate)];
    path += `${isDrawing ? "L" : "M"}${px} ${py}`;
    isDrawing = true;
    svg.append(shape("circle", { class: "dot", cx: px, cy: py, r: 3 }, shape("title", {}, `${day.date}: ${percent(rate, digits)}`)));
  });
  svg.append(shape("path", { class: "rate", d: path }));
  document.getElementById(id).append(svg, element("p", { class: "muted" }, words));
}

function table(id, caption, heading, rows) {
  const head = element("tr", {}, element("th", { scope: "col" }, heading));
  for (const [, words] of COLUMNS) head.append(element("th", { scope: "col", class: "number" }, words));
  head.append(element("th", { scope: "col", class: "number" }, "Bounce rate"), element("th", { scope: "col", class: "number" }, "Complaint rate"));
  const body = element("tbody");
  for (const [name, figures] of rows) {
    const row = element("tr", {}, element("th", { scope: "row" }, name));
    for (const [column] of COLUMNS) row.append(element("td", { class: "number" }, String(figures[column])));
    row.append(
      element("td", { class: "number" }, percent(figures.bounce_rate)),
      element("td", { class: "number" }, percent(figures.complaint_rate, 2)),
    );
    body.append(row);
  }
  document.getElementById(id).append(element("caption", {}, caption), element("thead", {}, head), body);
}

function changes(events, webhook) {
  const words = ({ status, reason }) => (reason ? `${status} (${reason.replaceAll("_", " ")})` : status.replaceAll("_", " "));
  const failing = webhook.last_failure ? `, failing: ${webhook.last_failure}` : "";
  document.getElementById("webhook").textContent = `Told by Leadlight's webhook, which is ${webhook.state}${failing}.`;
  for (const { data } of events) {
    const lead = element("a", { href: leadPage(data.lead) }, data.lead);
    document.getElementById("changes").append(element("li", {}, lead, `: ${words(data.from)} → ${words(data.to)}, `, element("time", { datetime: data.changed_at }, new Date(data.changed_at).toLocaleString("en"))));
  }
}

/** The charts and their tables; a word in their place where there is nothing to draw. */
function draw({ days, total, limits, senders, providers }) {
  const isEmpty = COLUMNS.every(([name]) => !total[name]);
  document.getElementById("nothing").hidden = !isEmpty;
  document.getElementById("drawn").hidden = isEmpty;
  if (isEmpty) return;
  messages(days);
  rates("bounces", "Bounce rate by day", "bounce_rate", limits.bounce, days, total);
  rates("complaints", "Complaint rate by day", "complaint_rate", limits.complaint, days, total);
  table("days", "By day", "Day", days.filter((day) => COLUMNS.some(([name]) => day[name])).map((day) => [day.date, day]));
  table("senders", "By sending domain", "Domain", senders.map((sender) => [sender.domain || "unknown", sender]));
  table("providers", "By mailbox provider", "Provider", providers.map((one) => [PROVIDERS[one.provider], one]));
}

const span = document.getElementById("span");
try {
  const [figures, events, webhook] = await Promise.all([
    call("GET", "crm/reputation"), call("GET", "crm/changes"), call("GET", "crm/webhook-state"),
  ]);
  span.textContent = `${figures.from} to ${figures.to}`;
  draw(figures);
  changes(events, webhook);
  document.getElementById("figures").hidden = false;
} catch (error) {
  span.textContent = "";
  const problem = document.getElementById("page-problem");
  problem.textContent = error.message;
  problem.hidden = false;
}
