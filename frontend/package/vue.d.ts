// The tag in the templates of Vue 3: `import type {} from "lead-light/vue"` once.
import type { DefineComponent, HTMLAttributes } from "vue";
import type { LeadLightAttributes, LeadLightEventMap, LeadStatus } from "./lead-light.js";

export interface LeadLightProps extends LeadLightAttributes, Pick<HTMLAttributes, "id" | "class" | "style"> {
  status?: LeadStatus | null;
  onLeadLightChange?: (event: LeadLightEventMap["lead-light-change"]) => void;
  onLeadLightOpen?: (event: LeadLightEventMap["lead-light-open"]) => void;
  onLeadLightClose?: (event: LeadLightEventMap["lead-light-close"]) => void;
  onLeadLightCheck?: (event: LeadLightEventMap["lead-light-check"]) => void;
  onLeadLightError?: (event: LeadLightEventMap["lead-light-error"]) => void;
}

declare module "vue" {
  interface GlobalComponents {
    "lead-light": DefineComponent<LeadLightProps>;
  }
}
