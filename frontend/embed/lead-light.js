// <lead-light lead="…">: the email status of a lead, as a bubble in any page.
//
//   import { LeadLight, configure } from "…/lead-light.js";
//   configure({ endpoint: "https://api.example", getToken: async () => (await fetch("/my/token")).text() });
//   LeadLight.define();

export { LeadLight } from "./element.js";
export { configure, setStatuses } from "./page.js";
export const version = VERSION;
