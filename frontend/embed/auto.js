// Defines <lead-light>. Everything else is in "lead-light".

import { LeadLight } from "./lead-light.js";

export * from "./lead-light.js";

LeadLight.define();
