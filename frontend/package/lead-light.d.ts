// Types of the <lead-light> element and its module.

/** What a lead is shown as. `unknown`: never saved. */
export type Status = "active" | "unconfirmed" | "unsubscribed" | "soft_bouncing" | "blocklisted" | "unknown";

/** Why a lead is blocklisted. */
export type Reason =
  | "spam_complaint"
  | "manual"
  | "known_spammer"
  | "hard_bounce"
  | "withheld_by_provider"
  | "undeliverable"
  | "repeated_soft_bounces";

/** Who can lift a block, and how. */
export type Resolution = "check_again" | "after_address_change" | "support_only" | "never";

/** The status of one lead, as `POST /v1/statuses` answers it. Times are RFC 3339. */
export interface LeadStatus {
  lead: string;
  status: Status;
  /** What the lead is when nothing blocks it. */
  standing?: "active" | "unconfirmed" | "unsubscribed";
  /** Present if blocklisted. */
  reason?: Reason;
  /** The cause within the reason, for reasons that have one. */
  cause?: string;
  since?: string;
  /** The ids of the evidence that the status follows from. */
  because?: string[];
  resolution?: Resolution;
  /** Whether Check again may be pressed now. */
  may_check_again?: boolean;
  /** When it may be pressed, where that is later. */
  check_again_from?: string;
  /** The provider's own text. */
  diagnostic?: string;
  /** Whether the block comes from the lead's former address, and the present one is yet to be checked. */
  held?: boolean;
  /** An address that was probably meant. */
  suggestion?: string;
}

/** The languages that have a catalogue. Any other locale is read in English, with its own dates. */
export type Language = "en" | "de" | "fr" | "es" | "ar" | "ja";

export interface Configuration {
  /** Where Leadlight's API is. The origin of this module if absent. */
  endpoint?: string;
  /** A token for the widget. It lives fifteen minutes at most, so `getToken` suits most pages better. */
  token?: string;
  /** Gets a fresh token; asked before the first request, and once more where the server refuses a token. */
  getToken?: () => string | Promise<string>;
  /** A BCP 47 tag. Else the nearest `lang` attribute, then the browser's language. */
  locale?: string;
  /** Words of your own, by the keys of `texts/en.json`. */
  strings?: Record<string, string>;
  /** Loads the popover together with the bubbles instead of when it is first needed. */
  preload?: boolean;
  /** Whom to contact where only a person can help. Without it there is no link. */
  support?: { url: string; label?: string } | { email: string; label?: string };
  /** The address of a lead's log in your pages. Without it there is no link. */
  leadLog?: (lead: string) => string;
  /** Saves the suggested address. Without it the suggestion is shown, and there is no button. */
  acceptSuggestion?: (lead: string, address: string) => Promise<void> | void;
}

/** What every event says. */
export interface LeadDetail {
  lead: string | null;
}

/** The status of the lead has changed, or a press of Check again has ended. */
export interface ChangeDetail extends LeadDetail {
  status: Status;
  reason: Reason | null;
  cause: string | null;
  /** The status before. */
  previous: Status;
  /** How Check again ended, if that is what happened. */
  outcome: "sent" | "fail" | null;
}

export interface ErrorDetail extends LeadDetail {
  code:
    | "offline"
    | "unauthorised"
    | "forbidden"
    | "busy"
    | "not_found"
    | "refused"
    | "unavailable"
    | "invalid_lead"
    /** The module cannot run here: a policy of the page forbids it, or it could not be loaded. */
    | "unsupported";
  message: string;
}

/** Events of the element. All bubble and cross shadow roots. */
export interface LeadLightEventMap {
  "lead-light-change": CustomEvent<ChangeDetail>;
  "lead-light-open": CustomEvent<LeadDetail>;
  "lead-light-close": CustomEvent<LeadDetail>;
  /** Check again was pressed. Can be cancelled: then nothing is asked. */
  "lead-light-check": CustomEvent<LeadDetail>;
  "lead-light-error": CustomEvent<ErrorDetail>;
}

/** The element. */
export declare class LeadLight extends HTMLElement {
  /** The version of this package. */
  static readonly version: string;
  /** As the exported function. */
  static configure(configuration: Configuration): void;
  /** Defines the element, unless the name is taken already. */
  static define(tag?: string, registry?: CustomElementRegistry): void;

  /** The id of the lead in your CRM. */
  lead: string | null;
  /** The lead's name, for the accessible name of the bubble. */
  label: string | null;
  /** `compact` for dense tables. */
  density: "regular" | "compact" | null;
  /** The status, for hosts that have it already. Nothing is asked then. */
  status: LeadStatus | null;

  /** Reads the status again. */
  refresh(): void;
  /** Opens the popover. */
  show(): void;
  /** Closes the popover. */
  hide(): void;
}

/** Says where the API is and how to be let in. May be called again, with what has changed. */
export declare function configure(configuration: Configuration): void;

/** Statuses that the page has already. Nothing is asked for these leads while they are fresh. */
export declare function setStatuses(statuses: readonly LeadStatus[]): void;

/** The version of this package. */
export declare const version: string;

/** The attributes of the tag, for template languages. */
export interface LeadLightAttributes {
  lead?: string;
  label?: string;
  density?: "regular" | "compact";
}

declare global {
  interface HTMLElementTagNameMap {
    "lead-light": LeadLight;
  }
  // Also for listeners further up, on a table or the document.
  interface GlobalEventHandlersEventMap extends LeadLightEventMap {}
}
