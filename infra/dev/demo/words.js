// What Leadlight's codes say in words: the entries of a lead's log, and the gate's reasons.

import { exact } from "./page.js";

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
  known_spammer: ["Address belongs to a known spammer", "bad"],
  bad_syntax: ["Address is not valid", "bad"],
  unsendable_local_part: ["Address is valid, but Amazon SES cannot send to it", "bad"],
  no_such_domain: ["The address’s domain does not exist", "bad"],
  no_mail_server: ["The address’s domain has no mail server", "bad"],
  null_mx: ["The address’s domain takes no mail", "bad"],
  unreachable_mail_server: ["The address’s mail server cannot be reached", "bad"],
  disposable: ["Address is a throwaway", "bad"],
  role: ["Address names a role", "bad"],
  no_reply: ["Address says that nobody reads it", "bad"],
};
const FLAGS = {
  implicit_mx: "its domain names no mail server, so mail goes to the domain itself",
  disposable: "it is a throwaway address",
  role: "it names a role, not a person",
  no_reply: "it says that nobody reads it",
  listed_with_warning: "its domain is listed as abused",
  long_local_part: "the part before the @ is unusually long",
  mixed_scripts: "its domain mixes letters of several scripts",
};
const verified = (detail) => {
  const flags = detail.startsWith("risky:") ? detail.slice(6).split(",") : [];
  const noted = flags.map((flag) => FLAGS[flag] ?? flag).join("; ");
  return VERDICTS[detail] ?? [`Address verified: ${noted || detail}`, ""];
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
  verified,
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

/** What an entry of the log says, and whether it is good news or bad. */
export const describe = ({ event, detail }) => EVENTS[event]?.(detail) ?? [event, ""];

const REASONS = {
  spam_complaint: (cause) =>
    cause === "certain" ? "This person reported a message as spam" : "This person may have reported a message as spam",
  manual: () => "Support blocked this address",
  known_spammer: () => "This address is on a list of known spammers",
  hard_bounce: (cause) => `A message bounced: ${BOUNCES[cause] ?? cause}`,
  withheld_by_provider: (cause) => `Amazon SES withholds mail: the address is on ${LISTS[cause] ?? cause}`,
  undeliverable: (cause) => VERDICTS[cause]?.[0] ?? "This address takes no mail",
  repeated_soft_bounces: () => "Messages kept failing for days",
  another_address: () => "Leadlight has this lead with another address",
  unsubscribed: () => "This person has unsubscribed",
};

/** Why the gate refuses a recipient, in one sentence. */
export const reason = (blocked) => `${REASONS[blocked.reason]?.(blocked.cause) ?? blocked.reason}.`;

/** What to do about it, in one sentence. */
export const wayOut = ({ what_to_do, check_again_from }) =>
  check_again_from
    ? `Correct the address, or wait until ${exact.format(new Date(check_again_from))}, and press Check again.`
    : what_to_do;
